"""The cubic spline through measured points, as `scipy.interpolate.CubicSpline` draws it.

From the kernel, as importing scipy takes as long as many identifications; a test holds the two
together to the last digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import signal

Floats = NDArray[np.float64]


def cubic(x: Floats, y: Floats, at: Floats) -> Floats:
    """Values at `at`, shape (M,), of the not-a-knot cubic spline.

    The unknowns are the slopes at the points: the second derivative is continuous at each inner
    one, and the third at the second and the last but one (de Boor, A Practical Guide to Splines,
    chapter IV).

    Args:
        x: Strictly increasing, shape (N,), N >= 2.
        y: Shape (N,).
        at: Positions between the first and the last of `x`.
    """
    return signal.spline(x, y, at)
