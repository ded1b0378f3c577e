"""Rule: nothing fits. Is it something unknown, or is it doubt?"""

from __future__ import annotations

from fieldassay.decide import calibrated
from fieldassay.decide.evidence import Evidence, Thresholds
from fieldassay.decide.wording import AS_UNKNOWN, NO_CLEARANCE, inconclusive
from fieldassay.verdict import Reason, Verdict


def clear_enough(e: Evidence, t: Thresholds) -> bool:
    """True if a reference that is there would be seen to fit."""
    return e.snr >= t.unknown["min_snr"] and e.background_ratio <= t.unknown["max_background_ratio"]


def nothing_fits(e: Evidence, t: Thresholds) -> Verdict:
    """Out of library if the signal allows to say so, and else doubt."""
    best = e.singles[0] if e.singles else None
    score = max(best.score if best else 0.0, e.mixture_score if e.mixture else 0.0)
    likely = calibrated.load().p_true(score)
    ahead = best is not None and (
        best.score >= t.unknown["ahead_min_score"]
        and len(e.singles) > 1
        and best.score - e.singles[1].score >= t.unknown["ahead_margin"]
    )
    if best is None or (likely <= t.unknown["max_p_true"] and not ahead):
        if e.background_ratio > t.unknown["max_background_ratio"]:
            share = e.background_ratio / (1.0 + e.background_ratio)
            return inconclusive(
                "background_over_bands",
                f"Nothing fits, but {100 * share:.0f} % of the signal is background "
                "(fluorescence or stray light), which hides weak bands.",
                f"Shade the sample, try another spot or a longer wavelength. {AS_UNKNOWN}",
            )
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
                Reason("error_rate", _rarity(likely)),
                NO_CLEARANCE,
            ),
            do_next=f"{AS_UNKNOWN} Share the observation.",
        )
    return inconclusive(
        "fits_in_part",
        f"The nearest reference, {best.named.name}, fits only in part.",
        f"Measure another spot. {AS_UNKNOWN}",
    )


def _rarity(likely: float) -> str:
    """A `p_true` in words."""
    return (
        f"Of substances of the library measured on other instruments, no more than 1 in "
        f"{int(1.0 / likely)} fitted their own reference so badly."
    )
