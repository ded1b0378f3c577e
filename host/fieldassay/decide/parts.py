"""How often a part of a sum looks like this when its substance is not there.

Owns parts.json (made by `python -m fieldassay.evaluate.calibrate_parts`, which says on what) and
the probability read off it. What is compared is a logistic score of how the part agrees, how far
its rival is behind, how it misfits, and how strong it is. The probability is a rank among sums of
which one substance was left out of the library, so it holds whatever the score is made of
(conformal prediction, see `calibrated`), for sums like those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fieldassay.decide.evidence import Component

FILE = "parts.json"
FEATURES = ("disagreement", "gain", "rival", "misfit", "strength")


@dataclass(frozen=True, slots=True)
class PartCalibration:
    """Ranks of parts that were not there.

    Attributes:
        id: Names it in every identification.
        slopes: One for each of FEATURES, and the constant first: shape (6,).
        doubts: Lowest doubt of a false part in each spectrum that had one, lowest first; only
            parts that no other limit stops.
        spectra: How many spectra there were in all.
    """

    id: str
    slopes: Sequence[float]
    doubts: Sequence[float]
    spectra: int

    def doubt(self, part: Component) -> float:
        """The higher, the more it looks like a relative of what is there."""
        constant, *slopes = self.slopes
        return constant + sum(a * b for a, b in zip(slopes, features(part), strict=True))

    def p_relative(self, part: Component) -> float:
        """Part of the spectra in which a substance that is not there looks so good or better."""
        own = self.doubt(part)
        better = sum(1 for other in self.doubts if other <= own)
        return (1 + better) / (1 + self.spectra)


def features(part: Component) -> tuple[float, ...]:
    """What the doubt is made of, in logarithms, in the order of FEATURES."""
    gain = min(max(part.gain, 1.0), 1e4)
    behind = part.rival[1] / gain if part.rival is not None else 1.0
    return (
        math.log(max(1.0 - part.agreement, 0.003)),
        math.log(gain),
        math.log(min(max(1.0 - behind, 0.02), 1.5)),
        math.log(part.misfit + 0.05),
        math.log(max(part.strength, 1e-6)),
    )


def parse(document: Mapping[str, Any]) -> PartCalibration:
    """A calibration from the content of its file."""
    return PartCalibration(
        id=str(document["id"]),
        slopes=tuple(float(x) for x in document["slopes"]),
        doubts=tuple(float(x) for x in document["doubts"]),
        spectra=int(document["spectra"]),
    )


@cache
def load() -> PartCalibration:
    """The calibration that comes with fieldassay."""
    text = files("fieldassay.decide").joinpath(FILE).read_text(encoding="utf-8")
    return parse(json.loads(text))
