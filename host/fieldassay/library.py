"""The reference library: one read-only, memory-mapped file with everything that matching needs.

Owns what a library is and opening it. The bytes are `library_file`, making one from spectra is
`library_encode`, where the spectra come from is `library_build` and `library_import`.

Arrays of a file: "raw" (the reference as measured on the grid), "linear" (its derivative, for sums
of substances) and "matrix" (the compressed derivative the kernel compares), all float32 with one
row an entry and rows of a multiple of 64 bytes; "valid" (int32); and "planes/MATRIX/NAME", what the
pruned search wants of a matrix.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay import library_file
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import TYPES, fingerprint, shapes
from fieldassay.library_file import ALIGN, MAGIC

__all__ = ["ALIGN", "MAGIC", "MATRICES", "Entry", "Library", "LibrarySubstance", "encode"]

MATRICES = ("raw", "linear", "matrix")
MAX_COLUMNS = 1_000_000
Matrix = NDArray[np.float32]
Planes = Mapping[str, Mapping[str, NDArray[Any]]]


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


@dataclass(frozen=True, slots=True)
class Library:
    """An open library.

    Attributes:
        hash: "sha256:…" of the content; names the library in every identification.
        title: For people.
        recipe: Id of the preprocessing the matrices were made with.
        grid_cm1: Wavenumber of each column, shape (D,), 1 cm-1 apart.
        entries: One for each row.
        substances: By id.
        matrix: What the kernel compares, float32, shape (N, D), read-only; rows may be padded.
        linear: Derivatives before compression, float32, shape (N, D), read-only.
        raw: The references as measured, float32, shape (N, D), read-only; 0 where there are no
            data.
        valid: Columns with data, int32, shape (N, 2).
        build: What it was made from: package, hashes, builder version.
        planes: By name of a matrix, what `kernel.planes` made of it for the pruned search; empty
            if there is nothing (then the search reads the matrix itself).
    """

    hash: str
    title: str
    recipe: str
    grid_cm1: NDArray[np.float64]
    entries: tuple[Entry, ...]
    substances: Mapping[str, LibrarySubstance]
    matrix: Matrix
    linear: Matrix
    raw: Matrix
    valid: NDArray[np.int32]
    build: Mapping[str, Any]
    planes: Planes = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def open(cls, path: Any, verify: bool = True) -> Library:
        """Map a library file.

        Args:
            path: A path-like or text.
            verify: Hash every array, which reads the file once; see `library_file.read`.

        Raises:
            LibraryError: `library_missing`, `library_damaged`, `library_other_version`.
        """
        try:
            data = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise LibraryError(
                "library_missing",
                f"The reference library {path} cannot be opened: {error}.",
                "Build it with: fieldassay library build",
            ) from error
        return cls.from_buffer(data, verify)

    @classmethod
    def from_buffer(cls, data: NDArray[np.uint8], verify: bool = True) -> Library:
        """Check and map the content of a library file; arrays are views on `data`.

        Raises:
            LibraryError: `library_damaged`, `library_other_version`, `library_computed`.
        """
        content = library_file.read(data, verify)
        try:
            return cls._from_content(content)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise library_file.unreadable(error) from error

    @classmethod
    def _from_content(cls, content: library_file.Content) -> Library:
        header, arrays = content.header, dict(content.arrays)
        grid = _grid(header["grid"])
        columns = grid.size
        valid = arrays.pop("valid")
        if valid.dtype != np.int32 or valid.ndim != 2 or valid.shape[1] != 2 or not valid.size:
            raise ValueError("'valid' is not one pair for each entry")
        if np.any(valid[:, 0] < 0) or np.any(valid[:, 0] > valid[:, 1]) or valid.max() > columns:
            raise ValueError("an entry holds data outside the grid")
        matrices = {name: arrays.pop(name) for name in MATRICES}
        for name, matrix in matrices.items():
            if matrix.dtype != np.float32 or matrix.shape != (len(valid), columns):
                raise ValueError(f"{name!r} is not one row of the grid for each entry")
        planes: dict[str, dict[str, NDArray[Any]]] = {}
        for name, array in arrays.items():
            kind, of, part = name.split("/", 2)
            if kind != "planes" or of not in MATRICES:
                raise ValueError(f"array {name[:40]!r} is not known")
            planes.setdefault(of, {})[part] = array
        # Planes of another kernel are no fault of the library: it is searched without them.
        if header.get("planes") != fingerprint():
            planes = {}
        planes = {of: parts for of, parts in planes.items() if _fit(parts, len(valid), columns)}
        substances = [_substance(s) for s in header["substances"]]
        entries = _entries(header, valid)
        if any("computed" in entry.flags for entry in entries):
            raise LibraryError(
                "library_computed",
                "The library holds computed spectra; only measured ones may be references.",
                "Build it again without them; they are for simulation and demonstrations.",
            )
        return cls(
            hash=f"sha256:{content.digest.hex()}",
            title=_text(header["title"]),
            recipe=_text(header["recipe"]),
            grid_cm1=grid,
            entries=entries,
            substances=MappingProxyType({s.id: s for s in substances}),
            valid=valid,
            build=MappingProxyType(dict(header["build"])),
            planes=MappingProxyType({k: MappingProxyType(v) for k, v in planes.items()}),
            **matrices,
        )

    def without(self, substances: Collection[str]) -> Library:
        """The same library less these substance ids, in memory: for leave-one-out evaluations.

        Its `hash` says what was left out, so a result can never pass for one of the full library.
        It has no `planes`; the search is as exact without them.
        """
        kept = [e.row for e in self.entries if e.substance not in substances]
        left_out = ",".join(sorted(substances))
        return replace(
            self,
            hash=f"{self.hash}-without:{left_out}",
            entries=tuple(replace(self.entries[row], row=i) for i, row in enumerate(kept)),
            substances=MappingProxyType(
                {k: s for k, s in self.substances.items() if k not in substances}
            ),
            matrix=self.matrix[kept],
            linear=self.linear[kept],
            raw=self.raw[kept],
            valid=self.valid[kept],
            planes=MappingProxyType({}),
        )


def _fit(parts: Mapping[str, NDArray[Any]], rows: int, columns: int) -> bool:
    wanted = shapes(rows, columns)
    return set(parts) == set(wanted) and all(
        parts[name].shape == shape and parts[name].dtype == TYPES[name][0]
        for name, shape in wanted.items()
    )


def _grid(header: Mapping[str, Any]) -> NDArray[np.float64]:
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


def _entries(header: Mapping[str, Any], valid: NDArray[np.int32]) -> tuple[Entry, ...]:
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


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} should be text")
    return value


def _substance(row: Mapping[str, Any]) -> LibrarySubstance:
    several = {name: tuple(map(_text, row.get(name, ()))) for name in ("families", "roles")}
    found = LibrarySubstance(**{**row, **several})
    texts = (found.id, found.name, found.family, found.hazard_card)
    maybe = tuple(value for value in (found.inchikey, found.cas) if value is not None)
    for value in (*texts, *maybe):
        _text(value)
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


def encode(header: Mapping[str, Any], matrices: Mapping[str, Matrix]) -> bytes:
    """The bytes of a library file without planes; the same arguments give the same bytes.

    `library_encode` makes libraries from spectra; this is for matrices that are there already.

    Args:
        header: JSON-compatible: title, recipe, grid {first_cm1, step_cm1, columns}, entries (each
            with first and last), substances, build.
        matrices: "raw", "linear" and "matrix", each float32 of shape (N, D).
    """
    file = io.BytesIO()
    writer = library_file.Writer(file)
    for name in MATRICES:
        writer.add(name, "<f4", matrices[name].shape, [matrices[name]], padded=True)
    valid = np.array([(e["first"], e["last"]) for e in header["entries"]], dtype="<i4")
    writer.add("valid", "<i4", valid.shape, [valid])
    table, profiles = columns_of(header["entries"])
    writer.finish({**header, "entries": table, "profiles": profiles})
    return file.getvalue()
