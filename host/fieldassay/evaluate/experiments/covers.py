"""Through 2 mm of polyethylene, and on a fluorescent background: is the right substance named?

Simulated in counts. Polyethylene of 2 mm lets about 60 % of diffuse near-infrared light through in
each direction (an assumption for cloudy film and sheet; clear film lets more through), so 36 % of
the sample's signal is left and its counting noise is that of the fainter signal. The cover's bands
are added with their own counting noise so that they make 20 to 80 % of the band area. The spectra
of polyethylene are of other instruments than the library's (fetched ones, in turn) and come on axes
of their own, which one measurement would not have; the library's own is shown beside, which is too
easy. The officer says that it is polyethylene. Nothing measured through a real bag is here.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

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
REAL = "through 2 mm polyethylene (simulated)"
OWN = "through the library's own polyethylene (simulated)"
LIGHT = "on a fluorescent background (simulated)"


@dataclass(frozen=True, slots=True)
class Cover:
    """A spectrum of the cover and where it is from."""

    x: Floats
    y: Floats
    source: str


def run(setting: Setting) -> Outcome:
    """Cover every library substance of the sets in counts; and give each a background."""
    counted = measured_in_counts(setting)
    covers = {REAL: _fetched(setting), OWN: _own(setting)}
    if not counted or not covers[OWN]:
        absent = "data absent: no spectra in counts, or no reference of polyethylene"
        return Outcome([Row(NAME, _title(REAL), "all", target=TARGET, absent=absent)])
    samples = setting.some(
        one_each([s for s in setting.samples if (s.instrument, s.name) in counted])
    )
    rng = np.random.default_rng(SEED)
    trials: list[tuple[Sample, str, float]] = []
    questions = []
    for number, sample in enumerate(samples):
        own = counted[sample.instrument, sample.name]
        for variant in [v for v in (REAL, OWN) if covers[v]]:
            cover = covers[variant][number % len(covers[variant])]
            over = np.interp(own.x, cover.x, cover.y)
            for share in SHARES:
                y = behind(own, over, TRANSMISSION, share, rng)
                trials.append((sample, variant, share))
                questions.append(Question(own.x, y, laser_nm=sample.laser_nm, packaging=COVER))
        for times in FLUORESCENCE:
            trials.append((sample, LIGHT, times))
            questions.append(
                Question(own.x, fluorescent(own, times, rng), laser_nm=sample.laser_nm)
            )
    found = list(zip(trials, setting.bench.ask(questions, NAME), strict=True))
    rows = []
    if not covers[REAL]:
        absent = "data absent: not fetched (--fetch)"
        rows.append(Row(NAME, _title(REAL), "all", target=TARGET, absent=absent))
    sources = ", ".join(cover.source for cover in covers[REAL])
    for variant, levels, word, target, note in (
        (REAL, SHARES, "share", TARGET, f"covers in turn: {sources}, on axes of their own"),
        (OWN, SHARES, "share", None, "the library's own reference fits better than any real cover"),
        (LIGHT, FLUORESCENCE, "times", None, "times as high as the strongest band"),
    ):
        of_variant = [(t, a) for t, a in found if t[1] == variant]
        for level in [*levels, None] if of_variant else []:
            own_trials = [(t, a) for t, a in of_variant if level in (None, t[2])]
            rows.append(
                Row(
                    NAME, _title(variant), "all" if level is None else f"{word} {level:g}",
                    n=len(own_trials),
                    count=sum(judge.right_match(a, t[0].truth) for t, a in own_trials),
                    substances=len({s.substance for s in samples}),
                    instruments=len({s.instrument for s in samples}),
                    target=target, tuned=tuning(samples), note=note,
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
    outcomes: dict[str, Counter[str]] = {}
    for (sample, variant, _), said in found:
        outcomes.setdefault(variant, Counter())[judge.outcome(said, sample.truth)] += 1
    details: list[dict[str, Any]] = [
        {"substance": t[0].substance, "instrument": t[0].instrument, "variant": t[1],
         "level": t[2], "named": sorted(judge.named(a))}
        for t, a in false
    ]  # fmt: skip
    details += [{"all of": v, "said": dict(c.most_common())} for v, c in outcomes.items()]
    return Outcome(rows, {}, details)


def _title(variant: str) -> str:
    return f"{variant}: right substance"


def _fetched(setting: Setting) -> list[Cover]:
    """Film is of low density: every such spectrum that was fetched."""
    if setting.fetched is None:
        return []
    return [
        Cover(s.spectrum.axis.values, s.spectrum.intensity, f"{s.name} ({s.instrument})")
        for s in fetched.load(setting.fetched, fetched.OPEN_SPECY, setting.library)
        if COVER in s.truth and re.search(r"low density|ldpe", s.name.casefold())
    ]


def _own(setting: Setting) -> list[Cover]:
    library = setting.library
    return [
        Cover(
            library.grid_cm1[e.first : e.last],
            library.raw[e.row, e.first : e.last].astype(np.float64),
            "the library's own",
        )
        for e in library.entries
        if e.substance == COVER
    ][:1]
