"""Sums of substances that explain a measurement: the search, and what the rules need of it.

Pure. Fits are `scatter`, the verdict is `decide.mixture`. The search goes forward from the best
single reference: the substance that explains most of the rest, weighed by what is expected of noise
and of the scatter between instruments, is added while it is significant; each time the earlier ones
may be exchanged or drop out again. Of candidates that are close the evidence of the whole decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay import align, bands, decide
from fieldassay.explain import Explanation, Scene
from fieldassay.kernel import search
from fieldassay.library import Library
from fieldassay.naming import named
from fieldassay.preprocess import normalize, recipe
from fieldassay.scatter import STEP, Component, Fit, Sampled, Scatter, widened

Floats = NDArray[np.float64]
THRESHOLDS = decide.load_thresholds()
LIMIT = THRESHOLDS.mixture

SHORTLIST = 200  # references tried as one more component; all of them in a library of this size
LOOKED_AT = 12  # candidates whose bands are looked at in each step
TRIALS = 3  # of these, the most fitted in full
CLOSE = 0.8  # part of the best significance that makes a candidate one of them
LEAST_EVIDENCE = 1.0  # gained in each step
STEPS = 8  # most steps: five components, and some that replace another
BADLY = 8.0  # misfit at which more is tried: a wrong component may hide the right one
STRONG_SHARE = 0.15  # components whose line width is fitted
SAMPLES_PER_BAND = 25.0 / STEP  # see explain.COLUMNS_PER_BAND
TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a sum and the evidence for it.

    Attributes:
        row: Library row.
        share, share_interval: Part of the explained signal (area of the bands over their baseline
            where measured), with its 95 % interval.
        strength: The same by the norm of the derivative, which is what is seen of it.
        significance: Weight over its standard deviation, misfit included.
        gain: What the logarithm of the evidence loses without it, per unit of misfit.
        agreement: Cosine of what the others leave with it, both over the expected deviation.
        bands: Effective number of its bands that stand out.
        misfit: Mean squared residual over expectation, where this part is heard.
        rival: Row that replaces it best; -1 if there is none.
        lead: What the logarithm of the evidence loses by that exchange, per unit of misfit.
    """

    row: int
    share: float
    share_interval: tuple[float, float]
    strength: float
    significance: float
    gain: float
    agreement: float
    bands: float
    misfit: float
    rival: int
    lead: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """The best sum.

    Attributes:
        parts: Strongest first; one of them if nothing beside the best single reference is seen.
        shift_cm1: Axis shift.
        agreement: Cosine of measurement and fit, both compressed (see `explain`).
        score: Agreement less the prior on the axis shift.
        misfit: Mean squared residual over expectation.
    """

    parts: tuple[Part, ...]
    shift_cm1: float
    agreement: float
    score: float
    misfit: float


def find(scene: Scene, singles: list[Explanation], library: Library) -> Mixture | None:
    """The sum with the most evidence, from one to `max_components`; None if nothing fits at all."""
    if not singles or singles[0].agreement < LIMIT["min_start"]:
        return None
    return _Search(scene, singles, library).run()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row that may be added, its weight, and the weight over its deviation."""

    row: int
    significance: float
    weight: float


class _Search:
    """One measurement, one axis shift, one line width for candidates."""

    def __init__(self, scene: Scene, singles: list[Explanation], library: Library) -> None:
        self.library = library
        self.scene = scene
        self.shift_cm1 = singles[0].shift_cm1
        self.sampled = _sampled(scene, self.shift_cm1, singles[0].stretch)
        self.model = Scatter(library)
        first = singles[0].rows[0]
        window = scene.prepared.window
        self.width_cm1 = self.model.width_of(first, self.sampled.whole, window)
        self.start = self.model.component(first, self.width_cm1)
        self.singles = singles

    def run(self) -> Mixture | None:
        if self.sampled.columns.size < _fewest_samples(self.scene):
            return None
        fit = self.model.fit(self.sampled, [self.start])
        self.rows = self._shortlist(fit)
        self.substances = np.array([self.library.entries[row].substance for row in self.rows])
        self.references = self.model.broadened(self.rows, self.sampled.columns, self.width_cm1)
        for _ in range(STEPS):
            if len(fit.components) >= LIMIT["max_components"]:
                break
            grown = self._grow(fit)
            if grown is None:
                break
            fit = grown
        return self._mixture(fit)

    def _shortlist(self, fit: Fit) -> NDArray[np.intp]:
        """Rows that may be part of it: the best alone, and those like what is left."""
        every = np.arange(len(self.library.entries))
        if every.size <= SHORTLIST:
            return every
        own = [s.rows[0] for s in self.singles[: SHORTLIST // 2]]
        rest = np.zeros(self.library.grid_cm1.size)
        at = self.sampled.columns
        span = np.arange(int(at[0]), int(at[-1]) + 1)
        loud = np.interp(span, at, fit.deviation)
        left = self.sampled.whole[span] - np.interp(span, at, fit.model)
        quiet = normalize.compress(left / loud, np.ones(span.size), recipe.COMPARE["power"])
        rest[span] = quiet
        lo, hi = self.scene.prepared.window
        hits = search.top_references(
            self.library, rest[None, :].astype(np.float32), np.zeros(1), (lo, hi),
            self.scene.min_columns, SHORTLIST // 2,
        )  # fmt: skip
        return np.array(sorted({*own, *(hit.row for hit in hits)}))

    def _candidates(self, fit: Fit, present: Sequence[Component]) -> list[_Candidate]:
        """Rows of other substances that explain most of the rest on their bands, best first."""
        significance, weights = self.model.gains(fit, self.references)
        left = np.maximum(fit.misfit - significance**2 / self.sampled.columns.size, 1.0)
        significance /= np.sqrt(left)
        for component in present:
            significance[self._same(component.row)] = -np.inf
        order = np.argsort(-significance, kind="stable")[:LOOKED_AT]
        order = order[significance[order] >= LIMIT["min_significance"]]
        if not order.size:
            return []
        spread = fit.deviation * np.sqrt(left[order])[:, None]
        own = weights[order, None] * self.references[order].astype(np.float64)
        agreement, _ = _agreements(own, (fit.whitened * fit.deviation)[None, :], spread)
        return [
            _Candidate(int(self.rows[i]), float(significance[i]), float(weights[i]))
            for i, a in zip(order, agreement, strict=True)
            if a >= LIMIT["min_try_agreement"]
        ]

    def _same(self, row: int) -> NDArray[np.intp]:
        """Places in the shortlist of the substance of this row."""
        return np.flatnonzero(self.substances == self.library.entries[row].substance)

    def _grow(self, fit: Fit) -> Fit | None:
        """One component more, or None if none is worth it."""
        found = self._candidates(fit, fit.components)
        close = [c for c in found if c.significance >= CLOSE * found[0].significance][:TRIALS]
        trials = [self._added(fit, c) for c in close]
        if not trials:
            return None
        first = max(trials, key=lambda t: t.evidence)
        if first.misfit > BADLY or first.significance[-1] < LIMIT["min_significance"]:
            trials += [self._added(fit, c) for c in found[len(close) : TRIALS]]
        best = self._widths(self._exchange(max(trials, key=lambda t: t.evidence)))
        keep = best.significance >= LIMIT["min_significance"]
        if not keep.any():
            return None
        if not keep.all():
            kept = [c for c, k in zip(best.components, keep, strict=True) if k]
            best = self.model.fit(self.sampled, kept)
        return best if best.evidence > fit.evidence + LEAST_EVIDENCE else None

    def _added(self, fit: Fit, candidate: _Candidate) -> Fit:
        return self.model.fit(
            self.sampled,
            [*fit.components, self.model.component(candidate.row, self.width_cm1)],
            np.append(fit.weights, candidate.weight),
        )

    def _exchange(self, fit: Fit) -> Fit:
        """Try another substance in the place of each earlier one, where one explains more."""
        for place in range(len(fit.components) - 1):
            own, rivals = self._rivals(fit, place)
            bad = fit.misfit > BADLY
            for rival in rivals[: TRIALS if bad else 1]:
                if bad or rival.significance > own:
                    trial = self._replaced(fit, place, rival.row, self.width_cm1)
                    fit = trial if trial.evidence > fit.evidence else fit
        return fit

    def _rivals(self, fit: Fit, place: int) -> tuple[float, list[_Candidate]]:
        """What a component explains of what the others leave, and who else would.

        Significance as the model has it, misfit not included.
        """
        other = fit.without(place)
        component = fit.components[place]
        column = component.column[self.sampled.columns].astype(np.float32)
        own, _ = self.model.gains(other, column[None, :])
        significance, weights = self.model.gains(other, self.references)
        for present in fit.components:
            significance[self._same(present.row)] = -np.inf
        order = np.argsort(-significance, kind="stable")[:TRIALS]
        return float(own[0]), [
            _Candidate(int(self.rows[i]), float(significance[i]), float(weights[i]))
            for i in order
            if significance[i] > 0.0
        ]

    def _widths(self, fit: Fit) -> Fit:
        """The line widths of the strong components follow the change of width that was fitted."""
        least = STRONG_SHARE * float(fit.strengths.sum())
        parts = [
            component
            if strength < least
            else self.model.component(component.row, widened(component.width_cm1, change[2]))
            for component, strength, change in zip(
                fit.components, fit.strengths, fit.changes, strict=True
            )
        ]
        if all(a is b for a, b in zip(parts, fit.components, strict=True)):
            return fit
        trial = self.model.fit(self.sampled, parts, fit.weights)
        return trial if trial.evidence > fit.evidence else fit

    def _replaced(self, fit: Fit, place: int, row: int, width_cm1: float) -> Fit:
        parts = list(fit.components)
        parts[place] = self.model.component(row, width_cm1)
        return self.model.fit(self.sampled, parts)

    def _mixture(self, fit: Fit) -> Mixture:
        agreement = _agreement(self.sampled, fit)
        order = np.argsort(-fit.strengths, kind="stable")
        shares = [(1.0, (1.0, 1.0))]
        if len(fit.components) > 1:
            shares = _shares(fit, self._areas(fit))
        return Mixture(
            parts=tuple(self._part(fit, int(place), *shares[place]) for place in order),
            shift_cm1=self.shift_cm1,
            agreement=agreement,
            score=agreement - THRESHOLDS.axis["penalty_per_cm1_squared"] * self.shift_cm1**2,
            misfit=fit.misfit,
        )

    def _areas(self, fit: Fit) -> Floats:
        """Area of the bands of each component where it was measured, per unit of weight, (K,)."""
        lo, hi = self.scene.prepared.window
        over = [bands.of(self.library, c.row)[lo:hi] for c in fit.components]
        return np.maximum(np.array([b.sum() for b in over], dtype=np.float64), 1e-300)

    def _part(self, fit: Fit, place: int, share: float, interval: tuple[float, float]) -> Part:
        component = fit.components[place]
        agreement, seen, misfit = _heard(self.sampled, fit, place)
        gain, rival, lead = np.inf, -1, np.inf
        if len(fit.components) > 1:
            own, rivals = self._rivals(fit, place)
            per = 2.0 * max(1.0, fit.misfit)
            gain = own**2 / per
            if rivals:
                rival = rivals[0].row
                lead = (own**2 - rivals[0].significance ** 2) / per
        return Part(
            row=component.row,
            share=share,
            share_interval=interval,
            strength=float(fit.strengths[place] / max(fit.strengths.sum(), 1e-300)),
            significance=float(fit.significance[place]),
            gain=float(gain),
            agreement=agreement,
            bands=seen,
            misfit=misfit,
            rival=rival,
            lead=float(lead),
        )


def _fewest_samples(scene: Scene) -> int:
    """Fewest samples a fit is made on."""
    return max(scene.min_columns // STEP, 10)


def _sampled(scene: Scene, shift_cm1: float, stretch: float) -> Sampled:
    """The measured derivative on the axis of the references, sampled for fits."""
    prepared = scene.prepared
    lo, hi = prepared.window
    size = prepared.linear.size
    measured = align.moved(prepared.linear, shift_cm1, stretch)
    noise = align.moved(prepared.noise, shift_cm1, stretch)
    columns = np.arange(lo, hi, STEP)
    whole = np.zeros(size)
    whole[lo:hi] = measured[lo:hi]
    strongest = float(np.max(np.abs(prepared.linear), initial=0.0))
    return Sampled(columns, measured[columns], noise[columns], strongest, whole)


def _agreement(sampled: Sampled, fit: Fit) -> float:
    """Cosine of measurement and fit after compression with the noise of the measurement."""
    nothing = (
        recipe.COMPARE["noise_sigma"] * sampled.noise + recipe.COMPARE["floor"] * sampled.strongest
    )
    a = normalize.compress(sampled.values, nothing, recipe.COMPARE["power"])
    b = normalize.compress(fit.model, nothing, recipe.COMPARE["power"])
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def _shares(fit: Fit, areas: Floats) -> list[tuple[float, tuple[float, float]]]:
    """Share of the explained area and its 95 % interval of each part, by error propagation."""
    amounts = fit.weights * areas
    total, count = float(amounts.sum()), areas.size
    if total <= 0.0:
        return [(0.0, (0.0, 1.0))] * count
    shares = amounts / total
    covariance = fit.inverse[:count, :count] * max(1.0, fit.misfit) * np.outer(areas, areas)
    slopes = (np.eye(count) - shares[:, None]) / total
    errors = TWO_SIDED_95 * np.sqrt(
        np.maximum(np.einsum("ij,jk,ik->i", slopes, covariance, slopes), 0.0)
    )
    return [
        (float(s), (max(0.0, float(s - e)), min(1.0, float(s + e))))
        for s, e in zip(shares, errors, strict=True)
    ]


def _heard(sampled: Sampled, fit: Fit, place: int) -> tuple[float, float, float]:
    """Agreement, effective bands and misfit of a part where it stands out of the others' scatter.

    What the other parts leave and the part itself are divided by the deviation expected without
    this part, cut at one, and their roots compared.
    """
    own = fit.weights[place] * fit.components[place].column[sampled.columns]
    spread = fit.deviation_without(place) * np.sqrt(max(1.0, fit.misfit))
    left = own + fit.whitened * fit.deviation
    agreement, seen = _agreements(own[None, :], left[None, :], spread)
    loud = (own / fit.deviation) ** 2
    total = float(loud.sum())
    misfit = float(loud @ fit.whitened**2) / total if total > 0 else 0.0
    return float(agreement[0]), float(seen[0]), misfit


def _agreements(own: Floats, left: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Agreement of parts with what is left for them, and their effective bands, shape (R,) each.

    Args:
        own: Parts, shape (R, N).
        left: What the others leave, shape (R, N) or (1, N).
        spread: Expected deviation, shape (R, N) or (N,).
    """
    left = _roots(left / spread)
    part = _roots(own / spread)
    norm = np.linalg.norm(left, axis=1) * np.linalg.norm(part, axis=1)
    agreement = np.sum(left * part, axis=1) / np.maximum(norm, 1e-300)
    power = part**2
    fourth = np.sum(power**2, axis=1)
    seen = np.sum(power, axis=1) ** 2 / np.maximum(fourth, 1e-300) / SAMPLES_PER_BAND
    return agreement, seen


def _roots(values: Floats) -> Floats:
    """What is more than one deviation, less that one; the root of it, sign kept."""
    return np.asarray(np.sign(values) * np.sqrt(np.maximum(np.abs(values) - 1.0, 0.0)))


def components(mixture: Mixture, library: Library, told: str) -> list[decide.Component]:
    """What the rules need to know of each part of a sum; `told` is the packaging named."""
    return [
        decide.Component(
            named=named(library, part.row, told),
            share=part.share,
            gain=part.gain,
            bands=part.bands,
            rival=(named(library, part.rival, told), part.lead) if part.rival >= 0 else None,
            share_interval=part.share_interval,
            strength=part.strength,
            agreement=part.agreement,
            misfit=part.misfit,
        )
        for part in mixture.parts
    ]
