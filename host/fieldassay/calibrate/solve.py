"""From measured lamps and standards to one calibration of the axis, or the reasons why not.

Owns the order of the steps and the limits a calibration must keep. Pure: spectra come in, nothing
is written. Peaks, lines, bands and the fit are in `peaks`, `assign`, `standards`, `axis`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate import assign, peaks
from fieldassay.calibrate.axis import NO_LINES, AxisFit, Lines, fit_axis
from fieldassay.calibrate.lamps import Lamp, lamp
from fieldassay.calibrate.standards import ROUGH_CM1, Band, find_bands, standard
from fieldassay.errors import CalibrationError

Floats = NDArray[np.float64]
SAME_PX = 1.0  # two exposures of one line


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of a lamp or a standard.

    Attributes:
        name: What was measured: a name of `lamps` or `standards`.
        at: Position of each point, increasing, shape (N,); pixels, or nominal nm where a file has
            no pixels.
        values: Dark-subtracted intensity, shape (N,).
        source: File or record.
    """

    name: str
    at: Floats
    values: Floats
    source: str


@dataclass(frozen=True, slots=True)
class NamedBand:
    """A band used or left out, with the standard it is of."""

    standard: str
    band: Band
    at: float


@dataclass(frozen=True, slots=True)
class Solved:
    """A calibration of the axis.

    Attributes:
        axis: Fit with the laser.
        bands: Bands used, in the order of `axis.bands`.
        lamp_width_px: FWHM of each lamp line used, in points.
        score: Of the assignment, -log10 of chance.
        blind: The axis was found without a guess.
    """

    axis: AxisFit
    bands: tuple[NamedBand, ...]
    lamp_width_px: Floats
    score: float
    blind: bool


@cache
def limits() -> dict[str, dict[str, float | str]]:
    """What a calibration must keep, from limits.toml: name -> {"value", "unit", "source"}."""
    text = files("fieldassay").joinpath("calibrate/limits.toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, float | str]] = tomllib.loads(text)["calibration"]
    return table


def solve(
    lamps: Sequence[Measured],
    standards: Sequence[Measured],
    laser_nm: float,
    guess: assign.Guess | None,
    range_nm: tuple[float, float] = assign.RANGE_NM,
) -> Solved:
    """Calibrate the axis.

    Args:
        lamps: One lamp or several, each in one exposure or several: faint lines come from the long
            one, strong ones from the short one.
        standards: At least one; their bands give the laser and hold the axis where no lines are.
        laser_nm: Nominal laser wavelength.
        guess: Wavelength of a position; None: the axis is found from the lamp alone.
        range_nm: Where it is looked for then.

    Raises:
        CalibrationError: With the reason; nothing is calibrated.
    """
    if not lamps or not standards:
        raise CalibrationError(
            "calibration_incomplete",
            "A calibration needs a lamp and a shift standard; one of them is missing.",
            "Measure both, for example neon and polystyrene.",
        )
    names = {m.name for m in lamps}
    lines = _together([lamp(name) for name in sorted(names)])
    found = _merged(lamps)
    if guess is None:
        points = max(m.at[-1] for m in lamps) - min(m.at[0] for m in lamps)
        got = assign.blind(found, lines, int(points) + 1, range_nm)
    else:
        got = assign.from_guess(found, lines, guess)
    bands, named = _bands(standards, got.axis, laser_nm)
    axis = fit_axis(got.axis.lamp, bands, laser_nm)
    axis, named = _without_outliers(axis, named, laser_nm)
    widths = np.array([p.width_px for p in got.peaks])
    return Solved(axis, tuple(named), widths, got.score, guess is None)


def bands_on(
    measured: Measured, axis: AxisFit, laser_nm: float, rough_cm1: float = ROUGH_CM1
) -> tuple[Lines, list[NamedBand]]:
    """The bands of one standard at their positions, found with an axis that `rough_cm1` is true of.

    Raises:
        CalibrationError: `standard_not_seen`.
    """
    shift = 1e7 / laser_nm - 1e7 / axis.wavelength_nm(measured.at)
    found = find_bands(measured.values, shift, standard(measured.name), rough_cm1)
    index = np.arange(measured.at.size, dtype=np.float64)
    at = np.interp([b.at_px for b in found], index, measured.at)
    step = np.interp([b.at_px for b in found], index, np.gradient(measured.at))
    error = np.array([b.error_px for b in found]) * step
    lines = Lines(
        at,
        error,
        np.array([b.true_cm1 for b in found]),
        np.array([b.true_error_cm1 for b in found]),
    )
    return lines, [NamedBand(measured.name, b, float(x)) for b, x in zip(found, at, strict=True)]


def objections(solved: Solved, positions: Floats) -> list[str]:
    """Why this calibration may not be used, one sentence each; empty if it may.

    Args:
        solved: The calibration.
        positions: Of the detector's pixels, shape (N,).
    """
    axis, table = solved.axis, limits()
    nm = axis.wavelength_nm(positions)
    per_nm = 1e7 / nm.mean() ** 2
    slope = np.sign(np.median(np.diff(nm)))
    found = []
    if not np.all(np.diff(nm) * slope > 0):
        found.append("The wavelengths do not always rise with the pixel number.")
    lines = axis.lamp.at.size
    if lines < float(table["lamp_lines"]["value"]):
        found.append(f"{lines} lamp lines were recognised; {table['lamp_lines']['value']} needed.")
    rms = axis.rms_nm * per_nm
    if rms > float(table["lamp_left_out_cm1"]["value"]):
        found.append(
            f"A lamp line left out of the fit is off by {rms:.2f} cm-1 rms; at most "
            f"{table['lamp_left_out_cm1']['value']} is allowed."
        )
    residual = float(np.sqrt(np.mean(axis.band_residual_cm1**2)))
    if residual > float(table["band_residual_cm1"]["value"]):
        found.append(
            f"The standards' bands are off by {residual:.2f} cm-1 rms; at most "
            f"{table['band_residual_cm1']['value']} is allowed."
        )
    low, high = axis.span()
    held = (high - low) / max(1e-9, float(positions[-1] - positions[0]))
    if held < float(table["held_share"]["value"]):
        found.append(
            f"Lines and bands lie on {100 * held:.0f} % of the detector only; "
            f"{100 * float(table['held_share']['value']):.0f} % are needed."
        )
    return found


def _together(lamps: list[Lamp]) -> Lamp:
    if len(lamps) == 1:
        return lamps[0]
    order = np.argsort(np.concatenate([one.nm for one in lamps]), kind="stable")

    def join(name: str) -> Floats:
        return np.asarray(np.concatenate([getattr(one, name) for one in lamps])[order])

    return Lamp(
        "+".join(one.name for one in lamps),
        join("nm"),
        join("error_nm"),
        join("strength"),
        join("use").astype(np.bool_),
    )


def _merged(lamps: Sequence[Measured]) -> list[peaks.Peak]:
    """Peaks of every exposure at their positions; of one line the exposure with the better fit."""
    kept: list[peaks.Peak] = []
    for measured in lamps:
        index = np.arange(measured.at.size, dtype=np.float64)
        steps = np.gradient(measured.at)
        for peak in peaks.find(measured.values):
            step = float(np.interp(peak.at_px, index, steps))
            here = replace(
                peak,
                at_px=float(np.interp(peak.at_px, index, measured.at)),
                error_px=peak.error_px * step,
            )
            same = [p for p in kept if abs(p.at_px - here.at_px) < SAME_PX * step]
            if same and min(p.misfit for p in same) <= here.misfit:
                continue
            kept = [p for p in kept if p not in same] + [here]
    return sorted(kept, key=lambda p: p.at_px)


def _bands(
    standards: Sequence[Measured], axis: AxisFit, laser_nm: float
) -> tuple[Lines, list[NamedBand]]:
    parts, named = [NO_LINES], []
    for measured in standards:
        lines, own = bands_on(measured, axis, laser_nm)
        parts.append(lines)
        named += own
    return (
        Lines(
            np.concatenate([p.at for p in parts]),
            np.concatenate([p.error for p in parts]),
            np.concatenate([p.known for p in parts]),
            np.concatenate([p.known_error for p in parts]),
        ),
        named,
    )


def _without_outliers(
    axis: AxisFit, named: list[NamedBand], laser_nm: float
) -> tuple[AxisFit, list[NamedBand]]:
    """A band that the fit without it contradicts by four uncertainties is not used, one by one."""
    while axis.bands.at.size > 3:
        error = np.hypot(axis.bands.known_error, axis.error_cm1(axis.bands.at))
        away = np.abs(axis.band_left_out_cm1) / error
        worst = int(np.argmax(away))
        if away[worst] <= 4.0:
            break
        keep = np.arange(axis.bands.at.size) != worst
        bands = axis.bands
        fewer = Lines(bands.at[keep], bands.error[keep], bands.known[keep], bands.known_error[keep])
        axis = fit_axis(axis.lamp, fewer, laser_nm)
        named = [n for n, kept in zip(named, keep, strict=True) if kept]
    return axis, named
