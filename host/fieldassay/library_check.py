"""What is wrong with a library, and which of its substances look alike.

Owns the checks of single entries and of entries against each other. Pure. How well one reference
explains another is asked of `explain`, as the decision asks; the band that tells two substances
apart is `library_pairs`. Every entry is searched for once by the kernel, so the time grows with
entries times search, and not with all pairs.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fieldassay import decide, library_gates
from fieldassay.explain import Explanation, Scene, prepare
from fieldassay.kernel import search
from fieldassay.library import Entry, Library
from fieldassay.library_pairs import Pair, tell_apart
from fieldassay.preprocess import baseline, recipe
from fieldassay.spectrum import Axis, Spectrum

Floats = NDArray[np.float64]
EDGE_COLUMNS = 9  # beyond first and last, what the derivative was made of
STEP_CM1 = 2.0  # of the search over shifts; the fit finds the rest
HITS = 16  # references of other substances the kernel hands on
MOST_HITS = 400
OTHERS = 4  # substances beside an entry's own that are fitted to it
SIBLINGS = 3
KERNEL_SLACK = 0.15  # the fit of axis, width and response gained at most 0.1 on real pairs
LEAST_SCORE = 0.6  # of a pair that is reported
SAME_LASER_NM = 20.0
STRANGE_LASERS = 0.1  # fewer are a mistake, more a library of several
SAME_NOISE = 0.8  # correlation of what is left between bands; independent noise has 0
NEAR = 0.995  # cosine from which two entries are looked at as the same measurement
THRESHOLDS = decide.load_thresholds()
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        code: Stable, lower-case.
        rows: Entries it is about.
        what: A sentence.
        broken: True if verdicts suffer; False for a remark.
    """

    code: str
    rows: tuple[int, ...]
    what: str
    broken: bool = True


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
    found.findings += _of_library(library)
    alone: dict[int, list[Finding]] = {}
    for entry in library.entries:
        alone[entry.row] = list(_of_entry(library, entry))
        found.findings += alone[entry.row]
    found.findings += _same_spectra(library)
    usable = [row for row, wrong in alone.items() if not any(finding.broken for finding in wrong)]
    if library.recipe == recipe.RAMAN.id:
        _neighbours(library, usable, least_score, found, progress)
    return found


def spectrum_of(library: Library, entry: Entry) -> Spectrum:
    """An entry as a measurement: its raw values where it has data.

    Raises:
        FormatError: It has none.
    """
    columns = _columns(library, entry)
    values = library.raw[entry.row, columns].astype(np.float64)
    return Spectrum(Axis(library.grid_cm1[columns], "cm-1"), values)


def _columns(library: Library, entry: Entry) -> slice:
    last = min(entry.last + EDGE_COLUMNS, library.grid_cm1.size)
    return slice(max(entry.first - EDGE_COLUMNS, 0), last)


def _of_library(library: Library) -> Iterator[Finding]:
    if library.recipe != recipe.RAMAN.id:
        text = f"Made with recipe {library.recipe}; this version uses {recipe.RAMAN.id}."
        yield Finding("other_recipe", (), text)
    rows = defaultdict(list)
    for entry in library.entries:
        rows[entry.label].append(entry.row)
    for label, same in rows.items():
        substances = {library.entries[row].substance for row in same}
        if len(substances) > 1:
            names = ", ".join(sorted(substances))
            yield Finding("label_repeated", tuple(same), f"{label!r} stands for {names}.", False)
    lasers = Counter(round(e.laser_nm) for e in library.entries if e.laser_nm)
    if not lasers:
        return
    usual, count = lasers.most_common(1)[0]
    others = [
        e.row for e in library.entries if e.laser_nm and abs(e.laser_nm - usual) > SAME_LASER_NM
    ]
    if len(others) > STRANGE_LASERS * (count + len(others)):
        found = ", ".join(f"{nm} nm ({n})" for nm, n in sorted(lasers.items()))
        text = f"References of several lasers: {found}. Bands differ in height between them."
        yield Finding("several_lasers", tuple(others), text, False)
        return
    for row in others:
        entry = library.entries[row]
        text = f"{entry.label!r} is of {entry.laser_nm:g} nm; the rest of the library is {usual}."
        yield Finding("other_laser", (row,), text)


def _of_entry(library: Library, entry: Entry) -> Iterator[Finding]:
    row, label = (entry.row,), repr(entry.label)
    if entry.substance not in library.substances:
        text = f"{label} is of a substance {entry.substance!r} that the library does not describe."
        yield Finding("substance_missing", row, text)
    columns = _columns(library, entry)
    values = library.raw[entry.row, columns].astype(np.float64)
    every = (library.raw[entry.row], library.linear[entry.row], library.matrix[entry.row])
    if not all(np.all(np.isfinite(part)) for part in every):
        yield Finding("not_finite", row, f"{label} has values that are not numbers.")
        return
    if entry.first >= entry.last or values.size < 5:
        yield Finding("empty", row, f"{label} has no data in the range of the library.")
        return
    if not np.any(values) or float(np.ptp(values)) == 0.0 or not np.any(library.matrix[entry.row]):
        yield Finding("all_equal", row, f"{label} is zero or the same value everywhere.")
        return
    covered = values.size - 1.0
    if covered < library_gates.MIN_RANGE_CM1:
        text = f"{label} covers {covered:.0f} cm-1; the least is {library_gates.MIN_RANGE_CM1:.0f}."
        yield Finding("range_too_small", row, text)
    if plateau(values):
        yield Finding("saturated", row, f"The highest band of {label} is cut off flat.")
    snr = library_gates.signal_to_noise(values)
    if snr < library_gates.MIN_SNR:
        yield Finding("no_bands", row, f"The highest band of {label} is {snr:.1f} times its noise.")


def plateau(values: Floats) -> bool:
    """True if the top of a spectrum on the grid is flat; interpolation keeps a flat top flat.

    A band of any line width bends at its top by more than a thousandth of its height in a column
    or two. A background may be flat for long, but not to the last digit.
    """
    top, floor = float(values.max()), float(np.median(values))
    flat = np.abs(np.diff(values))
    exact = (flat <= 1e-7 * max(abs(top), 1e-30)) & (values[1:] >= top - 0.05 * (top - floor))
    bands = values - baseline.asls(values)
    height = float(bands.max())
    high = bands[1:] >= 0.8 * height
    run = _longest(high & (flat <= 1e-3 * height))
    # A broad band is flat at its top, too, but only for a tenth of its width up there.
    return _longest(exact) >= 8 or (run >= 6 and run >= 0.5 * _longest(high))


def _longest(true: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], true.astype(np.int8), [0]))))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def _same_spectra(library: Library) -> Iterator[Finding]:
    """Entries with the very same values."""
    rows = defaultdict(list)
    for entry in library.entries:
        values = library.raw[entry.row]
        if np.any(values):
            rows[hashlib.sha256(values.tobytes()).digest()].append(entry.row)
    for same in rows.values():
        if len(same) > 1:
            yield _duplicate(library, same, "the same spectrum")


def _duplicate(library: Library, rows: Sequence[int], how: str) -> Finding:
    labels = " and ".join(repr(library.entries[row].label) for row in rows)
    substances = {library.entries[row].substance for row in rows}
    if len(substances) > 1:
        text = f"{labels} are {how}, under the names of {len(substances)} substances."
        return Finding("duplicate_of_other", tuple(rows), text)
    return Finding("duplicate", tuple(rows), f"{labels} are {how}.")


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
                found.findings.append(_duplicate(library, sorted(both), how))
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


def same_noise(library: Library, a: int, b: int) -> bool:
    """True if two entries share their noise, so that they are one measurement.

    Two measurements of one substance agree in their bands; between the bands only a copy does.
    """
    columns = _columns(library, library.entries[a])
    others = _columns(library, library.entries[b])
    both = slice(max(columns.start, others.start), min(columns.stop, others.stop))
    steep = np.maximum(np.abs(library.linear[a, both]), np.abs(library.linear[b, both]))
    quiet = (steep < 0.02 * float(np.max(steep, initial=0.0)))[1:-1]
    if np.count_nonzero(quiet) < 100:
        return False
    x, y = (np.diff(library.raw[row, both].astype(np.float64), 2)[quiet] for row in (a, b))
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return norm > 0.0 and float(x @ y) / norm > SAME_NOISE
