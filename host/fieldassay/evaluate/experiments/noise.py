"""Signal-to-noise from 100 down to 3: does noise make it name something else?

White noise is added to measured spectra: its standard deviation is the height of the strongest band
over the ratio stated. The spectrum's own noise comes on top, so the true ratio is a little lower.
One spectrum of each substance on each instrument, and every one that is not in the library.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fieldassay.evaluate import judge
from fieldassay.evaluate.distort import with_snr
from fieldassay.evaluate.experiments.mixtures import one_each
from fieldassay.evaluate.setting import Setting, as_asked, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "noise"
SEED = 8
LEVELS = (3, 5, 10, 20, 30, 50, 100)
WRONG = Target(0.01, 0.0, at_most=True)


def run(setting: Setting) -> Outcome:
    """Ask every chosen sample at every level, with noise of its own."""
    packaging = {s.id for s in setting.library.substances.values() if s.packaging}
    samples = setting.some(
        [s for s in one_each(setting.samples) if is_785(s) and s.spectrum.axis.unit == "cm-1"
         and s.kind in ("library", "unknown") and not s.truth & packaging]
    )  # fmt: skip
    inside = [s for s in samples if s.kind == "library"]
    rng = np.random.default_rng(SEED)
    rows: list[Row] = []
    curve: list[list[int]] = []
    details: list[dict[str, Any]] = []
    for level in LEVELS:
        questions = []
        for sample in samples:
            asked = as_asked(sample)
            questions.append(replace(asked, y=with_snr(asked.x, asked.y, level, rng)))
        answers = setting.bench.ask(questions, f"{NAME} {level}")
        pairs = list(zip(samples, answers, strict=True))
        right = sum(judge.right_match(a, s.truth) for s, a in pairs)
        wrong = sum(judge.wrong_match(a, s.truth) for s, a in pairs)
        details += [
            {"ratio": level, "file": s.name, "set": s.set, "substance": s.substance,
             "named": sorted(judge.named(a)), "score": judge.score(a)}
            for s, a in pairs if judge.wrong_match(a, s.truth)
        ]  # fmt: skip
        curve.append([level, right, len(inside), wrong, len(samples)])
        rows.append(
            Row(NAME, "signal-to-noise: wrong match", f"ratio {level}", n=len(samples), count=wrong,
                substances=len({s.substance for s in samples}),
                instruments=len({s.instrument for s in samples}), target=WRONG,
                tuned=tuning(samples))
        )  # fmt: skip
        rows.append(
            Row(NAME, "signal-to-noise: right match", f"ratio {level}", n=len(inside), count=right,
                substances=len({s.substance for s in inside}),
                instruments=len({s.instrument for s in inside}), tuned=tuning(inside))
        )  # fmt: skip
    return Outcome(sorted(rows, key=lambda r: r.test, reverse=True), {"noise": curve}, details)
