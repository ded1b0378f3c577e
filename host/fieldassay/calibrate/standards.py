"""Shift standards: their bands, how they are found in a spectrum, and the laser's wavelength.

Owns the table (standards.toml) and what follows from bands at known shifts. Axes are `axis`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate import peaks
from fieldassay.errors import CalibrationError

Floats = NDArray[np.float64]
SEARCH_CM1 = 8.0  # to each side of where a band should be, once the offset is known
ROUGH_CM1 = 150.0  # how far off the whole axis may be at first
MISFIT = 0.12
MIN_SNR = 10.0


@dataclass(frozen=True, slots=True)
class Standard:
    """A material with bands at known Raman shifts; arrays have shape (bands,)."""

    name: str
    title: str
    source: str
    shift_cm1: Floats
    error_cm1: Floats
    strength: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """A band of a standard found in a spectrum.

    Attributes:
        true_cm1: Where the standard says it is.
        true_error_cm1: Standard uncertainty of that.
        at_px: Fractional index in the spectrum.
        error_px: Its uncertainty from the fit.
        width_px: Full width at half maximum.
        height: Above the local background.
        snr: Height over noise.
    """

    true_cm1: float
    true_error_cm1: float
    at_px: float
    error_px: float
    width_px: float
    height: float
    snr: float


@cache
def standards() -> dict[str, Standard]:
    """Every standard by name."""
    text = files("fieldassay").joinpath("calibrate/standards.toml").read_text(encoding="utf-8")
    found = {}
    for name, entry in tomllib.loads(text).items():
        rows = np.array(entry["bands"], dtype=np.float64)
        found[name] = Standard(
            name, entry["title"], entry["source"], rows[:, 0], rows[:, 1] / 10.0, rows[:, 2]
        )
    return found


def standard(name: str) -> Standard:
    """One standard.

    Raises:
        CalibrationError: `shift_standard_unknown`.
    """
    known = standards()
    if name not in known:
        raise CalibrationError(
            "shift_standard_unknown",
            f"There is no shift standard called {name!r}.",
            f"Use one of: {', '.join(known)}.",
        )
    return known[name]


def find_bands(
    values: Floats, shift_cm1: Floats, wanted: Standard, rough_cm1: float = ROUGH_CM1
) -> list[Band]:
    """The bands of a standard in its spectrum.

    First the common offset of the axis is looked for (heights near strong bands), then each band is
    fitted within SEARCH_CM1 of where it then should be; a poor or ambiguous fit is left out.

    Args:
        values: Intensities, shape (N,).
        shift_cm1: A rough axis, increasing, shape (N,).
        wanted: The standard.
        rough_cm1: How far off the axis may be.

    Raises:
        CalibrationError: `standard_not_seen`.
    """
    values = np.asarray(values, dtype=np.float64)
    step = float(np.median(np.diff(shift_cm1)))
    offset = _offset(values, shift_cm1, wanted, rough_cm1)
    noise = peaks.noise_of(values)
    indices = np.arange(values.size, dtype=np.float64)
    found: list[Band] = []
    strongest = 0.0
    for true, error in zip(wanted.shift_cm1, wanted.error_cm1, strict=True):
        expected = true + offset
        low, high = np.searchsorted(shift_cm1, [expected - SEARCH_CM1, expected + SEARCH_CM1])
        low, high = max(int(low), 2), min(max(int(high), int(low) + 3), values.size - 2)
        if not shift_cm1[3] < expected < shift_cm1[-4] or high <= low:
            continue
        tops = [i + low - 2 for i in peaks.maxima(values[low - 2 : high + 2], 3.0 * noise)]
        tops = [i for i in tops if low <= i < high]
        if not tops:
            continue
        top = max(tops, key=lambda i: values[i])
        if peaks.is_flat(values, top) and values[top] >= 0.999 * values.max():
            continue
        peak = peaks.fit(values, float(top), lorentz=True)
        if peak is None or peak.misfit > MISFIT or peak.snr < MIN_SNR:
            continue
        at = float(np.interp(peak.at_px, indices, shift_cm1))
        if abs(at - expected) > SEARCH_CM1 or peak.error_px * step > 1.5:
            continue
        strongest = max(strongest, peak.height)
        found.append(
            Band(
                float(true),
                float(error),
                peak.at_px,
                peak.error_px,
                peak.width_px,
                peak.height,
                peak.snr,
            )
        )
    found = [band for band in found if band.height > 0.004 * strongest]
    if not found or (len(wanted.shift_cm1) > 3 and len(found) < 3):
        raise CalibrationError(
            "standard_not_seen",
            f"Only {len(found)} bands of {wanted.title} were recognised.",
            "Check that this is the sample, that it was in focus and that nothing was saturated.",
        )
    return found


@dataclass(frozen=True, slots=True)
class Excitation:
    """The laser's wavelength from bands of standards.

    Attributes:
        nm: In air, like the lamp lines of the axis.
        error_nm: Standard uncertainty: of the bands, the fit, and what they disagree.
        residual_cm1: Band minus true with this wavelength, shape (bands,).
    """

    nm: float
    error_nm: float
    residual_cm1: Floats


def excitation(band_nm: Floats, band_error_nm: Floats, bands: Sequence[Band]) -> Excitation:
    """Fit the laser's wavelength so that bands lie where the standards say.

    Args:
        band_nm: Wavelength of each band on the calibrated axis, shape (bands,).
        band_error_nm: Its standard uncertainty there.
        bands: The bands.
    """
    band_nm = np.asarray(band_nm, dtype=np.float64)
    true = np.array([band.true_cm1 for band in bands])
    wanted = 1e7 / band_nm + true  # absolute wavenumber of the laser, from each band
    error = np.hypot(
        np.array([band.true_error_cm1 for band in bands]),
        1e7 / band_nm**2 * np.asarray(band_error_nm),
    )
    weight = 1.0 / error**2
    for _ in range(20):  # Huber: a band that a neighbour disturbs must not decide
        mean = float(np.sum(weight * wanted) / np.sum(weight))
        away = np.abs(wanted - mean) / error
        weight = np.minimum(1.0, 1.5 / np.maximum(away, 1e-9)) / error**2
    residual = mean - wanted
    scatter = float(np.sqrt(np.sum(weight * residual**2) / max(1, len(bands) - 1) / weight.sum()))
    own = float(1.0 / np.sqrt(np.sum(1.0 / error**2)))
    nm = 1e7 / mean
    return Excitation(nm, max(scatter, own) * nm**2 / 1e7, residual)


def _offset(values: Floats, shift_cm1: Floats, wanted: Standard, rough_cm1: float) -> float:
    """Common offset of the axis at which the strong bands of the standard find peaks."""
    noise = peaks.noise_of(values)
    found = peaks.maxima(values, max(8.0 * noise, 0.01 * float(np.ptp(values))))
    if not found:
        return 0.0
    at = shift_cm1[np.array(found)]
    low = np.minimum.accumulate  # local rise: height above the lowest within 40 points
    rise = np.array(
        [values[i] - max(low(values[max(0, i - 40) : i + 1])[-1], low(values[i : i + 41])[-1])
         for i in found]
    )  # fmt: skip
    rise = np.sqrt(np.maximum(rise, 0.0) / max(float(rise.max()), 1e-300))
    weight = np.sqrt(wanted.strength / wanted.strength.max())
    best, offset = -1.0, 0.0
    for trial in np.arange(-rough_cm1, rough_cm1 + 0.5, 1.0):
        away = at[None, :] - (wanted.shift_cm1[:, None] + trial)
        near = np.exp(-0.5 * (away / 3.0) ** 2) * rise[None, :]
        score = float(np.sum(weight * near.max(axis=1))) - 1e-4 * abs(trial)
        if score > best:
            best, offset = score, float(trial)
    return offset
