"""Samples measured with another laser than the library: right, or honestly undecided?

For a library substance a match with it is right; inconclusive or a class is honest; anything else
(another substance, "not in the library") is wrong. For something that is not in the library only a
substance named is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from fieldassay.evaluate import judge
from fieldassay.evaluate.bench import Answer
from fieldassay.evaluate.samples import Sample
from fieldassay.evaluate.setting import Setting, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "lasers"
TARGET = Target(0.92, 0.97)


def run(setting: Setting) -> Outcome:
    """Ask every sample of another laser once."""
    samples = setting.some([s for s in setting.samples if not is_785(s)], 3)
    if not samples:
        absent = "data absent: no spectra of another laser"
        return Outcome([Row(NAME, _title(), "all", target=TARGET, absent=absent)])
    pairs = list(zip(samples, setting.ask(samples, NAME), strict=True))
    inside = [(s, a) for s, a in pairs if s.kind in ("library", "mixture")]
    tests = (
        (_title(), pairs, right_or_undecided, TARGET),
        ("other lasers, in the library: right", inside, _right, None),
        ("other lasers: a substance that is not there named", pairs,
         lambda s, a: bool(judge.false_components(a, s.truth)), None),
    )  # fmt: skip
    rows = [
        Row(
            NAME, test, "all", n=len(own), count=sum(counted(s, a) for s, a in own),
            substances=len({s.substance for s, _ in own}),
            instruments=len({s.instrument for s, _ in own}), target=target,
            tuned=tuning(s for s, _ in own),
        )
        for test, own, counted, target in tests
    ]  # fmt: skip
    return Outcome(rows, {}, _cases(pairs))


def _title() -> str:
    return "other lasers: right or honestly undecided"


def _right(sample: Sample, answer: Answer) -> bool:
    if sample.kind == "mixture":
        return judge.named(answer) == sample.truth
    return judge.right_match(answer, sample.truth)


def right_or_undecided(sample: Sample, answer: Answer) -> bool:
    """Nothing false was said; see the head of this module."""
    said = judge.kind(answer)
    if said == "out_of_library":
        return sample.kind in ("unknown", "uncounted")
    return said in judge.UNDECIDED or not judge.false_components(answer, sample.truth)


def _cases(pairs: Sequence[tuple[Sample, Answer]]) -> list[dict[str, object]]:
    return [
        {"file": s.name, "substance": s.substance, "outcome": judge.outcome(a, s.truth),
         "named": sorted(judge.named(a))}
        for s, a in pairs if not right_or_undecided(s, a)
    ]  # fmt: skip
