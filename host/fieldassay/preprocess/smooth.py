"""Smoothing and differentiation on an even grid, with what they do to the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def derivative_kernel(sigma_points: float) -> Floats:
    """First derivative of a Gaussian, 4 sigma to each side, scaled so that a unit slope gives 1."""
    half = int(np.ceil(4.0 * sigma_points))
    x = np.arange(-half, half + 1, dtype=np.float64)
    kernel = x * np.exp(-0.5 * (x / sigma_points) ** 2)
    return kernel / np.sum(kernel * x)


def gaussian_derivative(values: Floats, sigma_points: float) -> Floats:
    """Smoothed first derivative, shape (N,); the ends are continued with the slope they have."""
    kernel = derivative_kernel(sigma_points)
    padded = np.pad(values, kernel.size // 2, mode="reflect", reflect_type="odd")
    return np.convolve(padded, kernel[::-1], mode="valid")


def band_derivative(values: Floats, sigma_points: float, background_points: float) -> Floats:
    """Smoothed first derivative without the slopes of everything broad, shape (N,).

    The derivative at a much wider smoothing is subtracted: fluorescence, far broader than a
    band, drops out. Linear, so the result for a sum of spectra is the sum of their results.
    """
    fine = gaussian_derivative(values, sigma_points)
    return fine - gaussian_derivative(values, background_points)


def derivative_noise(noise: Floats, spacing_points: Floats, sigma_points: float) -> Floats:
    """Noise of the derivative, shape (N,); a native sample covers `spacing_points` grid points."""
    kernel = derivative_kernel(sigma_points)
    return noise * np.sqrt(np.maximum(spacing_points, 1e-9) * float(np.sum(kernel**2)))
