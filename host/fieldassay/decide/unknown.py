"""Rule: nothing fits. Is it something unknown, or is it doubt?"""

from __future__ import annotations

from fieldassay.decide import calibrated
from fieldassay.decide.evidence import Evidence, Single, Thresholds
from fieldassay.decide.wording import AS_UNKNOWN, NO_CLEARANCE, inconclusive
from fieldassay.verdict import Reason, Verdict


def clear_enough(e: Evidence, t: Thresholds) -> bool:
    """True if a reference that is there would be seen to fit."""
    return e.snr >= t.unknown["min_snr"] and e.background_ratio <= t.unknown["max_background_ratio"]


def nothing_fits(e: Evidence, t: Thresholds) -> Verdict:
    """Out of library if the signal allows to say so, and else doubt."""
    best = e.singles[0] if e.singles else None
    score = max(best.score if best else 0.0, e.mixture_score if e.mixture else 0.0)
    kind = calibrated.kind_of(best, t) if best else "many_bands"
    unlikely = score <= t.unknown["max_score"] and (
        calibrated.load().p_true(kind, score) <= t.unknown["max_p_true"]
    )
    ahead = best is not None and stands_out(best, e, t)
    if best is None or (unlikely and not ahead):
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
                Reason("error_rate", calibrated.rarity_in_words(kind, score)),
                *calibrated.other_library(e),
                NO_CLEARANCE,
            ),
            do_next=f"{AS_UNKNOWN} Share the observation.",
        )
    return inconclusive(
        "fits_in_part",
        f"The nearest reference, {best.named.name}, fits only in part.",
        f"Measure another spot. {AS_UNKNOWN}",
    )


def stands_out(best: Single, e: Evidence, t: Thresholds) -> bool:
    """True if a reference may be there with something else, disturbed, or as a relative."""
    if best.score < t.unknown["ahead_min_score"]:
        return False
    if best.named.natural:  # two pressings of one oil differ more than two crystals
        return True
    return len(e.singles) > 1 and best.score - e.singles[1].score >= t.unknown["ahead_margin"]
