"""Peaks of a spectrum with sub-pixel positions and their uncertainty.

Owns detection by prominence and the fit of one peak; positions are in pixels (fractional indices).
What a peak is (which line, which band) is `lamps` and `standards`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GAUSS = 4.0 * np.log(2.0)
# Three-point Gauss-Legendre over one pixel: a pixel collects what falls between its edges.
_NODES = np.array([-0.5, 0.0, 0.5]) * np.sqrt(0.6)
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0
ITERATIONS = 40
SHORTEST = 5  # points a fit needs: centre, width, height, two of the background
NARROWEST_PX = 0.6  # FWHM; narrower than a pixel the centre is the pixel's, not the line's


@dataclass(frozen=True, slots=True)
class Peak:
    """One fitted peak.

    Attributes:
        at_px: Centre, fractional pixel.
        error_px: Its standard uncertainty from the fit's residuals and the noise.
        height: Above the local background, in the spectrum's unit.
        width_px: Full width at half maximum of the fitted shape.
        lorentz: Part of the shape that is Lorentzian, 0..1.
        snr: Height over noise.
        misfit: Residual rms over height: 0.02 is a clean peak, above 0.2 it is none.
    """

    at_px: float
    error_px: float
    height: float
    width_px: float
    lorentz: float
    snr: float
    misfit: float


def noise_of(values: Floats) -> float:
    """Noise of one point, from second differences (robust: bands are few and smooth)."""
    second = np.diff(np.asarray(values, dtype=np.float64), 2)
    found = float(np.median(np.abs(second)) / 0.6745 / np.sqrt(6.0))
    return max(found, 1e-9 * float(np.ptp(values)), 1e-300)


def maxima(values: Floats, min_prominence: float) -> list[int]:
    """Indices of local maxima that rise by `min_prominence` above the higher of their two cols."""
    values = np.asarray(values, dtype=np.float64)
    inner = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1
    found = []
    for at in inner:
        top = values[at]
        if top - values.min() < min_prominence:
            continue
        higher = np.flatnonzero(values[:at] > top)
        left = values[(higher[-1] + 1 if higher.size else 0) : at + 1].min()
        higher = np.flatnonzero(values[at + 1 :] > top)
        right = values[at : at + 1 + (int(higher[0]) if higher.size else values.size)].min()
        if top - max(left, right) >= min_prominence:
            found.append(int(at))
    return found


def find(values: Floats, min_snr: float = 8.0, most: int = 80, lorentz: bool = False) -> list[Peak]:
    """The peaks of a spectrum in the order of pixels.

    Args:
        values: Intensities, shape (N,).
        min_snr: Prominence over noise below which nothing is a peak.
        most: Keep this many, the most prominent.
        lorentz: Fit a pseudo-Voigt instead of a Gaussian.

    Returns:
        Peaks whose fit converged; a saturated (flat) top is left out.
    """
    values = np.asarray(values, dtype=np.float64)
    noise = noise_of(values)
    starts = maxima(values, min_snr * noise)
    starts = sorted(starts, key=lambda i: -values[i])[: most * 2]
    found: list[Peak] = []
    for start in starts:
        if is_flat(values, start):
            continue
        peak = fit(values, float(start), half_px=_half_width(values, start), lorentz=lorentz)
        if peak is None or peak.snr < min_snr or abs(peak.at_px - start) > 1.5:
            continue
        if all(abs(peak.at_px - other.at_px) > 0.7 for other in found):
            found.append(peak)
    found.sort(key=lambda p: -p.height)
    return sorted(found[:most], key=lambda p: p.at_px)


def is_flat(values: Floats, at: int) -> bool:
    """Whether the top is cut off: three points equal to the highest of the spectrum's own top."""
    around = values[max(0, at - 2) : at + 3]
    return bool(np.sum(around >= values[at] * (1 - 1e-6)) >= 3)


def fit(
    values: Floats, start_px: float, half_px: float | None = None, lorentz: bool = False
) -> Peak | None:
    """Fit one peak on a sloping background; None if there is none.

    A Gaussian (or pseudo-Voigt) averaged over each pixel, Levenberg-Marquardt on centre, log width
    and shape; height and background follow linearly at every step (variable projection).

    Args:
        values: Intensities, shape (N,).
        start_px: Where it should be.
        half_px: The window to each side; by default three half widths.
        lorentz: Let the shape be partly Lorentzian.
    """
    values = np.asarray(values, dtype=np.float64)
    at = int(np.clip(round(start_px), 1, values.size - 2))
    half = half_px if half_px is not None else _half_width(values, at)
    low, high = (
        int(max(0, np.floor(start_px - half))),
        int(min(values.size, np.ceil(start_px + half) + 1)),
    )
    if high - low < SHORTEST:
        low, high = max(0, at - 2), min(values.size, at + 3)
        if high - low < SHORTEST:
            return None
    pixels = np.arange(low, high, dtype=np.float64)
    data = values[low:high]
    scale = float(np.ptp(data))
    if scale <= 0:
        return None
    width = max(NARROWEST_PX, 0.9 * half / 1.5)
    point = np.array([start_px, np.log(width), 0.3])[: 3 if lorentz else 2]
    residual, linear = _project(point, pixels, data)
    cost, damping = float(residual @ residual), 1e-2
    for _ in range(ITERATIONS):
        jacobian = _jacobian(point, pixels, data, residual)
        normal = jacobian.T @ jacobian
        step = -np.linalg.solve(
            normal + damping * np.diag(np.diag(normal) + 1e-12 * scale**2), jacobian.T @ residual
        )
        step = np.clip(step, -0.5, 0.5)
        trial = point + step
        if lorentz:
            trial[2] = np.clip(trial[2], 0.0, 1.0)
        trial[1] = np.clip(trial[1], np.log(NARROWEST_PX), np.log(4.0 * (high - low)))
        new_residual, new_linear = _project(trial, pixels, data)
        new_cost = float(new_residual @ new_residual)
        if new_cost < cost:
            done = cost - new_cost < 1e-10 * cost and np.abs(trial[0] - point[0]) < 1e-6
            point, residual, linear, cost = trial, new_residual, new_linear, new_cost
            damping = max(damping / 5.0, 1e-9)
            if done:
                break
        else:
            damping *= 8.0
            if damping > 1e8:
                break
    height = float(linear[0])
    inside = low - 0.5 <= point[0] <= high - 0.5
    if not inside or height <= 0 or not np.isfinite(cost):
        return None
    degrees = max(1, data.size - point.size - 3)
    noise = noise_of(values)
    sigma = float(np.sqrt(cost / degrees))
    jacobian = _jacobian(point, pixels, data, residual)
    try:
        covariance = np.linalg.inv(jacobian.T @ jacobian)
    except np.linalg.LinAlgError:
        return None
    error = float(np.sqrt(max(0.0, covariance[0, 0]))) * max(sigma, noise)
    return Peak(
        at_px=float(point[0]),
        error_px=error,
        height=height,
        width_px=float(np.exp(point[1])),
        lorentz=float(point[2]) if lorentz else 0.0,
        snr=height / noise,
        misfit=float(np.sqrt(cost / data.size)) / height,
    )


def shape(offset_px: Floats, width_px: float, lorentz: float) -> Floats:
    """A line of height 1 averaged over each pixel: (1 - lorentz) Gaussian + lorentz Lorentzian."""
    at = offset_px[:, None] + _NODES[None, :]
    out = (1.0 - lorentz) * np.exp(-GAUSS * (at / width_px) ** 2)
    if lorentz:
        out = out + lorentz / (1.0 + 4.0 * (at / width_px) ** 2)
    return np.asarray(out @ _WEIGHTS, dtype=np.float64)


def _project(point: Floats, pixels: Floats, data: Floats) -> tuple[Floats, Floats]:
    line = shape(
        pixels - point[0], float(np.exp(point[1])), float(point[2]) if len(point) > 2 else 0
    )
    middle = pixels - pixels.mean()
    design = np.stack([line, np.ones_like(line), middle / max(1.0, middle[-1])], axis=1)
    linear = np.linalg.lstsq(design, data, rcond=None)[0]
    return design @ linear - data, linear


def _jacobian(point: Floats, pixels: Floats, data: Floats, residual: Floats) -> Floats:
    columns = []
    for i in range(point.size):
        delta = np.zeros_like(point)
        delta[i] = 1e-4
        columns.append((_project(point + delta, pixels, data)[0] - residual) / 1e-4)
    return np.stack(columns, axis=1)


def _half_width(values: Floats, at: int) -> float:
    """Window to each side: 1.5 times the distance to half height, ended by a rise."""
    top = values[at]
    reach = 2
    for direction in (-1, 1):
        i, lowest = at, top
        while 0 < i + direction < values.size - 1 and abs(i - at) < 60:
            i += direction
            if values[i] < lowest:
                lowest = values[i]
            elif values[i] > lowest + 0.1 * (top - lowest):
                break
        base = lowest
        j = at
        while 0 < j < values.size - 1 and values[j] > (top + base) / 2 and abs(j - at) < 60:
            j += direction
        reach = max(reach, abs(j - at))
    return max(2.0, 1.5 * reach + 0.5)
