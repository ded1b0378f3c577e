"""Which family a substance that the library does not have belongs to: the evidence for a verdict.

Owns the cache of models and the p-value. The model is `model`, what it looks at `profile`, what is
published `published`; the rule that decides is `decide.family`. Pure.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fieldassay import decide, substances
from fieldassay.families import model, profile
from fieldassay.library import Library
from fieldassay.prepared import Prepared

Floats = NDArray[np.float64]
THRESHOLDS = decide.load_thresholds()
KEPT = 4  # models of libraries kept in memory
NEAREST = 3

_models: dict[str, model.Model | None] = {}


def evidence(prepared: Prepared, library: Library) -> tuple[decide.FamilyEvidence, ...]:
    """How much a measurement looks like each family of the library, best first.

    The p-value counts, among substances left out of the library in turn and stored outsiders, how
    many look at least as much like some family that is not theirs.
    """
    known = model_of(library)
    if known is None:
        return ()
    spectrum = profile.of(prepared.linear, prepared.threshold, prepared.window)
    if profile.crowding(spectrum) > THRESHOLDS.family["max_crowding"]:
        return ()  # bands everywhere are also where those of any family are: lamps, fringes, noise
    strength = known.evidence(spectrum, library)
    found: list[decide.FamilyEvidence] = []
    for word in sorted(strength, key=lambda w: (-strength[w], w)):
        family = known.families[word]
        found.append(
            decide.FamilyEvidence(
                id=slug(word),
                name=plural(word),
                p_value=p_value(
                    strength[word], known.others, len(known.families), word in known.files
                ),
                supported=strength[word] > 0.0 if word in known.files else None,
                members=family.members,
                nearest=known.nearest(family, spectrum, NEAREST) if strength[word] > 0 else (),
                log10_odds=strength[word],
            )
        )
    return tuple(found)


def model_of(library: Library) -> model.Model | None:
    """The model of a library, made when it is first asked for."""
    if library.hash in _models:
        return _models[library.hash]
    numbers = THRESHOLDS.family
    made = model.build(library, not_named(), numbers)
    while len(_models) >= KEPT:
        _models.pop(next(iter(_models)), None)
    _models[library.hash] = made
    return made


def p_value(strength: float, others: Floats, competing: int, with_published: bool) -> float:
    """Conformal p-value of an evidence, 0..1, never 0.

    Args:
        strength: Evidence for a family.
        others: Largest evidence for a wrong family of each substance left out of the library.
        competing: Families of the library: with more of them chance has more to try, which counts
            for the stored outsiders in proportion.
        with_published: The family has published bands, which hold most outsiders off; a family
            without them is counted on what outsiders gave without any.
    """
    if strength <= 0:
        return 1.0
    outside = outsiders(with_published)
    above = float(np.count_nonzero(others >= strength))
    above += np.count_nonzero(outside.largest >= strength) * competing / outside.families
    return min((float(above) + 1.0) / (others.size + outside.substances + 1.0), 1.0)


@dataclass(frozen=True, slots=True)
class Outsiders:
    """Stored evidences of substances that belong to none of `families` families, for the largest.

    Attributes:
        largest: The largest of them, sorted.
        substances: How many outsiders there were.
        families: For how many families each was tried.
    """

    largest: Floats
    substances: int
    families: int


@cache
def outsiders(with_published: bool) -> Outsiders:
    """The summary that comes with fieldassay, with published bands or without."""
    text = files("fieldassay.families").joinpath("outsiders.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)["with_published" if with_published else "without_published"]
    largest = np.sort(np.array(document["largest"], dtype=np.float64))
    return Outsiders(largest, int(document["substances"]), int(document["families"]))


@cache
def not_named() -> frozenset[str]:
    """Words of the catalogue that no verdict names.

    They say what something is used as or made of, or no spectrum can tell them (`undecidable`).
    """
    text = files("fieldassay.families").joinpath("published.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["not_chemistry"]) | frozenset(undecidable())


@cache
def undecidable() -> Mapping[str, str]:
    """Families whose members share no bands in the range of the library, and why not."""
    text = files("fieldassay.families").joinpath("published.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["undecidable"])


def plural(word: str) -> str:
    """How a family is called in a sentence; a word the catalogue does not know stays as it is."""
    return _plurals().get(word, word)


def slug(word: str) -> str:
    """A family's word as an id."""
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") or "unknown"


@cache
def _plurals() -> dict[str, str]:
    return dict(substances.vocabulary().families)
