"""What a measurement is worth: signal to noise, background, saturation, range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.explain import Explanation, Scene
from fieldassay.preprocess import baseline, noise
from fieldassay.spectrum import Spectrum
from fieldassay.verdict import Quality

Floats = NDArray[np.float64]


def measure(
    spectrum: Spectrum, scene: Scene, singles: list[Explanation], saturated: bool
) -> Quality:
    """Figures of merit of a prepared measurement."""
    measured = scene.prepared.measured
    below = baseline.asls(measured.intensity)
    bands = measured.intensity - below
    told = measured.noise if measured.noise is not None else np.zeros(len(measured))
    sigma = np.maximum(told, max(float(np.ptp(measured.intensity)), 1e-12) * 1e-6)
    at = int(np.argmax(bands))
    height = max(float(bands[at]), 1e-12)
    lo, hi = scene.prepared.window
    grid = scene.library.grid_cm1
    clipped = looks_clipped(spectrum.intensity, noise.median(sigma))
    return Quality(
        snr=float(bands[at] / sigma[at]),
        axis_shift_cm1=singles[0].shift_cm1 if singles else 0.0,
        saturated=saturated or clipped,
        range_cm1=(float(grid[min(lo, grid.size - 1)]), float(grid[min(hi, grid.size) - 1])),
        details={
            "agreement": singles[0].agreement if singles else 0.0,
            **_axis_of(singles),
            "bands": singles[0].bands if singles else 0.0,
            "background_ratio": float(np.ptp(below)) / height,
            "informative_columns": float(scene.informative_columns),
            "noise": noise.median(told),
            "spikes_removed": float(scene.prepared.spikes),
        },
    )


def _axis_of(singles: list[Explanation]) -> dict[str, float]:
    """Errors of shift and stretch are left out where no candidate allows an estimate."""
    if not singles:
        return {}
    best = singles[0]
    found = {"axis_stretch_ppm": best.stretch * 1e6, "broadening_cm1": best.broadening_cm1}
    if np.isfinite(best.axis.shift_error_cm1):
        found["axis_shift_error_cm1"] = best.axis.shift_error_cm1
        found["axis_stretch_error_ppm"] = best.axis.stretch_error * 1e6
    return found


def looks_clipped(values: Floats, sigma: float) -> bool:
    """True if four or more neighbours share the exact maximum, far above the noise: full scale."""
    top = float(values.max())
    if top - noise.median(values) < 20.0 * sigma:
        return False
    at_top = np.flatnonzero(values == top)
    return bool(at_top.size >= 4 and np.any(at_top[3:] - at_top[:-3] == 3))
