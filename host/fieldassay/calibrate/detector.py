"""What a detector does without and with light: offset, dark current, hot pixels, linearity. Pure.

Owns the fits and when they are refused. The result is what `pixels` applies: counts x above the
offset become x (c0 + c1 x + ...), the dark current doubles every so many degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import CalibrationError

Floats = NDArray[np.float64]
HOT_SIGMAS = 12.0  # robust, of all pixels' dark current
HOT_FACTOR = 5.0  # and that many times the median dark current
HOT_MOST = 128  # what the unit's file holds
HOT_RUN = 3  # more in a row hide a band (as in `pixels`)
DEGREES_APART = 5.0  # two temperatures closer than this say nothing of a doubling
DOUBLING_ERROR = 0.15  # relative, of the doubling temperature
DOUBLING_DEGC = (3.0, 15.0)  # silicon sensors double every 5 to 9 degrees
GROUPS = 24  # of pixels of like brightness
REACH = 0.5  # of full scale that a series of exposures must reach
OFF = 0.01  # relative misfit of a linearity
BEND = 0.2  # most that a linearity may correct at the top
EXPOSURES = 5


@dataclass(frozen=True, slots=True)
class Exposed:
    """Mean counts of frames of one exposure.

    Attributes:
        exposure_us: Microseconds.
        counts: Mean per frame, shape (pixels,).
        degc: Temperature of the detector, None if not known.
    """

    exposure_us: int
    counts: Floats
    degc: float | None = None


@dataclass(frozen=True, slots=True)
class Dark:
    """Dark behaviour.

    Attributes:
        offset_counts, offset_error: What a pixel reads without light and time, median of all.
        counts_per_s: Median dark current at `degc`.
        doubling_degc, doubling_error: None where only one temperature was measured.
        hot_pixels: Pixels that are not to be believed, increasing.
    """

    offset_counts: float
    offset_error: float
    counts_per_s: float
    doubling_degc: float | None
    doubling_error: float | None
    hot_pixels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Linearity:
    """Factor on counts above the offset, ascending powers of these, the first 1.

    Attributes:
        factors: As in the unit's file.
        error: Standard uncertainty of the factor at the highest counts measured, relative.
        misfit: Relative rms of the corrected counts about proportionality.
        top: Highest counts above the offset that were measured.
    """

    factors: tuple[float, ...]
    error: float
    misfit: float
    top: float


def fit_dark(frames: Sequence[Exposed]) -> Dark:
    """Offset, dark current and its doubling, hot pixels.

    Args:
        frames: Without light: two exposures at least, the longest ten times the shortest; for the
            doubling two temperatures at least DEGREES_APART apart.

    Raises:
        CalibrationError: `dark_refused`.
    """
    times = np.array([one.exposure_us for one in frames], dtype=np.float64) / 1e6
    if times.size < 2 or times.max() < 10.0 * times.min():
        raise _dark("Exposures of 1 and 10 times the length are needed at least.")
    levels = np.array([float(np.median(one.counts)) for one in frames])
    degrees = np.array([np.nan if one.degc is None else one.degc for one in frames])
    spread = float(np.ptp(degrees)) if np.all(np.isfinite(degrees)) else 0.0
    warm = np.zeros(times.size)
    doubling = error = None
    if spread >= DEGREES_APART:
        warm = degrees - degrees.min()
        doubling, error = _doubling(times, levels, warm)
    current = times * (2.0 ** (warm / doubling) if doubling else 1.0)
    design = np.stack([np.ones_like(current), current], axis=1)
    solved, *_ = np.linalg.lstsq(design, levels, rcond=None)
    off = levels - design @ solved
    scatter = float(off @ off) / max(1, times.size - 2)
    offset_error = float(np.sqrt(np.linalg.inv(design.T @ design)[0, 0] * scatter))
    rate = float(solved[1])
    if rate < 0.0 and -rate * current.max() > 5.0 * max(1.0, np.sqrt(scatter)):
        raise _dark("The dark level falls with the exposure: there was light in between.")
    return Dark(
        float(solved[0]), offset_error, rate, doubling, error, _hot(frames, current, solved)
    )


def _doubling(times: Floats, levels: Floats, warm: Floats) -> tuple[float, float]:
    """The doubling temperature and its standard uncertainty, by a search over it."""

    def misfit(degc: float) -> float:
        design = np.stack([np.ones_like(times), times * 2.0 ** (warm / degc)], axis=1)
        solved, *_ = np.linalg.lstsq(design, levels, rcond=None)
        return float(np.sum((levels - design @ solved) ** 2))

    tried = np.linspace(DOUBLING_DEGC[0], DOUBLING_DEGC[1], 1201)
    found = np.array([misfit(float(degc)) for degc in tried])
    best = int(np.argmin(found))
    if best in (0, tried.size - 1):
        raise _dark("The dark current does not double with the temperature as silicon's does.")
    step = tried[1] - tried[0]
    curvature = float(found[best - 1] - 2.0 * found[best] + found[best + 1]) / step**2
    # Medians of a thousand pixels and more: never better than a tenth of a count.
    scatter = max(float(found[best]) / max(1, times.size - 3), 0.01)
    error = float(np.sqrt(2.0 * scatter / max(curvature, 1e-12)))
    if error > DOUBLING_ERROR * float(tried[best]):
        raise _dark(f"Its doubling is uncertain by {error:.1f} degC: measure longer or warmer.")
    return float(tried[best]), error


def _hot(frames: Sequence[Exposed], current: Floats, solved: Floats) -> tuple[int, ...]:
    """Pixels whose dark current stands far out; it is the slope, so that a fixed offset is none."""
    counts = np.stack([np.asarray(one.counts, dtype=np.float64) for one in frames])
    centred = current - current.mean()
    slope = centred @ counts / float(centred @ centred)
    middle = float(np.median(slope))
    sigma = 1.4826 * float(np.median(np.abs(slope - middle)))
    high = slope - middle > max(HOT_SIGMAS * sigma, (HOT_FACTOR - 1.0) * abs(float(solved[1])))
    found = np.flatnonzero(high)
    if found.size > HOT_MOST:
        raise _dark(f"{found.size} pixels are hot; the unit's file holds {HOT_MOST}.")
    run = 1
    for before, after in pairwise(found):
        run = run + 1 if after == before + 1 else 1
        if run > HOT_RUN:
            raise _dark(f"More than {HOT_RUN} hot pixels lie side by side: light, or a defect.")
    return tuple(int(pixel) for pixel in found)


def fit_linearity(
    series: Sequence[Exposed], offset_counts: float, full_scale_counts: int
) -> Linearity:
    """The curve from counts to light, from one steady light at many exposures.

    A pixel's true signal, its dark current too, is its rate times the exposure. Pixels are grouped
    by brightness; x + c1 x^2 + c2 x^3 = rate t is solved for all groups at once, relative to x.

    Args:
        series: EXPOSURES or more of the same light.
        offset_counts: Of `fit_dark`.
        full_scale_counts: Points above 0.98 of it are not used.

    Raises:
        CalibrationError: `linearity_refused`.
    """
    if len({one.exposure_us for one in series}) < EXPOSURES:
        raise _linear(f"{EXPOSURES} different exposures are needed at least.")
    counts = np.stack([np.asarray(one.counts, dtype=np.float64) for one in series])
    clear = [i for i in range(len(counts)) if counts[i].max() < 0.98 * full_scale_counts]
    if not clear:
        raise _linear("Every exposure is saturated somewhere.")
    rank = np.argsort(counts[max(clear, key=lambda i: series[i].exposure_us)])
    groups = [g for g in np.array_split(rank, min(GROUPS, rank.size)) if g.size]
    level = np.stack([counts[:, g].mean(axis=1) for g in groups], axis=1) - offset_counts
    most = np.stack([counts[:, g].max(axis=1) for g in groups], axis=1)
    times = np.array([one.exposure_us for one in series], dtype=np.float64) / 1e6
    use = (most < 0.98 * full_scale_counts) & (level > 0.01 * full_scale_counts)
    use[:, use.sum(axis=0) < 3] = False
    if not use.any() or level[use].max() < REACH * full_scale_counts:
        raise _linear(f"The series does not reach {100 * REACH:.0f} % of full scale unsaturated.")
    k, g = np.nonzero(use)
    x = level[use]
    top = float(x.max())
    used = np.unique(g)
    rates = (g[:, None] == used[None, :]) * (times[k] / x)[:, None]
    design = np.hstack([(x / top)[:, None], ((x / top) ** 2)[:, None], -rates])
    solved, *_ = np.linalg.lstsq(design, -np.ones(x.size), rcond=None)
    off = design @ solved + 1.0
    misfit = float(np.sqrt(off @ off / max(1, x.size - solved.size)))
    if misfit > OFF:
        raise _linear(f"Counts are {100 * misfit:.1f} % rms off any smooth curve: unsteady light?")
    covariance = np.linalg.pinv(design.T @ design) * misfit**2
    error = float(np.sqrt(max(0.0, float(covariance[:2, :2].sum()))))
    c1, c2 = float(solved[0]), float(solved[1])
    if abs(c1 + c2) > BEND:
        raise _linear(f"It would change the highest counts by {100 * (c1 + c2):.0f} %.")
    over = np.linspace(0.0, (full_scale_counts - offset_counts) / top, 200)
    if np.any(1.0 + 2.0 * c1 * over + 3.0 * c2 * over**2 <= 0.0):
        raise _linear("The curve turns back below full scale.")
    return Linearity((1.0, c1 / top, c2 / top**2), error, misfit, top)


def _dark(why: str) -> CalibrationError:
    return CalibrationError(
        "dark_refused",
        f"The dark behaviour was not measured. {why}",
        "Close the aperture, keep the temperature steady while a series runs, and repeat.",
    )


def _linear(why: str) -> CalibrationError:
    return CalibrationError(
        "linearity_refused",
        f"The linearity was not measured. {why}",
        "Use a steady lamp (warmed up) and exposures from 5 to 90 % of full scale.",
    )
