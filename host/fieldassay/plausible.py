"""Can this file be a Raman spectrum at all? Refusals that are clearer than a doubtful verdict.

Pure. What one file format allows is `formats`; whether a Raman spectrum is good enough is
`decide.quality`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FormatError
from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
MIN_POINTS = 60  # a 7 cm-1 instrument needs about as many for the shortest useful range
DOWN_SKEW = 1.0
DOWN_RATIO = 3.0
_SMOOTH_POINTS = 2.5


def require_raman(spectrum: Spectrum) -> None:
    """Refuse what the file or its shape says is no Raman scattering.

    Args:
        spectrum: As read, on any axis.

    Raises:
        FormatError: `not_raman`, `not_scattering`, `too_few_points`, `bands_point_down`.
    """
    kind = spectrum.meta.get("technique", "raman")
    if kind != "raman":
        stated = spectrum.meta.get("data_type", kind)
        raise FormatError(
            "not_raman",
            f"The file says it is not a Raman spectrum ({stated[:60]}).",
            "Compare Raman spectra with the Raman library; correct the data type if it is wrong.",
        )
    quantity = spectrum.meta.get("y_quantity")
    if quantity is not None:
        raise FormatError(
            "not_scattering",
            f"The file holds {quantity}, not the intensity of scattered light.",
            "Export the Raman intensity (counts); an infrared spectrum cannot be compared.",
        )
    if len(spectrum) < MIN_POINTS:
        raise FormatError(
            "too_few_points",
            f"The spectrum has {len(spectrum)} points; at least {MIN_POINTS} are needed.",
            "Export the whole spectrum as it was measured.",
        )
    if bands_point_down(spectrum.intensity):
        raise FormatError(
            "bands_point_down",
            "The bands point downwards, as in transmittance or a subtraction the wrong way round.",
            "Export counts with the dark signal taken off the measurement.",
        )


def bands_point_down(values: Floats) -> bool:
    """True if the bands are dips.

    A band's second derivative is a deep narrow dip between two low shoulders, so its third moment
    is negative for bands that rise. That alone is moved by single wild points; so the far tails
    about a running median, from which single points are gone, must lean the same way.

    Args:
        values: Shape (N,), roughly even spacing.
    """
    if values.size < MIN_POINTS or float(np.ptp(values)) == 0.0:
        return False
    x = np.arange(-8, 9) / _SMOOTH_POINTS
    kernel = np.exp(-0.5 * x**2)
    bend = np.diff(np.convolve(values, kernel / kernel.sum(), mode="valid"), 2)
    bend = (bend - np.median(bend)) / max(float(np.max(np.abs(bend))), 1e-300)
    power = float(np.mean(bend**2))
    if power <= 0.0 or float(np.mean(bend**3)) <= DOWN_SKEW * power**1.5:
        return False
    calm = _running_median(values, 3)
    about = calm - _running_median(calm, max(51, values.size // 12 | 1))
    low, high = (float(v) for v in np.percentile(about, [0.5, 99.5]))
    return low < 0.0 and -low > DOWN_RATIO * max(high, 0.0)


def _running_median(values: Floats, width: int) -> Floats:
    """Median over `width` (odd) neighbours, the ends repeated, shape (N,)."""
    padded = np.pad(values, width // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.asarray(np.median(windows, axis=1), dtype=np.float64)
