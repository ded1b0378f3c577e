"""Explanations of a measurement: one reference or a sum of a few, and how well they fit.

Owns preparing the measurement, candidates and the fit. Pure. What may be said about an explanation
is `decide`. Agreement is the cosine between measurement and model after both were compressed with
the noise of the measurement (`preprocess.normalize`): bands that the measurement is too noisy to
show cannot count against a reference; every band above the noise that the model lacks or has in
excess does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import search
from fieldassay.library import Library
from fieldassay.preprocess import normalize, recipe
from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
SHORTLIST = 120  # references tried as one more component; all of them in a library of this size
COLUMNS_PER_BAND = 25.0  # participation ratio of one band of 7 to 10 cm-1 after this recipe
EDGE_COLUMNS = 9  # where the derivative still sees the end of the measurement


@dataclass(frozen=True, slots=True)
class Prepared:
    """A measurement on the library's grid.

    Attributes:
        measured: On the grid points it covers, despiked, with noise.
        linear: Derivative on the whole grid, 0 outside, shape (D,).
        threshold: Noise threshold of the derivative, shape (D,).
        window: Columns [lo, hi) that may be compared at any shift.
        shifts: Axis hypotheses in cm-1, shape (V,).
        penalty: Prior on them, shape (V,).
        spikes: Cosmic rays removed.
    """

    measured: Spectrum
    linear: Floats
    threshold: Floats
    window: tuple[int, int]
    shifts: Floats
    penalty: Floats
    spikes: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reference or a sum of several.

    Attributes:
        rows: Library rows, strongest first.
        weights: Factor of each row's `linear`, > 0.
        shares: Part of the explained signal of each, sum 1.
        shift_cm1: Axis shift.
        agreement: 0..1.
        score: Agreement less the prior on the axis shift.
        bands: Effective number of bands of the model that the measurement can show.
    """

    rows: tuple[int, ...]
    weights: tuple[float, ...]
    shares: tuple[float, ...]
    shift_cm1: float
    agreement: float
    score: float
    bands: float


def prepare(spectrum: Spectrum, library: Library, axis: Mapping[str, float]) -> Prepared:
    """Run the recipe on a measurement with a cm-1 axis.

    Args:
        spectrum: Native axis in cm-1.
        library: Gives the grid.
        axis: `max_shift_cm1`, `step_cm1`, `penalty_per_cm1_squared`.

    Raises:
        FormatError: The axis is not in cm-1 or does not overlap the library.
    """
    native = recipe.apply(recipe.RAMAN.native, spectrum)
    spikes = int(
        next((s.parameters["spikes"] for s in native.steps if "spikes" in s.parameters), 0)
    )
    measured = recipe.on_grid(native, library.grid_cm1)
    derived = recipe.apply(recipe.RAMAN.linear, measured)
    start = int(np.searchsorted(library.grid_cm1, measured.axis.values[0]))
    linear = np.zeros(library.grid_cm1.size)
    threshold = np.zeros(library.grid_cm1.size)
    linear[start : start + len(measured)] = derived.intensity
    told = derived.noise if derived.noise is not None else np.zeros(len(measured))
    threshold[start : start + len(measured)] = normalize.threshold(
        derived.intensity, told, recipe.COMPARE["noise_sigma"], recipe.COMPARE["floor"]
    )
    reach = int(np.ceil(axis["max_shift_cm1"]))
    lo, hi = start + EDGE_COLUMNS + reach, start + len(measured) - EDGE_COLUMNS - reach
    shifts = np.arange(
        -axis["max_shift_cm1"], axis["max_shift_cm1"] + 1e-9, axis["step_cm1"], dtype=np.float64
    )
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]  # of equal ones the smallest wins
    return Prepared(
        measured=measured,
        linear=linear,
        threshold=threshold,
        window=(lo, max(hi, lo)),
        shifts=shifts,
        penalty=axis["penalty_per_cm1_squared"] * shifts**2,
        spikes=spikes,
    )


class Scene:
    """A prepared measurement against a library: candidates and fits."""

    def __init__(self, prepared: Prepared, library: Library, min_columns: int) -> None:
        self.prepared = prepared
        self.library = library
        self.min_columns = min_columns
        self._power = recipe.COMPARE["power"]
        compressed = normalize.compress(prepared.linear, prepared.threshold, self._power)
        self._penalty_per_square = float(prepared.penalty[-1] / prepared.shifts[-1] ** 2)
        self._queries = search.shifted(compressed, prepared.shifts)
        self._at_shift: dict[float, tuple[Floats, Floats, Floats]] = {}

    @property
    def informative_columns(self) -> int:
        """Columns in the window where the measurement stands above its noise."""
        lo, hi = self.prepared.window
        above = np.abs(self.prepared.linear[lo:hi]) > self.prepared.threshold[lo:hi]
        return int(np.count_nonzero(above))

    def singles(self, k: int) -> list[Explanation]:
        """The best single references, best first: kernel ranking, then noise-aware agreement."""
        lo, hi = self.prepared.window
        if hi - lo < self.min_columns:
            return []
        hits = search.top_references(
            self.library, self._queries, self.prepared.penalty, (lo, hi), self.min_columns, k
        )
        found = [self.fit((hit.row,), float(self.prepared.shifts[hit.variant])) for hit in hits]
        found.sort(key=lambda e: (-e.score, e.rows))
        return found

    def fit(self, rows: Sequence[int], shift_cm1: float) -> Explanation:
        """Non-negative least squares of the derivative on these references; zero rows drop out."""
        columns = self._window(rows)
        measured, threshold, a = (part[columns] for part in self._moved(shift_cm1))
        basis = self.library.linear[list(rows), columns].astype(np.float64).T
        weights = nonnegative_weights(basis, measured)
        kept = np.flatnonzero(weights > 0)
        b = normalize.compress(basis @ weights, threshold, self._power)
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
        agreement = float(a @ b) / norm if norm > 0 else 0.0
        strength = weights[kept] * np.linalg.norm(basis[:, kept], axis=0)
        order = np.argsort(-strength, kind="stable")
        total = float(strength.sum()) or 1.0
        return Explanation(
            rows=tuple(int(rows[kept[i]]) for i in order),
            weights=tuple(float(weights[kept[i]]) for i in order),
            shares=tuple(float(strength[i]) / total for i in order),
            shift_cm1=shift_cm1,
            agreement=agreement,
            score=agreement - self._penalty_per_square * shift_cm1**2,
            bands=_effective_bands(b),
        )

    def extend(self, start: Explanation, excluded: frozenset[str]) -> Explanation:
        """The best explanation with one more reference of a substance not excluded, same shift."""
        best = start
        for row in self._shortlist(start, excluded):
            trial = self.fit((*start.rows, row), start.shift_cm1)
            if trial.agreement > best.agreement:
                best = trial
        return best

    def _shortlist(self, start: Explanation, excluded: frozenset[str]) -> list[int]:
        """Rows that point most in the direction of what `start` leaves unexplained."""
        rows = [e.row for e in self.library.entries if e.substance not in excluded]
        if len(rows) <= SHORTLIST:
            return rows
        columns = self._window(start.rows)
        measured = self._moved(start.shift_cm1)[0][columns]
        basis = self.library.linear[:, columns]
        rest = measured - np.asarray(start.weights) @ basis[list(start.rows)].astype(np.float64)
        along = basis[rows] @ rest.astype(np.float32)
        return [rows[i] for i in np.argsort(-along, kind="stable")[:SHORTLIST]]

    def _window(self, rows: Sequence[int]) -> slice:
        """Columns where the measurement and all these references have data."""
        lo, hi = self.prepared.window
        first = max(lo, int(self.library.valid[list(rows), 0].max()))
        last = min(hi, int(self.library.valid[list(rows), 1].min()))
        return slice(first, max(last, first))

    def _moved(self, shift_cm1: float) -> tuple[Floats, Floats, Floats]:
        """Measured derivative, its threshold, and both compressed, as if read `shift_cm1` lower."""
        if shift_cm1 not in self._at_shift:
            grid = np.arange(self.library.grid_cm1.size, dtype=np.float64)
            measured = np.interp(grid + shift_cm1, grid, self.prepared.linear)
            threshold = np.interp(grid + shift_cm1, grid, self.prepared.threshold)
            compressed = normalize.compress(measured, threshold, self._power)
            self._at_shift[shift_cm1] = (measured, threshold, compressed)
        return self._at_shift[shift_cm1]


def nonnegative_weights(basis: Floats, measured: Floats) -> Floats:
    """Weights >= 0, shape (K,), that bring `basis` (N, K) closest to `measured` (N,); K is small.

    The optimum is the free solution on the columns it uses. So each subset is solved, all columns
    first, which mostly ends it, and the best solution without a negative weight taken. Exact, in at
    most 2^K small systems. Not from scipy.optimize, whose import takes as long as twenty
    identifications; a test holds it to `nnls` there.
    """
    gram, along = basis.T @ basis, basis.T @ measured
    if along.size == 1:
        return np.maximum(along, 0.0) / (gram[0] if gram[0, 0] > 0.0 else 1.0)
    best, best_gain = np.zeros(along.size), 0.0
    for used in range(along.size, 0, -1):
        for subset in combinations(range(along.size), used):
            at = np.array(subset)
            try:
                solved = np.linalg.solve(gram[at[:, None], at], along[at])
            except np.linalg.LinAlgError:  # columns that depend on each other: fewer will do
                continue
            if solved.min() > 0.0:
                weights = np.zeros(along.size)
                weights[at] = solved
                gain = float(weights @ (2.0 * along - gram @ weights))  # of the squared distance
                if used == along.size:
                    return weights
                if gain > best_gain:
                    best, best_gain = weights, gain
    return best


def _effective_bands(compressed: Floats) -> float:
    """How many bands carry a compressed derivative: its participation ratio, one band = 1."""
    power = compressed**2
    square = float(np.sum(power**2))
    return float(np.sum(power)) ** 2 / square / COLUMNS_PER_BAND if square > 0 else 0.0
