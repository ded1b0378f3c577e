"""A substance that the library does not have, of a family that it has: is the family named?

Each member of a family (four or more in the library) is left out in turn, with all its references.
Spectra are those of the member on other instruments and, separately, the library's own. A family
is counted as named when at least half of its members are; a family named says those that all its
substances belong to, too (fatty esters are esters). A false alarm is a family named that the
substance is not of. Which family something is of says the catalogue. Shown are all words of the
catalogue, and those that spectra can tell: see families/published.toml for the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fieldassay import families as engine
from fieldassay import substances
from fieldassay.evaluate import fetched, judge
from fieldassay.evaluate.bench import Answer, Question, question
from fieldassay.evaluate.samples import Sample
from fieldassay.evaluate.setting import Setting, as_asked, is_785, tuning
from fieldassay.evaluate.table import Outcome, Row, Target
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum

NAME = "families"
MEMBERS = 4
NAMED = Target(0.60, 0.90)
FALSE = Target(0.01, 0.0, at_most=True)
# Families of the test substances that the default library does not have.
OUTSIDE: Mapping[str, frozenset[str]] = {
    "naphthalene": frozenset({"aromatic", "aromatic hydrocarbon"}),
    "1,4-bis(2-methylstyryl)benzene": frozenset({"aromatic", "aromatic hydrocarbon"}),
    "benzonitrile": frozenset({"nitrile", "aromatic", "monosubstituted benzene"}),
    "ammonium nitrate": frozenset({"inorganic salt"}),
    "ammonium chloride": frozenset({"inorganic salt"}),
    "sodium perchlorate": frozenset({"inorganic salt"}),
    "sulfur": frozenset({"inorganic"}),
    "sunflower oil": frozenset({"plant oil", "oil", "fatty ester", "ester"}),
}
MINERALS = ("RRUFF", "Raman Open Database")
MINERAL = frozenset({"inorganic salt", "inorganic", "carbonate", "phosphate", "sulfate"})


@dataclass(frozen=True, slots=True)
class Case:
    """One spectrum asked with its substance left out (or not in the library at all)."""

    where: str
    substance: str
    file: str
    families: frozenset[str]
    answer: Answer

    @property
    def right(self) -> bool:
        """A family was named, and every family named is one of the substance's."""
        said = families_named(self.answer)
        return bool(said) and said <= self.families

    @property
    def false_alarm(self) -> bool:
        """A family was named that the substance is not of."""
        return bool(families_named(self.answer) - self.families)


def families_named(answer: Answer) -> frozenset[str]:
    """The family a class verdict names; none for any other verdict."""
    family = answer.get("family")
    if judge.kind(answer) != "class" or not family:
        return frozenset()
    return frozenset({plain(str(family["id"]))})


def plain(family: str) -> str:
    """A family's name or id in one form: the catalogue has words, verdicts have slugs."""
    return family.casefold().replace("-", " ")


def run(setting: Setting) -> Outcome:
    """Leave out, ask, and ask about what belongs to no family."""
    groups = members(setting.library)
    eligible = {s for own in groups.values() for s in own}
    single = [s for s in setting.samples if s.kind == "library" and is_785(s)]
    single = setting.some(single)
    cases = _left_out(setting, single, "other instruments")
    cases += _own(setting)
    outside = [s for s in setting.samples if s.kind == "unknown"]
    cases += _as_they_are(setting, outside, "not in the library")
    if setting.fetched is not None:
        # Minerals alone: what families polymers and biomolecules are of is not recorded here.
        more = [s for s in fetched.load(setting.fetched, fetched.OPEN_SPECY, setting.library)
                if s.kind == "unknown" and s.instrument in MINERALS]  # fmt: skip
        cases += _as_they_are(setting, setting.some(more, 40), "not in the library, minerals")
    rows: list[Row] = []
    figures: dict[str, Any] = {}
    for where in ("other instruments", "the library's own spectra"):
        found = [c for c in cases if c.where == where and c.substance in eligible]
        table = _by_family(groups, implied(setting.library), found)
        figures[where] = table
        asked = {name: counts for name, counts in table.items() if counts[1]}
        used = single if where == "other instruments" else []
        instruments = len({s.instrument for s in used}) or 1
        told = {name: counts for name, counts in asked.items() if name not in engine.not_named()}
        for what, counted, target in (
            ("families with 4 members or more: family named when the member is left out", asked,
             NAMED),
            ("the same, without words that no spectrum tells", told, None),
        ):  # fmt: skip
            rows.append(
                Row(NAME, what, where, n=len(counted),
                    count=sum(2 * k >= n for k, n in counted.values()), substances=len(counted),
                    instruments=instruments, target=target, tuned=tuning(used),
                    note="a trial is a family; named: for half of its members or more")
            )  # fmt: skip
        substances = {c.substance for c in found}
        right = _majority(found)
        rows.append(
            Row(NAME, "members of such families left out: a right family named", where,
                n=len(substances), count=len(right), substances=len(substances),
                instruments=instruments, tuned=tuning(used),
                note="a trial is a substance; named: on half of its spectra or more")
        )  # fmt: skip
    for where in [*dict.fromkeys(c.where for c in cases), "all"]:
        some = [c for c in cases if where in ("all", c.where)]
        rows.append(
            Row(NAME, "class: a family named that it is not of", where, n=len(some),
                count=sum(c.false_alarm for c in some),
                substances=len({c.substance for c in some}),
                instruments=len({s.instrument for s in setting.samples}), target=FALSE,
                tuned=tuning(setting.samples), note="a trial is a spectrum")
        )  # fmt: skip
    if setting.fetched is None:
        rows.append(
            Row(NAME, "class: a family named that it is not of", "minerals",
                target=FALSE, absent="data absent: not fetched (--fetch)")
        )  # fmt: skip
    details = [
        {"where": c.where, "substance": c.substance, "file": c.file,
         "named": sorted(families_named(c.answer)), "families": sorted(c.families)}
        for c in cases if c.false_alarm
    ]  # fmt: skip
    return Outcome(rows, {"families": figures}, details)


def implied(library: Library) -> dict[str, frozenset[str]]:
    """For each family those that all its substances belong to, it too; all in plain form."""
    of: dict[str, set[str]] = {}
    known = {i.id: i.families for i in substances.load().values()}
    known |= {s.id: s.families or (s.family,) for s in library.substances.values()}
    for key, words in known.items():
        for word in words:
            of.setdefault(plain(word), set()).add(key)
    return {
        name: frozenset(other for other, theirs in of.items() if own <= theirs)
        for name, own in of.items()
    }


def members(library: Library) -> dict[str, frozenset[str]]:
    """Families with at least MEMBERS substances in the library: their substance ids."""
    found: dict[str, set[str]] = {}
    for substance in library.substances.values():
        for family in substance.families or (substance.family,):
            found.setdefault(family, set()).add(substance.id)
    return {k: frozenset(v) for k, v in sorted(found.items()) if len(v) >= MEMBERS}


def _of(library: Library, substance: str) -> frozenset[str]:
    known = library.substances.get(substance)
    if known is None:
        return frozenset(plain(f) for f in OUTSIDE.get(substance, frozenset()))
    return frozenset(plain(f) for f in known.families or (known.family,))


def _left_out(setting: Setting, samples: Sequence[Sample], where: str) -> list[Case]:
    questions = [replace(as_asked(s), without=s.truth) for s in samples]
    answers = setting.bench.ask(questions, f"{NAME}, {where}")
    return [
        Case(where, s.substance, s.name, _of(setting.library, s.substance), a)
        for s, a in zip(samples, answers, strict=True)
    ]


def _own(setting: Setting) -> list[Case]:
    library = setting.library
    entries = library.entries[:: 8 if setting.quick else 1]
    questions: list[Question] = []
    for entry in entries:
        values = library.raw[entry.row, entry.first : entry.last].astype(float)
        axis = Axis(library.grid_cm1[entry.first : entry.last], "cm-1")
        questions.append(question(Spectrum(axis, values), without=frozenset({entry.substance})))
    where = "the library's own spectra"
    answers = setting.bench.ask(questions, f"{NAME}, {where}")
    return [
        Case(where, e.substance, e.label, _of(library, e.substance), a)
        for e, a in zip(entries, answers, strict=True)
    ]


def _as_they_are(setting: Setting, samples: Sequence[Sample], where: str) -> list[Case]:
    answers = setting.ask(samples, f"{NAME}, {where}")
    return [
        Case(where, s.substance, s.name, _outside(setting.library, s), a)
        for s, a in zip(samples, answers, strict=True)
    ]


def _outside(library: Library, sample: Sample) -> frozenset[str]:
    if sample.instrument in MINERALS:
        return MINERAL
    return _of(library, sample.substance)


def _majority(cases: Sequence[Case]) -> set[str]:
    """Substances for which a right family is named on half of their spectra or more."""
    every = Counter(c.substance for c in cases)
    right = Counter(c.substance for c in cases if c.right)
    return {s for s, n in every.items() if 2 * right[s] >= n}


def _by_family(
    groups: Mapping[str, frozenset[str]],
    says: Mapping[str, frozenset[str]],
    cases: Sequence[Case],
) -> dict[str, tuple[int, int]]:
    """For each family: members for which it was named (on half of the spectra), members asked."""
    table = {}
    for family, own in groups.items():
        every = Counter(c.substance for c in cases if c.substance in own)
        named = Counter(
            c.substance for c in cases
            if c.substance in own
            and any(plain(family) in says.get(f, {f}) for f in families_named(c.answer))
        )  # fmt: skip
        table[family] = (sum(2 * named[s] >= n for s, n in every.items()), len(every))
    return table
