"""Substances that are not in the library: how often is one of them reported as a match?

Three kinds: samples whose substance the library does not have; samples of the library's substances
with their own substance left out of it (the hardest: relatives stay in); the library's own spectra
with theirs left out. A substance counts once, and as reported if any of its spectra was. The
calibration of the decision holds ranks of these same substances; what it does for substances that
it was not made from is said, tenth by tenth, on the page that says how a verdict is decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from fieldassay.evaluate import fetched, judge
from fieldassay.evaluate.bench import Answer, Question, question
from fieldassay.evaluate.samples import Sample
from fieldassay.evaluate.setting import TUNED, Setting, as_asked, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target
from fieldassay.spectrum import Axis, Spectrum

NAME = "unknown"
TARGET = Target(0.03, 0.005, at_most=True)
Case = tuple[str, str, str, frozenset[str], Answer]  # group, substance, file, truth, answer


def run(setting: Setting) -> Outcome:
    """Ask about everything that is not there, and about everything after taking it away."""
    unknown = setting.some([s for s in setting.samples if s.kind == "unknown"], 3)
    single = setting.some([s for s in setting.samples if s.kind == "library" and is_785(s)])
    cases: list[Case] = [
        ("not in the library", s.substance, s.name, frozenset(), a)
        for s, a in zip(unknown, setting.ask(unknown, NAME), strict=True)
    ]
    left_out = setting.bench.ask([_without(as_asked(s), s.truth) for s in single], NAME)
    cases += [
        ("left out, other instruments", s.substance, s.name, s.truth, a)
        for s, a in zip(single, left_out, strict=True)
    ]
    own = _own_spectra(setting)
    cases += [
        ("left out, the library's own spectra", substance, label, frozenset({substance}), a)
        for (substance, label, _), a in zip(
            own, setting.bench.ask([q for _, _, q in own], NAME), strict=True
        )
    ]
    extra = _fetched(setting)
    cases += [
        (f"not in the library, {s.set}", s.substance, s.name, frozenset(), a)
        for s, a in extra if s.kind == "unknown"
    ]  # fmt: skip
    rows = []
    for group in dict.fromkeys(case[0] for case in cases):
        chosen = [case for case in cases if case[0] == group]
        used = {"not in the library": unknown, "left out, other instruments": single}.get(
            group, [s for s, _ in extra if group.endswith(s.set)]
        )
        rows += _rows(chosen, group, len({s.instrument for s in used}) or 1, tuning(used))
    rows += _rows(cases, "all", len({s.instrument for s in setting.samples}),
                  TUNED)  # fmt: skip
    rows += _known_rows(extra) if extra else [_absent()]
    details = [
        {"group": g, "substance": sub, "file": file, "verdict": judge.kind(a),
         "named": sorted(judge.named(a)), "score": judge.score(a)}
        for g, sub, file, _, a in cases if judge.named(a)
    ]  # fmt: skip
    scores = [judge.score(a) for _, _, _, _, a in cases]
    figures = {"unknown_scores": scores, "reliability_other": _reliability(cases)}
    return Outcome(rows, figures, details)


def _reliability(cases: Sequence[Case]) -> list[list[float]]:
    """The least p_other of each substance."""
    least: dict[str, float] = {}
    for _, substance, _, _, said in cases:
        p_other = judge.stated(said, "p_other")
        if p_other is not None:
            least[substance] = min(least.get(substance, 1.0), p_other)
    return judge.reliability(least.values())


def _rows(cases: Sequence[Case], group: str, instruments: int, tuned: str) -> list[Row]:
    substances = {c[1] for c in cases}
    lines = []
    for test, target, counted in (
        ("reported as match", TARGET, judge.is_match),
        ("named, as match or as part of a mixture", None, judge.named),
    ):
        named = {c[1] for c in cases if counted(c[4])}
        lines.append(
            Row(
                NAME, f"not in library: {test}, substances", group, n=len(substances),
                count=len(named), substances=len(substances), instruments=instruments,
                target=target, tuned=tuned, note="a trial is a substance with all its spectra",
            )
        )  # fmt: skip
    hits = sum(judge.is_match(c[4]) for c in cases)
    lines.append(
        Row(NAME, "not in library: reported as match, spectra", group, n=len(cases), count=hits,
            substances=len(substances), instruments=instruments, target=TARGET, tuned=tuned)
    )  # fmt: skip
    return lines


def _fetched(setting: Setting) -> list[tuple[Sample, Answer]]:
    if setting.fetched is None:
        return []
    samples = [
        s for pin in fetched.PINS for s in fetched.load(setting.fetched, pin, setting.library)
    ]
    samples = setting.some(samples, 40)
    return list(zip(samples, setting.ask(samples, f"{NAME}, fetched"), strict=True))


def _known_rows(pairs: Sequence[tuple[Sample, Answer]]) -> list[Row]:
    """Fetched spectra that are of library substances, or near them: counted by themselves."""
    rows = []
    for kind, group in (("library", "library substances among the fetched"),
                        ("uncounted", "near a library substance, among the fetched")):  # fmt: skip
        own = [(s, a) for s, a in pairs if s.kind == kind]
        for test, counted in (("another substance named as match", judge.wrong_match),
                              ("right substance named", judge.right_match)):  # fmt: skip
            rows.append(
                Row(NAME, f"fetched: {test}", group, n=len(own),
                    count=sum(counted(a, s.truth) for s, a in own),
                    substances=len({s.substance for s, _ in own}), tuned=tuning(s for s, _ in own),
                    note="whatever the laser" if kind == "library" else
                    "other forms, copolymers, blends: a name may be right")
            )  # fmt: skip
    return rows


def _absent() -> Row:
    return Row(
        NAME, "not in library: reported as match, substances", "minerals, polymers, biomolecules",
        target=TARGET, absent="data absent: not fetched (--fetch)",
    )  # fmt: skip


def _without(asked: Question, ids: frozenset[str]) -> Question:
    return Question(
        asked.x, asked.y, asked.x_unit, asked.noise, asked.laser_nm, asked.packaging, without=ids
    )


def _own_spectra(setting: Setting) -> list[tuple[str, str, Question]]:
    library = setting.library
    entries = library.entries[:: 8 if setting.quick else 1]
    made = []
    for entry in entries:
        values = library.raw[entry.row, entry.first : entry.last].astype(float)
        spectrum = Spectrum(Axis(library.grid_cm1[entry.first : entry.last], "cm-1"), values)
        ids = frozenset({entry.substance})
        made.append((entry.substance, entry.label, question(spectrum, without=ids)))
    return made
