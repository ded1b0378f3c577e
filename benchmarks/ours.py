"""fieldassay's side: each task is a call of the project's own Python interface.

Runs in the project's environment. A task that is not in TASKS has not been built yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.identification import identify
from benchmarks.worker import Call


def _load(case: Path | None, name: str) -> Any:
    assert case is not None
    return np.load(case / f"{name}.npy")


def nothing(case: Path | None) -> list[Call]:
    """Only what importing the search needs: the memory of an empty process."""
    import fieldassay.kernel.search  # noqa: F401

    return []


def pair_triple(case: Path | None) -> list[Call]:
    """The best pair and the best triple of all references; the Gram matrix is there already."""
    from fieldassay.kernel import fits

    library = _load(case, "library")
    window = (0, library.shape[1])
    gram = fits.gram(library, window)

    def call(query: Any) -> tuple[Any, Any]:
        along = fits.along(library, query, window)
        pair = fits.best_subsets(gram, along, None, 2, 1)[0]
        triple = fits.best_subsets(gram, along, None, 3, 1)[0]
        return (*pair.ids, *triple.ids), (pair.explained, triple.explained)

    return [partial(call, query.astype(np.float64)) for query in _load(case, "queries")]


def _planes_folder(case: Path) -> Path:
    """Where the planes of a case are kept; another folder when the code that makes them changes."""
    import fieldassay.kernel.planes

    code = Path(fieldassay.kernel.planes.__file__)
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(code.read_bytes())
    for source in sorted((root / "native").glob("fa_*.[ch]")):
        digest.update(source.read_bytes())
    return case / f"planes-{digest.hexdigest()[:12]}"


def store(case: Path | None) -> list[Call]:
    """Builds the planes of a case once and writes them beside it, as a library file has them."""
    from fieldassay.kernel.planes import build_planes

    assert case is not None
    folder = _planes_folder(case)
    if not (folder / "valid.npy").exists():
        folder.mkdir(exist_ok=True)
        library = _load(case, "library")
        rows, columns = library.shape
        valid = np.tile(np.array([0, columns], dtype=np.int32), (rows, 1))
        for name, plane in build_planes(library, valid).items():
            np.save(folder / f"{name}.npy", plane)
        np.save(folder / "valid.npy", valid)
    return []


def _index(case: Path | None, mapped: bool = False) -> Any:
    from fieldassay.kernel.planes import TYPES
    from fieldassay.kernel.search import Index

    assert case is not None
    store(case)
    mode = "r" if mapped else None
    folder = _planes_folder(case)
    planes = {name: np.load(folder / f"{name}.npy", mmap_mode=mode) for name in TYPES}
    library = np.load(case / "library.npy", mmap_mode=mode)
    return Index(library, np.load(folder / "valid.npy", mmap_mode=mode), planes)


def query(case: Path | None, k: int, queries: str = "queries") -> list[Call]:
    """The k references with the largest inner product, one query a call."""
    index = _index(case)
    return [partial(index.nearest, row, k) for row in _load(case, queries)]


def stored_query(case: Path | None, k: int) -> list[Call]:
    """The same with library and planes mapped from files, as a library file is."""
    index = _index(case, mapped=True)
    return [partial(index.nearest, row, k) for row in _load(case, "queries")]


def batch(case: Path | None, k: int, queries: str = "queries") -> list[Call]:
    """All queries in one call."""
    index = _index(case)
    wanted = _load(case, queries)

    def call() -> tuple[Any, Any]:
        hits, _ = index.nearest_many(wanted, k)
        return hits["row"], hits["score"]

    return [call]


def asls(case: Path | None, smoothness: float, asymmetry: float, iterations: int) -> list[Call]:
    """The baseline of one spectrum a call."""
    from fieldassay.kernel import signal

    def call(values: Any) -> tuple[Any]:
        return (signal.asls(values, smoothness, asymmetry, iterations),)

    return [partial(call, values) for values in _load(case, "spectra")]


def asls_batch(
    case: Path | None, smoothness: float, asymmetry: float, iterations: int
) -> list[Call]:
    """The baselines of all spectra in one call."""
    from fieldassay.kernel import signal

    spectra = _load(case, "spectra")
    return [lambda: (signal.asls(spectra, smoothness, asymmetry, iterations),)]


def savgol(case: Path | None, window: int, order: int, derivative: int) -> list[Call]:
    """Savitzky-Golay of one spectrum a call."""
    from fieldassay.kernel import signal

    def call(values: Any) -> tuple[Any]:
        return (signal.savgol(values, window, order, derivative),)

    return [partial(call, values) for values in _load(case, "spectra")]


TASKS: dict[str, Callable[..., list[Call]]] = {
    "nothing": nothing,
    "store": store,
    "query": query,
    "stored_query": stored_query,
    "batch": batch,
    "pair_triple": pair_triple,
    "asls": asls,
    "asls_batch": asls_batch,
    "savgol": savgol,
    "identify": identify,
}
