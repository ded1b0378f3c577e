"""What the header of a library file says: its grid, its entries and its substances.

Owns these and how entries are kept in columns and profiles. The bytes are `library_file`; the open
library is `library`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_COLUMNS = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One reference spectrum: row `row` of every matrix.

    Attributes:
        row: Row number.
        substance: Substance id.
        label: Name in the source.
        file, sha256: Source file and its hash.
        instrument, laser_nm: What measured it; None if the source does not say which laser.
        source, licence: Where it comes from and on what terms.
        first, last: Columns [first, last) that hold data.
        form: Free base, salt, hydrate …, None if not known.
        resolution_cm1: Width of a line of the instrument, None if not known.
        agency: Who measured or published it, "" if not said.
        date: When, ISO 8601 as far as known, "" if not said.
        prepared: How the spectrum was made: preparation of the sample, processing by the source.
        intensity_corrected: The source corrected it for the response of the instrument.
        axis_uncertainty_cm1: Of the wavenumber axis, None if not known.
        averaged: How many spectra it is the mean of.
        flags: What a reader must know about its quality, lower-case words.
    """

    row: int
    substance: str
    label: str
    file: str
    sha256: str
    instrument: str
    laser_nm: float | None
    source: str
    licence: str
    first: int
    last: int
    form: str | None = None
    resolution_cm1: float | None = None
    agency: str = ""
    date: str = ""
    prepared: str = ""
    intensity_corrected: bool = False
    axis_uncertainty_cm1: float | None = None
    averaged: int = 1
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LibrarySubstance:
    """Identity of a substance as it was when the library was built, so records can be replayed."""

    id: str
    name: str
    inchikey: str | None
    cas: str | None
    family: str
    hazard_card: str
    packaging: bool
    natural: bool
    families: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


def grid_of(header: Mapping[str, Any]) -> NDArray[np.float64]:
    """Wavenumber of each column, shape (D,), read-only.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is not usable.
    """
    first, step, columns = header["first_cm1"], header["step_cm1"], header["columns"]
    if type(columns) is not int or not 2 <= columns <= MAX_COLUMNS:
        raise ValueError(f"the grid has {str(columns)[:40]} columns")
    if not _is_number(first) or not 0 <= first <= MAX_COLUMNS or step != 1:
        raise ValueError("the grid is not in steps of 1 cm-1")
    grid = np.asarray(first + np.arange(columns), dtype=np.float64)
    grid.setflags(write=False)
    return grid


# What one instrument and source have in common is kept once: entries point to their "profile".
PROFILE = (
    "instrument", "laser_nm", "source", "licence", "form", "resolution_cm1", "agency", "date",
    "prepared", "intensity_corrected", "axis_uncertainty_cm1", "averaged", "flags",
)  # fmt: skip
OWN = ("substance", "label", "file", "sha256")
_DEFAULTS = {f.name: f.default for f in fields(Entry)}
_NUMBERS = ("laser_nm", "resolution_cm1", "axis_uncertainty_cm1")


def entries_of(header: Mapping[str, Any], valid: NDArray[np.int32]) -> tuple[Entry, ...]:
    """The entries of a header with their columns [first, last), checked.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is not usable.
    """
    profiles = [_profile(profile) for profile in header["profiles"]]
    columns = [header["entries"][name] for name in (*OWN, "profile")]
    if not columns[0] or any(len(column) != len(valid) for column in columns):
        raise ValueError("there are no entries, or some lack a part")
    for column in columns[:-1]:
        if not all(isinstance(value, str) for value in column):
            raise TypeError("an entry has a field that should be text")
    if not all(type(value) is int and 0 <= value < len(profiles) for value in columns[-1]):
        raise ValueError("an entry has no profile")
    firsts, lasts = valid.T.tolist()
    return tuple(
        Entry(
            row=row, substance=substance, label=label, file=file, sha256=sha256,
            first=first, last=last, **profiles[profile],
        )
        for row, (substance, label, file, sha256, profile, first, last) in enumerate(
            zip(*columns, firsts, lasts, strict=True)
        )
    )  # fmt: skip


def _profile(row: Mapping[str, Any]) -> dict[str, Any]:
    if set(row) != set(PROFILE):
        raise ValueError("a profile has other fields than it should")
    for name, value in row.items():
        if name in _NUMBERS:
            good = value is None or (_is_number(value) and np.isfinite(value) and value >= 0)
        elif name == "averaged":
            good = type(value) is int and value > 0
        elif name == "intensity_corrected":
            good = type(value) is bool
        elif name == "flags":
            good = isinstance(value, list) and all(isinstance(flag, str) for flag in value)
        else:
            good = isinstance(value, str) or (name == "form" and value is None)
        if not good:
            raise ValueError(f"{name} of a profile is not usable")
    return {**row, "flags": tuple(row["flags"])}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def text_of(value: Any) -> str:
    """The value, if it is text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} should be text")
    return value


def substance_of(row: Mapping[str, Any]) -> LibrarySubstance:
    """One substance of a header, checked.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is not usable.
    """
    several = {name: tuple(map(text_of, row.get(name, ()))) for name in ("families", "roles")}
    found = LibrarySubstance(**{**row, **several})
    texts = (found.id, found.name, found.family, found.hazard_card)
    maybe = tuple(value for value in (found.inchikey, found.cas) if value is not None)
    for value in (*texts, *maybe):
        text_of(value)
    if type(found.packaging) is not bool or type(found.natural) is not bool:
        raise TypeError(f"substance {found.id[:40]!r} is not usable")
    return found


def columns_of(entries: Collection[Mapping[str, Any]]) -> tuple[dict[str, Any], list[Any]]:
    """Entries as the header keeps them: one list for each own field, and the profiles.

    Args:
        entries: Fields of `Entry`; those with a default may be missing.
    """
    profiles: dict[tuple[Any, ...], int] = {}
    table: dict[str, list[Any]] = {name: [] for name in (*OWN, "profile")}
    for entry in entries:
        values = tuple(
            tuple(value) if isinstance(value, list) else value
            for value in (entry.get(name, _DEFAULTS[name]) for name in PROFILE)
        )
        for name in OWN:
            table[name].append(entry[name])
        table["profile"].append(profiles.setdefault(values, len(profiles)))
    return table, [dict(zip(PROFILE, values, strict=True)) for values in profiles]
