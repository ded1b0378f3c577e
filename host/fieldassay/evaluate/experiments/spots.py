"""Several spots of one uneven sample: are both substances found, and is nothing false named?

An uneven sample is made of two substances of one instrument: at each of four spots the minor's
share of the band area is drawn anew (between 2 and 60 %, evenly in its logarithm), with the
counting noise that scaling removed (`distort.add`). Compared are the combination of the spots and
the first spot alone. Pairs and shares come from a fixed seed.
"""

from __future__ import annotations

import math

import numpy as np

from fieldassay.evaluate import judge
from fieldassay.evaluate.bench import Question
from fieldassay.evaluate.distort import add, band_area, scales
from fieldassay.evaluate.experiments.mixtures import draw_pairs, measured_in_counts
from fieldassay.evaluate.setting import Setting, tuning
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "spots"
SEED = 44
PAIRS = 15  # drawn for each instrument
SPOTS = 4
SHARES = (0.02, 0.6)
FALSE = Target(0.01, 0.0, at_most=True)


def run(setting: Setting) -> Outcome:
    """Make the samples, ask about their spots together and about the first alone."""
    counted = measured_in_counts(setting)
    if not counted:
        absent = "data absent: no spectra in counts with their dark"
        return Outcome([Row(NAME, "several spots: both substances found", "all", absent=absent)])
    rng = np.random.default_rng(SEED)
    pairs = draw_pairs(counted, setting, rng, 2 if setting.quick else PAIRS)
    questions = []
    for major, minor in pairs:
        one, two = counted[major.instrument, major.name], counted[minor.instrument, minor.name]
        spots = []
        for share in np.exp(rng.uniform(math.log(SHARES[0]), math.log(SHARES[1]), SPOTS)):
            first, second = scales(
                band_area(one.x, one.y), band_area(two.x, two.y), float((1.0 - share) / share)
            )
            spots.append(add([(one, first), (two, second)], rng))
        questions.append(Question(one.x, spots[0], laser_nm=major.laser_nm, more=tuple(spots[1:])))
        questions.append(Question(one.x, spots[0], laser_nm=major.laser_nm))
    answers = setting.bench.ask(questions, NAME)
    rows, details = [], []
    samples = [s for pair in pairs for s in pair]
    for group, said in ((f"{SPOTS} spots", answers[::2]), ("first spot alone", answers[1::2])):
        trials = list(zip(pairs, said, strict=True))
        both = sum(a.truth | b.truth <= judge.named(s) for (a, b), s in trials)
        false = [(a, b, s) for (a, b), s in trials if judge.false_components(s, a.truth | b.truth)]
        for test, count, target in (
            ("both substances found", both, None),
            ("a substance that is not there named", len(false), FALSE),
        ):
            rows.append(
                Row(
                    NAME, f"uneven sample of two: {test}", group, n=len(trials), count=count,
                    substances=len({s.substance for s in samples}),
                    instruments=len({s.instrument for s in samples}), target=target,
                    tuned=tuning(samples), note="a trial is a drawn pair",
                )
            )  # fmt: skip
        details += [
            {"group": group, "major": a.substance, "minor": b.substance,
             "named": sorted(judge.named(s))} for a, b, s in false
        ]  # fmt: skip
    return Outcome(rows, {}, details)
