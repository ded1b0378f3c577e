"""A wrong axis: how many correct matches are lost when it is shifted or stretched?

A trial is one spectrum of a library substance at one error of the axis. A stretch of 0.2 % is about
1000 cm-1: it moves 0 and 2000 cm-1 by 2 cm-1 in opposite directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fieldassay.evaluate import judge
from fieldassay.evaluate.samples import Sample
from fieldassay.evaluate.setting import Setting, as_asked, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "axis"
TARGET = Target(0.02, 0.0, at_most=True)
WRONG = Target(0.01, 0.0, at_most=True)
SHIFTS_CM1 = (-6.0, -4.5, -3.0, -1.5, 1.5, 3.0, 4.5, 6.0)
STRETCHES = (-0.002, 0.002)
PIVOT_CM1 = 1000.0


def run(setting: Setting) -> Outcome:
    """Ask every sample unmoved, then at each error."""
    packaging = {s.id for s in setting.library.substances.values() if s.packaging}
    samples = setting.some(
        [s for s in setting.samples
         if s.kind == "library" and is_785(s) and not s.truth & packaging
         and s.spectrum.axis.unit == "cm-1"]
    )  # fmt: skip
    before = _right(setting, samples, 0.0, 0.0)[0]
    rows, curve, lost, wrong, trials = [], [], 0, 0, 0
    shifts = SHIFTS_CM1[::3] if setting.quick else SHIFTS_CM1
    errors = [(shift, 0.0) for shift in shifts] + [(0.0, stretch) for stretch in STRETCHES]
    for shift, stretch in errors:
        right, false = _right(setting, samples, shift, stretch)
        net = sum(before) - sum(right)
        words = f"{shift:+g} cm-1" if not stretch else f"stretch {100 * stretch:+g} %"
        if stretch:
            rows.append(_loss(samples, net, len(samples), words, None))
        else:
            lost, wrong, trials = lost + net, wrong + false, trials + len(samples)
            rows.append(_loss(samples, net, len(samples), words, TARGET))
            curve.append([shift, sum(right), len(samples)])
    rows.append(_loss(samples, lost, trials, "all shifts", TARGET))
    rows.append(
        Row(NAME, "axis shifted by -6 … +6 cm-1: wrong match", "all shifts", n=trials, count=wrong,
            substances=len({s.substance for s in samples}),
            instruments=len({s.instrument for s in samples}), target=WRONG, tuned=tuning(samples))
    )  # fmt: skip
    return Outcome(rows, {"axis": {"unmoved": sum(before), "curve": curve}})


def _right(
    setting: Setting, samples: Sequence[Sample], shift_cm1: float, stretch: float
) -> tuple[list[bool], int]:
    questions = []
    for sample in samples:
        asked = as_asked(sample)
        x = PIVOT_CM1 + (asked.x - PIVOT_CM1) * (1.0 + stretch) + shift_cm1
        questions.append(replace(asked, x=x))
    answers = setting.bench.ask(questions, f"{NAME} {shift_cm1:+g} {stretch:+g}")
    pairs = list(zip(samples, answers, strict=True))
    right = [judge.right_match(a, s.truth) for s, a in pairs]
    return right, sum(judge.wrong_match(a, s.truth) for s, a in pairs)


def _loss(samples: Sequence[Sample], net: int, n: int, group: str, target: Target | None) -> Row:
    """Matches lost less matches won; where more are won than lost, the loss is 0."""
    note = "matches lost less matches won" + (f"; {-net} more than unmoved" if net < 0 else "")
    return Row(
        NAME, "axis error: correct matches lost", group, n=n, count=max(net, 0),
        substances=len({s.substance for s in samples}),
        instruments=len({s.instrument for s in samples}), target=target, tuned=tuning(samples),
        note=note,
    )  # fmt: skip
