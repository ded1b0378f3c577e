"""Rule: nothing fits. Is it something unknown, or is it doubt?"""

from __future__ import annotations

from fieldassay.decide.evidence import Evidence, Thresholds
from fieldassay.decide.wording import AS_UNKNOWN, NO_CLEARANCE, inconclusive
from fieldassay.verdict import Reason, Verdict


def nothing_fits(e: Evidence, t: Thresholds) -> Verdict:
    """Out of library if the signal allows to say so, and else doubt."""
    best = e.singles[0] if e.singles else None
    score = max(best.score if best else 0.0, e.mixture_score if e.mixture else 0.0)
    if best is None or score <= t.unknown["max_score"]:
        if e.snr < t.unknown["min_snr"]:
            return inconclusive(
                "too_weak_for_unknown",
                "Nothing fits, but the signal is too weak to say that it is something unknown.",
                f"Move closer, hold still and measure longer. {AS_UNKNOWN}",
            )
        return Verdict(
            kind="out_of_library",
            substances=(),
            reasons=(
                Reason(
                    "nothing_fits",
                    "The signal is good, and no reference or sum of references explains it.",
                ),
                NO_CLEARANCE,
            ),
            do_next=f"{AS_UNKNOWN} Share the observation.",
        )
    return inconclusive(
        "fits_in_part",
        f"The nearest reference, {best.named.name}, fits only in part.",
        f"Measure another spot. {AS_UNKNOWN}",
    )
