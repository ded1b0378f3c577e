"""How often a fit as good is met by chance: the error rate behind a match, and behind a refusal.

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
from math import floor
from typing import Any

from fieldassay.decide.evidence import Evidence, Single, Thresholds
from fieldassay.verdict import Reason

FILE = "calibration.json"
KINDS = ("many_bands", "few_bands", "one_band", "few_bands_salt", "natural")
FLOORS = {
    "many_bands": "min_score",
    "few_bands": "few_bands_min_score",
    "one_band": "one_band_min_score",
    "few_bands_salt": "salt_min_score",
    "natural": "natural_min_score",
}
NATURAL = "natural mixtures"  # a group of true scores; the others are instruments
OTHER_SIZE = 1.25  # times the library of the calibration, from which on it is said
OTHER_PART = 0.25  # of the substances that the calibration did not have


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranks of spectra with known truth.

    Attributes:
        id: Names it in every identification.
        unknown: How far substances outside the library come above the floor of their best
            candidate (mostly below 0), the highest first, one a substance; only those that no
            other rule stops.
        unknown_substances: How many substances there were in all.
        true_scores: What true matches reach, the lowest first: of natural mixtures on all
            instruments, and of everything else for each instrument.
        substances: Ids of the library it was made with.
    """

    id: str
    unknown: Sequence[float]
    unknown_substances: int
    true_scores: Mapping[str, Sequence[float]]
    substances: frozenset[str]

    def reached(self, excess: float) -> int:
        """Substances outside the library that come as far above their floor."""
        return sum(1 for other in self.unknown if other >= excess)

    def rank(self, excess: float | None) -> float:
        """The rank of an excess among all substances outside the library; 1 for None (stopped).

        The statistic is that of the whole rule: what another rule stops lies below everything. So
        of new substances like these at most the part p gets a rank of p or less, whatever p.
        """
        if excess is None:
            return 1.0
        return (1 + self.reached(excess)) / (1 + self.unknown_substances)

    def p_other(self, excess: float | None, growth: float = 1.0) -> float:
        """At most this part of the substances outside the library comes so far above its floor.

        Args:
            excess: See `excess`; None if a rule stops it.
            growth: Substances of the library over those of the calibration. Which reference is the
                best one by a margin can only get worse with more references, so with references
                like these N of them name at most N / n times as many strangers as n do.
        """
        return min(1.0, max(growth, 1.0) * self.rank(excess))

    def p_true(self, kind: str, score: float) -> float:
        """Part of the true matches that score no more, on the instrument where it is largest.

        Natural mixtures are compared with natural mixtures on all instruments, because they differ
        more and are few.
        """
        return max(
            (1 + sum(1 for other in own if other <= score)) / (1 + len(own))
            for own in self.true_of(kind)
        )

    def true_of(self, kind: str) -> list[Sequence[float]]:
        """Groups of true matches that a candidate of this kind is compared with."""
        if kind == "natural":
            return [self.true_scores[NATURAL]]
        return [own for group, own in self.true_scores.items() if group != NATURAL]


def kind_of(single: Single, t: Thresholds) -> str:
    """Which references are met by chance equally often: see KINDS."""
    if single.named.natural:
        return "natural"
    if single.bands >= t.match["few_bands"]:
        return "many_bands"
    if single.named.salt and not axis_is_told(single, t):
        return "few_bands_salt"
    return "one_band" if single.bands < t.match["one_band"] else "few_bands"


def axis_is_told(single: Single, t: Thresholds) -> bool:
    """True if several parts of the axis say the same shift: the unit's, not another metal's.

    With another metal the bands of a salt move, but not all by the same.
    """
    return (
        single.witnesses >= t.match["told_by_witnesses"]
        and single.shift_error_cm1 <= t.match["told_within_cm1"]
    )


def floor_of(kind: str, t: Thresholds) -> float:
    """The lowest score with which a reference of this kind may be named."""
    return t.match[FLOORS[kind]]


def parse(document: Mapping[str, Any]) -> Calibration:
    """A calibration from the content of its file."""
    return Calibration(
        id=str(document["id"]),
        unknown=tuple(float(x) for x in document["unknown"]),
        unknown_substances=int(document["unknown_substances"]),
        true_scores={k: tuple(map(float, own)) for k, own in document["true_scores"].items()},
        substances=frozenset(document["library"]["substances"]),
    )


@cache
def load() -> Calibration:
    """The calibration that comes with fieldassay."""
    text = files("fieldassay.decide").joinpath(FILE).read_text(encoding="utf-8")
    return parse(json.loads(text))


def growth(e: Evidence) -> float:
    """Substances of the library in use over those of the calibration's; at least 1."""
    return max(1.0, e.library_substances / len(load().substances))


def other_library(e: Evidence) -> tuple[Reason, ...]:
    """Said if the rates were measured with a library that was much smaller or of other things."""
    own, n = e.library_substances, len(load().substances)
    if own <= OTHER_SIZE * n and e.library_others <= OTHER_PART * own:
        return ()
    text = (
        f"The rates were measured with a library of {n} substances; {e.library_others} of the "
        f"{own} of this one were not in it."
    )
    return (Reason("library_not_calibrated", text),)


def chance_in_words(excess: float, e: Evidence) -> str:
    """What a match rests on: counts, and what they mean for a larger library."""
    made, times = load(), growth(e)
    reached = made.reached(excess)
    text = (
        f"Of {made.unknown_substances} other substances tried, "
        f"{reached or 'none'} passed every rule with so good a fit"
    )
    if times > 1.0:
        part = floor(1.0 / made.p_other(excess, times))
        return (
            f"{text}; this library is {times:.1f} times as large as the one tried: "
            f"up to 1 in {part} must be expected."
        )
    return f"{text}."


def rarity_in_words(kind: str, score: float) -> str:
    """What *out of library* rests on: counts, and the instrument where they prove least."""
    made = load()
    groups = made.true_of(kind)
    scores = [x for own in groups for x in own]
    lower = sum(1 for x in scores if x <= score) or "none"
    part = floor(1.0 / made.p_true(kind, score))
    if kind == "natural":
        return (
            f"Of {len(scores)} spectra of natural mixtures of the library on other instruments, "
            f"{lower} fitted their own reference so badly: at most 1 in {part}."
        )
    return (
        f"Of {len(scores)} spectra of library substances on {len(groups)} instruments, {lower} "
        f"fitted their own reference so badly; on the instrument where this proves least, that is "
        f"at most 1 in {part}."
    )
