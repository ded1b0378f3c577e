"""Baselines: what lies under the bands (fluorescence, stray light)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import signal

Floats = NDArray[np.float64]


def asls(
    values: Floats, smoothness: float = 1e6, asymmetry: float = 0.002, iterations: int = 12
) -> Floats:
    """Asymmetric least squares baseline of a spectrum, shape (N,), or of each of several, (S, N).

    Minimises sum w (y - z)^2 + smoothness * sum (second difference of z)^2 with w = asymmetry above
    the baseline and 1 - asymmetry below it (Eilers and Boelens 2005). The system is pentadiagonal
    and solved in O(N).
    """
    return signal.asls(values, smoothness, asymmetry, iterations)


def asls_with_spread(
    values: Floats, smoothness: float = 1e6, asymmetry: float = 0.002, iterations: int = 12
) -> tuple[Floats, Floats]:
    """The same baseline, and its variance at each point over that of a point of weight 1."""
    return signal.asls_with_spread(values, smoothness, asymmetry, iterations)
