"""Which references look most like a measured spectrum: the only importer of the C kernel.

Owns axis hypotheses (one query row for each shift of the measured axis) and the call. Owns no
decision: `decide` does. `top_references_numpy` is the oracle: bit for bit the same scores as the
kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay._kernel import ffi, lib
from fieldassay.library import Library

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
LANES = int(lib.FA_LANES)


@dataclass(frozen=True, slots=True)
class Hit:
    """A reference that ranks: its row, the query row that fits it best and their cosine, -1..1."""

    row: int
    variant: int
    score: float


def shifted(values: Floats, shifts_cm1: Floats) -> Rows:
    """One query row for each axis hypothesis, float32, shape (len(shifts), D).

    Row v holds values(x + shifts[v]): the spectrum as it would be if its bands were measured
    `shifts[v]` too high.
    """
    columns = np.arange(values.size, dtype=np.float64)
    return np.array([np.interp(columns + s, columns, values) for s in shifts_cm1], dtype=np.float32)


def top_references(
    library: Library,
    queries: Rows,
    penalty: Floats,
    window: tuple[int, int],
    min_columns: int,
    k: int,
) -> list[Hit]:
    """The k best references, best first, equal ones in order of their row.

    Args:
        library: Whose `matrix` is searched.
        queries: One row for each axis hypothesis, float32, shape (V, D), finite inside the window.
        penalty: Taken off the cosine of each hypothesis for the ranking, shape (V,).
        window: Columns [lo, hi) of the grid that are compared.
        min_columns: References with fewer columns in the window do not rank.
        k: How many.
    """
    matrix = library.matrix
    rows, columns = matrix.shape
    stride = matrix.strides[0] // 4
    flat = np.lib.stride_tricks.as_strided(
        matrix, ((rows - 1) * stride + columns,), (4,), writeable=False
    )
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    penalty = np.ascontiguousarray(penalty, dtype=np.float64)
    k = min(k, rows)
    hits = ffi.new("fa_hit[]", k)
    count = ffi.new("size_t *")
    status = lib.fa_top_k(
        ffi.from_buffer("float[]", flat), flat.size, rows, columns, stride,
        ffi.from_buffer("int32_t[]", library.valid), library.valid.size,
        ffi.from_buffer("float[]", queries), queries.size, queries.shape[0], queries.shape[1],
        ffi.from_buffer("double[]", penalty), penalty.size,
        window[0], window[1], min_columns, k, hits, k, count,
    )  # fmt: skip
    if status != lib.FA_OK:
        raise ValueError(f"fa_top_k refused its arguments ({status})")
    return [Hit(hits[i].row, hits[i].variant, hits[i].score) for i in range(count[0])]


def top_references_numpy(
    library: Library,
    queries: Rows,
    penalty: Floats,
    window: tuple[int, int],
    min_columns: int,
    k: int,
) -> list[Hit]:
    """The same answer as `top_references` in plain numpy, summing in the same order."""
    found: list[tuple[float, int, int]] = []
    for row in range(library.matrix.shape[0]):
        first, last = (int(x) for x in library.valid[row])
        if first < 0 or last < first:
            continue
        lo, hi = max(first, window[0]), min(last, window[1])
        if hi <= lo or hi - lo < min_columns:
            continue
        x = library.matrix[row, lo:hi].astype(np.float64)
        best: tuple[float, int] | None = None
        for variant in range(queries.shape[0]):
            q = queries[variant, lo:hi].astype(np.float64)
            energy = _lane_sum(x * x) * _lane_sum(q * q)
            if not np.isfinite(energy) or energy <= 0.0:
                continue
            ranking = _lane_sum(x * q) / float(np.sqrt(energy)) - float(penalty[variant])
            if np.isfinite(ranking) and (best is None or ranking > best[0]):
                best = (ranking, variant)
        if best is not None:
            found.append((best[0], row, best[1]))
    found.sort(key=lambda hit: (-hit[0], hit[1]))
    return [
        Hit(row, variant, ranking + float(penalty[variant])) for ranking, row, variant in found[:k]
    ]


def _lane_sum(products: Floats) -> float:
    """Sum in the kernel's order: LANES running sums, then the lanes from the first to the last."""
    lanes = np.zeros(LANES)
    whole = products.size // LANES * LANES
    for block in products[:whole].reshape(-1, LANES):
        lanes += block
    rest = products[whole:]
    lanes[: rest.size] += rest
    total = 0.0
    for lane in lanes:
        total += float(lane)
    return total
