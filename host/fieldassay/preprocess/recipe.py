"""The recipe: ordered, versioned steps from a spectrum on its native cm-1 axis to what is compared.

Owns the order and the parameters; the methods are beside this file. Query and library go through the same recipe. A
change of any number is a new recipe id, and a library made with another one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from fieldassay.errors import FormatError
from fieldassay.preprocess import baseline, despike, noise, normalize, smooth
from fieldassay.spectrum import Axis, Spectrum, Step

Floats = NDArray[np.float64]
Number = float | int


def step_despike(
    spectrum: Spectrum, height_sigma: Number = 8.0, sharpness: Number = 5.0
) -> Spectrum:
    """Remove cosmic-ray spikes and note how many."""
    sigma = noise.of(spectrum)
    clean, spikes = despike.narrow_spikes(spectrum.intensity, sigma, height_sigma, sharpness)
    return spectrum.with_intensity(clean, Step("despike/1", {"spikes": spikes}), sigma)


def step_baseline(
    spectrum: Spectrum, smoothness: Number = 1e6, asymmetry: Number = 0.002
) -> Spectrum:
    """Subtract an asymmetric least-squares baseline; meant for an even grid."""
    below = baseline.asls(spectrum.intensity, smoothness, asymmetry)
    step = Step("baseline_asls/1", {"smoothness": smoothness, "asymmetry": asymmetry})
    return spectrum.with_intensity(spectrum.intensity - below, step, spectrum.noise)


def step_derivative(spectrum: Spectrum, sigma_cm1: Number = 3.0) -> Spectrum:
    """Smoothed first derivative on an even 1 cm-1 grid; noise becomes that of the derivative."""
    values = smooth.gaussian_derivative(spectrum.intensity, float(sigma_cm1))
    told = None
    if spectrum.noise is not None:
        spacing = np.full(len(spectrum), float(spectrum.meta.get("native_spacing_cm1", "1")))
        told = smooth.derivative_noise(spectrum.noise, spacing, float(sigma_cm1))
    return spectrum.with_intensity(
        values, Step("gaussian_derivative/1", {"sigma_cm1": sigma_cm1}), told
    )


def step_compress(spectrum: Spectrum, noise_sigma: Number = 2.0, power: Number = 0.5) -> Spectrum:
    """Soft threshold at `noise_sigma` times the noise, then a power: weak bands count, noise does not."""
    told = np.zeros(len(spectrum)) if spectrum.noise is None else spectrum.noise
    values = normalize.compress(spectrum.intensity, noise_sigma * told, float(power))
    return spectrum.with_intensity(
        values, Step("compress/1", {"noise_sigma": noise_sigma, "power": power})
    )


def step_unit_norm(spectrum: Spectrum) -> Spectrum:
    """Divide by the Euclidean norm."""
    return spectrum.with_intensity(normalize.unit(spectrum.intensity), Step("unit_norm/1"))


STEPS: Mapping[str, Callable[..., Spectrum]] = MappingProxyType(
    {
        "despike": step_despike,
        "baseline": step_baseline,
        "derivative": step_derivative,
        "compress": step_compress,
        "unit_norm": step_unit_norm,
    }
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Named, ordered steps with their parameters.

    Attributes:
        id: Name and version; recorded in libraries and identifications.
        native: Steps on the native axis.
        linear: Steps on the grid that keep sums of spectra sums.
        compare: Steps on the grid after `linear`, for comparison only.
    """

    id: str
    native: tuple[tuple[str, Mapping[str, Number]], ...]
    linear: tuple[tuple[str, Mapping[str, Number]], ...]
    compare: tuple[tuple[str, Mapping[str, Number]], ...]


RAMAN = Recipe(
    id="raman-derivative/1",
    native=(("despike", {}),),
    linear=(("derivative", {"sigma_cm1": 3.0}),),
    compare=(("compress", {"noise_sigma": 2.0, "power": 0.5}),),
)


def apply(steps: tuple[tuple[str, Mapping[str, Number]], ...], spectrum: Spectrum) -> Spectrum:
    """Run steps in order."""
    for name, parameters in steps:
        spectrum = STEPS[name](spectrum, **parameters)
    return spectrum


def on_grid(spectrum: Spectrum, grid_cm1: Floats) -> Spectrum:
    """Interpolate onto the points of `grid_cm1` that the spectrum covers (cubic spline), shape (<= D,).

    The noise is interpolated too and stays that of a native sample; `meta["native_spacing_cm1"]` says how far
    apart those were.

    Raises:
        FormatError: `axis_not_wavenumber`, `range_too_small`.
    """
    if spectrum.axis.unit != "cm-1":
        raise FormatError(
            "axis_not_wavenumber",
            f"The spectrum is on an axis in {spectrum.axis.unit}.",
            "Convert it to wavenumbers first (calibration.to_wavenumber).",
        )
    x = spectrum.axis.values
    inside = grid_cm1[(grid_cm1 >= x[0]) & (grid_cm1 <= x[-1])]
    if inside.size < 2:
        raise FormatError(
            "range_too_small",
            f"The spectrum covers {x[0]:.0f} to {x[-1]:.0f} cm-1, outside the library's range.",
            f"Measure a range that overlaps {grid_cm1[0]:.0f} to {grid_cm1[-1]:.0f} cm-1.",
        )
    values = CubicSpline(x, spectrum.intensity)(inside)
    told = None if spectrum.noise is None else np.interp(inside, x, spectrum.noise)
    spacing = max(float(np.median(np.diff(x))), 1e-6)
    return Spectrum(
        axis=Axis(inside, "cm-1"),
        intensity=values,
        unit=spectrum.unit,
        noise=told,
        steps=(*spectrum.steps, Step("cubic_grid/1", {"step_cm1": 1.0})),
        meta={**spectrum.meta, "native_spacing_cm1": f"{spacing:.6g}"},
    )
