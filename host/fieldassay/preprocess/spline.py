"""The cubic spline through measured points, as `scipy.interpolate.CubicSpline` draws it.

Here because importing scipy.interpolate takes as long as seven identifications; a test holds the
two together to the last digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

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
    if x.size < 4:  # one polynomial through them all
        return np.asarray(np.polyval(np.polyfit(x - x[0], y, x.size - 1), at - x[0]))
    step = np.diff(x)
    rise = np.diff(y) / step
    system, right = np.zeros((3, x.size)), np.empty(x.size)
    system[0, 2:] = step[:-1]
    system[1, 1:-1] = 2 * (step[:-1] + step[1:])
    system[2, :-2] = step[1:]
    right[1:-1] = 3 * (step[1:] * rise[:-1] + step[:-1] * rise[1:])
    two = x[2] - x[0]
    system[1, 0], system[0, 1] = step[1], two
    right[0] = ((step[0] + 2 * two) * step[1] * rise[0] + step[0] ** 2 * rise[1]) / two
    two = x[-1] - x[-3]
    system[1, -1], system[2, -2] = step[-2], two
    right[-1] = (step[-1] ** 2 * rise[-2] + (2 * two + step[-1]) * step[-2] * rise[-1]) / two
    slope = solve_banded((1, 1), system, right, check_finite=False)
    bend = (slope[:-1] + slope[1:] - 2 * rise) / step
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, x.size - 2)
    u = at - x[i]
    square = ((rise - slope[:-1]) / step - bend)[i]
    return np.asarray(y[i] + slope[i] * u + square * (u * u) + (bend / step)[i] * (u * u * u))
