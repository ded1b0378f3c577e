"""How noisy a spectrum is, seen from the spectrum itself.

Owns the estimate; the noise a unit's electronics predict comes from `calibration`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
MAD_TO_SIGMA = 1.4826
BLOCK = 64  # points in which noise is taken as one
LAGS = (1, 2, 3, 4, 6, 8)
LONGEST_CM1 = 8.0  # a band of the sharpest units in the field is 6 to 8 wide
ENDED = 1.25  # growth from the last but one lag to the last that still counts as none
# What the quietest quarter shows of the whole, and which part of the smoothing the lags reach: both
# found with white noise smoothed over 3 to 7 points.
QUIETEST, REACHED = 1.25, 0.65
SMOOTHED = 1.4  # growth over all lags from which on noise counts as smoothed


def median(values: Floats) -> float:
    """The same as `np.median` of finite values, shape (N,), N >= 1, in a third of its time."""
    middle = values.size // 2
    ordered = np.partition(values, middle)
    if values.size % 2:
        return float(ordered[middle])
    return (float(ordered[:middle].max()) + float(ordered[middle])) / 2.0


def estimate(values: Floats) -> float:
    """Standard deviation of white noise on smooth `values`, shape (N,).

    Median absolute second difference, scaled for a normal distribution. Bands are few and smooth,
    so they hardly move a median. Noise that was smoothed or interpolated before it reached us is
    underestimated.
    """
    if values.size < 5:
        return 0.0
    second = np.diff(values, 2)
    return float(MAD_TO_SIGMA * median(np.abs(second)) / np.sqrt(6.0))


def correlated(values: Floats, spacing_cm1: float) -> tuple[float, float]:
    """Standard deviation of noise that may have been smoothed, and over how many points it hangs.

    Second differences over L points have the variance 6 of white noise for each L. Of smoothed or
    interpolated noise they grow with L until L is as long as the smoothing, and then no more; of a
    curved signal they grow with L^2. So only growth that ends is taken for smoothed noise, and only
    the quietest quarter of the spectrum is looked at. Where it does not end, or with too few
    points, the answer is `estimate` and 1.

    Args:
        values: Shape (N,), as read.
        spacing_cm1: Distance of two points; distances as long as a band are not looked at, so
            spectra on wide pixels are taken as they are.
    """
    blocks = values.size // BLOCK
    lags = [lag for lag in LAGS if lag * spacing_cm1 <= LONGEST_CM1]
    if blocks < 8 or len(lags) < 4:
        return estimate(values), 1.0
    rows = min((values.size - 2 * lags[-1]) // BLOCK, blocks - 1)
    apart = np.empty((len(lags), rows * BLOCK))
    for own, lag in zip(apart, lags, strict=True):
        second = values[2 * lag :] - 2.0 * values[lag:-lag] + values[: -2 * lag]
        np.abs(second[: own.size], out=own)
    blocked = apart.reshape(len(lags), rows, BLOCK)
    blocked.partition((BLOCK // 2 - 1, BLOCK // 2), axis=2)
    table = MAD_TO_SIGMA * 0.5 * (blocked[..., BLOCK // 2 - 1] + blocked[..., BLOCK // 2])
    table /= np.sqrt(6.0)
    quiet = np.argsort(table[-1], kind="stable")[: max(table.shape[1] // 4, 2)]
    seen = np.median(table[:, quiet], axis=1)
    top = 0.5 * float(seen[-1] + seen[-2])
    if seen[0] <= 0.0 or seen[-1] > ENDED * seen[-2] or top < SMOOTHED * seen[0]:
        return estimate(values), 1.0
    reached = int(np.argmax(seen >= 0.85 * top))
    if reached == 0:
        return estimate(values), 1.0
    low, high = float(seen[reached - 1]), float(seen[reached])
    part = (0.85 * top - low) / max(high - low, 1e-30)
    points = lags[reached - 1] + part * (lags[reached] - lags[reached - 1])
    return QUIETEST * top, float(points) / REACHED


def of(spectrum: Spectrum) -> Floats:
    """Noise of each point, shape (N,): what the spectrum carries, never less than is seen in it."""
    seen = estimate(spectrum.intensity)
    if spectrum.noise is None:
        return np.full(len(spectrum), seen)
    told = spectrum.noise
    middle = median(told)
    return told * max(1.0, seen / middle) if middle > 0 else np.full(len(spectrum), seen)
