"""Smoothing and differentiation on an even grid, with what they do to the noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import signal

Floats = NDArray[np.float64]


@lru_cache(maxsize=32)
def derivative_kernel(sigma_points: float) -> Floats:
    """First derivative of a Gaussian, 4 sigma to each side, scaled so that a unit slope gives 1."""
    half = int(np.ceil(4.0 * sigma_points))
    x = np.arange(-half, half + 1, dtype=np.float64)
    kernel = x * np.exp(-0.5 * (x / sigma_points) ** 2)
    kernel /= np.sum(kernel * x)
    kernel.setflags(write=False)
    return kernel


@lru_cache(maxsize=32)
def _band_taps(sigma_points: float, background_points: float) -> Floats:
    """Right half of the narrow kernel less the wide one: one pass does the work of two."""
    fine, wide = derivative_kernel(sigma_points), derivative_kernel(background_points)
    taps = np.zeros(max(fine.size, wide.size) // 2)
    taps[: fine.size // 2] += fine[fine.size // 2 + 1 :]
    taps[: wide.size // 2] -= wide[wide.size // 2 + 1 :]
    taps.setflags(write=False)
    return taps


def gaussian_derivative(values: Floats, sigma_points: float) -> Floats:
    """Smoothed first derivative, shape (N,); the ends are continued with the slope they have."""
    kernel = derivative_kernel(sigma_points)
    return signal.odd_kernel(values, kernel[kernel.size // 2 + 1 :])


def band_derivative(values: Floats, sigma_points: float, background_points: float) -> Floats:
    """Smoothed first derivative without the slopes of everything broad, shape (N,).

    The derivative at a much wider smoothing is subtracted: fluorescence, far broader than a
    band, drops out. Linear, so the result for a sum of spectra is the sum of their results.
    """
    return signal.odd_kernel(values, _band_taps(sigma_points, background_points))


def derivative_noise(noise: Floats, spacing_points: Floats, sigma_points: float) -> Floats:
    """Noise of the derivative, shape (N,); a native sample covers `spacing_points` grid points."""
    kernel = derivative_kernel(sigma_points)
    return noise * np.sqrt(np.maximum(spacing_points, 1e-9) * float(np.sum(kernel**2)))
