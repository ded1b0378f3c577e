"""What lies under the probe: a Raman scatterer with fluorescence, in a package or not.

Pure and immutable. Sums references and bands into one curve in cm-1; the instrument is `optics`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fieldassay_sim.references import Reference, References

Floats = NDArray[np.float64]
GRID_CM1: Floats = np.arange(100.0, 3300.0)  # 1 cm-1 steps; every curve of a sample is on this grid
PACKAGINGS = ("none", "pe_bag", "glass")

REFERENCE_WIDTH_CM1 = 6.0  # line width (FWHM) already in the reference spectra: 20 um slit, 785 nm
PE_TRANSMISSION = 0.80  # there and back through a clear bag
PE_BULK_SHARE = 0.10  # Raman of the bag's film against bulk polyethylene
GLASS_TRANSMISSION = 0.84
GLASS_BAND = (1380.0, 520.0, 9.0)  # position, width (FWHM) in cm-1, rate per ms: glass under 785 nm


@dataclass(frozen=True, slots=True)
class Band:
    """One Raman band: position, natural width (FWHM) and height relative to the tallest band."""

    position_cm1: float
    height: float
    width_cm1: float


@dataclass(frozen=True, slots=True)
class Fluorescence:
    """Broad emission under the bands.

    Attributes:
        rate_per_ms: Its maximum, in the unit of references (counts per ms at 100 mW; acetone's
            tallest band is about 51, lactose's 10).
        center_cm1: Where the maximum lies.
        width_cm1: Full width at half maximum.
        bleach_j: Laser energy in joules after which 1/e of the bleachable part is left; 0 never
            bleaches.
        floor: Part that never bleaches, 0..1.
        rise_per_j: A sample that absorbs and heats: by how much its light grows with each joule.
        rise_from_j: Joules of laser light before it begins to.
    """

    rate_per_ms: float = 0.0
    center_cm1: float = 1100.0
    width_cm1: float = 2600.0
    bleach_j: float = 0.0
    floor: float = 0.4
    rise_per_j: float = 0.0
    rise_from_j: float = 0.0

    def curve(self, dose_j: float) -> Floats:
        """Rate on GRID_CM1 after `dose_j` joules of laser light."""
        left = 1.0
        if self.bleach_j > 0:
            left = self.floor + (1.0 - self.floor) * float(np.exp(-dose_j / self.bleach_j))
        left *= 1.0 + self.rise_per_j * max(0.0, dose_j - self.rise_from_j)
        return self.rate_per_ms * left * _gauss(self.center_cm1, self.width_cm1)


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a sample: a Raman curve on GRID_CM1 with the weight it has by mass."""

    name: str
    rate_per_ms: Floats
    weight: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A named sample.

    Attributes:
        id: The scenario's key.
        title: What people read.
        parts: Its components.
        strength: Factor on all Raman light (packing, grain size, distance).
        fluorescence: Broad emission.
    """

    id: str
    title: str
    parts: tuple[Part, ...]
    strength: float = 1.0
    fluorescence: Fluorescence = field(default_factory=Fluorescence)

    def raman(self) -> Floats:
        """Raman rate per ms at 100 mW on GRID_CM1, shape (3200,)."""
        total = sum((p.weight for p in self.parts), 0.0)
        out = np.zeros_like(GRID_CM1)
        for part in self.parts:
            out += part.rate_per_ms * (part.weight / total)
        return out * self.strength


@dataclass(frozen=True, slots=True)
class Package:
    """What the light passes through: transmission there and back, and its own light on GRID_CM1."""

    kind: str
    transmission: float
    raman: Floats
    broad: Floats


def on_grid(reference: Reference) -> Floats:
    """A reference's rate on GRID_CM1; zero outside its range."""
    return np.interp(GRID_CM1, reference.axis_cm1, reference.rate_per_ms, left=0.0, right=0.0)


def from_bands(bands: tuple[Band, ...], rate_per_ms: float) -> Floats:
    """Lorentzian bands on GRID_CM1, broadened like a reference; the maximum is `rate_per_ms`."""
    out = np.zeros_like(GRID_CM1)
    for band in bands:
        half = band.width_cm1 / 2.0
        out += band.height * half**2 / ((GRID_CM1 - band.position_cm1) ** 2 + half**2)
    out = broadened(out, REFERENCE_WIDTH_CM1)
    return out * (rate_per_ms / float(out.max()))


def package(kind: str, references: References) -> Package:
    """The package `kind`, one of PACKAGINGS; a bag's own bands are the polyethylene reference's.

    Raises:
        SpectrumError: The polyethylene reference is needed and missing.
        ValueError: The kind is not known.
    """
    none = np.zeros_like(GRID_CM1)
    if kind == "none":
        return Package(kind, 1.0, none, none)
    if kind == "pe_bag":
        film = on_grid(references.get("Polyethylene")) * PE_BULK_SHARE
        return Package(kind, PE_TRANSMISSION, film, none)
    if kind == "glass":
        center, width, rate = GLASS_BAND
        return Package(kind, GLASS_TRANSMISSION, none, rate * _gauss(center, width))
    raise ValueError(kind)


def broadened(curve: Floats, width_cm1: float) -> Floats:
    """`curve` on GRID_CM1 convolved with a Gaussian of full width `width_cm1`; area is kept."""
    if width_cm1 <= 0:
        return curve
    sigma = width_cm1 / np.sqrt(8.0 * np.log(2.0))
    half = int(np.ceil(5.0 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    out: Floats = np.convolve(curve, kernel / kernel.sum(), mode="same")
    return out


def _gauss(center_cm1: float, width_cm1: float) -> Floats:
    out: Floats = np.exp(-4.0 * np.log(2.0) * ((GRID_CM1 - center_cm1) / width_cm1) ** 2)
    return out
