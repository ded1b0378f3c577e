"""Explanations of a measurement: one reference or a sum of given ones, and how well they fit.

Owns candidates and the fit. Pure. The measurement comes from `prepared`; what may be said about an
explanation is `decide`. Agreement is the cosine between measurement and model after both were
compressed with the noise of the measurement (`preprocess.normalize`): bands that the measurement is
too noisy to show cannot count against a reference; every band above the noise that the model lacks
or has in excess does. What differs between instruments (axis, line width, response) is fitted with
the best candidates by `align`, within stated priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fieldassay import align
from fieldassay.kernel import agree, fits, search
from fieldassay.library import Library
from fieldassay.prepared import WIDEST_LINE_CM1, Prepared, threshold_of
from fieldassay.preprocess import normalize, recipe

Floats = NDArray[np.float64]
COLUMNS_PER_BAND = 25.0  # participation ratio of one band of 7 to 10 cm-1 after this recipe
FITTED = 16  # substances the kernel ranks first whose noise-aware agreement is computed
ALIGNED = 3  # of these the best, whose axis and line width are fitted too
TOLERANCE = 6  # columns to each side where a band counts as the same
FWHM_TO_SIGMA = 1.0 / 2.3548
NO_SHIFT = align.AxisFit(0.0, 0.0, float("inf"), float("inf"), 0.0)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reference or a sum of several.

    Attributes:
        rows: Library rows, strongest first.
        weights: Factor of each row's `linear`, > 0.
        shares: Part of the explained signal of each, sum 1.
        shift_cm1: Axis shift.
        agreement: 0..1.
        score: Agreement less the prior on shift and stretch of the axis.
        bands: Effective number of bands of the model that the measurement can show.
        stretch: Of the axis, about the middle of the grid: cm-1 per cm-1.
        broadening_cm1: Standard deviation of the Gaussian that makes line widths equal; positive:
            the reference was broadened, negative: the measurement.
        axis: How well shift and stretch are known; NO_SHIFT where they were not fitted.
    """

    rows: tuple[int, ...]
    weights: tuple[float, ...]
    shares: tuple[float, ...]
    shift_cm1: float
    agreement: float
    score: float
    bands: float
    stretch: float = 0.0
    broadening_cm1: float = 0.0
    axis: align.AxisFit = NO_SHIFT


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A band on one side only: its slope over the steepest of the model, and where it is."""

    height: float
    at_cm1: float


NO_CONTRADICTION = (Contradiction(0.0, 0.0), Contradiction(0.0, 0.0))


class Scene:
    """A prepared measurement against a library: candidates and fits.

    `stretch` and `broadening_cm1` are those of the best single reference once `singles` has run;
    fits of sums use them, since they belong to the instrument and not to the substance.
    """

    def __init__(self, prepared: Prepared, library: Library, min_columns: int) -> None:
        self.prepared = prepared
        self.library = library
        self.min_columns = min_columns
        self.stretch = 0.0
        self.broadening_cm1 = 0.0
        self._power = recipe.COMPARE["power"]
        self._compressed = normalize.compress(prepared.linear, prepared.threshold, self._power)
        size = library.grid_cm1.size
        centred: Floats = np.arange(size, dtype=np.float64) - 0.5 * (size - 1)
        self._places = align.powers(centred * (2.0 / size))
        self._references = agree.Matrix(library.linear, library.valid)
        self._moved_to: dict[tuple[float, float, float], tuple[Floats, Floats, Floats]] = {}
        self._rows: dict[tuple[int, float], Floats] = {}

    @property
    def informative_columns(self) -> int:
        """Columns in the window where the measurement stands above its noise."""
        lo, hi = self.prepared.window
        above = np.abs(self.prepared.linear[lo:hi]) > self.prepared.threshold[lo:hi]
        return int(np.count_nonzero(above))

    def singles(self, k: int) -> list[Explanation]:
        """The best reference of each of the best substances, best first.

        The kernel ranks all references at whole-step shifts; the first get the noise-aware
        agreement, and the best of these their own shift, stretch and line width.

        Args:
            k: References the kernel returns; those beyond FITTED substances are not looked at.
        """
        lo, hi = self.prepared.window
        if hi - lo < self.min_columns:
            return []
        hits = search.top_references(
            self.library,
            search.shifted(self._compressed, self.prepared.shifts),
            self.prepared.penalty,
            (lo, hi),
            self.min_columns,
            k,
        )
        wanted: dict[str, list[Explanation]] = {}
        while hits:  # once, unless some do not fit at all and make room for others
            known, now, later = set(wanted), [], []
            for hit in hits:
                substance = self.library.entries[hit.row].substance
                if substance in known or len(known) < FITTED:
                    known.add(substance)
                    now.append(hit)
                else:
                    later.append(hit)
            for found in self._ranked(now):
                wanted.setdefault(self.library.entries[found.rows[0]].substance, []).append(found)
            hits = later if len(wanted) < FITTED else []
        best = sorted((min(found, key=_rank) for found in wanted.values()), key=_rank)
        head = sorted((self.aligned(e) for e in best[:ALIGNED]), key=_rank)
        if head:
            self.stretch = head[0].stretch
            head = self._widths_fitted(head)
            self.broadening_cm1 = head[0].broadening_cm1
        return sorted([*head, *best[ALIGNED:]], key=_rank)

    def _ranked(self, hits: Sequence[search.Hit]) -> list[Explanation]:
        """Those hits that fit at all as explanations for ranking, in their order."""
        shifts = [float(self.prepared.shifts[hit.variant]) for hit in hits]
        if not all(shift.is_integer() for shift in shifts):
            each = (
                self.fit((hit.row,), shift, bent=False)
                for hit, shift in zip(hits, shifts, strict=True)
            )
            return [e for e in each if e.rows]
        rows = np.array([hit.row for hit in hits], dtype=np.int32)
        found = agree.agree(
            self._references,
            (self.prepared.linear, self.prepared.threshold, self._compressed),
            self.prepared.window,
            (rows, np.array(shifts, dtype=np.int32)),
            self._power,
        )
        each = (
            self._explained(hit.row, shift, 0.0, 0.0, *numbers)
            for hit, shift, numbers in zip(hits, shifts, found.tolist(), strict=True)
        )
        return [e for e in each if e.rows]

    def _explained(
        self,
        row: int,
        shift_cm1: float,
        stretch: float,
        width_cm1: float,
        weight: float,
        agreement: float,
        power: float,
        fourth: float,
    ) -> Explanation:
        """One reference from the kernel's numbers, see `fa_agreement`."""
        bands = power**2 / fourth / COLUMNS_PER_BAND if fourth > 0.0 else 0.0
        seen = weight > 0.0
        return Explanation(
            rows=(row,) if seen else (),
            weights=(weight,) if seen else (),
            shares=(1.0,) if seen else (),
            shift_cm1=shift_cm1,
            agreement=agreement,
            score=agreement
            - self._toll(bands, shift_cm1, stretch, width_cm1, self.told_width_cm1(row)),
            bands=bands,
            stretch=stretch,
            broadening_cm1=width_cm1,
        )

    def told_width_cm1(self, row: int) -> float:
        """The broadening that stated resolutions ask for; 0 unless file and reference state one."""
        own = self.prepared.resolution_cm1
        if own is None:
            return 0.0
        reference = self.library.entries[row].resolution_cm1
        if reference is None or not 0.0 < reference <= WIDEST_LINE_CM1:
            return 0.0
        square = (own**2 - reference**2) * FWHM_TO_SIGMA**2
        widest = 2.0 * self.prepared.axis["broadening_step_cm1"]  # no wider than is tried without
        return float(np.clip(np.sign(square) * np.sqrt(abs(square)), -widest, widest))

    def _toll(
        self,
        bands: float,
        shift_cm1: float,
        stretch: float,
        width_cm1: float,
        told_cm1: float = 0.0,
    ) -> float:
        """What the priors take off an agreement.

        Line widths are expected to be equal, or to differ as stated: what is stated may be wrong
        (points are stated for lines, and lines for points), so it only adds to what is expected.
        """
        axis = self.prepared.axis
        return (
            self._penalty(bands) * shift_cm1**2
            + axis["stretch_penalty"] * (stretch / axis["stretch_sd"]) ** 2
            + axis["broadening_penalty"] * min(width_cm1**2, (width_cm1 - told_cm1) ** 2)
        )

    def aligned(self, start: Explanation) -> Explanation:
        """The same reference with the shift and stretch that fit it best; never a worse one."""
        row = start.rows[0]
        _, threshold, measured = self._moved(start.shift_cm1, start.stretch, start.broadening_cm1)
        columns = self._window((row,))
        model = np.zeros_like(measured)
        model[columns] = normalize.compress(
            self._basis(row, start.broadening_cm1)[columns] * start.weights[0],
            threshold[columns],
            self._power,
        )
        prior = {
            **self.prepared.axis,
            "penalty_per_cm1_squared": self._penalty(start.bands),
        }
        found = align.axis(measured, model, start.shift_cm1, prior)
        if found.witnesses <= 0.0:
            return start
        trial = self.fit((row,), found.shift_cm1, found.stretch, start.broadening_cm1)
        return replace(trial if trial.score > start.score and trial.rows else start, axis=found)

    def _widths_fitted(self, head: list[Explanation]) -> list[Explanation]:
        """The candidates at the line width difference that suits the best of them.

        The difference is one of the instruments, so it is the same for all. Wider and narrower are
        tried in steps while the fit gets better.
        """
        step = self.prepared.axis["broadening_step_cm1"]
        best = head[0]
        told = self.told_width_cm1(best.rows[0])
        at_told = self._at_width(best, told) if told != 0.0 else best
        for direction in (step, -step):
            for n in (1, 2):
                trial = self._at_width(head[0], n * direction)
                if trial.score <= best.score:
                    break
                best = trial
            if best.broadening_cm1 != 0.0:
                break
        best = max(best, at_told, key=lambda x: x.score)
        if best.broadening_cm1 == 0.0:
            return head
        rest = [
            max(e, self._at_width(e, best.broadening_cm1), key=lambda x: x.score) for e in head[1:]
        ]
        return sorted([best, *rest], key=_rank)

    def _at_width(self, e: Explanation, width_cm1: float) -> Explanation:
        found = self.fit(e.rows, e.shift_cm1, e.stretch, width_cm1)
        return replace(found, axis=e.axis) if found.rows else e

    def fit(
        self,
        rows: Sequence[int],
        shift_cm1: float,
        stretch: float | None = None,
        broadening_cm1: float | None = None,
        bent: bool = True,
    ) -> Explanation:
        """Non-negative least squares of the derivative on these references; zero rows drop out.

        Args:
            rows: Library rows.
            shift_cm1: Taken off the measured axis.
            stretch: See Explanation; that of the scene if not given.
            broadening_cm1: The same.
            bent: Fit the smooth difference of response too; without, it is only good for ranking.
        """
        stretch = self.stretch if stretch is None else stretch
        width = self.broadening_cm1 if broadening_cm1 is None else broadening_cm1
        moved = self._moved(shift_cm1, stretch, width)
        if len(rows) == 1:  # what most fits are, without the detours of sums
            numbers = agree.agree(
                self._references,
                moved,
                self.prepared.window,
                (np.array(rows, dtype=np.int32), np.zeros(1, dtype=np.int32)),
                self._power,
                self.prepared.axis["response_sd"] if bent else 0.0,
                max(width, 0.0),
            )
            return self._explained(rows[0], shift_cm1, stretch, width, *numbers.tolist()[0])
        columns = self._window(rows)
        measured, threshold, a = (part[columns] for part in moved)
        basis = np.stack([self._basis(row, width)[columns] for row in rows], axis=1)
        weights = nonnegative_weights(basis, measured)
        kept = np.flatnonzero(weights > 0)
        b = normalize.compress(basis @ weights, threshold, self._power)
        if bent:
            b = b * self._response(a, b, columns)
        norm = float(np.sqrt((a @ a) * (b @ b)))
        agreement = float(a @ b) / norm if norm > 0 else 0.0
        strength = weights[kept] * np.linalg.norm(basis[:, kept], axis=0)
        order = np.argsort(-strength, kind="stable")
        total = float(strength.sum()) or 1.0
        bands = _effective_bands(b)
        return Explanation(
            rows=tuple(int(rows[kept[i]]) for i in order),
            weights=tuple(float(weights[kept[i]]) for i in order),
            shares=tuple(float(strength[i]) / total for i in order),
            shift_cm1=shift_cm1,
            agreement=agreement,
            score=agreement
            - self._toll(bands, shift_cm1, stretch, width, self.told_width_cm1(rows[0])),
            bands=bands,
            stretch=stretch,
            broadening_cm1=width,
        )

    def _response(self, a: Floats, b: Floats, columns: slice) -> Floats:
        return align.response(a, b, self._places[:, columns], self.prepared.axis["response_sd"])

    def _penalty(self, bands: float) -> float:
        """Prior on the squared shift: weak where many bands speak for it, strong where few do."""
        axis = self.prepared.axis
        few = min(max(1.0 - bands / axis["many_bands"], 0.0), 1.0)
        slope = axis["few_bands_penalty_per_cm1_squared"] - axis["penalty_per_cm1_squared"]
        return axis["penalty_per_cm1_squared"] + few * slope

    def contradictions(self, e: Explanation) -> tuple[Contradiction, Contradiction]:
        """The strongest band that is measured and not in the model, and the other way round.

        Slopes are compared with the highest of the other side within TOLERANCE columns, so errors
        of axis and line width do not count, and must stand above it by half and above the noise.
        """
        columns = self._window(e.rows)
        measured, threshold, a = (
            part[columns] for part in self._moved(e.shift_cm1, e.stretch, e.broadening_cm1)
        )
        basis = np.stack([self._basis(row, e.broadening_cm1)[columns] for row in e.rows], axis=1)
        model = basis @ np.asarray(e.weights)
        b = normalize.compress(model, threshold, self._power)
        model = model * self._response(a, b, columns) ** 3
        top = max(float(np.max(np.abs(model), initial=0.0)), 1e-30)
        found = []
        for these, those in ((measured, model), (model, measured)):
            over = np.abs(these) - 2.0 * threshold - 1.5 * _local_highest(np.abs(those), TOLERANCE)
            at = int(np.argmax(over)) if over.size else 0
            height = max(float(over[at]) / top, 0.0) if over.size else 0.0
            found.append(Contradiction(height, float(self.library.grid_cm1[columns.start + at])))
        return found[0], found[1]

    def _window(self, rows: Sequence[int]) -> slice:
        """Columns where the measurement and all these references have data."""
        lo, hi = self.prepared.window
        first = max(lo, *(int(self.library.valid[row, 0]) for row in rows))
        last = min(hi, *(int(self.library.valid[row, 1]) for row in rows))
        return slice(first, max(last, first))

    def _basis(self, row: int, broadening_cm1: float) -> Floats:
        """A reference's derivative as a unit with broader lines would see it, shape (D,)."""
        key = (row, max(broadening_cm1, 0.0))
        if key not in self._rows:
            values = self.library.linear[row].astype(np.float64)
            self._rows[key] = align.broadened(values, key[1])
        return self._rows[key]

    def _moved(
        self, shift_cm1: float, stretch: float, broadening_cm1: float
    ) -> tuple[Floats, Floats, Floats]:
        """Derivative, its threshold, and both compressed, with axis and line width corrected."""
        key = (shift_cm1, stretch, min(broadening_cm1, 0.0))
        if key not in self._moved_to:
            linear, threshold = self.prepared.linear, self.prepared.threshold
            if key[2] < 0.0:
                linear, threshold = self._smoothed(-key[2])
            measured = align.moved(linear, shift_cm1, stretch)
            threshold = align.moved(threshold, shift_cm1, stretch)
            compressed = normalize.compress(measured, threshold, self._power)
            self._moved_to[key] = (measured, threshold, compressed)
        return self._moved_to[key]

    def _smoothed(self, sigma_cm1: float) -> tuple[Floats, Floats]:
        """The measurement with broader lines, and its threshold: the noise falls as sigma^-1.5."""
        linear = align.broadened(self.prepared.linear, sigma_cm1)
        total = recipe.SIGMA_CM1**2 + sigma_cm1**2
        noise = self.prepared.noise * (recipe.SIGMA_CM1**2 / total) ** 0.75
        inside = self.prepared.threshold > 0.0
        return linear, np.where(inside, threshold_of(linear, noise), 0.0)


def _rank(e: Explanation) -> tuple[float, tuple[int, ...]]:
    return (-e.score, e.rows)


def _local_highest(values: Floats, reach: int) -> Floats:
    """The highest value within `reach` columns of each, same shape."""
    size, width = values.size, 1
    highest = np.zeros(size + 2 * reach)
    highest[reach : reach + size] = values  # values are >= 0
    while width < 2 * reach + 1:  # the highest of `width` from here on; doubled each time
        step = min(width, 2 * reach + 1 - width)
        highest = np.maximum(highest[:-step], highest[step:])
        width += step
    return highest


def nonnegative_weights(basis: Floats, measured: Floats) -> Floats:
    """Weights >= 0, shape (K,), that bring `basis` (N, K) closest to `measured` (N,); K is small.

    Not from scipy.optimize, whose import takes as long as twenty identifications; a test holds it
    to `nnls` there.
    """
    return fits.nonnegative(basis.T @ basis, basis.T @ measured)


def _effective_bands(compressed: Floats) -> float:
    """How many bands carry a compressed derivative: its participation ratio, one band = 1."""
    power = compressed**2
    square = float(np.sum(power**2))
    return float(np.sum(power)) ** 2 / square / COLUMNS_PER_BAND if square > 0 else 0.0
