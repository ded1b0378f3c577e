"""Through 2 mm of polyethylene, and on a fluorescent background: is the right substance named?

Simulated in counts. Polyethylene of 2 mm lets about 60 % of diffuse near-infrared light through in
each direction (an assumption for cloudy film and sheet; clear film lets more through), so 36 % of
the sample's signal is left and its counting noise is that of the fainter signal. The cover's bands
are added with their own counting noise so that they make 20 to 80 % of the band area. The spectrum
of polyethylene is one of another instrument than the library's where the fetched spectra have it,
else the library's own (said in the line). Nothing measured through a real bag is here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fieldassay.evaluate import fetched, judge
from fieldassay.evaluate.bench import Question
from fieldassay.evaluate.distort import Floats, behind, fluorescent
from fieldassay.evaluate.experiments.mixtures import measured_in_counts, one_each
from fieldassay.evaluate.samples import Sample
from fieldassay.evaluate.setting import Setting, tuning
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "covers"
SEED = 9
TRANSMISSION = 0.6
SHARES = (0.2, 0.4, 0.6, 0.8)
FLUORESCENCE = (1.0, 4.0, 8.0)
TARGET = Target(0.85, 0.95)
WRONG = Target(0.01, 0.0, at_most=True)
COVER = "polyethylene"


@dataclass(frozen=True, slots=True)
class Cover:
    """A spectrum of the cover and where it is from."""

    x: Floats
    y: Floats
    source: str


def run(setting: Setting) -> Outcome:
    """Cover every library substance of the sets in counts; and give each a background."""
    counted = measured_in_counts(setting)
    cover = _cover(setting)
    if not counted or cover is None:
        absent = "data absent: no spectra in counts, or no spectrum of polyethylene"
        return Outcome([Row(NAME, _title(), "all", target=TARGET, absent=absent)])
    samples = setting.some(
        one_each([s for s in setting.samples if (s.instrument, s.name) in counted])
    )
    rng = np.random.default_rng(SEED)
    trials: list[tuple[Sample, str, float]] = []
    questions = []
    for sample in samples:
        own = counted[sample.instrument, sample.name]
        over = np.interp(own.x, cover.x, cover.y)
        for share in SHARES:
            y = behind(own, over, TRANSMISSION, share, rng)
            for said in (COVER, ""):
                trials.append((sample, f"cover said: {said or 'no'}", share))
                questions.append(Question(own.x, y, laser_nm=sample.laser_nm, packaging=said))
        for times in FLUORESCENCE:
            trials.append((sample, "fluorescence", times))
            questions.append(
                Question(own.x, fluorescent(own, times, rng), laser_nm=sample.laser_nm)
            )
    answers = setting.bench.ask(questions, NAME)
    found = list(zip(trials, answers, strict=True))
    note = f"cover: {cover.source}; transmission {TRANSMISSION:g} each way"
    rows = []
    plan: list[tuple[str, tuple[float, ...], str, Target | None, str]] = [
        (f"cover said: {said or 'no'}", SHARES, _title(), TARGET if said else None, "share")
        for said in (COVER, "")
    ]
    plan.append(("fluorescence", FLUORESCENCE, "background: right substance", None, "times"))
    for variant, levels, title, target, what in plan:
        for level in [*levels, None]:
            own_trials = [(t, a) for t, a in found if t[1] == variant and level in (None, t[2])]
            where = "all" if level is None else f"{what} {level:g}"
            rows.append(
                Row(
                    NAME, f"{title}, {variant}", where, n=len(own_trials),
                    count=sum(judge.right_match(a, t[0].truth) for t, a in own_trials),
                    substances=len({s.substance for s in samples}),
                    instruments=len({s.instrument for s in samples}),
                    target=target, tuned=tuning(samples),
                    note=note if what == "share" else "times as high as the strongest band",
                )
            )  # fmt: skip
    false = [(t, a) for t, a in found if judge.false_components(a, t[0].truth | {COVER})]
    rows.append(
        Row(
            NAME, "covers and backgrounds: a substance that is not there named", "all",
            n=len(found), count=len(false), substances=len({s.substance for s in samples}),
            instruments=len({s.instrument for s in samples}), target=WRONG, tuned=tuning(samples),
        )
    )  # fmt: skip
    details = [
        {"substance": t[0].substance, "instrument": t[0].instrument, "variant": t[1],
         "level": t[2], "named": sorted(judge.named(a))}
        for t, a in false
    ]  # fmt: skip
    return Outcome(rows, {}, details)


def _title() -> str:
    return "through 2 mm polyethylene (simulated): right substance"


def _cover(setting: Setting) -> Cover | None:
    library = setting.library
    if setting.fetched is not None:
        for sample in fetched.load(setting.fetched, fetched.OPEN_SPECY, library):
            if COVER in sample.truth and "low" in sample.name.casefold():
                x, y = sample.spectrum.axis.values, sample.spectrum.intensity
                return Cover(x, y, f"{sample.name}, {sample.instrument}, Open Specy")
    entry = next((e for e in library.entries if e.substance == COVER), None)
    if entry is None:
        return None
    values = library.raw[entry.row, entry.first : entry.last].astype(np.float64)
    x = library.grid_cm1[entry.first : entry.last]
    return Cover(x, values, "the library's own reference, so the bands fit too well")
