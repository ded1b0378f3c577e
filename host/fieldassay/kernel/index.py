"""A matrix ready for exact search by its planes.

Owns `Index` (a matrix, its planes and the scratch areas of its searches), what a search did
(`Work`) and the index of each library in use. Owns no plain scan and no axis hypotheses: `search`
does.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay._kernel import ffi, lib
from fieldassay.kernel.planes import Planes, build_planes, make_index
from fieldassay.library import Library

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
HIT = np.dtype([("row", "<i4"), ("variant", "<i4"), ("score", "<f8")])
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
OK = int(lib.FA_OK)
from_buffer = ffi.from_buffer  # looked up once: a query of a small library takes microseconds


@dataclass(slots=True)
class Work:
    """What a search did.

    Attributes:
        int8_rows: Rows bounded by all their codes.
        exact_rows: Rows scored exactly.
        plain: The planes could not serve, so every row was scored.
    """

    int8_rows: int = 0
    exact_rows: int = 0
    plain: bool = False


class Index:
    """A matrix and its planes, ready for search; keeps the kernel's pointers and copies nothing.

    Args:
        matrix: float32, shape (N, D); rows may be padded, or mapped from a file.
        valid: Columns [first, last) of each row with data, int32, shape (N, 2); None: all.
        planes: Of `build_planes` for the same matrix; built here if None.

    Raises:
        ValueError: Shapes or types do not fit.
    """

    def __init__(
        self,
        matrix: Rows,
        valid: NDArray[np.int32] | None = None,
        planes: Planes | None = None,
    ) -> None:
        if valid is None:
            valid = np.tile(np.array([0, matrix.shape[1]], dtype=np.int32), (matrix.shape[0], 1))
        self.planes = build_planes(matrix, valid) if planes is None else planes
        self.shape = matrix.shape
        self._index, self._keep = make_index(matrix, valid, self.planes)
        self._scratch: list[tuple[int, Any, Any, Any]] = []  # idle areas; one a thread in a search

    def search(
        self,
        queries: Rows,
        penalty: Floats,
        window: tuple[int, int],
        min_columns: int,
        k: int,
        work: Work | None = None,
    ) -> NDArray[np.void]:
        """The k best rows by cosine over a window, best first, dtype `HIT`.

        The arguments are those of `search.top_references`.

        Raises:
            ValueError: A type, shape, window or k does not fit.
        """
        if queries.dtype != FLOAT32 or penalty.dtype != FLOAT64 or queries.ndim != 2:
            raise ValueError("queries must be float32 of shape (V, D), penalty float64")
        variants, columns = queries.shape
        area = self._take(variants)
        hits = np.empty(k, HIT)
        status = lib.fa_search(
            self._index, ffi.from_buffer("float[]", queries), queries.size, variants, columns,
            ffi.from_buffer("double[]", penalty), penalty.size, window[0], window[1], min_columns,
            k, ffi.from_buffer("fa_hit[]", hits), k, area[2], area[1], area[0], area[3],
        )  # fmt: skip
        if status != lib.FA_OK:
            raise ValueError(f"fa_search refused its arguments ({status})")
        count = area[2][0]
        self._give(area, work)
        return hits[:count]

    def nearest(self, query: Rows, k: int, work: Work | None = None) -> NDArray[np.void]:
        """The k rows with the largest inner product with one query row of shape (D,), dtype `HIT`.

        Raises:
            ValueError: The type, the shape or k does not fit.
        """
        hits = np.empty(k, HIT)
        if query.dtype != FLOAT32 or query.ndim != 1:
            raise ValueError("the query must be float32 of shape (D,)")
        size, memory, count, done = area = self._take(1)
        columns = len(query)
        status = lib.fa_search_products(
            self._index, from_buffer("float[]", query), columns, 1, columns,
            k, from_buffer("fa_hit[]", hits), k, count, 1, memory, size, done,
        )  # fmt: skip
        if status != OK:
            raise ValueError(f"fa_search_products refused its arguments ({status})")
        found = count[0]
        if work is None:
            self._scratch.append(area)
        else:
            self._give(area, work)
        return hits if found == k else hits[:found]

    def nearest_many(
        self, queries: Rows, k: int, work: Work | None = None
    ) -> tuple[NDArray[np.void], NDArray[np.uintp]]:
        """As `nearest` for queries of shape (Q, D): hits of shape (Q, k) and how many each has.

        Raises:
            ValueError: The type, the shape or k does not fit.
        """
        if queries.dtype != FLOAT32 or queries.ndim != 2:
            raise ValueError("queries must be float32 of shape (Q, D)")
        count, columns = queries.shape
        area = self._take(1)
        hits = np.zeros((count, k), HIT)
        counts = np.zeros(count, np.uintp)
        status = lib.fa_search_products(
            self._index, ffi.from_buffer("float[]", queries), queries.size, count, columns,
            k, ffi.from_buffer("fa_hit[]", hits), hits.size,
            ffi.from_buffer("size_t[]", counts), count, area[1], area[0], area[3],
        )  # fmt: skip
        if status != lib.FA_OK:
            raise ValueError(f"fa_search_products refused its arguments ({status})")
        self._give(area, work)
        return hits, counts

    def _take(self, variants: int) -> tuple[int, Any, Any, Any]:
        """A scratch area (bytes, memory, count, work) for as many variants; list.pop is atomic."""
        try:
            area = self._scratch.pop()
        except IndexError:
            area = (0, None, None, None)
        if variants <= 8 and area[0]:
            return area
        size = lib.fa_search_scratch(self._index, variants)
        if size == 0:
            raise ValueError("the index is too large or its arrays do not fit together")
        if area[0] >= size:
            return area
        return (size, ffi.new("char[]", size), ffi.new("size_t[1]"), ffi.new("fa_work *"))

    def _give(self, area: tuple[int, Any, Any, Any], work: Work | None) -> None:
        if work is not None:
            done = area[3]
            work.int8_rows, work.exact_rows = done.int8_rows, done.exact_rows
            work.plain = bool(done.plain)
        self._scratch.append(area)


BUILD_FROM_ROWS = 512  # below, a plain scan answers before planes could be built
_indexes: dict[int, tuple[weakref.ref[Any], Index]] = {}


def index_of(library: Library) -> Index | None:
    """The index of a library's `matrix`: of its own planes, or built on first use if it is large.

    Kept as long as the matrix lives; None if the library has no planes and is small.
    """
    matrix = library.matrix
    known = _indexes.get(id(matrix))
    if known is not None and known[0]() is matrix:
        return known[1]
    planes: Planes | None = getattr(library, "planes", {}).get("matrix")
    if planes is None and matrix.shape[0] < BUILD_FROM_ROWS:
        return None
    index, key = Index(matrix, library.valid, planes), id(matrix)
    known_ones = _indexes  # the name in the module is gone when the interpreter ends
    _indexes[key] = (weakref.ref(matrix, lambda _: known_ones.pop(key, None)), index)
    return index
