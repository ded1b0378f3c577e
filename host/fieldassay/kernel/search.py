"""Which references look most like a measured spectrum.

Owns axis hypotheses (one query row for each shift of the measured axis), the plain scan and the
choice between it and the search by planes (`index`). Owns no decision: `decide` does.
`top_references_numpy` is the oracle: bit for bit the same scores as the kernel, whichever way it
took.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fieldassay._kernel import ffi, lib
from fieldassay.kernel import signal
from fieldassay.kernel.index import Floats, Index, Rows, Work, index_of
from fieldassay.library import Library

__all__ = [
    "Hit", "Index", "Work", "index_of", "path_name", "shifted", "top_references",
    "top_references_numpy", "use_path",
]  # fmt: skip

LANES = int(lib.FA_LANES)


@dataclass(frozen=True, slots=True)
class Hit:
    """A reference that ranks: its row, the query row that fits it best and their cosine, -1..1."""

    row: int
    variant: int
    score: float


def use_path(name: str) -> bool:
    """Make the kernel use one kind of inner loop; False if this machine lacks it.

    For tests and benchmarks: results never depend on it. Not to be called while a search runs.

    Args:
        name: "portable", "avx2", "avx512vnni", "neon" or "sdot"; "" for the best here.
    """
    return bool(lib.fa_use_path(name.encode()) == lib.FA_OK)


def path_name() -> str:
    """The kind of inner loop in use."""
    text = ffi.string(lib.fa_path_name())
    return text.decode() if isinstance(text, bytes) else str(text)


def shifted(values: Floats, shifts_cm1: Floats) -> Rows:
    """One query row for each axis hypothesis, float32, shape (len(shifts), D).

    Row v holds values(x + shifts[v]): the spectrum as it would be if its bands were measured
    `shifts[v]` too high.
    """
    return signal.shifted(values, shifts_cm1)


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
    index = index_of(library)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    penalty = np.ascontiguousarray(penalty, dtype=np.float64)
    if index is not None:
        found = index.search(queries, penalty, window, min_columns, min(k, index.shape[0]))
        return [Hit(row, variant, score) for row, variant, score in found.tolist()]
    matrix = library.matrix
    rows, columns = matrix.shape
    stride = matrix.strides[0] // 4
    flat = np.lib.stride_tricks.as_strided(
        matrix, ((rows - 1) * stride + columns,), (4,), writeable=False
    )
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
