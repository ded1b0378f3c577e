"""From pixels and counts to wavenumbers and signal with its noise.

Owns pixel -> nm -> cm-1; what a pixel saw is `pixels`. Intensities are corrected there or not at
all: the library is never bent towards an instrument (see
docs/explanation/how-a-verdict-is-decided.md). Resampling is `preprocess`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FormatError, FrameError
from fieldassay.frame import Frame
from fieldassay.pixels import signal_of
from fieldassay.spectrum import Axis, Spectrum, Step

Floats = NDArray[np.float64]


def wavelengths_nm(coefficients_nm: tuple[float, ...], pixels: int) -> Floats:
    """Wavelength of each pixel, shape (pixels,): a polynomial in the pixel number, ascending."""
    pixel = np.arange(pixels, dtype=np.float64)
    values = np.polynomial.polynomial.polyval(pixel, np.array(coefficients_nm))
    return np.asarray(values, dtype=np.float64)


def raman_shift_cm1(wavelength_nm: Floats, excitation_nm: float) -> Floats:
    """Raman shift of each wavelength: 1e7 / excitation - 1e7 / wavelength, in cm-1."""
    return 1e7 / excitation_nm - 1e7 / np.asarray(wavelength_nm, dtype=np.float64)


def to_wavenumber(spectrum: Spectrum, excitation_nm: float | None) -> Spectrum:
    """The same spectrum on a cm-1 axis; a spectrum that has one is returned unchanged.

    Args:
        spectrum: On an axis in nm or cm-1.
        excitation_nm: Laser wavelength; needed for an axis in nm.

    Raises:
        FormatError: `axis_in_pixels`, `excitation_unknown`, `excitation_out_of_range`.
    """
    if spectrum.axis.unit == "cm-1":
        return spectrum
    if spectrum.axis.unit == "px":
        raise FormatError(
            "axis_in_pixels",
            "The x axis is in pixels and the file carries no wavelength calibration.",
            "Export the spectrum with a wavenumber (cm-1) or wavelength (nm) column.",
        )
    if excitation_nm is None:
        raise FormatError(
            "excitation_unknown",
            "The x axis is in nanometres and the laser wavelength is not known.",
            "Give the laser wavelength, for example --excitation-nm 785.",
        )
    if not 200.0 <= excitation_nm <= 1200.0:
        raise FormatError(
            "excitation_out_of_range",
            f"{excitation_nm} nm is not the wavelength of a Raman laser.",
            "Give the laser wavelength in nanometres, for example --excitation-nm 785.",
        )
    shift = raman_shift_cm1(spectrum.axis.values, excitation_nm)
    return replace(
        spectrum,
        axis=Axis(shift, "cm-1"),
        steps=(*spectrum.steps, Step("to_wavenumber/1", {"excitation_nm": excitation_nm})),
    )


def spectrum_of(frame: Frame) -> Spectrum:
    """Dark-subtracted signal per frame, in counts, on a cm-1 axis, with its noise.

    What each pixel saw, with the corrections of the unit's calibration, is `pixels`.

    Raises:
        FrameError: `calibration_not_usable`: wavelengths do not increase with the pixel number, or
            the calibration cannot correct these counts.
    """
    wavelength_nm = wavelengths_nm(frame.calibration.coefficients_nm, frame.raw.size)
    if (
        not np.all(np.isfinite(wavelength_nm))
        or not np.all(np.diff(wavelength_nm) > 0)
        or (wavelength_nm[0] <= 0)
    ):
        raise FrameError(
            "calibration_not_usable",
            f"Calibration {frame.calibration.id!r} gives wavelengths that do not increase.",
            "Calibrate the unit again; the measurement is kept as evidence.",
        )
    signal = signal_of(frame)
    excitation_nm = frame.excitation_pm / 1000.0
    spectrum = Spectrum(
        axis=Axis(wavelength_nm, "nm"),
        intensity=signal.counts,
        unit="counts",
        noise=signal.noise,
        steps=signal.steps,
        meta={
            "title": frame.record_id,
            "instrument": frame.unit,
            "excitation_nm": f"{excitation_nm:g}",
            "calibration": frame.calibration.id,
        },
    )
    return to_wavenumber(spectrum, excitation_nm)
