"""Non-negative sums of a few references that explain a measurement, through the Gram matrix.

Owns the calls of `native/fa_fits.h`, which says what counts as a set and what bad input gives. Does
not own which references, windows or weights, nor what a sum means (`mixtures`, `decide`). The numpy
twins are in tests/native/test_fits.py.

With the references as columns x_i of the window, `gram[i, j] = x_i . x_j` and
`along[i] = x_i . y`; the weights of a set solve the normal equations, and weights . along is the
sum of squares of y that the set explains. Arrays of the right type (C-contiguous float64 and int32,
float32 rows) are not copied.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fieldassay._kernel import ffi, lib

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Ids = NDArray[np.int32]
MAX_COMPONENTS = int(lib.FA_SUBSET_MAX)
_BEST = int(lib.FA_PATH_BEST)
_doubles = ffi.typeof("double[]")
_floats = ffi.typeof("float[]")
_numbers = ffi.typeof("int32_t[]")
_view = ffi.from_buffer
_new_subsets = ffi.new_allocator(should_clear_after_alloc=False)


class Subset(NamedTuple):
    """References that together explain a measurement.

    Attributes:
        ids: Columns of the Gram matrix, ascending.
        weights: Factor of each, > 0, in the order of `ids`.
        explained: Sum of squares of the measurement that they explain, in the units of `along`
            squared over those of the Gram matrix.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    explained: float


def gram(
    rows: Rows, window: tuple[int, int], weights: Floats | None = None, *, path: int = _BEST
) -> Floats:
    """Inner products of rows over a window of columns, float64, shape (K, K).

    Args:
        rows: float32, shape (K, D), K >= 1; rows may be strided (padded), not reversed.
        window: Columns [lo, hi).
        weights: Weight of each column, shape (D,), or None for 1.
        path: For tests: which instructions (`FA_PATH_*`).
    """
    flat, count, columns, stride = _flat(rows)
    out = np.empty((count, count))
    weight = None if weights is None else _as_doubles(weights)
    _check(
        "fa_gram",
        lib.fa_gram(
            _view(_floats, flat), flat.size, count, columns, stride, window[0], window[1],
            ffi.NULL if weight is None else _view(_doubles, weight),
            0 if weight is None else weight.size,
            _view(_doubles, out), out.size, path,
        ),
    )  # fmt: skip
    return out


def along(
    rows: Rows,
    measured: Floats,
    window: tuple[int, int],
    weights: Floats | None = None,
    *,
    path: int = _BEST,
) -> Floats:
    """Inner product of each row with `measured`, shape (D,), over a window, float64, shape (K,)."""
    flat, count, columns, stride = _flat(rows)
    measured = _as_doubles(measured)
    out = np.empty(count)
    weight = None if weights is None else _as_doubles(weights)
    _check(
        "fa_along",
        lib.fa_along(
            _view(_floats, flat), flat.size, count, columns, stride, window[0], window[1],
            ffi.NULL if weight is None else _view(_doubles, weight),
            0 if weight is None else weight.size,
            _view(_doubles, measured), measured.size, _view(_doubles, out), out.size, path,
        ),
    )  # fmt: skip
    return out


def best_subsets(
    gram: Floats,
    along: Floats,
    groups: Ids | None,
    size: int,
    keep: int,
    *,
    path: int = _BEST,
) -> list[Subset]:
    """The `keep` best sets of exactly `size` (1, 2 or 3) references, best first; exhaustive.

    Two references of one group (of one substance) are never in one set. Sets that explain the same
    are ordered by their ids. Sets with a weight that is not > 0, or of nearly dependent references,
    do not count, so there may be fewer than `keep`.

    Args:
        gram: Shape (K, K).
        along: Shape (K,).
        groups: Group of each reference, int32, shape (K,), or None if all differ.
        size: 1, 2 or 3.
        keep: >= 1.
        path: For tests.
    """
    gram, along, group, told, work = _problem(gram, along, groups)
    subsets = _new_subsets("fa_subset[]", keep)
    found = ffi.new("size_t *")
    _check(
        "fa_best_subsets",
        lib.fa_best_subsets(
            _view(_doubles, gram), gram.size, _view(_doubles, along), along.size, group, told,
            along.size, size, keep, subsets, keep, found, _view(_doubles, work), work.size, path,
        ),
    )  # fmt: skip
    return _read(subsets, 0, found[0])


def sparse_nonnegative(
    gram: Floats,
    along: Floats,
    groups: Ids | None,
    max_components: int,
    keep: int = 8,
    *,
    path: int = _BEST,
) -> list[list[Subset]]:
    """The best sets of every size from one to `max_components` (<= 5): item s - 1 has those of s.

    Up to three references the search is exhaustive. Larger sets are the best found by extending
    each of the `keep` best of the size below with every reference, then exchanging one at a time
    until nothing improves: good, not proved best. Each list is ordered as in `best_subsets` and may
    be empty; the best set of a size may explain less than that of the size below, if none of the
    latter's extensions has all weights > 0.
    """
    gram, along, group, told, work = _problem(gram, along, groups)
    subsets = _new_subsets("fa_subset[]", max(keep * max_components, 1))
    counts = np.empty(max(max_components, 1), dtype=np.uintp)
    _check(
        "fa_sparse",
        lib.fa_sparse(
            _view(_doubles, gram), gram.size, _view(_doubles, along), along.size, group, told,
            along.size, max_components, keep, subsets, keep * max_components,
            _view("size_t[]", counts), counts.size, _view(_doubles, work), work.size, path,
        ),
    )  # fmt: skip
    return [_read(subsets, size * keep, int(count)) for size, count in enumerate(counts)]


def nonnegative(gram: Floats, along: Floats) -> Floats:
    """Weights >= 0, shape (K,), of the non-negative least-squares sum of all K references.

    Exact up to rounding; a reference that depends on the others in use gets 0. All weights are NaN
    if an input is not finite. Meant for up to some hundred references.
    """
    if gram.dtype != np.float64 or not gram.flags.c_contiguous:
        gram = np.ascontiguousarray(gram, dtype=np.float64)
    along = _as_doubles(along)
    n = along.size
    out = np.empty(n)
    work = np.empty(n * n + 4 * n)
    status = lib.fa_nonnegative(
        _view(_doubles, gram), gram.size, _view(_doubles, along), n, n,
        _view(_doubles, out), n, _view(_doubles, work), work.size,
    )  # fmt: skip
    if status == lib.FA_INVALID:
        raise ValueError("fa_nonnegative refused its arguments")
    return out


def _problem(
    gram: Floats, along: Floats, groups: Ids | None
) -> tuple[Floats, Floats, Any, int, Floats]:
    gram = np.ascontiguousarray(gram, dtype=np.float64)
    along = _as_doubles(along)
    work = np.empty(int(lib.fa_subsets_work(along.size)))
    if groups is None:
        return gram, along, ffi.NULL, 0, work
    groups = np.ascontiguousarray(groups, dtype=np.int32)
    return gram, along, _view(_numbers, groups), groups.size, work


def _flat(rows: Rows) -> tuple[Rows, int, int, int]:
    """The memory from the first to the last value of float32 rows, their count, columns, stride."""
    count, columns = rows.shape
    if count == 0:
        raise ValueError("there are no rows")
    if rows.dtype != np.float32 or rows.strides[1] != 4 or rows.strides[0] % 4:
        rows = np.ascontiguousarray(rows, dtype=np.float32)
    elif rows.strides[0] < 4 * columns:  # backwards, or one row seen several times
        rows = np.array(rows, order="C")
    stride = max(rows.strides[0] // 4, columns)
    size = (count - 1) * stride + columns
    flat = np.lib.stride_tricks.as_strided(rows, (size,), (4,), writeable=False)
    return flat, count, columns, stride


def _as_doubles(values: Floats) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _read(subsets: Any, start: int, count: int) -> list[Subset]:
    found = []
    for i in range(start, start + count):
        subset = subsets[i]
        size = subset.size
        found.append(
            Subset(tuple(subset.ids[0:size]), tuple(subset.weights[0:size]), subset.explained)
        )
    return found


def _check(name: str, status: int) -> None:
    if status != lib.FA_OK:
        raise ValueError(f"{name} refused its arguments ({status})")
