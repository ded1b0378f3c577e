"""Spectra of files and records as calibration sees them: positions and intensities.

A record and a file with a pixel axis count in pixels. A file that has only its maker's axis counts
in steps of nominal wavelength, so that rows cut off at the ends do not matter; such a calibration
corrects that axis, but cannot be put into a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate.assign import Guess
from fieldassay.calibrate.solve import Measured
from fieldassay.errors import CalibrationError
from fieldassay.frame import Frame
from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Given:
    """What was measured (a lamp's or standard's name, or "" for anything else), and of what."""

    name: str
    spectrum: Spectrum
    source: str


@dataclass(frozen=True, slots=True)
class Session:
    """The measurements of one instrument on common positions.

    Attributes:
        measured: In the order given.
        pixels: Positions are pixels.
        guess: The old axis as wavelength of a position; None if there is none.
        step_nm: Nominal nanometres per position where `pixels` is false.
    """

    measured: tuple[Measured, ...]
    pixels: bool
    guess: Guess | None
    step_nm: float


def session(given: Sequence[Given], laser_nm: float) -> Session:
    """Put spectra of one instrument on common positions.

    Args:
        given: Spectra of files, all with pixels or all with the maker's axis.
        laser_nm: The laser wavelength that axes in cm-1 were made with.

    Raises:
        CalibrationError: `calibration_axes_differ`.
    """
    units = {one.spectrum.axis.unit == "px" for one in given}
    if len(units) != 1:
        raise CalibrationError(
            "calibration_axes_differ",
            "Some of these files have an axis in pixels and others in wavelengths or wavenumbers.",
            "Export all of them the same way, best in pixels.",
        )
    if units == {True}:
        found = [
            Measured(one.name, one.spectrum.axis.values, one.spectrum.intensity, one.source)
            for one in given
        ]
        return Session(tuple(found), True, None, 1.0)
    axes = [_nominal_nm(one.spectrum, laser_nm) for one in given]
    step_nm = float(np.median(np.diff(axes[0])))
    found = [
        Measured(one.name, axis / step_nm, one.spectrum.intensity, one.source)
        for one, axis in zip(given, axes, strict=True)
    ]
    return Session(tuple(found), False, lambda at: np.asarray(at) * step_nm, step_nm)


def of_frames(frames: Sequence[tuple[str, Frame]]) -> Session:
    """Measurements of a unit: named frames, all of the same detector and old calibration."""
    found = []
    for name, frame in frames:
        exposure = frame.exposure
        values = frame.raw / exposure.frames - frame.dark / max(1, exposure.dark_frames)
        at = np.arange(values.size, dtype=np.float64)
        found.append(Measured(name, at, np.asarray(values, dtype=np.float64), frame.record_id))
    coefficients = frames[0][1].calibration.coefficients_nm
    return Session(tuple(found), True, lambda at: _polynomial(coefficients, at), 1.0)


def _nominal_nm(spectrum: Spectrum, laser_nm: float) -> Floats:
    values = spectrum.axis.values
    if spectrum.axis.unit == "nm":
        return values
    return np.asarray(1e7 / (1e7 / laser_nm - values), dtype=np.float64)


def _polynomial(coefficients_nm: Sequence[float], at: Floats) -> Floats:
    return np.asarray(np.polynomial.polynomial.polyval(np.asarray(at), np.array(coefficients_nm)))
