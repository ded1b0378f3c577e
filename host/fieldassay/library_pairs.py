"""Two substances that look alike: which band tells them apart, and how good the signal must be.

Owns the comparison of a reference with the best fit of another. Pure.

The signal-to-noise needed is worked out, not measured. Both references are smoothed as the recipe
smooths (a Gaussian of s = 3 cm-1, less one of b = 30 cm-1), the second is scaled and moved to the
first as the decision fits it, and D is their largest difference. A measurement whose strongest band
is H high, with points d apart and noise H / SNR at each, has after this smoothing the noise
H / SNR * sqrt(d q), where q is the integral over the square of the smoothing:

    q = 1 / (2 sqrt(pi) s) + 1 / (2 sqrt(pi) b) - sqrt(2 / pi) / sqrt(s^2 + b^2) = 0.077 per cm-1.

D is K times that noise at

    SNR = K * H / D * sqrt(d q).

With K = 5 a threshold in the middle between the two errs once in 160 measurements (2.5 sigma).
Noise of the references themselves is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay import align, bands, decide
from fieldassay.explain import Explanation
from fieldassay.library import Library
from fieldassay.preprocess import recipe

Floats = NDArray[np.float64]
K_SIGMA = 5.0
SPACING_CM1 = 2.0  # of the points of a usual handheld at 785 nm
TELLING = 3  # bands named at most
APART_CM1 = 15.0  # of two telling bands
THRESHOLDS = decide.load_thresholds()


@dataclass(frozen=True, slots=True)
class Telling:
    """A band by which two substances differ.

    Attributes:
        at_cm1: On the axis of the first entry.
        difference: First less second, over the highest band of the first.
    """

    at_cm1: float
    difference: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two substances of which one can be taken for the other.

    Attributes:
        substances: Ids, the one that was measured first.
        rows: The entries compared.
        score: How well the second explains the first, by the score of the decision.
        look_alike: The lead of the right one over the other stays below what the decision asks, so
            the two are never told apart whatever the signal.
        telling: Best first; empty if they are the same to the last digit.
        snr: Height of the strongest band over the noise from which the first of `telling` is
            K_SIGMA times the noise; infinity if there is none.
    """

    substances: tuple[str, str]
    rows: tuple[int, int]
    score: float
    look_alike: bool
    telling: tuple[Telling, ...]
    snr: float


def tell_apart(library: Library, row: int, e: Explanation) -> Pair:
    """The pair of an entry and of the one reference that explains it."""
    other = e.rows[0]
    difference, height = compare(library, row, e)
    telling = tuple(_largest(library.grid_cm1, difference / height))
    return Pair(
        substances=(library.entries[row].substance, library.entries[other].substance),
        rows=(row, other),
        score=e.score,
        look_alike=1.0 - e.score < THRESHOLDS.match["min_margin"],
        telling=telling,
        snr=snr_needed(abs(telling[0].difference)) if telling else float("inf"),
    )


def snr_needed(difference: float, spacing_cm1: float = SPACING_CM1) -> float:
    """Signal-to-noise at which a relative difference is K_SIGMA times the noise; see above."""
    return K_SIGMA / max(difference, 1e-12) * noise_factor(spacing_cm1)


def noise_factor(spacing_cm1: float = SPACING_CM1) -> float:
    """What smoothing leaves of white noise at points so far apart."""
    s, b = recipe.SIGMA_CM1, recipe.BACKGROUND_CM1
    own = (1.0 / s + 1.0 / b) / (2.0 * np.sqrt(np.pi))
    return float(np.sqrt(spacing_cm1 * (own - np.sqrt(2.0 / np.pi) / np.hypot(s, b))))


def compare(library: Library, row: int, e: Explanation) -> tuple[Floats, float]:
    """First less second after smoothing, shape (D,), and the height of the first's highest band."""
    other = e.rows[0]
    first, second = bands.of(library, row), bands.of(library, other)
    at = np.arange(first.size, dtype=np.float64)
    centre = 0.5 * (first.size - 1)
    # A band at x of the reference stands at x + shift + stretch (x - centre) in the measurement.
    back = at - e.shift_cm1 - e.stretch * (at - centre)
    moved = np.interp(back, at, second)
    if e.broadening_cm1 > 0.0:
        moved = align.broadened(moved, e.broadening_cm1)
    else:
        first = align.broadened(first, -e.broadening_cm1)
    a, b = smoothed(first), smoothed(moved)
    entries = library.entries
    lo = max(entries[row].first, entries[other].first) + 12
    hi = min(entries[row].last, entries[other].last) - 12
    difference = np.zeros(first.size)
    height = max(float(np.max(first, initial=0.0)), 1e-30)
    if hi > lo:
        power = float(b[lo:hi] @ b[lo:hi])
        scale = max(float(a[lo:hi] @ b[lo:hi]) / power, 0.0) if power > 0.0 else 0.0
        difference[lo:hi] = a[lo:hi] - scale * b[lo:hi]
    return difference, height


def smoothed(values: Floats) -> Floats:
    """As the recipe smooths before it takes the slope, shape (D,)."""
    fine = align.broadened(values, recipe.SIGMA_CM1)
    return np.asarray(fine - align.broadened(values, recipe.BACKGROUND_CM1))


def _largest(grid_cm1: Floats, difference: Floats) -> list[Telling]:
    found: list[Telling] = []
    left = np.abs(difference)
    for _ in range(TELLING):
        at = int(np.argmax(left))
        if left[at] <= 0.0 or (found and left[at] < 0.5 * abs(found[0].difference)):
            break
        found.append(Telling(float(grid_cm1[at]), float(difference[at])))
        left = np.where(np.abs(grid_cm1 - grid_cm1[at]) < APART_CM1, 0.0, left)
    return found
