"""fieldassay's side: each task is a call of the project's own Python interface.

Runs in the project's environment. A task that is not in TASKS has not been built yet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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


TASKS: dict[str, Callable[..., list[Call]]] = {"nothing": nothing, "pair_triple": pair_triple}
