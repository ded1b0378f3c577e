"""How two instruments differ on one substance: axis shift and stretch, line width, response.

Owns the estimates, each within a stated prior. Pure, arrays in and out; which references are tried
is `explain`. All of it bends the measurement or adds a nuisance to the fit; no reference is changed
in the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import agree

Floats = NDArray[np.float64]
ORDER = 2  # highest power of the response's factor


@dataclass(frozen=True, slots=True)
class AxisFit:
    """What the axis of the measurement does against a reference.

    A band at x of the reference is measured at x + shift_cm1 + stretch * (x - centre).

    Attributes:
        shift_cm1, stretch: The most probable values.
        shift_error_cm1, stretch_error: Standard errors, jackknife over segments of the axis.
        witnesses: Effective number of segments that carry the estimate.
    """

    shift_cm1: float
    stretch: float
    shift_error_cm1: float
    stretch_error: float
    witnesses: float


def axis(
    measured: Floats, reference: Floats, guess_cm1: float, prior: Mapping[str, float]
) -> AxisFit:
    """Shift and stretch that bring two compressed derivatives together best.

    The axis is cut into segments. In each, the products of the reference with the measurement moved
    by whole columns are added up; between columns the sums are interpolated (quadratically). All
    pairs of shift and stretch are then compared by the sum over segments of what each segment says
    at the local shift of that pair, less the prior. Errors are those of a jackknife over segments.

    Args:
        measured: Compressed, on the grid, moved by `guess_cm1` already, shape (D,).
        reference: Compressed, shape (D,), 0 where not compared.
        guess_cm1: The shift that was taken off `measured`.
        prior: `max_shift_cm1`, `penalty_per_cm1_squared`, `stretch_sd`, `stretch_penalty`.
    """
    return AxisFit(*agree.axis(measured, reference, guess_cm1, prior))


def moved(values: Floats, shift_cm1: float, stretch: float) -> Floats:
    """`values` read where a reference band would be measured, shape (D,)."""
    return agree.moved(values, shift_cm1, stretch)


def broadened(values: Floats, sigma_columns: float) -> Floats:
    """Convolution with a Gaussian, shape (D,); 0 is taken beyond the ends."""
    return agree.broadened(values, sigma_columns) if sigma_columns > 0.0 else values


def powers(place: Floats) -> Floats:
    """1, t, … t^4 of `place`, shape (5, N): what `response` needs; the same for all models."""
    rows = [np.ones_like(place)]
    for _ in range(2 * ORDER):
        rows.append(rows[-1] * place)
    return np.stack(rows)


def response(a: Floats, b: Floats, of_place: Floats, sd: float) -> Floats:
    """The smooth factor on model `b` that brings it closest to `a`, shape (N,), all > 0.

    A ridge fit of a = b * (c0 + c1 t + c2 t^2): the prior on c1 / c0 and c2 / c0 is normal with
    standard deviation `sd`, at the error that is left without any factor. Both are compressed, so
    a factor f here is f^3 in intensity.

    Args:
        a: Measured, compressed, shape (N,).
        b: Model, compressed, shape (N,).
        of_place: `powers` of t, which is -1 to 1 over the grid, shape (5, N).
        sd: Prior standard deviation of each coefficient.
    """
    square = b * b
    moments = of_place @ square
    along = of_place[: ORDER + 1] @ (a * b)
    power, cross = float(moments[0]), float(along[0])
    if power <= 0.0 or cross <= 0.0:
        return np.ones_like(a)
    scale = cross / power
    # The error a segment makes is not independent from column to column: one per 25 columns.
    variance = max(float(a @ a) - scale * cross, 0.0) / a.size * 25.0
    n = np.arange(ORDER + 1)
    gram = moments[n[:, None] + n]
    ridge = variance / (sd * scale) ** 2
    gram[n, n] += np.where(n > 0, ridge, 0.0) + 1e-12 * power
    change = np.linalg.solve(gram, along - scale * moments[: ORDER + 1]) / scale
    factor = 1.0 + change @ of_place[: ORDER + 1]
    return np.asarray(np.minimum(np.maximum(factor, 0.5), 2.0))
