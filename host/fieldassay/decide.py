"""From explanations and quality to a verdict: what may honestly be said, why, and what to do next.

Owns the rules and their order. Pure: thresholds come from decision.toml, explanations from `explain`. The order is:
quality first, then what packaging explains, then one substance, look-alikes, a mixture, unknown, and doubt.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from fieldassay.verdict import Reason, Substance, Verdict, VerdictKind

NO_CLEARANCE = Reason(
    "low_share_not_excluded",
    "A Raman result does not exclude fentanyl or another drug at a low share (often below 5 %).",
)
PRESUMPTIVE = Reason("presumptive", "The result is presumptive; a laboratory must confirm it.")


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
        document["id"], *(document[n] for n in Thresholds.__dataclass_fields__ if n != "id")
    )


@dataclass(frozen=True, slots=True)
class Named:
    """A substance as decide needs it."""

    id: str
    name: str
    inchikey: str | None
    packaging: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict rests on.

    Attributes:
        ranked: Substances with the agreement of their best reference, best first.
        mixture: Components of the best sum with share and what the agreement loses without it; empty if none.
        mixture_agreement: Of that sum.
        snr, informative_columns, range_cm1: Quality.
        fluorescence_only: A strong smooth background and no bands.
        saturated: Detector pixels at full scale.
        flags: What the unit noticed.
        packaging: What the officer said the sample is in; "" = not said.
    """

    ranked: Sequence[tuple[Named, float]]
    mixture: Sequence[tuple[Named, float, float]]
    mixture_agreement: float
    snr: float
    informative_columns: int
    range_cm1: float
    fluorescence_only: bool
    saturated: bool
    flags: tuple[str, ...]
    packaging: str


def decide(evidence: Evidence, thresholds: Thresholds) -> Verdict:
    """The verdict for this evidence."""
    return (
        _bad_measurement(evidence, thresholds)
        or _one_substance(evidence, thresholds)
        or _mixture(evidence, thresholds)
        or _nothing_fits(evidence, thresholds)
    )


def _bad_measurement(e: Evidence, t: Thresholds) -> Verdict | None:
    if "interrupted" in e.flags:
        return _inconclusive(
            "interrupted",
            "The measurement was interrupted.",
            "Close the lid, hold still and measure again.",
        )
    if e.saturated or "saturated" in e.flags:
        return _inconclusive(
            "saturated",
            "The detector was at full scale, so band heights are not true.",
            "Measure again with less laser power or a shorter exposure, or move the sample a little away.",
        )
    if e.range_cm1 < t.quality["min_range_cm1"]:
        return _inconclusive(
            "range_too_small",
            f"Only {e.range_cm1:.0f} cm-1 of the spectrum can be compared with the library.",
            "Use a measurement or file that covers more of 300 to 2300 cm-1.",
        )
    if e.snr < t.quality["min_snr"] or e.informative_columns < t.quality["min_informative_columns"]:
        if e.fluorescence_only:
            return _inconclusive(
                "background_only",
                "There is strong background (fluorescence or ambient light) and no clear bands.",
                "Shade the sample and try another spot; dark or coloured samples need another technique.",
            )
        return _inconclusive(
            "low_signal",
            "The signal is too weak to tell substances apart.",
            "Move closer, hold still, measure longer, or measure through a thinner wall.",
        )
    return None


def _one_substance(e: Evidence, t: Thresholds) -> Verdict | None:
    if not e.ranked or e.ranked[0][1] < t.match["min_agreement"]:
        return None
    if _better_mixture(e, t):
        return None
    best, agreement = e.ranked[0]
    rivals = [named for named, score in e.ranked[1:] if agreement - score < t.match["min_margin"]]
    if rivals:
        names = _names([best, *rivals])
        return _inconclusive(
            "look_alikes",
            f"The measurement fits {names} about equally well.",
            "Measure another spot, or confirm with another technique that tells these apart.",
            substances=(best, *rivals),
        )
    if best.packaging:
        return _only_packaging(best)
    return Verdict(
        kind="match",
        substances=(_substance(best, 1.0),),
        reasons=(
            Reason("fits_one_reference", f"All bands fit the reference of {best.name}."),
            NO_CLEARANCE,
            PRESUMPTIVE,
        ),
        do_next="Follow the hazard card, do not open the package, record and send for confirmation.",
    )


def _better_mixture(e: Evidence, t: Thresholds) -> bool:
    gain = e.mixture_agreement - (e.ranked[0][1] if e.ranked else 0.0)
    return (
        len(e.mixture) > 1
        and e.mixture_agreement >= t.mixture["min_agreement"]
        and gain >= t.mixture["min_gain"]
        and all(
            share >= t.mixture["min_share"] and loss >= t.mixture["min_gain"]
            for _, share, loss in e.mixture
        )
    )


def _mixture(e: Evidence, t: Thresholds) -> Verdict | None:
    if not _better_mixture(e, t):
        return None
    inside = [(named, share) for named, share, _ in e.mixture if not named.packaging]
    around = [named for named, _, _ in e.mixture if named.packaging]
    if not inside:
        return _only_packaging(*around)
    seen = (
        (Reason("packaging_seen", f"Packaging is part of the signal: {_names(around)}."),)
        if around
        else ()
    )
    total = sum(share for _, share in inside)
    found = tuple(_substance(named, share / total) for named, share in inside)
    if len(inside) == 1:
        text = f"Besides the packaging, all bands fit {inside[0][0].name}."
        kind: VerdictKind = "match"
        reason = Reason("fits_behind_packaging", text)
    else:
        kind = "mixture"
        reason = Reason(
            "fits_sum_of_references",
            f"No single reference fits; together these do: {_names([n for n, _ in inside])}. "
            "Shares are parts of the signal, not of the weight.",
        )
    return Verdict(
        kind=kind,
        substances=found,
        reasons=(reason, *seen, NO_CLEARANCE, PRESUMPTIVE),
        do_next="Follow the hazard card, do not open the package, record and send for confirmation.",
    )


def _nothing_fits(e: Evidence, t: Thresholds) -> Verdict:
    best = max([score for _, score in e.ranked[:1]] + [e.mixture_agreement, 0.0])
    if best <= t.unknown["max_agreement"]:
        return Verdict(
            kind="out_of_library",
            substances=(),
            reasons=(
                Reason(
                    "nothing_fits",
                    "The signal is good and no reference or sum of references explains it.",
                ),
                NO_CLEARANCE,
            ),
            do_next="Treat it as an unknown hazard, send a sample to the laboratory and share the observation.",
        )
    named = [n for n, _ in e.ranked[:1]]
    text = (
        f"The nearest reference, {named[0].name}, fits only in part."
        if named
        else "Nothing fits well."
    )
    return _inconclusive(
        "fits_in_part",
        text,
        "Treat it as an unknown hazard, measure another spot and send a sample to the laboratory.",
    )


def _only_packaging(*around: Named) -> Verdict:
    return _inconclusive(
        "only_packaging_seen",
        f"Only packaging material was seen: {_names(around)}.",
        "Press the probe against a thinner, clear part of the package, or choose another spot.",
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


CARD_ORDER = (
    "default-strictest",
    "unknown-powder",
    "toxic-solvent",
    "corrosive",
    "flammable-solvent",
    "medicine",
    "irritant",
    "polymer",
    "low-hazard",
)


def hazard_card(verdict: Verdict, cards: Mapping[str, str]) -> str:
    """Id of the card for a verdict: the strictest unless known substances were found.

    Args:
        verdict: The verdict.
        cards: Card id of each substance id.
    """
    if verdict.kind not in ("match", "mixture") or not verdict.substances:
        return CARD_ORDER[0]
    wanted = [cards.get(substance.id, CARD_ORDER[0]) for substance in verdict.substances]
    return min(wanted, key=lambda card: CARD_ORDER.index(card) if card in CARD_ORDER else 0)


def as_dict(thresholds: Thresholds) -> dict[str, Any]:
    """The thresholds for the record."""
    return {
        name: dict(getattr(thresholds, name))
        for name in Thresholds.__dataclass_fields__
        if name != "id"
    }
