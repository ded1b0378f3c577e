"""What the host says about a measurement, and the JSON form that `identify --json` promises.

Pure data: `decide` makes verdicts, `identify` assembles an Identification, everything else only
shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

VerdictKind = Literal["match", "mixture", "class", "out_of_library", "inconclusive"]
VERDICT_KINDS: tuple[VerdictKind, ...] = (
    "match",
    "mixture",
    "class",
    "out_of_library",
    "inconclusive",
)


@dataclass(frozen=True, slots=True)
class Substance:
    """A named substance.

    Attributes:
        share: Its part of the explained signal, 0..1; None: not estimated.
        share_interval: 95 % interval of the share; None: not estimated.
    """

    id: str
    name: str
    inchikey: str | None
    share: float | None = None
    share_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One library substance and how well its best reference fits, 0..1 (1 is identical)."""

    id: str
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is: a stable code and the sentence people read."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Quality:
    """What the measurement is worth.

    Attributes:
        snr: Strongest band over the noise, both after baseline removal.
        axis_shift_cm1: Shift of the measured axis that fits best; positive: measured bands lie too
            high.
        saturated: True if detector pixels were at full scale.
        range_cm1: The part of the axis that was compared.
        details: Further figures by name with their unit, for the record.
    """

    snr: float
    axis_shift_cm1: float
    saturated: bool
    range_cm1: tuple[float, float]
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """The family of a class verdict.

    Attributes:
        id: The catalogue's word for it as a lower-case slug.
        name: Plural as people read it.
        p_value: How often something outside the family looks like this or more so, 0..1.
        nearest: Names of its members in the library that look most like it, best first.
    """

    id: str
    name: str
    p_value: float
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may honestly be said; `family` is there for a class verdict only."""

    kind: VerdictKind
    substances: tuple[Substance, ...]
    reasons: tuple[Reason, ...]
    do_next: str
    family: Family | None = None


@dataclass(frozen=True, slots=True)
class Identification:
    """A verdict with everything needed to check it.

    `fitness` is there where a unit measured and the host judged whether it was fit for duty.
    """

    verdict: Verdict
    candidates: tuple[Candidate, ...]
    quality: Quality
    hazard_card: str
    library: str
    algorithm: str
    alternatives: tuple[tuple[str, ...], ...] = ()
    fitness: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of docs/reference/identify-json.md, keys in the documented order."""
        quality: dict[str, Any] = {
            "snr": round(self.quality.snr, 2),
            "axis_shift_cm1": round(self.quality.axis_shift_cm1, 2),
            "saturated": self.quality.saturated,
            "range_cm1": [round(x, 1) for x in self.quality.range_cm1],
        }
        quality.update({k: round(v, 4) for k, v in self.quality.details.items()})
        return {
            "verdict": self.verdict.kind,
            "substances": [
                {
                    "id": s.id,
                    "name": s.name,
                    "inchikey": s.inchikey,
                    "share": None if s.share is None else round(s.share, 3),
                    "share_interval": None
                    if s.share_interval is None
                    else [round(x, 3) for x in s.share_interval],
                }
                for s in self.verdict.substances
            ],
            "candidates": [
                {"id": c.id, "name": c.name, "score": round(c.score, 4)} for c in self.candidates
            ],
            "quality": quality,
            "reasons": [{"code": r.code, "text": r.text} for r in self.verdict.reasons],
            "do_next": self.verdict.do_next,
            "hazard_card": self.hazard_card,
            "library": self.library,
            "algorithm": self.algorithm,
            "family": None
            if self.verdict.family is None
            else {
                "id": self.verdict.family.id,
                "name": self.verdict.family.name,
                "p_value": round(self.verdict.family.p_value, 4),
                "nearest": list(self.verdict.family.nearest),
            },
            "alternatives": [list(ids) for ids in self.alternatives],
            **({} if self.fitness is None else {"fitness": dict(self.fitness)}),
        }
