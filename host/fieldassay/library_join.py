"""Several library files as one library in memory, so that one verdict weighs all of them.

Owns laying rows side by side and the name of the whole. Nothing is written: the files, and the
licence of each, stay apart. The matrices are copied, so joining suits libraries that fit in memory
twice; a search builds the planes it wants anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from fieldassay.errors import LibraryError
from fieldassay.library import Library, Matrix
from fieldassay.library_header import LibrarySubstance
from fieldassay.substance_names import UNKNOWN_FAMILY


def join(libraries: Sequence[Library]) -> Library:
    """One library of all entries, in the order given; a single one is returned as it is.

    The hash is SHA-256 over the hashes of the parts in their order, one a line, so the same files
    in the same order have the same name. `build["parts"]` lists them.

    Raises:
        LibraryError: `libraries_differ`: other recipes, grids that do not fit, the same file twice,
            or one id for two substances.
    """
    if len(libraries) == 1:
        return libraries[0]
    if not libraries:
        raise _differ("none was given")
    parts = [library.hash for library in libraries]
    if len(set(parts)) < len(parts):
        raise _differ("one is given twice")
    if len({library.recipe for library in libraries}) > 1:
        raise _differ("they were made with different recipes; build or import them again")
    first = min(float(library.grid_cm1[0]) for library in libraries)
    last = max(float(library.grid_cm1[-1]) for library in libraries)
    offsets = [float(library.grid_cm1[0]) - first for library in libraries]
    if any(offset != round(offset) for offset in offsets):
        raise _differ("their columns lie between each other")
    starts = [round(offset) for offset in offsets]
    columns = round(last - first) + 1
    grid = np.asarray(first + np.arange(columns), dtype=np.float64)
    valid = np.concatenate(
        [library.valid + start for library, start in zip(libraries, starts, strict=True)]
    ).astype(np.int32)
    entries = [entry for library in libraries for entry in library.entries]
    for array in (grid, valid):
        array.setflags(write=False)
    return Library(
        hash="sha256:" + hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        title=" + ".join(library.title for library in libraries),
        recipe=libraries[0].recipe,
        grid_cm1=grid,
        entries=tuple(
            replace(entry, row=row, first=int(valid[row, 0]), last=int(valid[row, 1]))
            for row, entry in enumerate(entries)
        ),
        substances=MappingProxyType(_substances(libraries)),
        matrix=_rows([library.matrix for library in libraries], starts, columns),
        linear=_rows([library.linear for library in libraries], starts, columns),
        raw=_rows([library.raw for library in libraries], starts, columns),
        valid=valid,
        build=MappingProxyType({"parts": parts}),
    )


def _rows(matrices: Sequence[Matrix], starts: Sequence[int], columns: int) -> Matrix:
    joined = np.zeros((sum(len(m) for m in matrices), columns), dtype=np.float32)
    at = 0
    for matrix, start in zip(matrices, starts, strict=True):
        joined[at : at + len(matrix), start : start + matrix.shape[1]] = matrix
        at += len(matrix)
    joined.setflags(write=False)
    return joined


def _substances(libraries: Sequence[Library]) -> dict[str, LibrarySubstance]:
    found: dict[str, LibrarySubstance] = {}
    for library in libraries:
        for substance in library.substances.values():
            other = found.setdefault(substance.id, substance)
            for mine, theirs in ((substance.inchikey, other.inchikey), (substance.cas, other.cas)):
                if mine and theirs and mine != theirs:
                    raise _differ(f"{substance.id!r} is another substance in each")
            if other.family == UNKNOWN_FAMILY:  # one that a library knows tells more
                found[substance.id] = substance
    return found


def _differ(why: str) -> LibraryError:
    return LibraryError(
        "libraries_differ",
        f"These libraries cannot be used together: {why}.",
        "Identify with each by itself.",
    )
