"""Where a spectrum has bands, coarsely: what members of a family share and instruments agree on.

Owns the profile: relative band heights from the second derivative, and from them a presence from 0
to 1 every few cm-1, wide enough for axis errors and other line widths; and how alike two curves of
second derivatives are. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.preprocess import recipe, smooth

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
STEP = 4  # columns between points of a profile
EDGE_COLUMNS = 12  # second derivatives see the end of the data as a band
# The recipe smooths with 3 cm-1 already; noise of a second derivative follows from that of the
# first by the ratio of the integrals of squared Gaussian derivatives, 3/(8 s^5) over 1/(4 * 3^3).
_NOISE_SQUARED = 1.5 * recipe.SIGMA_CM1**3
TOP_COLUMNS = 4  # a top of a band is not lower than anything so near
SHIFTS = 2  # points to both sides at which curves are compared
NOISE_TIMES = 2.0  # thresholds are twice the noise; a band must stand at four times


@dataclass(frozen=True, slots=True)
class Scale:
    """How bands are looked at.

    Attributes:
        sigma_cm1: Smoothing of the second derivative.
        absent, present: Heights over the strongest band that count as 0 and as 1; between them
            the logarithm counts.
        reach_cm1: A band counts this far to both sides.
    """

    sigma_cm1: float
    absent: float
    present: float
    reach_cm1: int


SCALES = (Scale(5.0, 0.02, 0.2, 4), Scale(6.0, 0.003, 0.05, 5))


@dataclass(frozen=True, slots=True)
class Profile:
    """Bands of one spectrum.

    Attributes:
        presence: One row a scale, 0..1, shape (S, B).
        seen: 1 where the spectrum has data, shape (B,).
        tops: Columns of the tops of bands.
        heights: Their heights over the strongest.
        window: Columns [lo, hi) with data.
        curve: Curvature, signed square root, for `likeness`, shape (B,).
    """

    presence: Floats
    seen: Floats
    tops: NDArray[np.intp]
    heights: Floats
    window: tuple[int, int]
    curve: Floats


def points(columns: int) -> int:
    """How many points a profile of a grid of `columns` has."""
    return len(range(0, columns, STEP))


def of(linear: Floats, threshold: Floats | None, window: tuple[int, int]) -> Profile:
    """The profile of a band derivative.

    Args:
        linear: Derivative after the recipe's linear part, shape (D,).
        threshold: What counts as nothing in it, shape (D,); None for references.
        window: Columns [lo, hi) with data.
    """
    lo, hi = min(window[0], linear.size), min(window[1], linear.size)
    inside = np.zeros(linear.size)
    inside[lo:hi] = 1.0
    presence, first, curve = [], np.zeros(linear.size), np.zeros(linear.size)
    for number, scale in enumerate(SCALES):
        bent = _curvature(linear, threshold, scale.sigma_cm1) * inside
        heights = np.maximum(bent, 0.0)
        strongest = float(heights.max(initial=0.0))
        relative = heights / strongest if strongest > 0 else heights
        if number == 0:
            first, curve = relative, np.sign(bent) * np.sqrt(np.abs(bent))
        span = np.log(scale.present / scale.absent)
        counted = np.clip(np.log(np.maximum(relative, 1e-9) / scale.absent) / span, 0.0, 1.0)
        presence.append(_widened(counted, scale.reach_cm1)[::STEP])
    tops = np.flatnonzero((first > 0) & (first >= _widened(first, TOP_COLUMNS)))
    return Profile(
        np.array(presence), inside[::STEP].copy(), tops, first[tops], (lo, hi), curve[::STEP].copy()
    )


def crowding(spectrum: Profile) -> float:
    """Mean presence of bands over the range with data, 0..1: 0.05 to 0.25 for a substance."""
    seen = float(spectrum.seen.sum())
    return float((spectrum.presence[0] * spectrum.seen).sum()) / seen if seen else 0.0


def likeness(curves: Singles, spectra: Sequence[Profile]) -> Singles:
    """How alike the curves of references are to those of spectra: best cosine of a few shifts.

    Args:
        curves: One a row, shape (R, B).
        spectra: N of them; only what they have data for is compared.

    Returns:
        -1..1, shape (N, R).
    """
    found = np.full((len(spectra), len(curves)), -1.0, dtype=np.float32)
    squares = np.square(curves)
    own = np.array([p.curve for p in spectra], dtype=np.float32)
    seen = np.array([p.seen for p in spectra], dtype=np.float32)
    for by in range(-SHIFTS, SHIFTS + 1):
        moved = _moved(own, by)
        norms = np.sqrt(_moved(seen, by) @ squares.T)
        norms *= np.linalg.norm(moved, axis=1, keepdims=True)
        np.maximum(found, moved @ curves.T / np.maximum(norms, 1e-9), out=found)
    return found


def _moved(rows: Singles, by: int) -> Singles:
    moved = np.zeros_like(rows)
    if by >= 0:
        moved[:, by:] = rows[:, : rows.shape[1] - by]
    else:
        moved[:, :by] = rows[:, -by:]
    return moved


def _curvature(linear: Floats, threshold: Floats | None, sigma_cm1: float) -> Floats:
    more = float(np.sqrt(sigma_cm1**2 - recipe.SIGMA_CM1**2))
    bent = -smooth.gaussian_derivative(linear, more)
    if threshold is not None:
        noise = np.sqrt(_NOISE_SQUARED / sigma_cm1**5) * NOISE_TIMES * threshold
        bent = np.where(np.abs(bent) > noise, bent, 0.0)
    return np.asarray(bent, dtype=np.float64)


def _widened(values: Floats, reach: int) -> Floats:
    wide = values.copy()
    for step in range(1, reach + 1):  # a few passes over the row beat a window of views
        np.maximum(wide[step:], values[:-step], out=wide[step:])
        np.maximum(wide[:-step], values[step:], out=wide[:-step])
    return wide
