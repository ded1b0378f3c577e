"""Substances of the library on other instruments with its laser: who is named, rightly and wrongly.

Packaging polymers are not asked here: they are never the finding, so the right answer for them is
that only packaging was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fieldassay.evaluate import judge
from fieldassay.evaluate.bench import Answer
from fieldassay.evaluate.samples import ROLES, Sample
from fieldassay.evaluate.setting import Setting, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target

NAME = "library"
MATCH = Target(0.93, 0.98)
WRONG = Target(0.01, 0.0, at_most=True)


def run(setting: Setting) -> Outcome:
    """Ask every 785 nm sample of a library substance once."""
    samples = setting.some([s for s in setting.samples if is_785(s)])
    pairs = list(zip(samples, setting.ask(samples, NAME), strict=True))
    packaging = {s.id for s in setting.library.substances.values() if s.packaging}
    inside = [(s, a) for s, a in pairs if s.kind == "library" and not s.truth & packaging]
    around = [(s, a) for s, a in pairs if s.kind == "library" and s.truth & packaging]
    doubtful = [(s, a) for s, a in pairs if s.kind == "uncounted"]
    rows = []
    groups = sorted({s.set for s, _ in inside})
    for group in [*groups, "all"]:
        own = [(s, a) for s, a in inside if group in ("all", s.set)]
        rows.append(_row("right substance named", group, own, judge.right_match, MATCH))
        rows.append(_row("wrong substance named as match", group, own, judge.wrong_match, WRONG))
    for role in ROLES:
        own = [(s, a) for s, a in inside if s.role == role]
        if own and len({s.role for s, _ in inside}) > 1:
            words = f"{role.replace('_', '-')} sets"
            rows.append(_row("right substance named", words, own, judge.right_match, MATCH))
    if inside:
        rows.append(_by_substance(inside))
        rows.append(
            _row("a substance that is not there named, in a match or a mixture", "all", inside,
                 lambda a, t: bool(judge.false_components(a, t)), None)
        )  # fmt: skip
    if around:
        rows.append(
            _row("packaging called packaging", "all", around, lambda a, _: _only_packaging(a), None)
        )
    if doubtful:
        rows.append(
            _row("doubtful labels and solutions: another substance named", "all", doubtful,
                 judge.wrong_match, None)
        )  # fmt: skip
    return Outcome(rows, {
            "confusion": _confusion(inside),
            "scores": _scores(pairs),
            "reliability_true": judge.reliability(judge.stated(a, "p_true") for _, a in inside),
        },
                   _cases(pairs))  # fmt: skip


def _row(test: str, group: str, pairs: Sequence[tuple[Sample, Answer]], counted, target) -> Row:  # type: ignore[no-untyped-def]
    return Row(
        NAME, f"library, other 785 nm: {test}", group,
        n=len(pairs),
        count=sum(bool(counted(a, s.truth)) for s, a in pairs),
        substances=len({s.substance for s, _ in pairs}),
        instruments=len({s.instrument for s, _ in pairs}),
        target=target,
        tuned=tuning(s for s, _ in pairs),
    )  # fmt: skip


def _by_substance(pairs: Sequence[tuple[Sample, Answer]]) -> Row:
    """Repeats of one sample are no independent trials, substances are."""
    missed = {s.substance for s, a in pairs if not judge.right_match(a, s.truth)}
    every = {s.substance for s, _ in pairs}
    return Row(
        NAME, "library, other 785 nm: substances named rightly every time",
        "all", n=len(every), count=len(every - missed), substances=len(every),
        instruments=len({s.instrument for s, _ in pairs}), tuned=tuning(s for s, _ in pairs),
        note="a trial is a substance with all its spectra",
    )  # fmt: skip


def _only_packaging(answer: Answer) -> bool:
    return judge.outcome(answer, ()) == "inconclusive: only_packaging_seen"


def _confusion(pairs: Sequence[tuple[Sample, Answer]]) -> dict[str, dict[str, int]]:
    """Outcomes by set: {set: {outcome: n}}."""
    table: dict[str, Counter[str]] = {}
    for sample, said in pairs:
        table.setdefault(sample.set, Counter())[judge.outcome(said, sample.truth)] += 1
    return {key: dict(sorted(value.items())) for key, value in sorted(table.items())}


def _scores(pairs: Sequence[tuple[Sample, Answer]]) -> dict[str, list[float]]:
    """Scores of the true substance, of the best other one, and of the best for unknowns."""
    found: dict[str, list[float]] = {"true": [], "other": [], "unknown": []}
    for sample, said in pairs:
        candidates = said.get("candidates", [])
        if sample.kind == "unknown" and candidates:
            found["unknown"].append(candidates[0]["score"])
        if sample.kind == "library":
            for group, wanted in (("true", True), ("other", False)):
                own = [c["score"] for c in candidates if (c["id"] in sample.truth) == wanted]
                found[group] += own[:1] or ([0.0] if wanted else [])
    return found


def _cases(pairs: Sequence[tuple[Sample, Answer]]) -> list[dict[str, Any]]:
    """All that was not called rightly, wrong names first."""
    cases: list[dict[str, Any]] = [
        {
            "file": s.name,
            "set": s.set,
            "substance": s.substance,
            "kind": s.kind,
            "outcome": judge.outcome(a, s.truth),
            "named": sorted(judge.named(a)),
            "candidates": [(c["id"], c["score"]) for c in a.get("candidates", [])[:3]],
            "note": s.note,
        }
        for s, a in pairs
        if s.kind == "uncounted" or (s.kind == "library" and not judge.right_match(a, s.truth))
    ]
    return sorted(cases, key=lambda c: (c["outcome"] != "wrong match", c["set"], c["file"]))
