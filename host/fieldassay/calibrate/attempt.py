"""One attempt to calibrate a unit: the fit, what speaks against it, the report. Pure.

What the command line and the page do alike. Where measurements come from is `measured`, the fit
itself `solve`, both written forms `document`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate import document
from fieldassay.calibrate.measured import Session
from fieldassay.calibrate.solve import Solved, objections, solve
from fieldassay.errors import CalibrationError

AROUND_NM = 20.0  # how far off the ends of a rough guess may be


@dataclass(frozen=True, slots=True)
class Attempt:
    """A fit that was made; `objections` empty: good enough to be used.

    Attributes:
        solved: The fit.
        positions: Where the detector was read, shape (N,); pixels if `pixels`.
        pixels: Whether the result can be put into a unit.
        objections: Sentences that speak against it.
        report: As `document.report`.
    """

    solved: Solved
    positions: NDArray[np.float64]
    pixels: bool
    objections: tuple[str, ...]
    report: dict[str, Any]

    def accepted(self) -> Attempt:
        """Itself, if nothing speaks against it.

        Raises:
            CalibrationError: `calibration_refused`.
        """
        if self.objections:
            raise CalibrationError(
                "calibration_refused",
                f"This calibration is not good enough. {' '.join(self.objections)}",
                "Measure lamp and standard again, in focus and unsaturated; see the residual plot.",
            )
        return self

    def document(self, name: str, day: str, hot_pixels: Sequence[int] = ()) -> bytes:
        """The unit's file calibration.json.

        Args:
            name: Id of the calibration.
            day: YYYY-MM-DD.
            hot_pixels: Those that are not to be believed, increasing.

        Raises:
            CalibrationError: `calibration_refused`, `calibration_without_pixels`.
        """
        self.accepted()
        if not self.pixels:
            raise CalibrationError(
                "calibration_without_pixels",
                "These files have no pixel axis, so the result cannot be put into a unit.",
                "Measure with the unit itself, or export in pixels.",
            )
        return document.calibration_json(self.solved, name, day, self.positions, hot_pixels)

    def summary(self) -> str:
        """The figures in one line."""
        found = self.report
        return (
            f"laser {found['excitation_nm']:.4f} +- {found['excitation_error_nm']:.4f} nm; "
            f"{len(found['lamp'])} lamp lines off by {found['lamp_left_out_cm1']:.2f} cm-1 rms "
            f"when left out; {len(found['bands'])} bands off by "
            f"{found['band_residual_rms_cm1']:.2f} cm-1 rms; lines "
            f"{found['line_width_cm1']:.1f} cm-1 wide"
        )


def attempt(
    common: Session, lamps: int, laser_nm: float, ends_nm: tuple[float, float] | None = None
) -> Attempt:
    """Fit axis and laser.

    Args:
        common: The measurements, lamps first.
        lamps: How many of them are lamps.
        laser_nm: Nominal laser wavelength.
        ends_nm: Roughly the wavelengths of the ends; None: the axis the measurements came with.

    Raises:
        CalibrationError: As `solve`.
    """
    first, rest = common.measured[:lamps], common.measured[lamps:]
    positions = first[0].at
    if ends_nm is not None:  # too rough to point at lines: it narrows the search
        low, high = sorted(ends_nm)
        solved = solve(first, rest, laser_nm, None, (low - AROUND_NM, high + AROUND_NM))
    else:
        solved = solve(first, rest, laser_nm, common.guess)
    reasons = objections(solved, positions)
    found = document.report(solved, positions, reasons)
    return Attempt(solved, positions, common.pixels, tuple(reasons), found)
