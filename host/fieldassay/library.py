"""The reference library: one read-only, memory-mapped file with everything that matching needs.

Owns what a library is and opening it. The bytes are `library_file`, what the header says is
`library_header`, making one from spectra is
`library_encode`, where the spectra come from is `library_build` and `library_import`.

Arrays of a file: "raw" (the reference as measured on the grid), "linear" (its derivative, for sums
of substances) and "matrix" (the compressed derivative the kernel compares), all float32 with one
row an entry and rows of a multiple of 64 bytes; "valid" (int32); and "planes/MATRIX/NAME", what the
pruned search wants of a matrix.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay import library_file
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import TYPES, fingerprint, shapes
from fieldassay.library_header import (
    Entry,
    LibrarySubstance,
    entries_of,
    grid_of,
    substance_of,
    text_of,
)

__all__ = ["MATRICES", "Entry", "Library", "Matrix", "Planes"]

MATRICES = ("raw", "linear", "matrix")
Matrix = NDArray[np.float32]
Planes = Mapping[str, Mapping[str, NDArray[Any]]]


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
        grid = grid_of(header["grid"])
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
        substances = [substance_of(s) for s in header["substances"]]
        entries = entries_of(header, valid)
        if any("computed" in entry.flags for entry in entries):
            raise LibraryError(
                "library_computed",
                "The library holds computed spectra; only measured ones may be references.",
                "Build it again without them; they are for simulation and demonstrations.",
            )
        return cls(
            hash=f"sha256:{content.digest.hex()}",
            title=text_of(header["title"]),
            recipe=text_of(header["recipe"]),
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
