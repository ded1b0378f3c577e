"""How often a score is reached by chance: the error rate behind a match.

Owns calibration.json (made by `python -m fieldassay.evaluate.calibrate`, which says on what) and
the two probabilities read off it. Both are conformal: ranks among spectra with known truth, with
no assumption on their distribution (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005). They hold for spectra like those; the page on verdicts says which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fieldassay.decide.evidence import Single, Thresholds

FILE = "calibration.json"
KINDS = ("many_bands", "few_bands", "few_bands_salt", "natural")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranks of spectra with known truth.

    Attributes:
        id: Names it in every identification.
        unknown: For each kind of reference the scores that substances outside the library reach
            with it, the highest first, one a substance; only those that no other rule stops.
        unknown_substances: How many substances there were in all.
        true_scores: What true matches on other instruments reach, the lowest first.
        substances: Number of substances in the library it was made with.
    """

    id: str
    unknown: Mapping[str, Sequence[float]]
    unknown_substances: int
    true_scores: Sequence[float]
    substances: int

    def p_other(self, kind: str, score: float) -> float:
        """At most this part of the substances outside the library is named, if this score is.

        It is (1 + those of this kind that reach it) / (1 + all), for each kind of reference: the
        kinds have thresholds of their own, and their errors add up.
        """
        reached = sum(1 for other in self.unknown[kind] if other >= score)
        return min(1.0, len(self.unknown) * (1 + reached) / (1 + self.unknown_substances))

    def p_true(self, score: float) -> float:
        """Part of the true matches that score no more than this."""
        lower = sum(1 for other in self.true_scores if other <= score)
        return (1 + lower) / (1 + len(self.true_scores))


def kind_of(single: Single, t: Thresholds) -> str:
    """Which references are met by chance equally often: see KINDS."""
    if single.named.natural:
        return "natural"
    if single.bands >= t.match["few_bands"]:
        return "many_bands"
    return "few_bands_salt" if single.named.salt else "few_bands"


def parse(document: Mapping[str, Any]) -> Calibration:
    """A calibration from the content of its file."""
    return Calibration(
        id=str(document["id"]),
        unknown={kind: tuple(document["unknown"][kind]) for kind in KINDS},
        unknown_substances=int(document["unknown_substances"]),
        true_scores=tuple(float(x) for x in document["true_scores"]),
        substances=int(document["library"]["substances"]),
    )


@cache
def load() -> Calibration:
    """The calibration that comes with fieldassay."""
    text = files("fieldassay.decide").joinpath(FILE).read_text(encoding="utf-8")
    return parse(json.loads(text))
