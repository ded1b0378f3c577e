"""The bands of a reference: what stands over its baseline, on the scale of its derivative.

Pure. Baselines of references cost more than a fit, so those of the last rows asked for are kept;
a library never changes under its hash.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from fieldassay.library import Library
from fieldassay.preprocess import baseline, recipe, smooth

Floats = NDArray[np.float64]
KEPT = 64
_kept: OrderedDict[tuple[str, int], Floats] = OrderedDict()


def of(library: Library, row: int) -> Floats:
    """Bands of a reference over its baseline, 0 where it has no data, shape (D,), read-only.

    Scaled so that a weight of the row's `linear` is a weight of these bands.
    """
    key = (library.hash, row)
    found = _kept.get(key)
    if found is None:
        found = _made(library, row)
        found.setflags(write=False)
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _made(library: Library, row: int) -> Floats:
    entry = library.entries[row]
    first = max(entry.first - recipe.EDGE_COLUMNS, 0)
    last = min(entry.last + recipe.EDGE_COLUMNS, library.raw.shape[1])
    raw = library.raw[row, first:last].astype(np.float64)
    slope = smooth.band_derivative(raw, recipe.SIGMA_CM1, recipe.BACKGROUND_CM1)
    slope = slope[entry.first - first : entry.last - first]
    own = library.linear[row, entry.first : entry.last].astype(np.float64)
    scale = float(own @ slope) / max(float(slope @ slope), 1e-300)
    bands = np.zeros(library.raw.shape[1])
    bands[first:last] = (raw - baseline.asls(raw)) * scale
    return bands
