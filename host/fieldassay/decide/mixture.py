"""Rule: does a sum of substances explain the measurement?

A part is named only if it is certain by itself; a part that is not is said to be suspected, beside
whatever else the verdict is.
"""

from __future__ import annotations

from dataclasses import replace

from fieldassay.decide import parts
from fieldassay.decide.evidence import Component, Evidence, Named, Thresholds
from fieldassay.decide.wording import (
    AS_UNKNOWN,
    FOLLOW_CARD,
    NO_CLEARANCE,
    PRESUMPTIVE,
    inconclusive,
    named_substance,
    names,
    only_packaging,
)
from fieldassay.verdict import Reason, Verdict, VerdictKind

PARTS = parts.load()


def mixture(e: Evidence, t: Thresholds) -> Verdict | None:
    """Two or more certain parts that explain the whole; None leaves it to the other rules."""
    sure = [part for part in e.mixture if certain(part, t)]
    around = [part.named for part in sure if part.named.packaging]
    least = t.mixture["min_score_packed" if around else "min_score"]
    if len(e.mixture) < 2 or e.mixture_score < least:
        return None
    chains = [part for part in e.mixture if part.named.chains] if around else []
    sure = [part for part in sure if part not in chains]
    inside = [part for part in sure if not part.named.packaging]
    loud = [part for part in _loud(e, t) if part not in chains]
    if loud and (len(sure) > 1 or not _alone_fits(e, t)):
        return _in_doubt([part.named for part in inside], loud, t)
    if around and not inside:
        verdict = only_packaging(around)
        said = tuple(_like_packaging(part.named, around) for part in chains)
        return replace(verdict, reasons=(*verdict.reasons, *said))
    if not inside or len(sure) < 2:
        return None
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
        substances=tuple(
            named_substance(
                part.named,
                part.share / total,
                _interval(part, total) if len(inside) > 1 else (1.0, 1.0),
            )
            for part in inside
        ),
        reasons=(reason, *seen, NO_CLEARANCE, PRESUMPTIVE),
        do_next=FOLLOW_CARD,
    )


def certain(part: Component, t: Thresholds) -> bool:
    """True if this part may be named; packaging, which is never the finding, may misfit."""
    return clear(part, t) and (
        part.named.packaging or PARTS.p_relative(part) <= t.mixture["max_p_relative"]
    )


def clear(part: Component, t: Thresholds) -> bool:
    """True if this part is seen well enough, whatever the chance that it is a relative."""
    if part.named.packaging:
        return part.gain >= t.mixture["min_gain"] and part.agreement >= t.mixture["min_agreement"]
    least = t.mixture["min_agreement"]
    if part.named.natural:
        more = t.mixture["natural_per_strength"] * part.strength
        least = min(least + more, t.mixture["natural_min_agreement"])
    return (
        part.strength >= t.mixture["min_strength"]
        and part.gain >= t.mixture["min_gain"]
        and part.bands >= t.mixture["min_bands"]
        and part.agreement >= least
        and part.misfit <= _misfit_allowed(part, t)
        and (part.rival is None or part.rival[1] >= t.mixture["min_lead"])
    )


def _misfit_allowed(part: Component, t: Thresholds) -> float:
    """A strong part may be of another crystal; what is faint is to follow its reference."""
    allowed = t.mixture["misfit_faint"] + t.mixture["misfit_per_strength"] * part.strength
    return min(allowed, t.mixture["misfit_most"])


def _like_packaging(named: Named, around: list[Named]) -> Reason:
    return Reason(
        "like_packaging",
        f"A part resembles {named.name}, which cannot be told from {names(around)} by its bands.",
    )


def suspicions(verdict: Verdict, e: Evidence, t: Thresholds) -> tuple[Reason, ...]:
    """What is seen beside the named substances and is not certain enough to be named."""
    if verdict.kind not in ("match", "mixture"):
        return ()
    told = {s.id for s in verdict.substances}
    doubtful = [
        part
        for part in e.mixture
        if part.named.id not in told
        and not part.named.packaging
        and part.gain >= t.mixture["min_gain"]
        and part.agreement >= t.mixture["min_agreement"]
    ]
    return tuple(
        Reason(
            "minor_component_suspected",
            f"Something else may be in it; it resembles {_one_of(part, t)}, too faint to name.",
        )
        for part in doubtful
    )


def alternatives(e: Evidence, t: Thresholds) -> tuple[tuple[str, ...], ...]:
    """Sums the data cannot tell apart, as substance ids, best first; empty if there is one only."""
    sums = [tuple(part.named.id for part in e.mixture)]
    for place, part in enumerate(e.mixture):
        if part.rival is not None and part.rival[1] < t.mixture["min_lead"]:
            other = list(sums[0])
            other[place] = part.rival[0].id
            sums.append(tuple(other))
    return tuple(sums) if len(sums) > 1 else ()


def _loud(e: Evidence, t: Thresholds) -> list[Component]:
    """Parts too strong to be left unsaid and too doubtful to be named."""
    return [
        part
        for part in e.mixture
        if part.strength >= t.mixture["loud_strength"]
        and not part.named.packaging
        and not certain(part, t)
    ]


def _in_doubt(inside: list[Named], loud: list[Component], t: Thresholds) -> Verdict:
    """What is certain, and what it may be that is there besides."""
    either = " and ".join(_one_of(part, t) for part in loud)
    text = f"Beside {names(inside)}, which fits," if inside else "The measurement is a sum, and"
    possible = {named.id: named for part in loud for named in _possible(part, t)}
    return inconclusive(
        "part_in_doubt",
        f"{text} a part resembles {either}; the evidence for that is thin.",
        AS_UNKNOWN,
        [*inside, *(n for n in possible.values() if n not in inside)],
    )


def _alone_fits(e: Evidence, t: Thresholds) -> bool:
    """True if one substance explains the measurement well enough without the doubtful part."""
    return bool(e.singles) and e.singles[0].score >= t.match["min_score"]


def _possible(part: Component, t: Thresholds) -> list[Named]:
    """The substance and the one that cannot be told from it."""
    if part.rival is None or part.rival[1] >= t.mixture["min_lead"]:
        return [part.named]
    return [part.named, part.rival[0]]


def _one_of(part: Component, t: Thresholds) -> str:
    return " or ".join(named.name for named in _possible(part, t))


def _interval(part: Component, total: float) -> tuple[float, float]:
    lo, hi = part.share_interval
    return max(0.0, lo / total), min(1.0, hi / total)
