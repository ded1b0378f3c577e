"""The peers' side: each task is what a competent user of that package would write.

Runs in the peers' environment. A task gets a case folder (library.npy, queries.npy, …) and returns
one call a query; a call returns arrays that `exactness` can check.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import Call, NotBuilt


def _load(case: Path | None, name: str) -> Any:
    assert case is not None
    return np.load(case / f"{name}.npy")


def _package(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotBuilt(f"{name} is not installed here") from error


def numpy_query(case: Path | None, k: int, queries: str = "queries") -> list[Call]:
    """`library @ query` in float32 and argpartition, the k best sorted."""
    library = _load(case, "library")

    def call(query: Any) -> tuple[Any, Any]:
        scores = library @ query
        best = np.argpartition(-scores, k - 1)[:k]
        best = best[np.lexsort((best, -scores[best]))]
        return best, scores[best]

    return [partial(call, query) for query in _load(case, queries)]


def numpy_batch(case: Path | None, k: int, queries: str = "queries") -> list[Call]:
    """One sgemm for all queries, then argpartition along the rows."""
    library, wanted = _load(case, "library"), _load(case, queries)

    def call() -> tuple[Any, Any]:
        scores = wanted @ library.T
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(scores, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)

    return [call]


def faiss_query(case: Path | None, k: int, queries: str = "queries") -> list[Call]:
    """Faiss IndexFlatIP, the exact index, one thread."""
    faiss = _package("faiss")
    faiss.omp_set_num_threads(1)
    library = _load(case, "library")
    index = faiss.IndexFlatIP(library.shape[1])
    index.add(library)

    def call(query: Any) -> tuple[Any, Any]:
        scores, rows = index.search(query, k)
        return rows[0], scores[0]

    return [partial(call, query[None]) for query in _load(case, queries)]


def faiss_batch(case: Path | None, k: int, queries: str = "queries") -> list[Call]:
    """The same index with all queries at once."""
    faiss = _package("faiss")
    faiss.omp_set_num_threads(1)
    library = _load(case, "library")
    index = faiss.IndexFlatIP(library.shape[1])
    index.add(library)
    wanted = _load(case, queries)

    def call() -> tuple[Any, Any]:
        scores, rows = index.search(wanted, k)
        return rows, scores

    return [call]


def scipy_nnls(case: Path | None, queries: str = "queries") -> list[Call]:
    """scipy.optimize.nnls of the query over the whole library."""
    optimize = _package("scipy.optimize")
    columns = np.asfortranarray(_load(case, "library").astype(np.float64).T)

    def call(query: Any) -> tuple[Any, Any]:
        weights, residual = optimize.nnls(columns, query)
        return weights, np.array(residual)

    return [partial(call, query.astype(np.float64)) for query in _load(case, queries)]


def pybaselines_asls(
    case: Path | None, smoothness: float, asymmetry: float, iterations: int, solver: int = 3
) -> list[Call]:
    """Pybaselines' asls with a fixed number of solutions; solver 3 is scipy's, 2 is pentapy's.

    Its loop solves once more than `max_iter` says.
    """
    pybaselines = _package("pybaselines")
    if solver < 3:
        _package("pentapy")
    spectra = _load(case, "spectra")
    fitter = pybaselines.Baseline(np.arange(spectra.shape[1], dtype=np.float64))
    fitter.banded_solver = solver

    def call(values: Any) -> tuple[Any]:
        baseline, _ = fitter.asls(
            values, lam=smoothness, p=asymmetry, max_iter=iterations - 1, tol=1e-12
        )
        return (baseline,)

    return [partial(call, values) for values in spectra]


def pybaselines_asls_all(case: Path | None, **parameters: Any) -> list[Call]:
    """Pybaselines' asls over all spectra of the case, one after the other."""
    calls = pybaselines_asls(case, **parameters)
    return [lambda: (np.stack([call()[0] for call in calls]),)]


def scipy_savgol(case: Path | None, window: int, order: int, derivative: int) -> list[Call]:
    """scipy.signal.savgol_filter."""
    signal = _package("scipy.signal")
    return [
        partial(lambda v: (signal.savgol_filter(v, window, order, deriv=derivative),), values)
        for values in _load(case, "spectra")
    ]


TASKS = {
    "numpy_query": numpy_query,
    "numpy_batch": numpy_batch,
    "faiss_query": faiss_query,
    "faiss_batch": faiss_batch,
    "scipy_nnls": scipy_nnls,
    "pybaselines_asls": pybaselines_asls,
    "pybaselines_asls_all": pybaselines_asls_all,
    "scipy_savgol": scipy_savgol,
}
