"""Published band positions of families: evidence that supports or contradicts, never enough alone.

Owns reading and checking published.toml. Each band has a citation and a tolerance. Pure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np

from fieldassay.errors import LibraryError
from fieldassay.families.profile import Profile
from fieldassay.library import Library

MEASURED = 0.5  # part of the range of a band that must have been measured to say anything


@dataclass(frozen=True, slots=True)
class Band:
    """A range of wavenumbers in which a family has, or lacks, a band.

    Attributes:
        what: The vibration.
        from_cm1, to_cm1: Where its top lies.
        tolerance_cm1: Allowed on both sides for axis errors.
        height: Over the strongest band: at least this, or for a lacking one less than this.
        citation: Where it is published.
    """

    what: str
    from_cm1: float
    to_cm1: float
    tolerance_cm1: float
    height: float
    citation: str


@dataclass(frozen=True, slots=True)
class Published:
    """What is published on one family: bands all members have, and bands none has."""

    present: tuple[Band, ...]
    absent: tuple[Band, ...]


@cache
def load() -> Mapping[str, Published]:
    """What comes with fieldassay, by family word."""
    text = files("fieldassay.families").joinpath("published.toml").read_text(encoding="utf-8")
    return parse(tomllib.loads(text))


def parse(document: Mapping[str, Any]) -> Mapping[str, Published]:
    """Check a document and return it by family word.

    Raises:
        LibraryError: `families_not_usable`.
    """
    found = {}
    try:
        for word, rows in document["family"].items():
            found[word] = Published(
                tuple(_band(row) for row in rows.get("present", ())),
                tuple(_band(row) for row in rows.get("absent", ())),
            )
            if not found[word].present:
                raise ValueError(f"{word!r} has no band that is present")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LibraryError(
            "families_not_usable",
            f"The published bands of families cannot be used: {error}.",
            "Correct families/published.toml or install fieldassay again.",
        ) from error
    return MappingProxyType(found)


def agrees(published: Published, spectrum: Profile, library: Library) -> bool:
    """True if every published band is there and no absent one is.

    What was not measured is neither: at least half of the range of each band must be.
    """
    grid = library.grid_cm1
    lo, hi = spectrum.window
    if hi - lo < 2:
        return False
    at, height = grid[spectrum.tops], spectrum.heights
    for band in (*published.present, *published.absent):
        measured = min(band.to_cm1, grid[hi - 1]) - max(band.from_cm1, grid[lo])
        if measured < MEASURED * (band.to_cm1 - band.from_cm1):
            return False
    for band in published.present:
        near = (at >= band.from_cm1 - band.tolerance_cm1) & (at <= band.to_cm1 + band.tolerance_cm1)
        if not np.any(height[near] >= band.height):
            return False
    for band in published.absent:
        near = (at >= band.from_cm1) & (at <= band.to_cm1)
        if np.any(height[near] >= band.height):
            return False
    return True


def _band(row: Mapping[str, Any]) -> Band:
    band = Band(
        what=str(row["what"]),
        from_cm1=float(row["from_cm1"]),
        to_cm1=float(row["to_cm1"]),
        tolerance_cm1=float(row["tolerance_cm1"]),
        height=float(row["height"]),
        citation=str(row["citation"]),
    )
    if not 50.0 <= band.from_cm1 < band.to_cm1 <= 4000.0 or band.to_cm1 - band.from_cm1 > 400.0:
        raise ValueError(f"{band.what!r} lies at {band.from_cm1:g} to {band.to_cm1:g} cm-1")
    if not 0.0 <= band.tolerance_cm1 <= 15.0 or not 0.0 < band.height <= 1.0:
        raise ValueError(f"{band.what!r} has an odd tolerance or height")
    if len(band.citation) < 10 or not band.what:
        raise ValueError(f"{band.what!r} has no citation")
    return band
