"""Which peak is which line of a lamp, with and without a good guess of the axis.

Owns the search. Without a guess: every three strong peaks against every three lines give a
parabola; the one whose coincidences are least likely to be chance wins (a contrario). Then lines
are added and outliers removed while the polynomial is fitted again (`axis`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate.axis import AxisFit, Lines, fit_axis
from fieldassay.calibrate.lamps import Lamp
from fieldassay.calibrate.peaks import Peak
from fieldassay.errors import CalibrationError

Floats = NDArray[np.float64]
Guess = Callable[[Floats], Floats]
RANGE_NM = (400.0, 1150.0)  # where detectors of Raman instruments see
STRONGEST = 8  # peaks the search starts from, and the two strongest of each
PARTS = 4  # part of the detector
CURVATURE = 0.2  # largest change of dispersion over the detector, relative, either way
TOLERANCE_PX = 2.5  # a coincidence, while searching
CLOSE_PX = 1.5  # a coincidence, once a polynomial is fitted
REFINED = 40  # best parabolas that are worked out
LINES_MIN = 6
MISFIT = 0.25  # a peak whose shape fits worse is a blend
ROUNDS = 8
OUTLIER = 4.0  # robust sigmas


@dataclass(frozen=True, slots=True)
class Assignment:
    """Peaks of recognised lines and the axis through them; `score` is -log10 of chance."""

    peaks: tuple[Peak, ...]
    axis: AxisFit
    score: float
    runner_up: float = 0.0


def from_guess(
    peaks: Sequence[Peak], lamp: Lamp, guess_nm: Guess, reach_px: float = 12.0
) -> Assignment:
    """Lines near where a guess puts them.

    The guess may be off by `reach_px`: a common offset and stretch is looked for first, then the
    polynomial is fitted in rounds with a shrinking reach.

    Args:
        peaks: As `peaks.find` gives them.
        lamp: Its lines.
        guess_nm: Wavelength of a position, for example the old calibration.
        reach_px: How far off it may be.

    Raises:
        CalibrationError: `calibration_too_few_lines`.
    """
    at = np.array([p.at_px for p in peaks])
    if at.size < 4:
        raise too_few(at.size)
    nm = guess_nm(at)
    step = np.abs(guess_nm(at + 0.5) - guess_nm(at - 0.5))
    middle = (at - at.mean()) / max(1.0, float(np.ptp(at)) / 2)
    best, offset, stretch = -1.0, 0.0, 0.0
    heights = np.sqrt(np.array([p.height for p in peaks]))
    for shift in np.arange(-reach_px, reach_px + 0.25, 0.5):
        for slope in np.arange(-reach_px / 2, reach_px / 2 + 0.25, 1.0):
            moved = nm + (shift + slope * middle) * step
            near = np.abs(_nearest(lamp.nm, moved)[1]) / step
            score = float(np.sum(heights * np.exp(-((near / 1.0) ** 2))))
            score -= 1e-3 * heights.sum() * (abs(shift) + abs(slope)) / max(1.0, reach_px)
            if score > best:
                best, offset, stretch = score, float(shift), float(slope)
    return _refine(peaks, lamp, nm + (offset + stretch * middle) * step, step)


def blind(
    peaks: Sequence[Peak], lamp: Lamp, pixels: int, range_nm: tuple[float, float] = RANGE_NM
) -> Assignment:
    """Lines without any guess: which part of the lamp's spectrum is on the detector?

    Raises:
        CalibrationError: `calibration_too_few_lines`, `calibration_ambiguous`.
    """
    good = [p for p in peaks if p.misfit < MISFIT]
    if len(good) < LINES_MIN:
        raise too_few(len(good))
    lines = lamp.nm[(lamp.nm >= range_nm[0]) & (lamp.nm <= range_nm[1])]
    strong = _strong(good)
    at = np.array([p.at_px for p in good])
    extent = float(np.ptp(at))
    found: list[tuple[float, Floats]] = []
    first, second, third = np.array(list(combinations(range(lines.size), 3))).T
    for i, j, k in combinations(range(len(strong)), 3):
        p = np.array([strong[i].at_px, strong[j].at_px, strong[k].at_px])
        if p[2] - p[0] < extent / 3 or min(p[1] - p[0], p[2] - p[1]) < extent / 20:
            continue
        for turn in (1.0, -1.0):
            where = np.sort(p * turn)  # a detector may be mounted either way round
            found += _parabolas(where, at * turn, lines, first, second, third, pixels, turn)
    found.sort(key=lambda item: -item[0])
    worked: list[Assignment] = []
    for parabola in _different(found, pixels):
        nm = np.polyval(parabola, at)
        step = np.abs(np.polyval(np.polyder(parabola), at))
        try:
            worked.append(_refine(good, lamp, nm, step))
        except CalibrationError:
            continue
    if not worked:
        raise too_few(0)
    worked.sort(key=lambda a: -a.score)
    best = worked[0]
    centre = float(best.axis.wavelength_nm(np.array([pixels / 2]))[0])
    others = [
        a.score
        for a in worked
        if abs(float(a.axis.wavelength_nm(np.array([pixels / 2]))[0]) - centre) > 2.0
    ]
    runner_up = max(others, default=0.0)
    if best.score < 4.0 or best.score - runner_up < 1.0:
        raise CalibrationError(
            "calibration_ambiguous",
            f"The lamp's lines fit in more than one place (around {centre:.0f} nm and elsewhere).",
            "Say where the axis roughly lies (--guess-nm FIRST,LAST), or measure the lamp longer.",
        )
    return Assignment(best.peaks, best.axis, best.score, runner_up)


def _different(found: list[tuple[float, Floats]], pixels: int) -> list[Floats]:
    """The best parabolas that do not all say the same; two of each kind."""
    kept: list[Floats] = []
    seen: dict[tuple[int, int], int] = {}
    for _, parabola in found:
        middle = float(np.polyval(parabola, pixels / 2))
        slope = abs(float(np.polyval(np.polyder(parabola), pixels / 2)))
        kind = (round(middle / 2.0), round(50.0 * np.log(max(slope, 1e-9))))
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 2:
            kept.append(parabola)
        if len(kept) == REFINED:
            break
    return kept


def _strong(peaks: Sequence[Peak]) -> list[Peak]:
    """The strongest peaks and the strongest of each part of the detector."""
    chosen = set(sorted(peaks, key=lambda p: -p.height)[:STRONGEST])
    first, last = peaks[0].at_px, peaks[-1].at_px
    for part in range(PARTS):
        low = first + (last - first) * part / PARTS
        inside = [p for p in peaks if low <= p.at_px <= low + (last - first) / PARTS]
        chosen.update(sorted(inside, key=lambda p: -p.height)[:2])
    return sorted(chosen, key=lambda p: p.at_px)


def too_few(count: int) -> CalibrationError:
    """The error of a lamp spectrum in which too little is recognised."""
    return CalibrationError(
        "calibration_too_few_lines",
        f"Only {count} lines of the lamp were recognised; {LINES_MIN} are needed.",
        "Hold the lamp nearer or expose longer without saturating, and check that it is this lamp.",
    )


def _parabolas(
    p: Floats,
    at: Floats,
    lines: Floats,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    third: NDArray[np.int64],
    pixels: int,
    turn: float,
) -> list[tuple[float, Floats]]:
    a, b, c = lines[first], lines[second], lines[third]
    slope1, slope2 = (b - a) / (p[1] - p[0]), (c - b) / (p[2] - p[1])
    curve = (slope2 - slope1) / (p[2] - p[0])
    mean = (c - a) / (p[2] - p[0])
    usable = np.abs(curve) * pixels < CURVATURE * mean
    usable &= (mean * pixels > 15.0) & (mean * pixels < 700.0)
    a, slope1, curve, mean = a[usable], slope1[usable], curve[usable], mean[usable]
    if not a.size:
        return []
    # Newton's form of the parabola through the three.
    away = at[None, :] - p[0]
    nm = a[:, None] + slope1[:, None] * away + curve[:, None] * away * (at[None, :] - p[1])
    near = np.abs(_nearest(lines, nm.ravel())[1]).reshape(nm.shape) / mean[:, None]
    score = _chance(near < TOLERANCE_PX, nm, lines, mean)
    keep = np.argsort(-score)[:3]
    out = []
    for n in keep:
        c2, c1 = curve[n], slope1[n] - curve[n] * (p[0] + p[1])
        c0 = a[n] - slope1[n] * p[0] + curve[n] * p[0] * p[1]
        out.append((float(score[n]), np.array([c2, c1 * turn, c0])))
    return out


def _chance(hit: NDArray[np.bool_], nm: Floats, lines: Floats, nm_per_px: Floats) -> Floats:
    """-log10 of the chance to hit so many lines with so many peaks, less for lines not seen."""
    low, high = nm.min(axis=1), nm.max(axis=1)
    inside = np.searchsorted(lines, high + 1e-6) - np.searchsorted(lines, low - 1e-6)
    chance = np.clip(inside * 2 * TOLERANCE_PX * nm_per_px / (high - low), 1e-4, 0.999)
    hits, tries = hit.sum(axis=1) - 3, hit.shape[1] - 3
    rate = np.clip(hits / max(1, tries), 1e-6, 1 - 1e-9)
    # Chernoff bound of the binomial tail.
    bound = tries * (rate * np.log(rate / chance) + (1 - rate) * np.log((1 - rate) / (1 - chance)))
    return np.asarray(np.where(rate > chance, bound, 0.0) / np.log(10.0), dtype=np.float64)


def _refine(peaks: Sequence[Peak], lamp: Lamp, nm: Floats, step: Floats) -> Assignment:
    """Lines to peaks one to one, fitted in rounds; `nm` and `step` are the guess at the peaks."""
    at = np.array([p.at_px for p in peaks])
    error = np.array([p.error_px for p in peaks])
    usable = np.array([p.misfit < MISFIT for p in peaks])
    axis: AxisFit | None = None
    chosen: NDArray[np.int64] = np.array([], dtype=np.int64)
    reach = 4.0
    for round_ in range(ROUNDS):
        line, away = _nearest(lamp.nm, nm)
        off = np.abs(away) / step
        new = _one_to_one(off, line, usable & lamp.use[line] & (off < reach))
        if new.size < LINES_MIN:
            raise too_few(new.size)
        order = min(2 if round_ < 2 else 3, new.size - 4) if round_ < 4 else None
        axis = fit_axis(_lines(new, line, at, error, lamp), order=order)
        left = axis.lamp_left_out_nm / step[new]
        spread = max(0.05, 1.4826 * float(np.median(np.abs(left))))
        good = np.abs(left) < OUTLIER * spread
        if good.sum() >= LINES_MIN and not good.all():
            new = new[good]
            axis = fit_axis(_lines(new, line, at, error, lamp), order=order)
        nm, step = axis.wavelength_nm(at), np.abs(axis.dispersion_nm(at))
        reach = max(0.6, min(reach * 0.7, max(CLOSE_PX * 0.5, OUTLIER * spread)))
        if round_ > 4 and np.array_equal(new, chosen):
            break
        chosen = new
    assert axis is not None
    line, away = _nearest(lamp.nm, nm)
    lines = lamp.nm[(lamp.nm > nm.min() - 1) & (lamp.nm < nm.max() + 1)]
    hit = (np.abs(away) / step < TOLERANCE_PX)[None, :]
    score = float(_chance(hit, nm[None, :], lines, np.array([float(np.median(step))]))[0])
    return Assignment(tuple(peaks[i] for i in chosen), axis, score)


def _lines(
    peak: NDArray[np.int64], line: NDArray[np.int64], at: Floats, error: Floats, lamp: Lamp
) -> Lines:
    own = line[peak]
    return Lines(at[peak], error[peak], lamp.nm[own], lamp.error_nm[own])


def _one_to_one(
    off: Floats, line: NDArray[np.int64], allowed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    best: dict[int, int] = {}
    for i in np.flatnonzero(allowed):
        other = best.get(int(line[i]))
        if other is None or off[i] < off[other]:
            best[int(line[i])] = int(i)
    return np.array(sorted(best.values()), dtype=np.int64)


def _nearest(lines: Floats, nm: Floats) -> tuple[NDArray[np.int64], Floats]:
    right = np.clip(np.searchsorted(lines, nm), 1, lines.size - 1)
    left = right - 1
    index = np.where(np.abs(nm - lines[left]) <= np.abs(lines[right] - nm), left, right)
    return index, nm - lines[index]
