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

from fieldassay import align, decide
from fieldassay.explain import Explanation, Scene
from fieldassay.kernel import search
from fieldassay.library import Library
from fieldassay.naming import named
from fieldassay.preprocess import normalize, recipe
from fieldassay.scatter import STEP, Component, Fit, Sampled, Scatter

Floats = NDArray[np.float64]
THRESHOLDS = decide.load_thresholds()
LIMIT = THRESHOLDS.mixture

SHORTLIST = 200  # references tried as one more component; all of them in a library of this size
TRIALS = 5  # candidates fitted in full at each step
STRONG_SHARE = 0.15  # components whose line width is fitted
SAMPLES_PER_BAND = 25.0 / STEP  # see explain.COLUMNS_PER_BAND
TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a sum and the evidence for it.

    Attributes:
        row: Library row.
        share, share_interval: Part of the explained signal (norm of the derivative), with its 95 %
            interval.
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


class _Search:
    """One measurement, one axis shift, one line width for candidates."""

    def __init__(self, scene: Scene, singles: list[Explanation], library: Library) -> None:
        self.library = library
        self.scene = scene
        self.shift_cm1 = singles[0].shift_cm1
        self.sampled = _sampled(scene, self.shift_cm1, singles[0].stretch)
        self.model = Scatter(library)
        self.substances = np.array([e.substance for e in library.entries])
        first = singles[0].rows[0]
        window = scene.prepared.window
        self.width_cm1 = self.model.width_of(first, self.sampled.whole, window)
        self.start = self.model.component(first, self.width_cm1)
        self.singles = singles

    def run(self) -> Mixture | None:
        if self.sampled.columns.size < scene_minimum(self.scene):
            return None
        fit = self.model.fit(self.sampled, [self.start])
        self.rows = self._shortlist(fit)
        self.references = self.model.broadened(self.rows, self.sampled.columns, self.width_cm1)
        while len(fit.components) < LIMIT["max_components"]:
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

    def _candidates(self, fit: Fit, present: Sequence[Component]) -> list[int]:
        """Rows of other substances that explain most of the rest, best first."""
        significance, _ = self.model.gains(fit, self.references)
        taken = {self.substances[c.row] for c in present}
        significance[np.isin(self.substances[self.rows], list(taken))] = -np.inf
        order = np.argsort(-significance, kind="stable")[:TRIALS]
        least = max(LIMIT["min_try"], 0.5 * float(significance[order[0]]))
        return [int(self.rows[i]) for i in order if significance[i] >= least]

    def _grow(self, fit: Fit) -> Fit | None:
        """One component more, or None if none is worth it."""
        trials = [
            self.model.fit(
                self.sampled, [*fit.components, self.model.component(row, self.width_cm1)]
            )
            for row in self._candidates(fit, fit.components)
        ]
        if not trials:
            return None
        best = max(trials, key=lambda t: t.evidence)
        if best.significance[-1] < LIMIT["min_significance"]:
            return None
        best = self._refine(self._exchange(best))
        keep = best.significance >= LIMIT["min_significance"]
        if not keep.any():
            return None
        if not keep.all():
            kept = [c for c, k in zip(best.components, keep, strict=True) if k]
            best = self.model.fit(self.sampled, kept)
        if best.evidence <= fit.evidence or len(best.components) < len(fit.components):
            return None
        if {c.row for c in best.components} == {c.row for c in fit.components}:
            return None
        return best

    def _exchange(self, fit: Fit) -> Fit:
        """Try another substance in the place of each earlier one."""
        for place in range(len(fit.components) - 1):
            other = self._without(fit, place)
            rows = self._candidates(other, other.components)
            if rows and self.substances[rows[0]] != self.substances[fit.components[place].row]:
                trial = self._replaced(fit, place, rows[0], self.width_cm1)
                fit = trial if trial.evidence > fit.evidence else fit
        return fit

    def _refine(self, fit: Fit) -> Fit:
        """The line width of each strong component: liquids and solids differ."""
        for place, component in enumerate(fit.components):
            if fit.strengths[place] < STRONG_SHARE * fit.strengths.sum():
                continue
            for step in (0.5, -0.5):
                width = component.width_cm1 + step
                while 0.0 <= width <= 6.0:
                    trial = self._replaced(fit, place, component.row, width)
                    if trial.evidence <= fit.evidence:
                        break
                    fit, width = trial, width + step
        return fit

    def _without(self, fit: Fit, place: int) -> Fit:
        rest = [c for i, c in enumerate(fit.components) if i != place]
        return self.model.fit(self.sampled, rest)

    def _replaced(self, fit: Fit, place: int, row: int, width_cm1: float) -> Fit:
        parts = list(fit.components)
        parts[place] = self.model.component(row, width_cm1)
        return self.model.fit(self.sampled, parts)

    def _mixture(self, fit: Fit) -> Mixture:
        agreement = _agreement(self.sampled, fit)
        order = np.argsort(-fit.strengths, kind="stable")
        return Mixture(
            parts=tuple(self._part(fit, int(place)) for place in order),
            shift_cm1=self.shift_cm1,
            agreement=agreement,
            score=agreement - THRESHOLDS.axis["penalty_per_cm1_squared"] * self.shift_cm1**2,
            misfit=fit.misfit,
        )

    def _part(self, fit: Fit, place: int) -> Part:
        component = fit.components[place]
        share, interval = _shares(fit, place)
        agreement, bands, misfit = _heard(self.sampled, fit, place)
        gain, rival, lead = np.inf, -1, np.inf
        if len(fit.components) > 1:
            per = max(1.0, fit.misfit)
            other = self._without(fit, place)
            gain = (fit.evidence - other.evidence) / per
            rows = self._candidates(other, fit.components)
            if rows:
                rival = rows[0]
                trial = self._replaced(fit, place, rival, component.width_cm1)
                lead = (fit.evidence - trial.evidence) / per
        return Part(
            row=component.row,
            share=share,
            share_interval=interval,
            significance=float(fit.significance[place]),
            gain=float(gain),
            agreement=agreement,
            bands=bands,
            misfit=misfit,
            rival=rival,
            lead=float(lead),
        )


def scene_minimum(scene: Scene) -> int:
    """Fewest samples a fit is made on."""
    return max(scene.min_columns // STEP, 10)


def _sampled(scene: Scene, shift_cm1: float, stretch: float) -> Sampled:
    """The measured derivative on the axis of the references, sampled for fits."""
    prepared = scene.prepared
    lo, hi = prepared.window
    size = prepared.linear.size
    centred = np.arange(size, dtype=np.float64) - 0.5 * (size - 1)
    measured = align.moved(prepared.linear, centred, shift_cm1, stretch)
    noise = align.moved(prepared.noise, centred, shift_cm1, stretch)
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


def _shares(fit: Fit, place: int) -> tuple[float, tuple[float, float]]:
    """Share of the explained signal and its 95 % interval, by propagation of the errors."""
    total = float(fit.strengths.sum())
    count = fit.strengths.size
    if total <= 0.0:
        return 0.0, (0.0, 1.0)
    share = float(fit.strengths[place]) / total
    norms = fit.strengths / np.maximum(fit.weights, 1e-300)
    covariance = fit.inverse[:count, :count] * max(1.0, fit.misfit) * np.outer(norms, norms)
    slope = np.full(count, -share / total)
    slope[place] += 1.0 / total
    error = TWO_SIDED_95 * float(np.sqrt(max(slope @ covariance @ slope, 0.0)))
    return share, (max(0.0, share - error), min(1.0, share + error))


def _heard(sampled: Sampled, fit: Fit, place: int) -> tuple[float, float, float]:
    """Agreement, effective bands and misfit of a part where it stands out of the others' scatter.

    What the other parts leave and the part itself are divided by the deviation expected without
    this part, cut at one, and their roots compared: a part that is one band on the flank of a
    strong one stands on that band alone.
    """
    own = fit.weights[place] * fit.components[place].column[sampled.columns]
    deviation = fit.deviation_without(place) * np.sqrt(max(1.0, fit.misfit))
    nothing = np.ones(own.size)
    left = normalize.compress((own + fit.whitened * fit.deviation) / deviation, nothing, 0.5)
    part = normalize.compress(own / deviation, nothing, 0.5)
    norm = float(np.linalg.norm(left) * np.linalg.norm(part))
    agreement = float(left @ part) / norm if norm > 0 else 0.0
    power = part**2
    fourth = float(np.sum(power**2))
    bands = float(np.sum(power)) ** 2 / fourth / SAMPLES_PER_BAND if fourth > 0 else 0.0
    loud = (own / fit.deviation) ** 2
    total = float(loud.sum())
    misfit = float(loud @ fit.whitened**2) / total if total > 0 else 0.0
    return agreement, bands, misfit


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
            agreement=part.agreement,
            misfit=part.misfit,
        )
        for part in mixture.parts
    ]
