"""Rule: does a sum of substances explain the measurement?"""

from __future__ import annotations

from fieldassay.decide.evidence import Evidence, Thresholds
from fieldassay.decide.single import few_bands_in_doubt, natural_in_doubt
from fieldassay.decide.wording import (
    AS_UNKNOWN,
    FOLLOW_CARD,
    NO_CLEARANCE,
    PRESUMPTIVE,
    inconclusive,
    look_alikes,
    named_substance,
    names,
    only_packaging,
)
from fieldassay.verdict import Reason, Verdict, VerdictKind


def mixture(e: Evidence, t: Thresholds) -> Verdict | None:
    """A sum counts if it fits, better than one substance, and every part earns its place."""
    alone = e.singles[0].score if e.singles else 0.0
    if e.mixture_score < t.mixture["min_score"] or not e.mixture:
        return None
    if e.mixture_score - alone < t.mixture["min_gain"] or any(
        part.share < t.mixture["min_share"] or part.gain < t.mixture["min_gain"]
        for part in e.mixture
        if not part.named.packaging
    ):
        return None
    inside = [part for part in e.mixture if not part.named.packaging]
    around = [part.named for part in e.mixture if part.named.packaging]
    if not inside:
        return only_packaging(around)
    doubtful = [
        part.named
        for part in inside
        if natural_in_doubt(part.named, e.mixture_score, t)
        or few_bands_in_doubt(part.bands, e.mixture_score, e.mixture_shift_cm1, t)
    ]
    if doubtful:
        everything = [part.named for part in inside]
        return inconclusive(
            "part_in_doubt",
            f"It fits {names(everything)}, but the evidence for {names(doubtful)} is thin.",
            AS_UNKNOWN,
            everything,
        )
    for part in inside:
        if part.rival is not None and part.rival[1] < t.mixture["min_margin"]:
            return look_alikes([part.named, part.rival[0]])
    total = sum(part.share for part in inside)
    kind: VerdictKind = "mixture"
    reason = Reason(
        "fits_sum_of_references",
        f"No single reference fits; together these do: {names([p.named for p in inside])}. "
        "Shares are parts of the signal, not of the weight.",
    )
    if len(inside) == 1:
        kind = "match"
        name = inside[0].named.name
        reason = Reason("fits_behind_packaging", f"Beside the packaging, the bands fit {name}.")
    seen = [
        Reason("packaging_seen", f"Packaging is part of the signal: {named.name}.")
        for named in around
    ]
    return Verdict(
        kind=kind,
        substances=tuple(named_substance(part.named, part.share / total) for part in inside),
        reasons=(reason, *seen, NO_CLEARANCE, PRESUMPTIVE),
        do_next=FOLLOW_CARD,
    )
