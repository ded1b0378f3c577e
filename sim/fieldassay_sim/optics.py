"""The spectrometer's light path: from a sample's curve to photoelectrons per second.

Owns the instrument's description, its wavelength calibration with drift, its line shape and its
response. Pure; noise and counting are `detector`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay_sim.samples import GRID_CM1, REFERENCE_WIDTH_CM1, Package, Sample, broadened

Floats = NDArray[np.float64]

# One count per ms at 100 mW on the reference instrument is 40 photoelectrons per second and mW
# here: with 4 electrons per count both instruments then show the same counts at 100 mW.
ELECTRONS_PER_S_MW = 40.0
DARK_DOUBLES_EVERY_DEGC = 7.0
REFERENCE_DEGC = 25.0


@dataclass(frozen=True, slots=True)
class Instrument:
    """One unit's optics and detector as built; what changes while it runs is in `parts`.

    Attributes:
        seed: Decides fixed pattern, hot pixels and all noise.
        pixels: Detector pixels.
        excitation_nm: Laser wavelength.
        coefficients_nm: Pixel to wavelength, ascending powers: what the unit was calibrated to.
        width_cm1: Line width (FWHM) of this unit; below 6 it cannot resolve more than the
            references do.
        offset_cm1: Error of the calibration; positive: bands appear too high.
        drift_cm1_per_degc: Further error for each degree of detector temperature above 25.
        tilt: Response at the red end against the blue end, -0.9..0.9, 0 is flat.
        throughput: Factor on all light.
        gain_e_per_count: Electrons per ADC count.
        read_noise_e: Read noise, electrons rms.
        full_well_e: Pixel capacity in electrons.
        bias_counts: ADC offset.
        dark_e_per_s: Dark current at 25 degrees C, electrons per second and pixel.
        prnu: Relative spread of pixel gain.
        hot_pixels: Pixels with 30 times the dark current.
        nonlinearity: Part of the light that the converter loses at full scale, 0..0.3.
        cosmic_per_s: Cosmic ray hits on the whole detector per second.
    """

    seed: int = 1
    pixels: int = 2048
    excitation_nm: float = 785.0
    coefficients_nm: tuple[float, ...] = (800.5, 8.66e-2, -2.4e-6, -1.0e-10)
    width_cm1: float = 9.0
    offset_cm1: float = 0.6
    drift_cm1_per_degc: float = 0.05
    tilt: float = -0.15
    throughput: float = 1.0
    gain_e_per_count: float = 4.0
    read_noise_e: float = 12.0
    full_well_e: float = 280_000.0
    bias_counts: float = 900.0
    dark_e_per_s: float = 180.0
    prnu: float = 0.003
    hot_pixels: int = 5
    nonlinearity: float = 0.0
    cosmic_per_s: float = 0.05

    def wavelengths_nm(self) -> Floats:
        """Calibrated wavelength of each pixel, shape (pixels,)."""
        powers = np.arange(self.pixels, dtype=np.float64)
        out: Floats = np.polynomial.polynomial.polyval(powers, np.array(self.coefficients_nm))
        return out

    def shift_cm1(self) -> Floats:
        """Calibrated Raman shift of each pixel, shape (pixels,): what the host believes."""
        out: Floats = 1e7 / self.excitation_nm - 1e7 / self.wavelengths_nm()
        return out

    def drift_cm1(self, detector_degc: float) -> float:
        """How much too high bands appear at this temperature."""
        return self.offset_cm1 + self.drift_cm1_per_degc * (detector_degc - REFERENCE_DEGC)

    def response(self) -> Floats:
        """Relative efficiency of each pixel, shape (pixels,)."""
        return self.throughput * (1.0 + self.tilt * np.linspace(-1.0, 1.0, self.pixels))

    def dark_rate(self, detector_degc: float) -> float:
        """Dark current in electrons per second and pixel at this temperature."""
        doublings = (detector_degc - REFERENCE_DEGC) / DARK_DOUBLES_EVERY_DEGC
        return float(self.dark_e_per_s * 2.0**doublings)


def laser_light(
    instrument: Instrument,
    sample: Sample | None,
    package: Package,
    dose_j: float,
    detector_degc: float,
) -> Floats:
    """Photoelectrons for each second and mW of laser light.

    Args:
        instrument: The unit.
        sample: What lies under the probe; None is an empty holder.
        package: What the light passes through.
        dose_j: Laser energy the spot has had, for bleaching.
        detector_degc: Moves the wavelength axis.

    Returns:
        Electrons per s per mW, shape (pixels,).
    """
    bands = package.raman.copy()
    broad = package.broad.copy()
    if sample is not None:
        bands += package.transmission * sample.raman()
        broad += package.transmission * sample.fluorescence.curve(dose_j)
    extra = max(instrument.width_cm1**2 - REFERENCE_WIDTH_CM1**2, 0.0) ** 0.5
    curve = broadened(bands, extra) + broad
    true_shift = instrument.shift_cm1() - instrument.drift_cm1(detector_degc)
    on_pixels = np.interp(true_shift, GRID_CM1, curve, left=0.0, right=0.0)
    return ELECTRONS_PER_S_MW * on_pixels * _pixel_share(instrument) * instrument.response()


def ambient_light(instrument: Instrument, level: float) -> Floats:
    """Room light that reaches the detector, electrons per s, shape (pixels,).

    Args:
        instrument: The unit.
        level: 1.0 is a lit office with the lid open: a broad red slope and the argon and krypton
            lines of a discharge lamp.
    """
    wavelengths = instrument.wavelengths_nm()
    light = 2500.0 * np.exp(-(((wavelengths - 780.0) / 120.0) ** 2))
    for line_nm, height in ((811.5, 5200.0), (826.5, 2600.0), (842.5, 1900.0), (912.3, 2100.0)):
        light += height * np.exp(-(((wavelengths - line_nm) / 0.45) ** 2))
    return level * light * instrument.response()


def lamp_light(instrument: Instrument, lines: tuple[tuple[float, float], ...]) -> Floats:
    """Light of a spectral lamp held at the aperture, electrons per s, shape (pixels,).

    Args:
        instrument: The unit; its line width is that of each line.
        lines: (wavelength in nm, electrons per s in the pixel at its top).
    """
    wavelengths = instrument.wavelengths_nm()
    light = np.zeros(instrument.pixels)
    for line_nm, height in lines:
        width_nm = instrument.width_cm1 * line_nm**2 / 1e7
        light += height * np.exp(-4.0 * np.log(2.0) * ((wavelengths - line_nm) / width_nm) ** 2)
    return light * instrument.response()


def _pixel_share(instrument: Instrument) -> Floats:
    # A pixel collects what falls between its edges: proportional to its width in cm-1, 1 on
    # average.
    width = np.abs(np.gradient(instrument.shift_cm1()))
    out: Floats = width / width.mean()
    return out
