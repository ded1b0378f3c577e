"""The recipe: ordered, versioned steps from a spectrum on its native cm-1 axis to what is compared.

Owns the order and the parameters; the methods are beside this file. Query and library go through
the same recipe. A change of any number is a new recipe id, and a library made with another one is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FormatError
from fieldassay.preprocess import baseline, despike, noise, normalize, smooth, spline
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


def step_derivative(
    spectrum: Spectrum, sigma_cm1: Number = 3.0, background_cm1: Number = 30.0
) -> Spectrum:
    """Smoothed first derivative of the bands on an even 1 cm-1 grid, with its noise."""
    values = smooth.band_derivative(spectrum.intensity, float(sigma_cm1), float(background_cm1))
    told = None
    if spectrum.noise is not None:
        spacing = np.full(len(spectrum), float(spectrum.meta.get("native_spacing_cm1", "1")))
        told = smooth.derivative_noise(spectrum.noise, spacing, float(sigma_cm1))
    parameters = {"sigma_cm1": sigma_cm1, "background_cm1": background_cm1}
    return spectrum.with_intensity(values, Step("band_derivative/1", parameters), told)


def step_compress(
    spectrum: Spectrum, noise_sigma: Number = 2.0, floor: Number = 0.004, power: Number = 1 / 3
) -> Spectrum:
    """Soft threshold, then a power: weak bands count beside strong ones, noise does not."""
    told = np.zeros(len(spectrum)) if spectrum.noise is None else spectrum.noise
    nothing = normalize.threshold(spectrum.intensity, told, float(noise_sigma), float(floor))
    values = normalize.compress(spectrum.intensity, nothing, float(power))
    parameters = {"noise_sigma": noise_sigma, "floor": floor, "power": power}
    return spectrum.with_intensity(values, Step("compress/1", parameters))


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

    def describe(self) -> str:
        """All steps and numbers in one line, for records and for telling recipes apart."""
        steps = (*self.native, *self.linear, *self.compare)
        return f"{self.id}: " + "; ".join(
            name + "".join(f" {key}={value:g}" for key, value in sorted(parameters.items()))
            for name, parameters in steps
        )


SIGMA_CM1 = 3.0
BACKGROUND_CM1 = 30.0
EDGE_COLUMNS = 9  # three sigma: so far inside the derivative still sees the end of the data

RAMAN = Recipe(
    id="raman-derivative/1",
    native=(("despike", {}),),
    linear=(("derivative", {"sigma_cm1": SIGMA_CM1, "background_cm1": BACKGROUND_CM1}),),
    compare=(("compress", {"noise_sigma": 2.0, "floor": 0.004, "power": 1 / 3}),),
)


COMPARE: Mapping[str, float] = MappingProxyType(
    {name: float(value) for name, value in RAMAN.compare[0][1].items()}
)  # the parameters of "compress", for fits that compare a model with a measurement


def apply(steps: tuple[tuple[str, Mapping[str, Number]], ...], spectrum: Spectrum) -> Spectrum:
    """Run steps in order."""
    for name, parameters in steps:
        spectrum = STEPS[name](spectrum, **parameters)
    return spectrum


def on_grid(spectrum: Spectrum, grid_cm1: Floats) -> Spectrum:
    """Interpolate onto the points of `grid_cm1` that are covered (cubic spline), shape (<= D,).

    The noise is interpolated too and stays that of a native sample; `meta["native_spacing_cm1"]`
    says how far apart those were.

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
    values = spline.cubic(x, spectrum.intensity, inside)
    told = None if spectrum.noise is None else np.interp(inside, x, spectrum.noise)
    spacing = max(noise.median(np.diff(x)), 1e-6)
    return Spectrum(
        axis=Axis(inside, "cm-1"),
        intensity=values,
        unit=spectrum.unit,
        noise=told,
        steps=(*spectrum.steps, Step("cubic_grid/1", {"step_cm1": 1.0})),
        meta={**spectrum.meta, "native_spacing_cm1": f"{spacing:.6g}"},
    )
