"""Rule: does one substance explain the measurement?"""

from __future__ import annotations

from fieldassay.decide.evidence import Evidence, Named, Thresholds
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
    if not e.singles or e.singles[0].score < t.match["min_score"]:
        return None
    best = e.singles[0]
    rivals = [s.named for s in e.singles[1:] if best.score - s.score < t.match["min_margin"]]
    if rivals:
        return look_alikes([best.named, *rivals])
    if best.named.packaging:
        return only_packaging([best.named])
    if natural_in_doubt(best.named, best.score, t):
        return inconclusive(
            "natural_look_alike",
            f"It resembles {best.named.name}; relatives outside the library look the same.",
            AS_UNKNOWN,
            [best.named],
        )
    if few_bands_in_doubt(best.bands, best.score, best.shift_cm1, t):
        return inconclusive(
            "few_bands",
            f"It resembles {best.named.name}, but on too few bands to exclude others.",
            AS_UNKNOWN,
            [best.named],
        )
    return Verdict(
        kind="match",
        substances=(named_substance(best.named, 1.0),),
        reasons=(
            Reason("fits_one_reference", f"The bands fit the reference of {best.named.name}."),
            NO_CLEARANCE,
            PRESUMPTIVE,
        ),
        do_next=FOLLOW_CARD,
    )


def natural_in_doubt(named: Named, score: float, t: Thresholds) -> bool:
    """True if relatives outside the library may look the same."""
    return named.natural and score < t.match["natural_min_score"]


def few_bands_in_doubt(bands: float, score: float, shift_cm1: float, t: Thresholds) -> bool:
    """True if the fit rests on too few bands."""
    return bands < t.match["few_bands"] and (
        score < t.match["few_bands_min_score"]
        or abs(shift_cm1) > t.match["few_bands_max_shift_cm1"]
    )
