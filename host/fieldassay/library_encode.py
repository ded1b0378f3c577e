"""From spectra to the bytes of a library: the one seam by which every library is made.

Owns putting a reference on the grid, through the recipe and into rows. Whoever has spectra (build,
import, add, transfer) makes `Reference`s of them. Opening is `library`, the container is
`library_file`. The same references in the same order give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fieldassay import library_file
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import build_planes, fingerprint
from fieldassay.library import MATRICES, Matrix
from fieldassay.library_header import LibrarySubstance, columns_of
from fieldassay.preprocess import noise, recipe
from fieldassay.spectrum import Spectrum

FIRST_CM1, LAST_CM1 = 302, 2303
BLOCK_ROWS = 4096
Floats = NDArray[np.float64]
Allocate = Callable[[tuple[int, int]], Matrix]


@dataclass(frozen=True, slots=True)
class Reference:
    """One spectrum of a known substance; the other fields are those of `library_header.Entry`.

    Attributes:
        substance: Id of the substance.
        spectrum: As measured, on an axis in cm-1; its noise is estimated where it has none.
    """

    substance: str
    spectrum: Spectrum
    label: str
    file: str
    sha256: str
    instrument: str
    laser_nm: float | None
    source: str
    licence: str
    form: str | None = None
    resolution_cm1: float | None = None
    agency: str = ""
    date: str = ""
    prepared: str = ""
    intensity_corrected: bool = False
    axis_uncertainty_cm1: float | None = None
    averaged: int = 1
    flags: tuple[str, ...] = ()


_KEPT = tuple(f.name for f in fields(Reference) if f.name != "spectrum")


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns of a library: whole wavenumbers from first to last, both included."""

    first_cm1: int = FIRST_CM1
    last_cm1: int = LAST_CM1

    @property
    def values(self) -> Floats:
        """Wavenumber of each column, shape (D,)."""
        return np.arange(self.first_cm1, self.last_cm1 + 1, dtype=np.float64)


def encode_references(
    references: Iterable[Reference],
    substances: Mapping[str, LibrarySubstance],
    title: str,
    stamp: Mapping[str, Any],
    grid: Grid = Grid(),
) -> bytes:
    """The bytes of a library file; `write_references` does the same into a file.

    Raises:
        LibraryError: `library_empty`, `reference_unknown`.
        FormatError: A spectrum does not overlap the grid, or is not on an axis in cm-1.
    """
    file = io.BytesIO()
    write_references(file, references, substances, title, stamp, grid)
    return file.getvalue()


def write_references(
    file: BinaryIO,
    references: Iterable[Reference],
    substances: Mapping[str, LibrarySubstance],
    title: str,
    stamp: Mapping[str, Any],
    grid: Grid = Grid(),
    allocate: Allocate = lambda shape: np.empty(shape, dtype=np.float32),
) -> int:
    """Write a library file.

    Rows are made one at a time and kept once, in blocks of `allocate`; they are written from there.

    Args:
        file: Writable and seekable, empty.
        references: In the order of their rows; read once, so a generator will do.
        substances: Identity of at least those the references are of; only these are kept.
        title: For people.
        stamp: JSON-compatible facts about what it was made from; part of the content.
        grid: Columns.
        allocate: Makes a block of rows; the rim passes one that keeps them on disk.

    Returns:
        How many references were written.

    Raises:
        As `encode_references`.
    """
    rows = _Rows(grid, allocate)
    used: dict[str, LibrarySubstance] = {}
    for reference in references:
        if reference.substance not in used:
            used[reference.substance] = _known(substances, reference)
        rows.add(reference)
    if not rows.entries:
        raise LibraryError(
            "library_empty",
            "There is no reference to put into the library.",
            "Give at least one usable spectrum; the list of refused ones says what is wrong.",
        )
    writer = library_file.Writer(file)
    count, columns = len(rows.entries), grid.values.size
    for name in MATRICES:
        writer.add(name, "<f4", (count, columns), rows.blocks(name), padded=True)
    valid = np.array(rows.valid, dtype="<i4")
    writer.add("valid", "<i4", valid.shape, [valid])
    for name, array in _planes(rows, valid, allocate):
        kind = array.dtype.newbyteorder("<").str
        writer.add(name, kind, array.shape, [array])
    table, profiles = columns_of(rows.entries)
    writer.finish(
        {
            "title": title,
            "recipe": recipe.RAMAN.id,
            "grid": {"first_cm1": grid.first_cm1, "step_cm1": 1, "columns": columns},
            "entries": table,
            "profiles": profiles,
            "substances": [asdict(used[name]) for name in sorted(used)],
            "build": dict(stamp),
            "planes": fingerprint(),
        }
    )
    return count


def reference_row(spectrum: Spectrum, grid_cm1: Floats) -> tuple[Floats, Floats, Floats, int, int]:
    """One reference on the grid: raw, linear, compared, each shape (D,); columns [first, last)."""
    if spectrum.noise is None:
        sigma = np.full(len(spectrum), noise.estimate(spectrum.intensity))
        spectrum = Spectrum(
            spectrum.axis, spectrum.intensity, spectrum.unit, sigma, spectrum.steps, spectrum.meta
        )
    measured = recipe.on_grid(spectrum, grid_cm1)
    linear = recipe.apply(recipe.RAMAN.linear, measured)
    compared = recipe.apply(recipe.RAMAN.compare, linear)
    start = int(np.searchsorted(grid_cm1, measured.axis.values[0]))
    first = start + recipe.EDGE_COLUMNS
    last = max(start + len(measured) - recipe.EDGE_COLUMNS, first)
    rows = []
    for values in (measured.intensity, linear.intensity, compared.intensity):
        row = np.zeros(grid_cm1.size)
        row[start : start + len(measured)] = values
        rows.append(row)
    scale = float(np.linalg.norm(rows[1][first:last])) or 1.0
    norm = float(np.linalg.norm(rows[2][first:last])) or 1.0
    return rows[0], rows[1] / scale, rows[2] / norm, first, min(last, grid_cm1.size)


class _Rows:
    """Rows of the three matrices in blocks, and the entries that go with them."""

    def __init__(self, grid: Grid, allocate: Allocate) -> None:
        self.grid_cm1 = grid.values
        self.entries: list[dict[str, Any]] = []
        self.valid: list[tuple[int, int]] = []
        self._allocate = allocate
        self._blocks: dict[str, list[Matrix]] = {name: [] for name in MATRICES}

    def add(self, reference: Reference) -> None:
        at = len(self.entries) % BLOCK_ROWS
        *matrices, first, last = reference_row(reference.spectrum, self.grid_cm1)
        for name, values in zip(MATRICES, matrices, strict=True):
            if at == 0:
                self._blocks[name].append(self._allocate((BLOCK_ROWS, self.grid_cm1.size)))
            self._blocks[name][-1][at] = values
        self.entries.append({name: getattr(reference, name) for name in _KEPT})
        self.valid.append((first, last))

    def blocks(self, name: str) -> Iterator[Matrix]:
        """The rows of a matrix, block by block."""
        left = len(self.entries)
        for block in self._blocks[name]:
            yield block[: min(left, BLOCK_ROWS)]
            left -= BLOCK_ROWS


def _planes(
    rows: _Rows, valid: NDArray[np.int32], allocate: Allocate
) -> Iterator[tuple[str, NDArray[Any]]]:
    """What the pruned search wants, by the name it has in the file."""
    whole = allocate((len(rows.entries), rows.grid_cm1.size))
    at = 0
    for block in rows.blocks("matrix"):
        whole[at : at + len(block)] = block
        at += len(block)
    for part, array in sorted(build_planes(whole, valid).items()):
        yield f"planes/matrix/{part}", array


def _known(substances: Mapping[str, LibrarySubstance], reference: Reference) -> LibrarySubstance:
    try:
        return substances[reference.substance]
    except KeyError as error:
        raise LibraryError(
            "reference_unknown",
            f"Nobody says what substance {reference.substance!r} of {reference.label!r} is.",
            "Add it to the catalogue, or give its names with --mapping.",
        ) from error


def order(references: Sequence[Reference]) -> list[Reference]:
    """References in the order every maker uses: by substance, then label, then content."""
    return sorted(references, key=lambda r: (r.substance, r.label, r.sha256, r.file))
