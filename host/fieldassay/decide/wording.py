"""Sentences and verdict shapes that several rules share."""

from __future__ import annotations

from collections.abc import Sequence

from fieldassay.decide.evidence import Named
from fieldassay.verdict import Reason, Substance, Verdict

NO_CLEARANCE = Reason(
    "low_share_not_excluded",
    "A Raman result does not exclude fentanyl or another drug at a low share (often below 5 %).",
)
PRESUMPTIVE = Reason("presumptive", "The result is presumptive; a laboratory must confirm it.")
FOLLOW_CARD = (
    "Follow the hazard card, keep the package closed, file the record and send it for confirmation."
)
AS_UNKNOWN = "Treat it as an unknown hazard and send a sample to the laboratory."


def look_alikes(named: Sequence[Named]) -> Verdict:
    """Several substances fit about equally well."""
    return inconclusive(
        "look_alikes",
        f"The measurement fits {names(named)} about equally well.",
        "Measure another spot, or confirm with another technique that tells these apart.",
        named,
    )


def only_packaging(around: Sequence[Named]) -> Verdict:
    """Nothing but packaging was seen."""
    return inconclusive(
        "only_packaging_seen",
        f"Only packaging material was seen: {names(around)}.",
        "Press the probe against a thinner, transparent part of the package, or try another spot.",
    )


def inconclusive(code: str, text: str, do_next: str, substances: Sequence[Named] = ()) -> Verdict:
    """Doubt, with its reason and what to do next."""
    return Verdict(
        kind="inconclusive",
        substances=tuple(named_substance(named, None) for named in substances),
        reasons=(Reason(code, text), NO_CLEARANCE),
        do_next=do_next,
    )


def named_substance(
    named: Named, share: float | None, share_interval: tuple[float, float] | None = None
) -> Substance:
    """A substance of the verdict."""
    return Substance(named.id, named.name, named.inchikey, share, share_interval)


def names(named: Sequence[Named]) -> str:
    """Names as they are read: A, B and C."""
    names = [n.name for n in named]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
