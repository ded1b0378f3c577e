"""Two-component mixtures made from measured spectra in counts: is the minor component found?

Sums of dark-subtracted counts of two substances on one instrument, the fainter share scaled down,
with the counting noise that scaling removed (`distort.add`). What a ratio means is said twice: by
the area of the bands over the baseline (what a spectral share is), and by all counts, background
included. Pairs are drawn with a fixed seed from all whose references are not look-alikes. Sums
cannot show what real mixing does to bands, nor what grains under the laser do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fieldassay.evaluate import judge, shared_data
from fieldassay.evaluate.bench import Answer, Question
from fieldassay.evaluate.distort import Counts, Floats, add, all_counts, band_area, scales
from fieldassay.evaluate.samples import Sample
from fieldassay.evaluate.setting import Setting, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target
from fieldassay.library import Library

NAME = "mixtures"
SEED = 20
PAIRS = 40  # drawn for each instrument
LOOK_ALIKE = 0.7  # cosine of smoothed derivatives of references; such pairs are not drawn
RATIOS = {1.0: Target(0.95, 0.99), 4.0: Target(0.85, 0.95), 10.0: Target(0.60, 0.80),
          20.0: Target(0.30, 0.50)}  # fmt: skip
FALSE = Target(0.01, 0.0, at_most=True)
SHARES: dict[str, Callable[[Floats, Floats], float]] = {
    "bands": band_area,
    "all counts": all_counts,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One mixture: which samples, how much of them."""

    major: Sample
    minor: Sample
    ratio: float
    share: str


def run(setting: Setting) -> Outcome:
    """Draw pairs, mix them in counts, ask; and ask about the pure ones."""
    counted = measured_in_counts(setting)
    if not counted:
        return Outcome([Row(NAME, _title(ratio), "all", target=target,
                            absent="data absent: no spectra in counts with their dark")
                        for ratio, target in RATIOS.items()])  # fmt: skip
    rng = np.random.default_rng(SEED)
    trials, questions = [], []
    for major, minor in draw_pairs(counted, setting, rng, 4 if setting.quick else PAIRS):
        one, two = counted[major.instrument, major.name], counted[minor.instrument, minor.name]
        for share, size in SHARES.items():
            for ratio in RATIOS:
                first, second = scales(size(one.x, one.y), size(two.x, two.y), ratio)
                total = add([(one, first), (two, second)], rng)
                trials.append(Trial(major, minor, ratio, share))
                questions.append(Question(one.x, total, laser_nm=major.laser_nm))
    pure = [s for s in setting.samples if (s.instrument, s.name) in counted]
    alone = [
        Question(counted[s.instrument, s.name].x, counted[s.instrument, s.name].y,
                 laser_nm=s.laser_nm) for s in pure
    ]  # fmt: skip
    found = list(zip(trials, setting.bench.ask(questions, NAME), strict=True))
    single = list(zip(pure, setting.bench.ask(alone, f"{NAME}, pure"), strict=True))
    rows = _found_rows(found) + _false_rows(found, single)
    return Outcome(rows, {"detection": _curve(found)}, _cases(found))


def measured_in_counts(setting: Setting) -> dict[tuple[str, str], Counts]:
    """Counts of library substances (no packaging) at 785 nm, by instrument and file."""
    packaging = {s.id for s in setting.library.substances.values() if s.packaging}
    chosen = {}
    for sample in setting.samples:
        if sample.kind == "library" and is_785(sample) and not sample.truth & packaging:
            native = setting.data and shared_data.counts(setting.data, sample)
            if native:
                chosen[sample.instrument, sample.name] = native
    return chosen


def one_each(samples: Sequence[Sample]) -> list[Sample]:
    """The first sample of each substance on each instrument."""
    return list({(s.instrument, s.substance): s for s in reversed(samples)}.values())[::-1]


def draw_pairs(
    counted: dict[tuple[str, str], Counts],
    setting: Setting,
    rng: np.random.Generator,
    pairs: int,
) -> list[tuple[Sample, Sample]]:
    """So many pairs of each instrument: any two substances whose references are not look-alikes."""
    samples = one_each([s for s in setting.samples if (s.instrument, s.name) in counted])
    alike = look_alikes(setting.library)
    drawn = []
    for instrument in sorted({s.instrument for s in samples}):
        own = [s for s in samples if s.instrument == instrument]
        allowed = [
            (a, b) for a in own for b in own
            if a is not b and frozenset(a.truth | b.truth) not in alike
            and len(counted[instrument, a.name].x) == len(counted[instrument, b.name].x)
        ]  # fmt: skip
        order = rng.permutation(len(allowed))[:pairs]
        drawn += [allowed[i] for i in order]
    return drawn


def look_alikes(library: Library) -> set[frozenset[str]]:
    """Pairs of substances whose references have a cosine of LOOK_ALIKE or more."""
    slopes = gaussian_filter1d(np.asarray(library.raw, dtype=np.float64), 3.0, axis=1, order=1)
    background = gaussian_filter1d(np.asarray(library.raw, dtype=np.float64), 30.0, axis=1, order=1)
    slopes = slopes - background
    for row, entry in enumerate(library.entries):
        slopes[row, : entry.first] = slopes[row, entry.last :] = 0.0
    slopes /= np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-30)
    near = np.argwhere(slopes @ slopes.T >= LOOK_ALIKE)
    ids = [entry.substance for entry in library.entries]
    return {frozenset((ids[a], ids[b])) for a, b in near}


def _title(ratio: float) -> str:
    return f"mixtures of two: minor component found at 1:{ratio:g}"


def _found_rows(found: Sequence[tuple[Trial, Answer]]) -> list[Row]:
    rows = []
    for share in SHARES:
        for ratio, target in RATIOS.items():
            own = [(t, a) for t, a in found if (t.ratio, t.share) == (ratio, share)]
            groups = ["all"] if share != "bands" else [*_instruments(own), "all"]
            for group in groups:
                some = [(t, a) for t, a in own if group in ("all", t.minor.instrument)]
                rows.append(
                    Row(
                        NAME, f"{_title(ratio)} of {share}", group, n=len(some),
                        count=sum(t.minor.truth <= judge.named(a) for t, a in some),
                        substances=len({t.minor.substance for t, _ in some}),
                        instruments=len(_instruments(some)), target=target,
                        tuned=tuning(t.minor for t, _ in some),
                        note="a trial is a drawn pair; substances: different minor components",
                    )
                )  # fmt: skip
    return rows


def _instruments(found: Sequence[tuple[Trial, Answer]]) -> list[str]:
    return sorted({t.minor.instrument for t, _ in found})


def _false_rows(
    found: Sequence[tuple[Trial, Answer]], single: Sequence[tuple[Sample, Answer]]
) -> list[Row]:
    mixed = [bool(judge.false_components(a, t.major.truth | t.minor.truth)) for t, a in found]
    pure = [bool(judge.false_components(a, s.truth)) for s, a in single]
    everything = [s for t, _ in found for s in (t.major, t.minor)] + [s for s, _ in single]
    groups = (("mixtures", mixed), ("pure spectra", pure), ("all", mixed + pure))
    return [
        Row(
            NAME, "mixtures of two: a false component named", group, n=len(false), count=sum(false),
            substances=len({s.substance for s in everything}),
            instruments=len({s.instrument for s in everything}), target=FALSE,
            tuned=tuning(everything), note="a trial is an answer",
        )
        for group, false in groups
    ]  # fmt: skip


def _curve(found: Sequence[tuple[Trial, Answer]]) -> dict[str, list[list[float]]]:
    """By definition of share: [share of the minor, found, n] at each ratio."""
    return {
        share: [
            [
                1.0 / (1.0 + ratio),
                sum(t.minor.truth <= judge.named(a) for t, a in found
                    if (t.ratio, t.share) == (ratio, share)),
                sum((t.ratio, t.share) == (ratio, share) for t, _ in found),
            ]
            for ratio in RATIOS
        ]
        for share in SHARES
    }  # fmt: skip


def _cases(found: Sequence[tuple[Trial, Answer]]) -> list[dict[str, object]]:
    """Answers with a false component, and minor components missed at 1:1 of the bands."""
    cases = []
    for trial, said in found:
        both = trial.major.truth | trial.minor.truth
        false = sorted(judge.false_components(said, both))
        missed = not trial.minor.truth <= judge.named(said)
        if false or (missed and (trial.ratio, trial.share) == (1.0, "bands")):
            cases.append(
                {"major": trial.major.substance, "minor": trial.minor.substance,
                 "instrument": trial.minor.instrument, "ratio": trial.ratio, "share": trial.share,
                 "false": false, "outcome": judge.outcome(said, both),
                 "named": sorted(judge.named(said))}
            )  # fmt: skip
    return sorted(cases, key=lambda c: not c["false"])
