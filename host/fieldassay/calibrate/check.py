"""The performance check: is a unit's measurement of polystyrene as good as it must be? Pure.

Owns what is measured and compared with which limit (limits.toml, [check.*], each with its source).
What follows from a check is `fitness`; where checks are kept is `store`; the paper is
`certificate`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate import peaks
from fieldassay.calibrate.standards import Band, find_bands, standard
from fieldassay.calibration import spectrum_of
from fieldassay.errors import CalibrationError
from fieldassay.frame import Frame

Floats = NDArray[np.float64]
STANDARD = "polystyrene"
MAIN_CM1 = 1001.4  # the ring breathing: sharp, strong, alone
SHARP_CM1 = 1.0  # bands whose uncertainty in the standard is larger do not judge an axis
ROUGH_CM1 = 40.0  # further off the axis is not found at all


@dataclass(frozen=True, slots=True)
class Item:
    """One figure against its limit.

    Attributes:
        name: Stable identifier with the unit at its end.
        value: As measured.
        uncertainty: Standard uncertainty in the same unit; None where none is known.
        at_least, at_most: The limits; None: no limit on that side.
        passed: Whether it keeps them.
    """

    name: str
    value: float
    uncertainty: float | None
    at_least: float | None
    at_most: float | None
    passed: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One performance check, as stored and as printed.

    Attributes:
        unit, record: Which unit, and the measurement that was judged.
        calibration_id, calibration_date: What the unit had then.
        firmware: SHA-256 of its firmware, hex; "" if the unit did not say.
        items: Every figure.
        bands: (true, measured, uncertainty of the measured) in cm-1.
        passed: Every figure keeps its limits.
        reason: Why nothing could be measured; "" otherwise.
    """

    unit: str
    record: str
    calibration_id: str
    calibration_date: str
    firmware: str
    items: tuple[Item, ...]
    bands: tuple[tuple[float, float, float], ...]
    passed: bool
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The stored form, docs/reference/performance-check.md."""
        return {
            "unit": self.unit,
            "record": self.record,
            "standard": STANDARD,
            "calibration": {"id": self.calibration_id, "date": self.calibration_date},
            "firmware": self.firmware,
            "passed": self.passed,
            "reason": self.reason,
            "items": [
                {
                    "name": item.name,
                    "value": round(item.value, 4),
                    "uncertainty": None if item.uncertainty is None else round(item.uncertainty, 4),
                    "at_least": item.at_least,
                    "at_most": item.at_most,
                    "passed": item.passed,
                }
                for item in self.items
            ],
            "bands": [[round(x, 3) for x in band] for band in self.bands],
        }


@cache
def limits() -> dict[str, dict[str, Any]]:
    """Limits by item: {"at_least" or "at_most": number, "unit", "what", "source"}."""
    text = files("fieldassay").joinpath("calibrate/limits.toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = tomllib.loads(text)["check"]
    return table


def check(frame: Frame, last_intensity: float | None = None) -> Check:
    """Judge one measurement of polystyrene.

    Args:
        frame: The unit's measurement of a polystyrene sample.
        last_intensity: `intensity_e_per_mj` of this unit's last passed check; None: there is none.

    Raises:
        FrameError: The calibration in the frame gives no axis.
    """
    spectrum = spectrum_of(frame)
    shift, values = spectrum.axis.values, spectrum.intensity
    measured: dict[str, tuple[float, float | None]] = {}
    found: list[Band] = []
    reason = ""
    try:
        found = find_bands(values, shift, standard(STANDARD), ROUGH_CM1)
    except CalibrationError as error:
        reason = f"{error.what} {error.do_next}"
    index = np.arange(values.size, dtype=np.float64)
    at = np.interp([b.at_px for b in found], index, shift)
    step = np.interp([b.at_px for b in found], index, np.gradient(shift))
    error_cm1 = np.array([b.error_px for b in found]) * step
    if found:
        measured |= _of_bands(frame, found, at, error_cm1, step)
        if not any(b.true_cm1 == MAIN_CM1 for b in found):
            reason = f"The band of {STANDARD} at {MAIN_CM1} cm-1 was not recognised."
    measured |= _of_dark(frame)
    intensity = measured.get("intensity_e_per_mj")
    if intensity is not None and last_intensity:
        measured["intensity_ratio"] = (intensity[0] / last_intensity, None)
    items = tuple(_item(name, *measured[name]) for name in limits() if name in measured)
    bands = tuple(
        (b.true_cm1, float(x), float(e)) for b, x, e in zip(found, at, error_cm1, strict=True)
    )
    firmware = frame.message.get("firmware")
    digest = firmware.get("sha256", b"") if isinstance(firmware, Mapping) else b""
    return Check(
        unit=frame.unit,
        record=frame.record_id,
        calibration_id=frame.calibration.id,
        calibration_date=frame.calibration.date,
        firmware=bytes(digest).hex(),
        items=items,
        bands=bands,
        passed=not reason and all(item.passed for item in items),
        reason=reason,
    )


def _of_bands(
    frame: Frame, found: list[Band], at: Floats, error_cm1: Floats, step: Floats
) -> dict[str, tuple[float, float | None]]:
    true = np.array([b.true_cm1 for b in found])
    known = np.array([b.true_error_cm1 for b in found])
    off, sharp = at - true, known < SHARP_CM1
    out: dict[str, tuple[float, float | None]] = {"bands": (float(len(found)), None)}
    if sharp.any():
        total = np.hypot(error_cm1, known)[sharp]
        weight = 1.0 / total**2
        mean = float(np.sum(off[sharp] * weight) / weight.sum())
        worst = int(np.argmax(np.abs(off[sharp])))
        out["shift_mean_abs_cm1"] = (abs(mean), float(1.0 / np.sqrt(weight.sum())))
        out["shift_worst_abs_cm1"] = (float(abs(off[sharp][worst])), float(total[worst]))
    for band, per_px in zip(found, step, strict=True):
        if band.true_cm1 != MAIN_CM1:
            continue
        exposure = frame.exposure
        width = band.width_px * float(per_px)
        out["width_cm1"] = (width, 2.0 * band.error_px * float(per_px))
        electrons = band.height * exposure.gain_me_per_count / 1000.0
        power_uw = frame.message.get("laser_uw") or frame.message.get("laser_set_uw") or 0
        energy_mj = float(power_uw) * exposure.exposure_us * 1e-9
        if energy_mj > 0:
            rate = electrons / energy_mj
            out["intensity_e_per_mj"] = (rate, rate / band.snr)
        out["snr"] = (band.snr, None)
    return out


def _of_dark(frame: Frame) -> dict[str, tuple[float, float | None]]:
    exposure = frame.exposure
    dark = np.asarray(frame.dark, dtype=np.float64) / exposure.dark_frames
    return {
        "dark_level_share": (float(np.median(dark)) / exposure.full_scale_counts, None),
        "dark_noise_counts": (peaks.noise_of(dark), None),
        "saturated_pixels": (float(exposure.saturated_pixels), None),
    }


def _item(name: str, value: float, uncertainty: float | None) -> Item:
    limit = limits()[name]
    low, high = limit.get("at_least"), limit.get("at_most")
    passed = (low is None or value >= low) and (high is None or value <= high)
    return Item(name, value, uncertainty, low, high, bool(passed and np.isfinite(value)))
