"""Rule: does one substance explain the measurement?"""

from __future__ import annotations

from math import log

from fieldassay.decide import calibrated
from fieldassay.decide.evidence import Evidence, Named, Single, Thresholds
from fieldassay.decide.wording import (
    AS_UNKNOWN,
    FOLLOW_CARD,
    NO_CLEARANCE,
    PRESUMPTIVE,
    inconclusive,
    look_alikes,
    named_substance,
    only_packaging,
)
from fieldassay.verdict import Reason, Verdict


def one_substance(e: Evidence, t: Thresholds) -> Verdict | None:
    """A match, or doubt between look-alikes; None if nothing fits well."""
    if not e.singles:
        return None
    best = e.singles[0]
    if best.score < t.match["min_score"]:
        return None
    beside = rivals(e, t)
    if beside:
        return look_alikes([best.named, *beside])
    if best.named.packaging:
        return only_packaging([best.named])
    over = excess_over_floor(best, e, t)
    if best.named.natural and over < 0.0:
        return inconclusive(
            "natural_look_alike",
            f"It resembles {best.named.name}; relatives outside the library look the same.",
            AS_UNKNOWN,
            [best.named],
        )
    if axis_in_doubt(best, t):
        others = "salts of other metals" if best.named.salt else "other substances"
        return inconclusive(
            "few_bands",
            f"It resembles {best.named.name} on few bands, read {abs(best.shift_cm1):.0f} cm-1 "
            f"away: that is where {others} have theirs.",
            f"Check the unit's calibration and measure again. {AS_UNKNOWN}",
            [best.named],
        )
    made = calibrated.load()
    if over < 0.0 or made.rank(over) > t.match["max_p_other"]:
        if best.bands >= t.match["few_bands"]:
            return None
        return inconclusive(
            "few_bands",
            f"It resembles {best.named.name}, but on too few bands to exclude others.",
            AS_UNKNOWN,
            [best.named],
        )
    if contradicted(e, t):
        return _contradiction(e)
    return Verdict(
        kind="match",
        substances=(named_substance(best.named, 1.0),),
        reasons=(
            Reason("fits_one_reference", f"The bands fit the reference of {best.named.name}."),
            Reason("error_rate", calibrated.chance_in_words(over, e)),
            *calibrated.other_library(e),
            NO_CLEARANCE,
            PRESUMPTIVE,
        ),
        do_next=FOLLOW_CARD,
    )


def excess_over_floor(best: Single, e: Evidence, t: Thresholds) -> float:
    """How far the score lies above the least for its kind; larger libraries ask for more."""
    more = t.match["more_per_e_fold"] * log(calibrated.growth(e))
    return best.score - calibrated.floor_of(calibrated.kind_of(best, t), t) - more


def excess(e: Evidence, t: Thresholds) -> float | None:
    """The same for the best candidate; None if it cannot be named however well it fits."""
    return None if stopped(e, t) else excess_over_floor(e.singles[0], e, t)


def rivals(e: Evidence, t: Thresholds) -> list[Named]:
    """Substances that fit about as well as the best."""
    best = e.singles[0].score
    return [s.named for s in e.singles[1:] if best - s.score < t.match["min_margin"]]


def stopped(e: Evidence, t: Thresholds) -> bool:
    """True if the best candidate cannot be named however well it fits."""
    if not e.singles or e.singles[0].named.packaging or rivals(e, t):
        return True
    return axis_in_doubt(e.singles[0], t) or contradicted(e, t)


def contradicted(e: Evidence, t: Thresholds) -> bool:
    """True if one side has a band that the other lacks, and the rest does not make up for it."""
    return (
        e.singles[0].score < t.match["clear_score"]
        and max(e.unexplained, e.missing) > t.match["max_contradiction"]
    )


def _contradiction(e: Evidence) -> Verdict:
    best = e.singles[0].named
    text = f"It resembles {best.name}, but a band near {e.unexplained_at_cm1:.0f} cm-1 is not its."
    if e.missing > e.unexplained:
        text = f"It resembles {best.name}, but lacks its band near {e.missing_at_cm1:.0f} cm-1."
    return inconclusive("band_contradicts", text, f"Measure another spot. {AS_UNKNOWN}", [best])


def axis_in_doubt(best: Single, t: Thresholds) -> bool:
    """True if only the axis tells it from others: salts on few bands (see Named), or one band."""
    only_axis = calibrated.kind_of(best, t) in ("few_bands_salt", "one_band")
    return only_axis and abs(best.shift_cm1) > t.match["few_bands_max_shift_cm1"]
