"""From explanations and quality to a verdict: what may honestly be said, why, and what to do next.

Owns the rules and their order; `decide` below is the line that decides. Pure: thresholds come from
decision.toml, explanations from `explain`. The order is: is the measurement good enough; does a sum
fit; does one substance fit; is it unknown; and else doubt. Class-level verdicts will come between
the one substance and the unknown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from fieldassay.verdict import Reason, Substance, Verdict, VerdictKind

NO_CLEARANCE = Reason(
    "low_share_not_excluded",
    "A Raman result does not exclude fentanyl or another drug at a low share (often below 5 %).",
)
PRESUMPTIVE = Reason("presumptive", "The result is presumptive; a laboratory must confirm it.")
FOLLOW_CARD = (
    "Follow the hazard card, keep the package closed, file the record and send it for confirmation."
)
AS_UNKNOWN = "Treat it as an unknown hazard and send a sample to the laboratory."


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers of decision.toml, by section."""

    id: str
    axis: Mapping[str, float]
    quality: Mapping[str, float]
    match: Mapping[str, float]
    mixture: Mapping[str, float]
    unknown: Mapping[str, float]


def load_thresholds() -> Thresholds:
    """The thresholds that come with fieldassay."""
    text = files("fieldassay").joinpath("decision.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    return Thresholds(
        id=document["id"],
        axis=document["axis"],
        quality=document["quality"],
        match=document["match"],
        mixture=document["mixture"],
        unknown=document["unknown"],
    )


@dataclass(frozen=True, slots=True)
class Named:
    """A substance as the rules need it; see `substances.SubstanceInfo` for the two marks."""

    id: str
    name: str
    inchikey: str | None
    packaging: bool = False
    natural: bool = False


@dataclass(frozen=True, slots=True)
class Single:
    """How well the best reference of one substance fits; see `explain.Explanation`."""

    named: Named
    score: float
    bands: float
    shift_cm1: float


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a sum.

    Attributes:
        named: The substance.
        share: Its part of the signal, 0..1.
        gain: What the agreement loses without it.
        bands: Effective number of its bands that the measurement can show.
        rival: The substance that replaces it best, and how much worse the sum then is.
    """

    named: Named
    share: float
    gain: float
    bands: float
    rival: tuple[Named, float] | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict rests on.

    Attributes:
        singles: Substances, best first.
        mixture: Components of the best sum of two or more, strongest first; empty if there is none.
        mixture_score, mixture_shift_cm1: Of that sum.
        snr, informative_columns, range_cm1, background_ratio: Quality, see decision.toml.
        saturated: Detector pixels at full scale.
        interrupted: The measurement was cut short.
        notes: Reasons to add whatever the verdict is.
    """

    singles: Sequence[Single]
    mixture: Sequence[Component]
    mixture_score: float
    mixture_shift_cm1: float
    snr: float
    informative_columns: int
    range_cm1: float
    background_ratio: float
    saturated: bool
    interrupted: bool
    notes: tuple[Reason, ...] = ()


def decide(evidence: Evidence, thresholds: Thresholds) -> Verdict:
    """The verdict for this evidence."""
    verdict = (
        _bad_measurement(evidence, thresholds)
        or _mixture(evidence, thresholds)
        or _one_substance(evidence, thresholds)
        or _nothing_fits(evidence, thresholds)
    )
    return replace(verdict, reasons=(*verdict.reasons, *evidence.notes))


def _bad_measurement(e: Evidence, t: Thresholds) -> Verdict | None:
    if e.interrupted:
        return _inconclusive(
            "interrupted",
            "The measurement was interrupted.",
            "Close the lid, hold still and measure again.",
        )
    if e.saturated:
        return _inconclusive(
            "saturated",
            "The detector was at full scale, so band heights are not true.",
            "Shade the sample, move the probe a little away and measure again.",
        )
    if e.range_cm1 < t.quality["min_range_cm1"]:
        return _inconclusive(
            "range_too_small",
            f"Only {max(e.range_cm1, 0):.0f} cm-1 can be compared with the library.",
            "Use a measurement or file that covers more of 300 to 2300 cm-1.",
        )
    few = e.informative_columns < t.quality["min_informative_columns"]
    if not few and e.snr >= t.quality["min_snr"]:
        return None
    if e.background_ratio > t.quality["background_ratio"]:
        return _inconclusive(
            "background_only",
            "There is strong background (fluorescence or ambient light) and no distinct band.",
            "Shade the sample and try another spot; dark samples may need another technique.",
        )
    return _inconclusive(
        "low_signal",
        "The signal is too weak to tell substances apart.",
        "Move closer, hold still, and measure where the wall is thinner.",
    )


def _one_substance(e: Evidence, t: Thresholds) -> Verdict | None:
    if not e.singles or e.singles[0].score < t.match["min_score"]:
        return None
    best = e.singles[0]
    rivals = [s.named for s in e.singles[1:] if best.score - s.score < t.match["min_margin"]]
    if rivals:
        return _look_alikes([best.named, *rivals])
    if best.named.packaging:
        return _only_packaging([best.named])
    if _natural_in_doubt(best.named, best.score, t):
        return _inconclusive(
            "natural_look_alike",
            f"It resembles {best.named.name}; relatives outside the library look the same.",
            AS_UNKNOWN,
            [best.named],
        )
    if _few_bands_in_doubt(best.bands, best.score, best.shift_cm1, t):
        return _inconclusive(
            "few_bands",
            f"It resembles {best.named.name}, but on too few bands to exclude others.",
            AS_UNKNOWN,
            [best.named],
        )
    return Verdict(
        kind="match",
        substances=(_substance(best.named, 1.0),),
        reasons=(
            Reason("fits_one_reference", f"The bands fit the reference of {best.named.name}."),
            NO_CLEARANCE,
            PRESUMPTIVE,
        ),
        do_next=FOLLOW_CARD,
    )


def _natural_in_doubt(named: Named, score: float, t: Thresholds) -> bool:
    return named.natural and score < t.match["natural_min_score"]


def _few_bands_in_doubt(bands: float, score: float, shift_cm1: float, t: Thresholds) -> bool:
    return bands < t.match["few_bands"] and (
        score < t.match["few_bands_min_score"]
        or abs(shift_cm1) > t.match["few_bands_max_shift_cm1"]
    )


def _mixture(e: Evidence, t: Thresholds) -> Verdict | None:
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
        return _only_packaging(around)
    doubtful = [
        part.named
        for part in inside
        if _natural_in_doubt(part.named, e.mixture_score, t)
        or _few_bands_in_doubt(part.bands, e.mixture_score, e.mixture_shift_cm1, t)
    ]
    if doubtful:
        everything = [part.named for part in inside]
        return _inconclusive(
            "part_in_doubt",
            f"It fits {_names(everything)}, but the evidence for {_names(doubtful)} is thin.",
            AS_UNKNOWN,
            everything,
        )
    for part in inside:
        if part.rival is not None and part.rival[1] < t.mixture["min_margin"]:
            return _look_alikes([part.named, part.rival[0]])
    total = sum(part.share for part in inside)
    kind: VerdictKind = "mixture"
    reason = Reason(
        "fits_sum_of_references",
        f"No single reference fits; together these do: {_names([p.named for p in inside])}. "
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
        substances=tuple(_substance(part.named, part.share / total) for part in inside),
        reasons=(reason, *seen, NO_CLEARANCE, PRESUMPTIVE),
        do_next=FOLLOW_CARD,
    )


def _nothing_fits(e: Evidence, t: Thresholds) -> Verdict:
    best = e.singles[0] if e.singles else None
    score = max(best.score if best else 0.0, e.mixture_score if e.mixture else 0.0)
    if best is None or score <= t.unknown["max_score"]:
        if e.snr < t.unknown["min_snr"]:
            return _inconclusive(
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
    return _inconclusive(
        "fits_in_part",
        f"The nearest reference, {best.named.name}, fits only in part.",
        f"Measure another spot. {AS_UNKNOWN}",
    )


def _look_alikes(named: Sequence[Named]) -> Verdict:
    return _inconclusive(
        "look_alikes",
        f"The measurement fits {_names(named)} about equally well.",
        "Measure another spot, or confirm with another technique that tells these apart.",
        named,
    )


def _only_packaging(around: Sequence[Named]) -> Verdict:
    return _inconclusive(
        "only_packaging_seen",
        f"Only packaging material was seen: {_names(around)}.",
        "Press the probe against a thinner, transparent part of the package, or try another spot.",
    )


def _inconclusive(code: str, text: str, do_next: str, substances: Sequence[Named] = ()) -> Verdict:
    return Verdict(
        kind="inconclusive",
        substances=tuple(_substance(named, None) for named in substances),
        reasons=(Reason(code, text), NO_CLEARANCE),
        do_next=do_next,
    )


def _substance(named: Named, share: float | None) -> Substance:
    return Substance(named.id, named.name, named.inchikey, share)


def _names(named: Sequence[Named]) -> str:
    names = [n.name for n in named]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


CARDS_STRICTEST_FIRST = (
    "default-strictest",
    "toxic-solvent",
    "corrosive",
    "flammable-solvent",
    "medicine",
    "irritant",
    "polymer",
    "low-hazard",
)


def hazard_card(verdict: Verdict, cards: Mapping[str, str]) -> str:
    """Id of the card for a verdict: the strictest one unless known substances were found.

    Args:
        verdict: The verdict.
        cards: Card id of each substance id.
    """
    strictest = CARDS_STRICTEST_FIRST[0]
    if verdict.kind not in ("match", "mixture") or not verdict.substances:
        return strictest
    wanted = {cards.get(substance.id, strictest) for substance in verdict.substances}
    return next((card for card in CARDS_STRICTEST_FIRST if card in wanted), strictest)
