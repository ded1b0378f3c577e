"""The steps between a measured spectrum and what is compared, in C.

Owns the calls of `native/fa_signal.h`, which says what bad input gives. Does not own the order of
the steps or their parameters (`preprocess`). The numpy and scipy twins are in
tests/native/test_signal.py. C-contiguous float64 arrays are not copied; a size or parameter out of
range is a ValueError, a value that is not finite is not: it spreads to the results it enters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fieldassay._kernel import ffi, lib

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
_BEST = int(lib.FA_PATH_BEST)
_OK = int(lib.FA_OK)
_doubles = ffi.typeof("double[]")
_floats = ffi.typeof("float[]")
_view = ffi.from_buffer
_double = np.dtype(np.float64)


def asls(
    values: Floats,
    smoothness: float,
    asymmetry: float,
    iterations: int,
    *,
    path: int = _BEST,
) -> Floats:
    """Asymmetric least-squares baseline of one spectrum (N,) or of each of several (S, N).

    A spectrum gets the same bits alone and among others. Less than five points: the smallest value.

    Args:
        values: Shape (N,) or (S, N), N >= 1.
        smoothness: Weight of the second differences, 0 to 1e12.
        asymmetry: Weight of points above the baseline, between 0 and 1; those below get the rest.
        iterations: Solutions at most; where the weights repeat it stops, as the next were equal.
        path: For tests: which instructions (`FA_PATH_*`).
    """
    values = _plain(values)
    out = np.empty(values.shape)
    count, n = _count(values)
    work = np.empty(lib.fa_asls_work(count, n))
    _check(
        lib.fa_asls(
            _view(_doubles, values), values.size, count, n, smoothness, asymmetry, iterations,
            _view(_doubles, out), out.size, ffi.NULL, 0, _view(_doubles, work), work.size, path,
        )
    )  # fmt: skip
    return out


def asls_with_spread(
    values: Floats,
    smoothness: float,
    asymmetry: float,
    iterations: int,
    *,
    path: int = _BEST,
) -> tuple[Floats, Floats]:
    """As `asls`, and the diagonal of (W + smoothness D'D)^-1 at the last weights, same shapes.

    That is the variance of the baseline at each point in units of the noise variance of a point of
    weight 1, if the weights are taken as inverse variances and the roughness penalty as a prior.
    Exact (selected inversion from the banded factors), for the weights found: that they depend on
    the data is left out.
    """
    values = _plain(values)
    out, spread = np.empty(values.shape), np.empty(values.shape)
    count, n = _count(values)
    work = np.empty(lib.fa_asls_work(count, n))
    _check(
        lib.fa_asls(
            _view(_doubles, values), values.size, count, n, smoothness, asymmetry, iterations,
            _view(_doubles, out), out.size, _view(_doubles, spread), spread.size,
            _view(_doubles, work), work.size, path,
        )
    )  # fmt: skip
    return out, spread


def spline(x: Floats, y: Floats, at: Floats) -> Floats:
    """Not-a-knot cubic spline through (x, y), at `at`, shape (M,); fastest where `at` rises.

    Args:
        x: Strictly increasing, shape (N,), N >= 2; three points give a parabola, two a line.
        y: Shape (N,).
        at: Shape (M,); outside `x` the end pieces go on.
    """
    x, y, at = _plain(x), _plain(y), _plain(at)
    out, work = np.empty(at.size), np.empty(4 * x.size)
    _check(
        lib.fa_spline(
            _view(_doubles, x), x.size, _view(_doubles, y), y.size, x.size,
            _view(_doubles, at), at.size, at.size, _view(_doubles, out), out.size,
            _view(_doubles, work), work.size,
        )
    )  # fmt: skip
    return out


def odd_kernel(values: Floats, taps: Floats, *, path: int = _BEST) -> Floats:
    """Sum over k of taps[k - 1] (y[i + k] - y[i - k]), shape (N,); the ends go on reflected, odd.

    Args:
        values: Shape (N,), N >= 1.
        taps: Right half of an odd kernel, shape (H,).
        path: For tests.
    """
    values, taps = _plain(values), _plain(taps)
    n, half = values.size, taps.size
    out, work = np.empty(n), np.empty(n + 2 * half)
    _check(
        lib.fa_odd_kernel(
            _view(_doubles, values), n, n, _view(_doubles, taps), half, half,
            _view(_doubles, out), n, _view(_doubles, work), work.size, path,
        )
    )  # fmt: skip
    return out


def savgol(
    values: Floats,
    window: int,
    order: int,
    derivative: int = 0,
    spacing: float = 1.0,
    *,
    path: int = _BEST,
) -> Floats:
    """Savitzky-Golay smoothing or derivative, shape (N,); the ends from the first and last windows.

    Args:
        values: Shape (N,), N >= window.
        window: Odd number of points.
        order: Of the polynomial, less than `window`.
        derivative: Which derivative; 0 smooths.
        spacing: Distance of the points.
        path: For tests.
    """
    values = _plain(values)
    matrix = _savgol_matrix(window, order, derivative, spacing)
    out = np.empty(values.size)
    _check(
        lib.fa_savgol(
            _view(_doubles, values), values.size, values.size, _view(_doubles, matrix), matrix.size,
            window, _view(_doubles, out), out.size, path,
        )
    )  # fmt: skip
    return out


def despike(
    values: Floats, noise: Floats, height_sigma: float, sharpness: float
) -> tuple[Floats, int]:
    """Values without spikes, shape (N,), and how many; `preprocess.despike` has the rule."""
    values, noise = _plain(values), _plain(noise)
    n = values.size
    out, work = np.empty(n), np.empty(n)
    spikes = ffi.new("size_t *")
    _check(
        lib.fa_despike(
            _view(_doubles, values), n, _view(_doubles, noise), noise.size, n, height_sigma,
            sharpness, _view(_doubles, out), n, spikes, _view(_doubles, work), n,
        )
    )  # fmt: skip
    return out, int(spikes[0])


def compress(values: Floats, threshold: Floats, power: float, *, path: int = _BEST) -> Floats:
    """sign(y) max(|y| - threshold, 0)^power, all of one shape, power > 0; fastest for 1/3."""
    values, threshold = _plain(values), _plain(threshold)
    n = values.size
    if threshold.size != n:
        raise ValueError(f"{threshold.size} thresholds for {n} values")
    out = np.empty(values.shape)
    _check(
        lib.fa_compress(
            _view(_doubles, values), n, _view(_doubles, threshold), threshold.size, n, power,
            _view(_doubles, out), n, path,
        )
    )  # fmt: skip
    return out


def shifted(values: Floats, shifts: Floats, *, path: int = _BEST) -> Rows:
    """Row v holds y at i + shifts[v], float32, shape (len(shifts), N): linear between the points.

    Args:
        values: Shape (N,), N >= 1.
        shifts: In points, at most 1e6 either way.
        path: For tests.
    """
    values, shifts = _plain(values), _plain(shifts)
    n, count = values.size, shifts.size
    out = np.empty((count, n), dtype=np.float32)
    _check(
        lib.fa_shifted(
            _view(_doubles, values), n, n, _view(_doubles, shifts), count, count,
            _view(_floats, out), out.size, n, path,
        )
    )  # fmt: skip
    return out


@lru_cache(maxsize=32)
def _savgol_matrix(window: int, order: int, derivative: int, spacing: float) -> Floats:
    """Row r: weights of the window's points in the derivative of the fit at point r."""
    if window < 1 or window % 2 == 0 or not 0 <= order < window or derivative < 0:
        raise ValueError(f"no Savitzky-Golay filter of window {window} and order {order}")
    half = window // 2
    scale = float(max(half, 1))  # positions from -1 to 1 keep the powers apart
    at = np.arange(-half, half + 1) / scale
    powers = at[:, None] ** np.arange(order + 1)
    coefficients = np.linalg.pinv(powers)
    for _ in range(derivative):
        coefficients = coefficients[1:] * np.arange(1, coefficients.shape[0])[:, None]
    wanted = at[:, None] ** np.arange(coefficients.shape[0])
    matrix = np.ascontiguousarray(wanted @ coefficients / (scale * spacing) ** derivative)
    matrix.setflags(write=False)
    return matrix


def _plain(values: Floats) -> Floats:
    if values.dtype is _double and values.flags.c_contiguous:
        return values
    return np.ascontiguousarray(values, dtype=np.float64)


def _count(values: Floats) -> tuple[int, int]:
    return (1, values.size) if values.ndim == 1 else (values.shape[0], values.shape[1])


def _check(status: int) -> None:
    if status != _OK:
        raise ValueError(f"the kernel refused its arguments ({status})")
