"""A measurement made ready for comparison: on the library's grid, with noise and axis hypotheses.

Owns running the recipe on a measurement and what is kept of it. Pure. Which reference explains it
is `explain`; the steps are `preprocess`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fieldassay.library import Library
from fieldassay.preprocess import noise, normalize, recipe
from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
WIDEST_LINE_CM1 = 50.0  # a stated resolution above that is of something else


@dataclass(frozen=True, slots=True)
class Prepared:
    """A measurement on the library's grid.

    Attributes:
        measured: On the grid points it covers, despiked, with noise.
        linear: Derivative on the whole grid, 0 outside, shape (D,).
        noise: Standard deviation of `linear`, shape (D,).
        threshold: Noise threshold of the derivative, shape (D,).
        window: Columns [lo, hi) that may be compared at any shift.
        shifts: Axis hypotheses in cm-1, shape (V,).
        penalty: Prior on them, shape (V,).
        axis: The prior of `align`, the [axis] section of decision.toml.
        spikes: Cosmic rays removed.
        resolution_cm1: Width of a line (full, at half height) that the file states; None: it does
            not.
    """

    measured: Spectrum
    linear: Floats
    noise: Floats
    threshold: Floats
    window: tuple[int, int]
    shifts: Floats
    penalty: Floats
    axis: Mapping[str, float]
    spikes: int
    resolution_cm1: float | None = None


def prepare(spectrum: Spectrum, library: Library, axis: Mapping[str, float]) -> Prepared:
    """Run the recipe on a measurement with a cm-1 axis.

    Args:
        spectrum: Native axis in cm-1.
        library: Gives the grid.
        axis: The section of decision.toml.

    Raises:
        FormatError: The axis is not in cm-1 or does not overlap the library.
    """
    native = recipe.apply(recipe.RAMAN.native, spectrum)
    spikes = int(
        next((s.parameters["spikes"] for s in native.steps if "spikes" in s.parameters), 0)
    )
    measured = recipe.on_grid(native, library.grid_cm1)
    if spectrum.noise is None:
        measured = _with_smoothed_noise(measured, native)
    derived = recipe.apply(recipe.RAMAN.linear, measured)
    start = int(np.searchsorted(library.grid_cm1, measured.axis.values[0]))
    covered = slice(start, start + len(measured))
    linear, sigma, threshold = np.zeros((3, library.grid_cm1.size))
    linear[covered] = derived.intensity
    if derived.noise is not None:
        sigma[covered] = derived.noise
    threshold[covered] = threshold_of(derived.intensity, sigma[covered])
    reach = int(np.ceil(axis["max_shift_cm1"]))
    edge = recipe.EDGE_COLUMNS + reach
    lo, hi = start + edge, start + len(measured) - edge
    shifts = np.arange(
        -axis["max_shift_cm1"], axis["max_shift_cm1"] + 1e-9, axis["step_cm1"], dtype=np.float64
    )
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]  # of equal ones the smallest wins
    return Prepared(
        measured=measured,
        linear=linear,
        noise=sigma,
        threshold=threshold,
        window=(lo, max(hi, lo)),
        shifts=shifts,
        penalty=axis["penalty_per_cm1_squared"] * shifts**2,
        axis=axis,
        spikes=spikes,
        resolution_cm1=_stated_resolution(spectrum.meta.get("resolution", "")),
    )


def _stated_resolution(text: str) -> float | None:
    """The first number of what a file says about its resolution; None if it cannot be a width."""
    found = re.search(r"\d+(\.\d*)?", text)
    width = float(found.group()) if found else 0.0
    return width if 0.0 < width <= WIDEST_LINE_CM1 else None


def _with_smoothed_noise(measured: Spectrum, native: Spectrum) -> Spectrum:
    """Noise of a file that was smoothed or interpolated before it came: see `noise.correlated`."""
    spacing = float(measured.meta["native_spacing_cm1"])
    sigma, points = noise.correlated(native.intensity, spacing)
    if points <= 1.0 or measured.noise is None:
        return measured
    spacing *= points
    return replace(
        measured,
        noise=np.maximum(measured.noise, sigma),
        meta={**measured.meta, "native_spacing_cm1": f"{spacing:.6g}"},
    )


def threshold_of(linear: Floats, sigma: Floats) -> Floats:
    """What counts as nothing in a derivative with this noise, shape (D,)."""
    return normalize.threshold(
        linear, sigma, recipe.COMPARE["noise_sigma"], recipe.COMPARE["floor"]
    )
