"""How one substance differs from its reference on another instrument, and fits that allow for it.

Owns the scatter model: what may differ (line width, axis, smooth response), how much, and the
generalised least squares with it. Pure. Which substances are tried is `mixtures`.

The measured derivative is y = sum of w_k (B_k + N_k c_k) + e. B_k is the reference, broadened to
the line width of the measurement. N_k are small changes of it: shift, stretch, width, line shape
and a smooth response, with Gaussian priors on c_k, so that they mend a misfit and cannot invent a
substance. The variance of e is that of the noise, plus a floor, plus a part of the height of the
bands near by: where a strong component is loud little is claimed, where it is silent the noise
alone sets the limit. Derived here from ordinary Bayesian linear regression; the record of the
choice is docs/adr.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fieldassay.library import Library

Floats = NDArray[np.float64]

STEP = 3  # grid points between samples of the fit; the derivative holds nothing finer
WIDTHS_CM1 = tuple(0.5 * i for i in range(13))  # Gaussian broadening of a reference, sigma
REACH_CM1 = 8.0  # how far from a strong band its misfit is still felt
# Standard deviations of the changes of one reference, relative to its own strength: shift (cm-1),
# shift over half the grid (cm-1), half the squared width (cm-1)^2, the same over half the grid,
# line shape (cm-1)^4, and response in four Legendre orders.
PRIOR = np.array([0.4, 0.8, 1.5, 1.5, 6.0, 0.3, 0.2, 0.15, 0.12])
WIDTH = 2  # place of the change of width among them
BAND_SCATTER = 0.12  # single bands differ by this part of what lies around them
FLOOR = 0.003  # of the strongest slope: ripple, stray light, remains of the background
NOISE_FACTOR = 2.0  # of the noise variance: neighbouring samples are not independent


@dataclass(frozen=True, slots=True)
class Component:
    """One reference at a line width.

    Attributes:
        row: Library row.
        width_cm1: Gaussian sigma it was broadened by.
        column: Derivative, shape (D,).
        changes: What may differ, times its prior, shape (9, D).
        power: Smoothed square of the derivative, shape (D,).
    """

    row: int
    width_cm1: float
    column: Floats
    changes: Floats
    power: Floats


@dataclass(frozen=True, slots=True)
class Sampled:
    """A measured derivative at one axis shift, sampled for fits.

    Attributes:
        columns: Grid columns used, shape (N,), STEP apart.
        values: Derivative there, shape (N,).
        noise: Its standard deviation, shape (N,).
        strongest: Largest slope of the measurement.
        whole: Derivative on the whole grid, 0 outside the window, shape (D,).
    """

    columns: NDArray[np.intp]
    values: Floats
    noise: Floats
    strongest: float
    whole: Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """A sum of components fitted to a measurement.

    Attributes:
        components: As given.
        weights: Shape (K,), >= 0.
        strengths: Euclidean norm of each part, shape (K,).
        misfit: Mean squared residual over its expected variance; 1 is as expected.
        evidence: Logarithm of the marginal likelihood, up to a constant of the measurement.
        deviation: Expected standard deviation of each sample, shape (N,).
        scatter: Variance that the scatter of each component adds, shape (K, N).
        model: Fitted values, shape (N,).
        whitened: Residual over `deviation`, shape (N,).
        changes: Fitted changes of each component, in standard deviations of the prior, (K, 9).
        design: Columns over their deviation, shape (Q, N): the components, then their changes.
        inverse: Covariance of their coefficients, shape (Q, Q).
    """

    components: tuple[Component, ...]
    weights: Floats
    strengths: Floats
    misfit: float
    evidence: float
    deviation: Floats
    scatter: Floats
    model: Floats
    whitened: Floats
    changes: Floats
    design: Floats
    inverse: Floats

    @property
    def significance(self) -> Floats:
        """Weight over its standard deviation, misfit included, shape (K,)."""
        variance = np.diag(self.inverse)[: self.weights.size] * max(1.0, self.misfit)
        return np.asarray(self.weights / np.sqrt(np.maximum(variance, 1e-300)))

    def deviation_without(self, place: int) -> Floats:
        """Standard deviation of each sample without the scatter of one component, shape (N,)."""
        return np.asarray(np.sqrt(np.maximum(self.deviation**2 - self.scatter[place], 1e-300)))

    def without(self, place: int) -> Fit:
        """The fit without one component and its changes, at the same deviation."""
        count = len(self.components)
        kept = [i for i in range(count) if i != place]
        changes = count + np.arange(count * PRIOR.size).reshape(count, -1)
        rows = np.concatenate([kept, changes[kept].ravel()]).astype(np.intp)
        measured = self.model / self.deviation + self.whitened
        design = self.design[rows]
        # What is left out of a covariance is conditioned on: the precision keeps its block.
        precision = np.linalg.inv(self.inverse)[np.ix_(rows, rows)]
        inverse = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        solved = inverse @ (design @ measured)
        fitted = solved @ design
        residual = measured - fitted
        return Fit(
            components=tuple(self.components[i] for i in kept),
            weights=np.maximum(solved[: count - 1], 0.0),
            strengths=self.strengths[kept],
            misfit=float(residual @ residual) / residual.size,
            evidence=-0.5 * float(measured @ residual),
            deviation=self.deviation,
            scatter=self.scatter[kept],
            model=fitted * self.deviation,
            whitened=residual,
            changes=solved[count - 1 :].reshape(count - 1, -1),
            design=design,
            inverse=inverse,
        )


@dataclass(frozen=True, slots=True)
class _Grid:
    """What depends on the number of grid columns only."""

    points: int
    omega: Floats
    broadening: Floats
    near: Floats
    place: Floats
    orders: Floats


@lru_cache(maxsize=4)
def _grid(size: int) -> _Grid:
    points = _fast_length(size + 64)
    omega = np.asarray(2.0 * np.pi * np.fft.rfftfreq(points), dtype=np.float64)
    place = np.linspace(-1.0, 1.0, size)
    return _Grid(
        points=points,
        omega=omega,
        broadening=np.exp(-0.5 * (np.array(WIDTHS_CM1)[:, None] * omega) ** 2),
        near=np.exp(-0.5 * (REACH_CM1 * omega) ** 2),
        place=place,
        orders=np.array([np.polynomial.legendre.Legendre.basis(j)(place) for j in range(1, 5)]),
    )


class Scatter:
    """The scatter model on the grid of a library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        grid = _grid(library.grid_cm1.size)
        self._points, self._omega = grid.points, grid.omega
        self._broadening, self._near = grid.broadening, grid.near
        self._place, self._orders = grid.place, grid.orders
        self._made: dict[tuple[int, float], Component] = {}

    def component(self, row: int, width_cm1: float) -> Component:
        """A reference at a line width, with its changes."""
        key = (row, width_cm1)
        if key not in self._made:
            self._made[key] = self._make(row, width_cm1)
        return self._made[key]

    def _make(self, row: int, width_cm1: float) -> Component:
        size, omega = self.library.grid_cm1.size, self._omega
        seen = np.fft.rfft(self.library.linear[row].astype(np.float64), self._points)
        seen = seen * np.exp(-0.5 * (width_cm1 * omega) ** 2)
        turned = np.array([seen, 1j * omega * seen, -(omega**2) * seen, omega**4 * seen])
        column, first, second, fourth = np.fft.irfft(turned, self._points, axis=1)[:, :size]
        changes = np.vstack(
            [
                first, first * self._place, second, second * self._place, fourth,
                column * self._orders,
            ]
        )  # fmt: skip
        square = np.fft.rfft(column**2, self._points)
        power = np.fft.irfft(square * self._near, self._points)[:size]
        return Component(row, width_cm1, column, changes * PRIOR[:, None], np.maximum(power, 0.0))

    def width_of(self, row: int, whole: Floats, window: tuple[int, int]) -> float:
        """The broadening with which a reference follows a derivative best, in cm-1."""
        lo, hi = window
        own = np.zeros(whole.size)
        own[lo:hi] = self.library.linear[row, lo:hi]
        a = np.fft.rfft(whole, self._points)
        b = np.fft.rfft(own, self._points)
        along = self._broadening @ (np.conj(a) * b).real
        norm = np.sqrt(self._broadening**2 @ (np.abs(b) ** 2))
        score = along / np.maximum(norm, 1e-300)
        return WIDTHS_CM1[int(np.argmax(score))]

    def broadened(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], width_cm1: float
    ) -> NDArray[np.float32]:
        """References at a line width, sampled at `columns`, shape (R, N)."""
        lo, hi = int(columns[0]), int(columns[-1]) + 1
        reach = int(np.ceil(3.0 * width_cm1 / STEP))
        before = min(reach, lo // STEP)
        after = min(reach, (self.library.grid_cm1.size - hi) // STEP)
        chosen = self.library.linear[:, lo - before * STEP : hi + after * STEP : STEP]
        values = chosen if rows.size == chosen.shape[0] else chosen[rows]
        values = np.pad(values, ((0, 0), (reach - before, reach - after)))
        if reach == 0:
            return np.ascontiguousarray(values)
        taps = np.exp(-0.5 * (STEP * np.arange(reach + 1) / width_cm1) ** 2)
        taps = (taps / (taps[0] + 2.0 * taps[1:].sum())).astype(np.float32)
        n = columns.size
        result = values[:, reach : reach + n] * taps[0]
        for i in range(1, reach + 1):
            both = values[:, reach - i : reach - i + n] + values[:, reach + i : reach + i + n]
            both *= taps[i]
            result += both
        return np.asarray(result)

    def fit(
        self,
        sampled: Sampled,
        components: Sequence[Component],
        weights: Floats | None = None,
    ) -> Fit:
        """Fit a sum with its changes; the variance follows the weights, in a few rounds.

        Args:
            sampled: The measurement.
            components: At least one.
            weights: First guess, shape (K,); by least squares if not given.
        """
        at, count = sampled.columns, len(components)
        basis = np.array([c.column[at] for c in components])
        changes = np.array([c.changes[:, at] for c in components])
        power = np.array([c.power[at] for c in components])
        nothing = NOISE_FACTOR * sampled.noise**2 + (FLOOR * sampled.strongest) ** 2 + 1e-300
        rounds = 2
        if weights is None:
            gram = basis @ basis.T
            gram.flat[:: count + 1] *= 1.0 + 1e-9
            weights = np.maximum(np.linalg.solve(gram, basis @ sampled.values), 0.0)
            rounds = 3
        size = count * (1 + PRIOR.size)
        ridge = np.full(size, 1.0 + 1e-300)
        ridge[:count] = 1e-300
        design = np.empty((size, at.size))
        for turn in range(rounds):
            used = weights
            scatter = BAND_SCATTER**2 * used[:, None] ** 2 * power
            variance = nothing + scatter.sum(axis=0)
            scale = 1.0 / np.sqrt(variance)
            np.multiply(basis, scale, out=design[:count])
            np.multiply(
                changes, used[:, None, None] * scale, out=design[count:].reshape(changes.shape)
            )
            measured = sampled.values * scale
            normal = design @ design.T
            normal.flat[:: size + 1] *= 1.0 + 1e-9
            normal.flat[:: size + 1] += ridge
            solved = np.linalg.solve(normal, design @ measured)
            new = np.maximum(solved[:count], 0.0)
            weights = 0.5 * (used + new) if turn == 0 and rounds == 3 else new
        fitted = solved @ design
        residual = measured - fitted
        lower = np.linalg.cholesky(normal[count:, count:])
        volume = 2.0 * float(np.sum(np.log(np.diag(lower))))
        evidence = -0.5 * (float(measured @ residual) + float(np.sum(np.log(variance))) + volume)
        return Fit(
            components=tuple(components),
            weights=weights,
            strengths=weights * np.linalg.norm(basis, axis=1),
            misfit=float(residual @ residual) / at.size,
            evidence=evidence,
            deviation=np.sqrt(variance),
            scatter=scatter,
            model=fitted / scale,
            whitened=residual,
            changes=solved[count:].reshape(count, -1),
            design=design,
            inverse=np.asarray(np.linalg.inv(normal), dtype=np.float64),
        )

    def gains(self, fit: Fit, references: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """What one more reference would bring.

        Args:
            fit: What is fitted already.
            references: Sampled derivatives, shape (R, N).

        Returns:
            Weight over its standard deviation as the model has it (misfit not included), and the
            weight, shape (R,) each.
        """
        scaled = references * (1.0 / fit.deviation).astype(np.float32)
        design = fit.design.astype(np.float32)
        along = (scaled @ fit.whitened.astype(np.float32)).astype(np.float64)
        shared = (scaled @ design.T).astype(np.float64)
        whole = np.einsum("ij,ij->i", scaled, scaled).astype(np.float64)
        own = whole - np.einsum("ij,ij->i", shared @ fit.inverse, shared)
        own = np.maximum(own, 1e-3 * whole + 1e-300)
        return along / np.sqrt(own), along / own


def widened(width_cm1: float, change: float) -> float:
    """The line width that a fitted change of width asks for, to a quarter of a cm-1.

    Args:
        width_cm1: Gaussian sigma the reference was broadened by.
        change: Of half the squared width, in standard deviations of its prior.
    """
    square = width_cm1**2 + 2.0 * change * float(PRIOR[WIDTH])
    return min(round(4.0 * float(np.sqrt(max(square, 0.0)))) / 4.0, WIDTHS_CM1[-1])


def _fast_length(at_least: int) -> int:
    """The smallest length of factors 2, 3 and 5, for fast Fourier transforms."""
    best = 1 << (at_least - 1).bit_length()
    for three in range(4):
        for five in range(3):
            odd = 3**three * 5**five
            power = max(0, (-(-at_least // odd) - 1).bit_length())
            best = min(best, odd << power)
    return best
