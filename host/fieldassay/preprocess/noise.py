"""How noisy a spectrum is, seen from the spectrum itself.

Owns the estimate; the noise a unit's electronics predict comes from `calibration`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
MAD_TO_SIGMA = 1.4826


def estimate(values: Floats) -> float:
    """Standard deviation of white noise on smooth `values`, shape (N,).

    Median absolute second difference, scaled for a normal distribution. Bands are few and smooth,
    so they hardly move a median. Noise that was smoothed or interpolated before it reached us is
    underestimated.
    """
    if values.size < 5:
        return 0.0
    second = np.diff(values, 2)
    return float(MAD_TO_SIGMA * np.median(np.abs(second)) / np.sqrt(6.0))


def of(spectrum: Spectrum) -> Floats:
    """Noise of each point, shape (N,): what the spectrum carries, never less than is seen in it."""
    seen = estimate(spectrum.intensity)
    if spectrum.noise is None:
        return np.full(len(spectrum), seen)
    told = spectrum.noise
    middle = float(np.median(told))
    return told * max(1.0, seen / middle) if middle > 0 else np.full(len(spectrum), seen)
