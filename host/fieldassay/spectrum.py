"""Axis and Spectrum: immutable arrays with a unit, and the steps that made them what they are.

Pure data. Reading files is `formats`, pixel to wavenumber is `calibration`, changing intensities is
`preprocess`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FormatError

AxisUnit = Literal["px", "nm", "cm-1"]
Floats = NDArray[np.float64]


def _frozen(values: NDArray[np.generic]) -> Floats:
    array = np.array(values, dtype=np.float64, copy=True)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class Axis:
    """Strictly increasing positions, shape (N,), float64, in `unit`."""

    values: Floats
    unit: AxisUnit

    def __post_init__(self) -> None:
        values = _frozen(self.values)
        if values.ndim != 1 or values.size < 2:
            raise FormatError(
                "axis_too_short",
                f"The axis has {values.size} points.",
                "Use a spectrum with at least two points.",
            )
        if not np.all(np.isfinite(values)) or not np.all(np.diff(values) > 0):
            raise FormatError(
                "axis_not_increasing",
                "The axis is not strictly increasing or not finite.",
                "Check that the file has one spectrum and that its x column is in order.",
            )
        object.__setattr__(self, "values", values)


@dataclass(frozen=True, slots=True)
class Step:
    """One processing step: its name with version and its parameters, as recorded in evidence."""

    name: str
    parameters: Mapping[str, float | int | str] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Intensities on an axis.

    Attributes:
        axis: Positions, shape (N,).
        intensity: Shape (N,), float64, finite.
        unit: What the intensities are: counts, counts/s or arbitrary.
        noise: Standard deviation of each intensity in the same unit, shape (N,), where known.
        steps: How it came to be, oldest first.
        meta: Free text facts from the file or the unit (title, instrument, excitation_nm …).
    """

    axis: Axis
    intensity: Floats
    unit: Literal["counts", "counts/s", "arbitrary"] = "arbitrary"
    noise: Floats | None = None
    steps: tuple[Step, ...] = ()
    meta: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        intensity = _frozen(self.intensity)
        if intensity.shape != self.axis.values.shape or not np.all(np.isfinite(intensity)):
            raise FormatError(
                "intensity_not_usable",
                "The intensities do not fit the axis or are not all finite numbers.",
                "Check the file for missing, text or infinite values.",
            )
        object.__setattr__(self, "intensity", intensity)
        if self.noise is not None:
            noise = _frozen(self.noise)
            if noise.shape != intensity.shape or not np.all(noise >= 0):
                raise FormatError(
                    "noise_not_usable",
                    "The noise does not fit the spectrum or is negative.",
                    "Give one non-negative standard deviation for each point.",
                )
            object.__setattr__(self, "noise", noise)
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))

    def __len__(self) -> int:
        return int(self.intensity.size)

    def with_intensity(
        self, intensity: Floats, step: Step, noise: Floats | None = None
    ) -> Spectrum:
        """The same axis with new intensities and one more step; noise is dropped unless given."""
        return replace(self, intensity=intensity, noise=noise, steps=(*self.steps, step))
