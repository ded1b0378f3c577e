"""Baselines: what lies under the bands (fluorescence, stray light)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Floats = NDArray[np.float64]


def asls(
    values: Floats, smoothness: float = 1e6, asymmetry: float = 0.002, iterations: int = 12
) -> Floats:
    """Asymmetric least squares baseline, shape (N,).

    Minimises sum w (y - z)^2 + smoothness * sum (second difference of z)^2 with w = asymmetry above
    the baseline and 1 - asymmetry below it (Eilers and Boelens 2005). The system is pentadiagonal
    and solved in O(N).
    """
    n = values.size
    if n < 5:
        return np.full(n, float(values.min()))
    diagonal = np.full(n, 6.0)
    diagonal[[0, -1]], diagonal[[1, -2]] = 1.0, 5.0
    first = np.full(n, -4.0)
    first[[1, -1]] = -2.0
    bands = np.zeros((3, n))
    bands[0, 2:] = smoothness
    bands[1, 1:] = smoothness * first[1:]
    weights = np.ones(n)
    baseline = values
    for _ in range(iterations):
        bands[2] = smoothness * diagonal + weights
        baseline = solveh_banded(bands, weights * values, check_finite=False)
        weights = np.where(values > baseline, asymmetry, 1.0 - asymmetry)
    return np.asarray(baseline, dtype=np.float64)
