"""A calibration as the unit's file calibration.json and as a report. Pure.

Owns both forms; docs/reference/calibration-file.md describes the first. Decimals are text: boards
would round them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate.solve import Solved

Floats = NDArray[np.float64]
DIGITS = 12


def calibration_json(
    solved: Solved, name: str, date: str, positions: Floats, hot_pixels: Sequence[int] = ()
) -> bytes:
    """The unit's file. Positions must be pixels.

    Args:
        solved: A calibration without objections.
        name: Its id.
        date: Day, YYYY-MM-DD.
        positions: The pixels, shape (N,).
        hot_pixels: Those that are not to be believed, increasing.
    """
    axis = solved.axis
    assert axis.laser_nm is not None
    document = {
        "id": name,
        "date": date,
        "excitation_pm": round(axis.laser_nm * 1000.0),
        "coefficients_nm": [f"{c:.{DIGITS}g}" for c in axis.pixel_coefficients_nm()],
        "linearity": [],
        "hot_pixels": list(hot_pixels),
        "dark": None,
        "resolution_cm1": f"{line_width_cm1(solved, positions):.2f}",
        "response": None,
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def line_width_cm1(solved: Solved, positions: Floats) -> float:
    """Width (FWHM) of lamp lines in cm-1: the median. A lamp line has no width of its own here.

    Two pixels are the least a detector can show; a narrower value is the detector's limit.
    """
    axis = solved.axis
    step = float(np.median(np.diff(positions)))
    per_position = np.abs(axis.dispersion_nm(axis.lamp.at)) * 1e7 / axis.lamp.known**2
    width = solved.lamp_width_px * step
    return float(np.median(np.maximum(width, 2.0 * step) * per_position))


def report(solved: Solved, positions: Floats, objections: list[str]) -> dict[str, Any]:
    """Everything about a calibration, docs/how-to/calibrate-a-unit.md names the keys."""
    axis = solved.axis
    per_nm = 1e7 / float(np.mean(axis.lamp.known)) ** 2
    low, high = axis.span()
    tenths = np.linspace(positions[0], positions[-1], 11)
    return {
        "excitation_nm": axis.laser_nm,
        "excitation_error_nm": axis.laser_error_nm,
        "order": axis.order,
        "left_out_by_order": axis.tried,
        "found_without_guess": solved.blind,
        "lamp_left_out_cm1": axis.rms_nm * per_nm,
        "band_residual_rms_cm1": float(np.sqrt(np.mean(axis.band_residual_cm1**2))),
        "line_width_cm1": line_width_cm1(solved, positions),
        "held_positions": [low, high],
        "axis": [
            {"position": float(p), "nm": float(nm), "shift_cm1": float(s), "error_cm1": float(e)}
            for p, nm, s, e in zip(
                tenths,
                axis.wavelength_nm(tenths),
                axis.shift_cm1(tenths),
                axis.error_cm1(tenths),
                strict=True,
            )
        ],
        "lamp": [
            {"position": float(at), "nm": float(nm), "off_nm": float(off)}
            for at, nm, off in zip(
                axis.lamp.at, axis.lamp.known, axis.lamp_left_out_nm, strict=True
            )
        ],
        "bands": [
            {"standard": n.standard, "position": n.at, "cm1": n.band.true_cm1, "off_cm1": float(r)}
            for n, r in zip(solved.bands, axis.band_residual_cm1, strict=True)
        ],
        "objections": objections,
    }
