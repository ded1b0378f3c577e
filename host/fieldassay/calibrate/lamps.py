"""Emission lines of calibration lamps: wavelengths in standard air with uncertainty and source.

Owns the table and what is near what; which peak is which line is `assign`.

Sources (`source` in lamps.csv): cwa = CWA "Raman instruments calibration and verification
protocols", table 5 (neon lines that stand alone, with uncertainty); nist = NIST Atomic Spectra
Database, persistent neon lines, to 0.0001 nm; emission = lines of Ne, Ar, Kr, Xe and HgAr lamps to
0.001 nm. Where two sources give a line they agree to 0.001 nm, but for neon 724.51665 nm
(emission: 724.512) and 612.84498 nm (emission: 612.884): the first two agree and are used. Lines
with `use` = no are seen by instruments but lie in groups: they explain a peak and calibrate none.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import CalibrationError

Floats = NDArray[np.float64]
INDEX_OF_AIR = 1.000275  # 550-1100 nm, 15 degC, 101 kPa: Raman shifts are of vacuum wavenumbers


@dataclass(frozen=True, slots=True)
class Lamp:
    """The lines of one lamp, ascending; every array has shape (lines,).

    Attributes:
        name: What it is asked for by.
        nm: Wavelengths in air.
        error_nm: Standard uncertainties.
        strength: Relative intensity in the source; rough.
        use: Whether a line may calibrate.
    """

    name: str
    nm: Floats
    error_nm: Floats
    strength: Floats
    use: NDArray[np.bool_]


@cache
def lamps() -> dict[str, Lamp]:
    """Every lamp of the table by name."""
    text = files("fieldassay").joinpath("calibrate/lamps.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {}
    for name in dict.fromkeys(row["lamp"] for row in rows):
        own = [row for row in rows if row["lamp"] == name]
        found[name] = Lamp(
            name,
            np.array([float(row["wavelength_nm"]) for row in own]),
            np.array([float(row["uncertainty_nm"]) for row in own]),
            np.array([float(row["strength"]) for row in own]),
            np.array([row["use"] == "yes" for row in own]),
        )
    return found


def lamp(name: str) -> Lamp:
    """One lamp.

    Raises:
        CalibrationError: `lamp_unknown`.
    """
    known = lamps()
    if name not in known:
        raise CalibrationError(
            "lamp_unknown",
            f"There are no lines of a lamp called {name!r}.",
            f"Use one of: {', '.join(known)}.",
        )
    return known[name]
