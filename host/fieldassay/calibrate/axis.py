"""The wavelength axis: one polynomial through lamp lines and bands of shift standards.

Owns the joint fit of axis and laser wavelength, the choice of the order (by leaving lines out, not
by the fit) and the uncertainty that follows. A position is a pixel, or whatever else the x column
of a spectrum counts in. Which peak is which line is `assign` and `standards`.

The model is linear: nm = sum c_k t^k for lamp lines; a band of known shift s adds the row
nm = 1 / (1/L - s), linearised in the laser wavelength L, so that neon gives nanometres, the
standard gives the laser, and bands also hold the axis where the lamp has no lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ORDERS = (1, 2, 3, 4, 5)
BETTER = 0.9  # a higher order must lower the left-out error by this factor
FLOOR_NM_PER_NM = 1e-5  # of the range: 1/50 pixel of 2000; lines are not symmetric
LASER_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Lines:
    """Positions with what is known about them; arrays of equal shape (lines,).

    Attributes:
        at: Positions.
        error: Standard uncertainty of each, in positions.
        known: Wavelength in nm (lamp) or Raman shift in cm-1 (standard).
        known_error: Its standard uncertainty in the same unit.
    """

    at: Floats
    error: Floats
    known: Floats
    known_error: Floats


NO_LINES = Lines(*(np.zeros(0) for _ in range(4)))


@dataclass(frozen=True, slots=True)
class AxisFit:
    """Wavelength as a polynomial of t = (position - middle) / half, and the laser.

    Attributes:
        coefficients: Ascending powers of t, nm.
        covariance: Of the coefficients and, last, the laser's wavelength; scaled by the residuals.
        middle: Position at t = 0.
        half: Positions per unit of t.
        laser_nm: Excitation; None without a standard.
        lamp: Lamp lines used.
        bands: Bands of standards used.
        lamp_residual_nm: Fitted minus true.
        lamp_left_out_nm: The same for each line with itself left out of the fit.
        band_residual_cm1: Fitted minus true shift.
        band_left_out_cm1: The same with the band left out.
        tried: Left-out error by order, in standard uncertainties.
        lower: Coefficients of the fit of one order lower, for the uncertainty outside the lines.
    """

    coefficients: Floats
    covariance: Floats
    middle: float
    half: float
    laser_nm: float | None
    lamp: Lines
    bands: Lines
    lamp_residual_nm: Floats
    lamp_left_out_nm: Floats
    band_residual_cm1: Floats
    band_left_out_cm1: Floats
    tried: dict[int, float]
    lower: Floats

    @property
    def order(self) -> int:
        """Degree of the polynomial."""
        return self.coefficients.size - 1

    @property
    def rms_nm(self) -> float:
        """Left-out rms of the lamp lines: what an unseen line would be off by."""
        return float(np.sqrt(np.mean(self.lamp_left_out_nm**2)))

    @property
    def laser_error_nm(self) -> float:
        """Standard uncertainty of the laser's wavelength; 0 without a standard."""
        return 0.0 if self.laser_nm is None else float(np.sqrt(self.covariance[-1, -1]))

    def span(self) -> tuple[float, float]:
        """Lowest and highest position that a line holds."""
        at = np.concatenate([self.lamp.at, self.bands.at])
        return float(at.min()), float(at.max())

    def wavelength_nm(self, positions: Floats) -> Floats:
        """Wavelength at positions, shape (N,)."""
        return _powers(self._t(positions), self.order) @ self.coefficients

    def dispersion_nm(self, positions: Floats) -> Floats:
        """Nanometres per position."""
        powers = np.arange(1, self.order + 1)
        slope = (powers * self.coefficients[1:]) * self._t(positions)[:, None] ** (powers - 1)
        return np.asarray(slope.sum(axis=1) / self.half, dtype=np.float64)

    def shift_cm1(self, positions: Floats) -> Floats:
        """Raman shift at positions; a standard must have given the laser."""
        assert self.laser_nm is not None
        return np.asarray(1e7 / self.laser_nm - 1e7 / self.wavelength_nm(positions))

    def error_nm(self, positions: Floats) -> Floats:
        """Standard uncertainty of the wavelength at positions; see `_beyond`."""
        design = self._rows(positions, laser=0.0)
        return np.sqrt(self._variance(design) + self._beyond(positions) ** 2)

    def error_cm1(self, positions: Floats) -> Floats:
        """Standard uncertainty of the Raman shift, axis and laser together (they correlate)."""
        assert self.laser_nm is not None
        per_nm = (1e7 / self.wavelength_nm(positions) ** 2)[:, None]
        design = self._rows(positions, laser=0.0) * per_nm
        design[:, -1] = -1e7 / self.laser_nm**2
        outside = self._beyond(positions) * per_nm[:, 0]
        return np.sqrt(self._variance(design) + outside**2)

    def pixel_coefficients_nm(self) -> Floats:
        """The same polynomial in the position itself, ascending powers, nm."""
        inner = np.polynomial.Polynomial([-self.middle / self.half, 1.0 / self.half])
        coefficients = np.asarray(np.polynomial.Polynomial(self.coefficients)(inner).coef)
        return np.pad(coefficients, (0, self.order + 1 - coefficients.size))

    def _variance(self, design: Floats) -> Floats:
        return np.asarray(np.einsum("ij,jk,ik->i", design, self.covariance, design))

    def _rows(self, positions: Floats, laser: float) -> Floats:
        powers = _powers(self._t(positions), self.order)
        return np.hstack([powers, np.full((powers.shape[0], 1), laser)])

    def _beyond(self, positions: Floats) -> Floats:
        """A polynomial says nothing about where no lines are: there, its distance to one lower."""
        if self.lower.size < 2:
            return np.zeros(np.asarray(positions).size)
        low, high = self.span()
        positions = np.asarray(positions, dtype=np.float64)
        outside = (positions < low) | (positions > high)
        other = _powers(self._t(positions), self.lower.size - 1) @ self.lower
        return np.where(outside, other - self.wavelength_nm(positions), 0.0)

    def _t(self, positions: Floats) -> Floats:
        return (np.asarray(positions, dtype=np.float64) - self.middle) / self.half


def fit_axis(
    lamp: Lines, bands: Lines = NO_LINES, laser_nm: float | None = None, order: int | None = None
) -> AxisFit:
    """Fit the axis, and the laser's wavelength if there are bands.

    Args:
        lamp: Lamp lines, at least five.
        bands: Bands of shift standards, may be none.
        laser_nm: Nominal laser wavelength; needed with bands.
        order: Degree; None: chosen by leave-one-out among ORDERS.

    Raises:
        ValueError: Too few lines for any order.
    """
    everything = np.concatenate([lamp.at, bands.at])
    middle = float(everything.min() + everything.max()) / 2.0
    half = max(1e-9, float(np.ptp(everything)) / 2.0)
    system = _System(lamp, bands, middle, half, laser_nm if bands.at.size else None)
    tried: dict[int, float] = {}
    for degree in ORDERS if order is None else (order,):
        if lamp.at.size >= 4 and everything.size - bool(bands.at.size) >= degree + 3:
            left_out = system.solve(degree).left_out
            tried[degree] = float(np.sqrt(np.mean((left_out * system.weight) ** 2)))
    if not tried:
        raise ValueError("too few lines for an axis")
    chosen = min(tried)
    for degree, rms in sorted(tried.items()):
        if rms < BETTER * tried[chosen]:
            chosen = degree
    solved = system.solve(chosen)
    lower = system.solve(chosen - 1).coefficients[:chosen] if chosen > 1 else np.zeros(0)
    count = lamp.at.size
    to_cm1 = -1e7 / np.maximum(1.0, system.nm_of(solved.laser_nm)[count:]) ** 2
    return AxisFit(
        coefficients=solved.coefficients[: chosen + 1],
        covariance=solved.covariance,
        middle=middle,
        half=half,
        laser_nm=solved.laser_nm,
        lamp=lamp,
        bands=bands,
        lamp_residual_nm=solved.residual[:count],
        lamp_left_out_nm=solved.left_out[:count],
        band_residual_cm1=-solved.residual[count:] * to_cm1,
        band_left_out_cm1=-solved.left_out[count:] * to_cm1,
        tried=tried,
        lower=lower,
    )


@dataclass(frozen=True, slots=True)
class _Solved:
    coefficients: Floats  # the laser's correction last
    covariance: Floats
    residual: Floats  # fitted minus known, nm
    left_out: Floats
    laser_nm: float | None


class _System:
    """The weighted linear equations of one set of lines."""

    def __init__(
        self, lamp: Lines, bands: Lines, middle: float, half: float, laser_nm: float | None
    ) -> None:
        self.lamp, self.bands, self.laser_nm = lamp, bands, laser_nm
        self.t = (np.concatenate([lamp.at, bands.at]) - middle) / half
        step = abs(_rough_step(lamp))
        nm = self.nm_of(laser_nm)
        own = np.concatenate([lamp.error, bands.error]) * step
        known = np.concatenate(
            [lamp.known_error, bands.known_error * nm[lamp.at.size :] ** 2 / 1e7]
        )
        self.weight = 1.0 / np.sqrt(own**2 + known**2 + (FLOOR_NM_PER_NM * np.ptp(lamp.known)) ** 2)

    def nm_of(self, laser_nm: float | None) -> Floats:
        """What each line's wavelength should be with this laser."""
        if laser_nm is None:
            return self.lamp.known
        return np.concatenate([self.lamp.known, 1.0 / (1.0 / laser_nm - self.bands.known / 1e7)])

    def solve(self, order: int) -> _Solved:
        laser_nm = self.laser_nm
        design = _powers(self.t, order)
        if laser_nm is None:
            design = np.hstack([design, np.zeros((design.shape[0], 1))])
            return self._linear(design, self.lamp.known, None)
        for _ in range(LASER_ROUNDS):
            nm = self.nm_of(laser_nm)
            column = np.where(np.arange(nm.size) < self.lamp.at.size, 0.0, -((nm / laser_nm) ** 2))
            solved = self._linear(np.hstack([design, column[:, None]]), nm, laser_nm)
            change = float(solved.coefficients[-1])
            laser_nm += change
            if abs(change) < 1e-9:
                break
        return _Solved(
            solved.coefficients, solved.covariance, solved.residual, solved.left_out, laser_nm
        )

    def _linear(self, design: Floats, nm: Floats, laser_nm: float | None) -> _Solved:
        weighted = design * self.weight[:, None]
        inverse = np.linalg.pinv(weighted)
        coefficients = inverse @ (nm * self.weight)
        residual = design @ coefficients - nm
        hat = np.einsum("ij,ji->i", weighted, inverse)
        unknowns = int(np.linalg.matrix_rank(weighted))
        scaled = residual * self.weight
        # Never less than the stated uncertainties promise: few lines may fit well by chance.
        scale = max(1.0, float(scaled @ scaled) / max(1, nm.size - unknowns))
        left_out = residual / np.maximum(1e-3, 1.0 - hat)
        return _Solved(coefficients, inverse @ inverse.T * scale, residual, left_out, laser_nm)


def _rough_step(lamp: Lines) -> float:
    """Nanometres per position, from the outermost lamp lines."""
    first, last = int(np.argmin(lamp.at)), int(np.argmax(lamp.at))
    return float((lamp.known[last] - lamp.known[first]) / max(1e-9, lamp.at[last] - lamp.at[first]))


def _powers(t: Floats, order: int) -> Floats:
    return np.asarray(np.asarray(t)[:, None] ** np.arange(order + 1), dtype=np.float64)
