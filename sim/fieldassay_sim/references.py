"""Reference spectra as the simulator needs them: Raman scattering alone, without background.

Owns reading CSV files and removing their baseline. What a unit sees of it is `optics`.

A library file holds counts of another instrument with fluorescence and noise in them. Both are
removed, so that the scenario alone decides them: the baseline by asymmetric least squares (Eilers
and Boelens 2005, lambda 1e6, p 0.002, 15 iterations), the noise of the flat parts by a soft
threshold of 3 sigma, sigma being the robust spread of second differences. The exposure in the
file's header turns counts into a scattering rate, so a strong scatterer (toluene) stays stronger
than a weak one (lactose).
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags_array
from scipy.sparse.linalg import spsolve

from fieldassay_sim.errors import SpectrumError

Floats = NDArray[np.float64]
SOURCE_FOLDER = "sources/wp_enlighten-4.3.4"
RATE_WITHOUT_EXPOSURE_PER_MS = (
    20.0  # a powder of middling strength, for files that state no exposure
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Baseline-free Raman scattering of a pure substance.

    Attributes:
        name: File stem or the scenario's name.
        axis_cm1: Strictly increasing, shape (N,).
        rate_per_ms: Counts per ms at 100 mW on the instrument that measured it, shape (N,), >= 0.
    """

    name: str
    axis_cm1: Floats
    rate_per_ms: Floats


def default_sources_dir() -> Path:
    """Where `fieldassay library build` leaves the reference CSV files."""
    home = os.environ.get("FIELDASSAY_HOME")
    if home:
        return Path(home) / SOURCE_FOLDER
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "fieldassay" / SOURCE_FOLDER


def asymmetric_baseline(
    values: Floats, smoothness: float = 1e6, asymmetry: float = 0.002, iterations: int = 15
) -> Floats:
    """Baseline of a spectrum by asymmetric least squares.

    Args:
        values: Intensities at equal steps, shape (N,).
        smoothness: Weight of the second differences (lambda); larger is stiffer.
        asymmetry: Weight of points above the baseline (p); points below have 1 - p.
        iterations: Fixed number of re-weightings, so the result is reproducible.

    Returns:
        Baseline, shape (N,), in the unit of `values`.
    """
    size = values.size
    second = diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(size - 2, size))
    penalty = smoothness * (second.T @ second)
    weights = np.ones(size)
    baseline = values
    for _ in range(iterations):
        system = (diags_array(weights) + penalty).tocsc()
        baseline = np.asarray(spsolve(system, weights * values), dtype=np.float64)
        weights = np.where(values > baseline, asymmetry, 1.0 - asymmetry)
    return baseline


def without_background(values: Floats) -> Floats:
    """Raman part of a measured spectrum: baseline and flat-part noise removed, never negative."""
    raman = values - asymmetric_baseline(values)
    second = np.diff(values, 2)
    sigma = float(np.median(np.abs(second - np.median(second)))) * 1.4826 / np.sqrt(6.0)
    out: Floats = np.clip(raman - 3.0 * sigma, 0.0, None)
    return out


def parse_csv(text: str, name: str) -> Reference:
    """A reference from CSV: a key,value header and a Wavenumber/Processed table, or two columns.

    Args:
        text: The file's content.
        name: Name for errors and for the result.

    Returns:
        The baseline-free spectrum on a 1 cm-1 grid.

    Raises:
        SpectrumError: No table of at least 20 increasing points.
    """
    header: dict[str, str] = {}
    columns = (0, 1)
    points: list[tuple[float, float]] = []
    for row in csv.reader(io.StringIO(text.lstrip("\ufeff"))):
        cells = [cell.strip() for cell in row]
        if not points and "Wavenumber" in cells and "Processed" in cells:
            columns = (cells.index("Wavenumber"), cells.index("Processed"))
            continue
        try:
            points.append((float(cells[columns[0]]), float(cells[columns[1]])))
        except (ValueError, IndexError):
            if len(cells) >= 2 and not points:
                header[cells[0]] = cells[1]
            continue
    table = np.array(sorted(set(points)), dtype=np.float64).reshape(-1, 2)
    axis, values = table[:, 0], table[:, 1]
    if axis.size < 20 or not np.all(np.isfinite(table)) or not np.all(np.diff(axis) > 0):
        raise SpectrumError(
            "reference_not_readable",
            f"{name} holds no spectrum: at least 20 points with increasing wavenumbers are needed.",
            "Give CSV with two columns (cm-1, intensity) or with columns Wavenumber and Processed.",
        )
    grid = np.arange(np.ceil(axis[0]), np.floor(axis[-1]) + 1.0)
    raman = without_background(np.interp(grid, axis, values))
    peak = float(raman.max())
    if peak <= 1e-6 * float(np.abs(values).max()):
        raise SpectrumError(
            "reference_is_flat",
            f"{name} has no band above its background.",
            "Use a spectrum of the substance, not of a blank.",
        )
    exposure_ms = _number(header.get("Integration Time", ""))
    if exposure_ms and exposure_ms > 0:
        rate = raman / exposure_ms
    else:
        rate = raman * (RATE_WITHOUT_EXPOSURE_PER_MS / peak)
    return Reference(name, grid, _tapered(rate))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _tapered(rate: Floats, width: int = 8) -> Floats:
    # Nothing is known beyond the reference's ends: fade out rather than show a step that is no
    # band.
    out = rate.copy()
    ramp = np.linspace(0.0, 1.0, width, endpoint=False)
    out[:width] *= ramp
    out[-width:] *= ramp[::-1]
    return out


class References:
    """The reference spectra of one folder, by file stem without regard to case."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else default_sources_dir()

    def names(self) -> list[str]:
        """File stems, sorted; empty where the folder is missing."""
        if not self.folder.is_dir():
            return []
        return sorted((p.stem for p in self.folder.glob("*.csv")), key=str.lower)

    def get(self, name: str) -> Reference:
        """The reference named `name`.

        Raises:
            SpectrumError: The folder or the name is not there, or the file cannot be read.
        """
        stems = {stem.lower(): stem for stem in self.names()}
        if not stems:
            raise SpectrumError(
                "no_references",
                f"No reference spectra are in {self.folder}; simulated samples are made of them.",
                "Type: fieldassay library build",
            )
        if name.lower() not in stems:
            close = sorted(stems[s] for s in stems if s[:3] == name.lower()[:3])
            hint = f" Near: {', '.join(close)}." if close else ""
            raise SpectrumError(
                "reference_unknown",
                f"No reference spectrum is called {name!r}.{hint}",
                "Type `fieldassay-sim list --references` for all names.",
            )
        return read_file(self.folder / f"{stems[name.lower()]}.csv")


@lru_cache(maxsize=256)
def read_file(path: Path) -> Reference:
    """A reference from a CSV file of any place.

    Raises:
        SpectrumError: The file is missing or holds no spectrum.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SpectrumError(
            "reference_not_readable",
            f"{path} cannot be read: {error.strerror}.",
            "Check the path in the scenario; it is relative to the scenario file.",
        ) from error
    return parse_csv(text, path.stem)
