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
    """Smoothed first derivative, shape (N,); beyond the ends the edge value is repeated."""
    kernel = derivative_kernel(sigma_points)
    half = kernel.size // 2
    padded = np.pad(values, half, mode="edge")
    return np.convolve(padded, kernel[::-1], mode="valid")


def derivative_noise(noise: Floats, spacing_points: Floats, sigma_points: float) -> Floats:
    """Noise of the derivative, shape (N,); a native sample covers `spacing_points` grid points."""
    kernel = derivative_kernel(sigma_points)
    return noise * np.sqrt(np.maximum(spacing_points, 1e-9) * float(np.sum(kernel**2)))
