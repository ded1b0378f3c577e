"""What is wrong with a library, and which of its substances look alike.

Owns the comparison of entries with those that look like them; what can be said of an entry without
that is `library_faults`. Pure. How well one reference explains another is asked of `explain`, as
the decision asks; the band that tells two substances apart is `library_pairs`. Every entry is
searched for once by the kernel, so the time grows with entries times search, not with all pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fieldassay import decide
from fieldassay.explain import Explanation, Scene
from fieldassay.kernel import search
from fieldassay.library import Library
from fieldassay.library_faults import (
    Finding,
    duplicate,
    of_entry,
    of_library,
    same_noise,
    same_spectra,
    spectrum_of,
)
from fieldassay.library_pairs import Pair, tell_apart
from fieldassay.prepared import prepare
from fieldassay.preprocess import recipe

STEP_CM1 = 2.0  # of the search over shifts; the fit finds the rest
HITS = 16  # references of other substances the kernel hands on
MOST_HITS = 400
OTHERS = 4  # substances beside an entry's own that are fitted to it
SIBLINGS = 3
KERNEL_SLACK = 0.15  # the fit of axis, width and response gained at most 0.1 on real pairs
LEAST_SCORE = 0.6  # of a pair that is reported
NEAR = 0.995  # cosine from which two entries are looked at as the same measurement
THRESHOLDS = decide.load_thresholds()
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Checked:
    """Everything a check found: findings in order of rows, pairs with the closest first."""

    findings: list[Finding] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    @property
    def broken(self) -> list[Finding]:
        """The findings that spoil verdicts."""
        return [finding for finding in self.findings if finding.broken]


def check(
    library: Library,
    least_score: float = LEAST_SCORE,
    progress: Progress = lambda done, total: None,
) -> Checked:
    """Check a library whose hash was verified on opening.

    Args:
        library: Open, whole.
        least_score: Pairs whose score is lower are left out; not above that of a match.
        progress: Told now and then how many entries of how many are done.
    """
    least_score = min(least_score, THRESHOLDS.match["min_score"])
    found = Checked()
    found.findings += of_library(library)
    alone: dict[int, list[Finding]] = {}
    for entry in library.entries:
        alone[entry.row] = list(of_entry(library, entry))
        found.findings += alone[entry.row]
    found.findings += same_spectra(library)
    usable = [row for row, wrong in alone.items() if not any(finding.broken for finding in wrong)]
    if library.recipe == recipe.RAMAN.id:
        _neighbours(library, usable, least_score, found, progress)
    return found


def _neighbours(
    library: Library, usable: list[int], least: float, found: Checked, progress: Progress
) -> None:
    """Pairs, near-duplicates and labels in doubt, from what the kernel finds for each entry."""
    known = {frozenset(f.rows) for f in found.findings if f.code.startswith("duplicate")}
    rows: dict[str, list[int]] = defaultdict(list)
    for entry in library.entries:
        rows[entry.substance].append(entry.row)
    pairs: dict[tuple[str, str], tuple[float, int, Explanation]] = {}
    good = set(usable)
    for done, row in enumerate(usable):
        progress(done, len(usable))
        own = library.entries[row].substance
        look = _Looked(library, row, min(HITS + len(rows[own]), MOST_HITS))
        hits = [hit for hit in look.hits if hit.row != row and hit.row in good]
        for hit in hits:
            both = frozenset((row, hit.row))
            if hit.score >= NEAR and both not in known and same_noise(library, row, hit.row):
                known.add(both)
                how = "the same measurement, resampled or scaled"
                found.findings.append(duplicate(library, sorted(both), how))
        fits = [look.fit(hit) for hit in _worth_a_fit(library, own, hits, least - KERNEL_SLACK)]
        rivals = [e for e in fits if library.entries[e.rows[0]].substance != own]
        kin = [e for e in fits if library.entries[e.rows[0]].substance == own]
        for e in rivals:
            other = library.entries[e.rows[0]].substance
            key = (own, other) if own < other else (other, own)
            if e.score >= least and e.score > pairs.get(key, (0.0,))[0]:
                pairs[key] = (e.score, row, e)
        if rivals and not kin:  # none looks like it, so the kernel did not hand on any
            near = [r for r in rows[own] if r != row and r in good][:SIBLINGS]
            kin = [look.fit(search.Hit(other, look.unshifted, 0.0)) for other in near]
        if kin and rivals and (doubt := _doubt(library, row, kin, rivals)):
            found.findings.append(doubt)
    progress(len(usable), len(usable))
    found.pairs += [tell_apart(library, row, e) for _, row, e in pairs.values()]
    found.pairs.sort(key=lambda pair: (-pair.score, pair.substances))


def _worth_a_fit(
    library: Library, own: str, hits: Sequence[search.Hit], least: float
) -> list[search.Hit]:
    """The best hit of each of the best other substances, and the best of the entry's own."""
    others: dict[str, search.Hit] = {}
    kin: list[search.Hit] = []
    for hit in hits:
        substance = library.entries[hit.row].substance
        if substance == own:
            kin += [hit] if len(kin) < SIBLINGS else []
        elif hit.score >= least and (len(others) < OTHERS or substance in others):
            others.setdefault(substance, hit)
    # Without a rival a label cannot be in doubt, so its siblings need no fit.
    return [*others.values(), *kin] if others else []


def _doubt(
    library: Library, row: int, kin: Sequence[Explanation], rivals: Sequence[Explanation]
) -> Finding | None:
    """A label that its own spectrum contradicts; `rivals` is not empty."""
    entry = library.entries[row]
    best = max(rivals, key=lambda e: e.score)
    own = max((e.score for e in kin), default=0.0)
    if best.score < THRESHOLDS.match["min_score"]:
        return None
    if best.score - own < THRESHOLDS.match["min_margin"]:
        return None
    other = library.entries[best.rows[0]]
    text = (
        f"{entry.label!r} fits {other.label!r} of {other.substance!r} ({best.score:.2f}) better "
        f"than the other references of {entry.substance!r} ({own:.2f})."
    )
    return Finding("label_in_doubt", (row, other.row), text)


class _Looked:
    """One entry as a measurement, and the references that look like it."""

    def __init__(self, library: Library, row: int, k: int) -> None:
        self._library, self._row = library, row
        axis = THRESHOLDS.axis
        reach = axis["max_shift_cm1"]
        self._shifts = np.arange(-reach, reach + 1e-9, STEP_CM1)
        self.unshifted = int(np.argmin(np.abs(self._shifts)))
        entry = library.entries[row]
        lo, hi = entry.first + int(reach), entry.last - int(reach)
        # A reference as short as the least range must still be found by the others.
        self._minimum = min(int(THRESHOLDS.quality["min_range_cm1"]), max(hi - lo, 1))
        self._scene: Scene | None = None
        self.hits: list[search.Hit] = []
        if hi > lo:
            queries = search.shifted(library.matrix[row].astype(np.float64), self._shifts)
            penalty = axis["penalty_per_cm1_squared"] * self._shifts**2
            self.hits = search.top_references(library, queries, penalty, (lo, hi), self._minimum, k)

    def fit(self, hit: search.Hit) -> Explanation:
        """The explanation by one reference, axis and line width fitted as for a measurement."""
        if self._scene is None:
            entry = self._library.entries[self._row]
            prepared = prepare(spectrum_of(self._library, entry), self._library, THRESHOLDS.axis)
            self._scene = Scene(prepared, self._library, self._minimum)
        return fitted(self._scene, hit.row, float(self._shifts[hit.variant]))


def fitted(scene: Scene, row: int, shift_cm1: float) -> Explanation:
    """A reference with its own shift, stretch and line width, as `explain.Scene.singles` fits."""
    best = scene.fit((row,), shift_cm1)
    if not best.rows:
        return Explanation((row,), (0.0,), (0.0,), shift_cm1, 0.0, 0.0, 0.0)
    best = scene.aligned(best)
    step = scene.prepared.axis["broadening_step_cm1"]
    trials = [scene.fit((row,), best.shift_cm1, best.stretch, n * step) for n in (-2, -1, 1, 2)]
    return max([best, *(trial for trial in trials if trial.rows)], key=lambda e: e.score)
