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

Floats = NDArray[np.float64]
SEGMENT_COLUMNS = 64  # a few bands: enough to feel a shift, short enough that stretch is constant
LAGS = 4  # cm-1 to each side of the first guess
FINE = 4  # hypotheses of the shift per cm-1
STRETCHES = 9
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
    measured: Floats,
    reference: Floats,
    columns: Floats,
    guess_cm1: float,
    prior: Mapping[str, float],
) -> AxisFit:
    """Shift and stretch that bring two compressed derivatives together best.

    The axis is cut into segments. In each, the products of the reference with the measurement moved
    by whole columns are added up; between columns the sums are interpolated (quadratically). All
    pairs of shift and stretch are then compared by the sum over segments of what each segment says
    at the local shift of that pair, less the prior.

    Args:
        measured: Compressed, on the grid, moved by `guess_cm1` already, shape (D,).
        reference: Compressed, shape (D,), 0 where not compared.
        columns: Distance of each column from the centre of the axis in cm-1, shape (D,).
        guess_cm1: The shift that was taken off `measured`.
        prior: `max_shift_cm1`, `penalty_per_cm1_squared`, `stretch_sd`, `stretch_penalty`.
    """
    size = reference.size
    used = np.flatnonzero(reference)
    if used.size < 3:
        return AxisFit(guess_cm1, 0.0, np.inf, np.inf, 0.0)
    first, last = int(used[0]), int(used[-1]) + 1
    starts = np.arange(0, last - first, SEGMENT_COLUMNS)
    padded = np.zeros(size + 2 * LAGS)
    padded[LAGS : LAGS + size] = measured
    own = reference[first:last]
    table = np.empty((2 * LAGS + 1, starts.size))
    for lag in range(2 * LAGS + 1):
        table[lag] = np.add.reduceat(padded[first + lag : last + lag] * own, starts)
    energy = np.add.reduceat(own * own, starts)
    norm = float(np.linalg.norm(own) * np.linalg.norm(measured[first:last]))
    if norm <= 0.0:
        return AxisFit(guess_cm1, 0.0, np.inf, np.inf, 0.0)
    middle = np.minimum(starts + SEGMENT_COLUMNS / 2, last - first - 1).astype(np.int64)
    place = columns[first + middle]
    fine = np.arange(-(LAGS - 1) * FINE, (LAGS - 1) * FINE + 1) / FINE
    widest = 3.0 * prior["stretch_sd"]
    stretches = np.linspace(-widest, widest, STRETCHES)
    local = np.clip(
        fine[:, None, None] + stretches[None, :, None] * place, -LAGS, LAGS
    )  # (shift, stretch, segment)
    said = _at(table, local) / norm
    shifts = guess_cm1 + fine
    toll = (
        prior["penalty_per_cm1_squared"] * shifts[:, None] ** 2
        + prior["stretch_penalty"] * (stretches / prior["stretch_sd"])[None, :] ** 2
        + np.where(np.abs(shifts) > prior["max_shift_cm1"] + 1e-9, 1e3, 0.0)[:, None]
    )
    total = said.sum(axis=2) - toll
    shift, stretch = _peak(total, shifts, stretches)
    # Jackknife: what the others say without each segment in turn.
    without = total[:, :, None] - said
    flat = without.reshape(-1, starts.size)
    at = np.argmax(flat, axis=0)
    left_shift, left_stretch = shifts[at // STRETCHES], stretches[at % STRETCHES]
    n = starts.size
    spread = (n - 1) / n
    weight = energy / float(energy.sum())
    return AxisFit(
        shift_cm1=shift,
        stretch=stretch,
        shift_error_cm1=_error(left_shift, spread),
        stretch_error=_error(left_stretch, spread),
        witnesses=float(1.0 / np.sum(weight**2)),
    )


def _error(values: Floats, spread: float) -> float:
    return float(np.sqrt(spread * np.sum((values - values.mean()) ** 2)))


def _at(table: Floats, local: Floats) -> Floats:
    """Quadratic interpolation of table[lag, segment] at fractional lags, shape of `local`."""
    nearest = np.clip(np.rint(local).astype(np.int64), -LAGS + 1, LAGS - 1)
    rest = local - nearest
    segment = np.arange(table.shape[1])
    left, mid, right = (table[nearest + LAGS + step, segment] for step in (-1, 0, 1))
    return np.asarray(
        mid + 0.5 * rest * (right - left) + 0.5 * rest * rest * (right - 2.0 * mid + left)
    )


def _peak(total: Floats, shifts: Floats, stretches: Floats) -> tuple[float, float]:
    """The highest point, refined by a parabola along the shift."""
    i, j = np.unravel_index(int(np.argmax(total)), total.shape)
    shift = float(shifts[i])
    if 0 < i < shifts.size - 1:
        low, top, high = (float(total[i + step, j]) for step in (-1, 0, 1))
        bend = low - 2.0 * top + high
        if bend < 0.0:
            step = float(shifts[1] - shifts[0])
            shift += step * float(np.clip(0.5 * (low - high) / bend, -0.5, 0.5))
    return shift, float(stretches[j])


def moved(values: Floats, columns: Floats, shift_cm1: float, stretch: float) -> Floats:
    """`values` read where a reference band would be measured, shape (D,)."""
    grid = np.arange(values.size, dtype=np.float64)
    return np.asarray(np.interp(grid + shift_cm1 + stretch * columns, grid, values))


def broadened(values: Floats, sigma_columns: float) -> Floats:
    """Convolution with a Gaussian, same shape along the last axis; 0 is taken beyond the ends."""
    if sigma_columns <= 0.0:
        return values
    half = int(np.ceil(3.5 * sigma_columns))
    x = np.arange(-half, half + 1)
    kernel = np.exp(-0.5 * (x / sigma_columns) ** 2)
    return np.asarray(np.convolve(values, kernel / kernel.sum(), mode="same"))


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
