"""The 21 sums of fructose, lactose and ribose with known concentrations: parts and shares.

Asked twice: with a library of the set's own three references, made by the project's library code,
and with the default library, which has no ribose. The set is synthetic: linear sums of the
references with 0 to 3 % noise, so it shows arithmetic and not a measurement. A share is compared
with the concentration, and with the part of the band area, which is what a spectral share is.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fieldassay import library_encode, substance_names, substances
from fieldassay.evaluate import judge
from fieldassay.evaluate.bench import Answer, Question
from fieldassay.evaluate.distort import Floats, band_area
from fieldassay.evaluate.setting import HELD_OUT, Setting
from fieldassay.evaluate.shared_data import MIXTURES
from fieldassay.evaluate.table import Outcome, Row, Target
from fieldassay.library_header import LibrarySubstance
from fieldassay.spectrum import Axis, Spectrum

NAME = "carbohydrates"
RIGHT = Target(0.90, 1.0)
ERROR = Target(0.10, 0.05, at_most=True)
TITLE = "carbohydrate mixtures"


def run(setting: Setting) -> Outcome:
    """Ask about the sums with both libraries."""
    folder = setting.data / MIXTURES if setting.data else None
    if folder is None or not folder.is_dir():
        absent = "data absent: no folder of carbohydrate mixtures"
        return Outcome(
            [Row(NAME, f"{TITLE}: all parts right and none false", "own references", target=RIGHT,
                 absent=absent)]
        )  # fmt: skip
    names, x, pure = _columns(folder / "pure_components.csv")
    _, axis, sums = _columns(folder / "mixtures_synthetic.csv")
    kept, _, amounts = _columns(folder / "mixture_concentrations.csv", axis=False)
    amounts = amounts[:, [kept.index(name) for name in names]]
    areas = np.array([band_area(x, spectrum) for spectrum in pure])
    expected = amounts * areas / (amounts * areas).sum(axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "carbohydrates.falib"
        path.write_bytes(_library(names, x, pure))
        own = setting.bench.ask([Question(axis, y, library=str(path)) for y in sums], NAME)
    default = setting.bench.ask([Question(axis, y) for y in sums], f"{NAME}, default library")
    rows = _rows(names, amounts, expected, own) + _default_rows(setting, names, amounts, default)
    details = [
        {"mixture": i + 1, "concentrations": dict(zip(names, c.tolist(), strict=True)),
         "own references": _said(a), "default library": _said(b)}
        for i, (c, a, b) in enumerate(zip(amounts, own, default, strict=True))
    ]  # fmt: skip
    return Outcome(rows, {}, details)


def _columns(path: Path, axis: bool = True) -> tuple[list[str], Floats, Floats]:
    """Names, axis and the other columns, one spectrum a row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names, *lines = list(csv.reader(file))
    values = np.array(lines, dtype=np.float64)
    if not axis:
        return names, np.empty(0), values
    return names[1:], values[:, 0], values[:, 1:].T


def _library(names: Sequence[str], x: Floats, pure: Floats) -> bytes:
    catalogue = substances.load()
    known = {
        name: substance_names.identity(catalogue[name])
        if name in catalogue
        else LibrarySubstance(
            name, name.capitalize(), None, None, "sugar", "low-hazard", False, False, ("sugar",)
        )
        for name in names
    }
    references = [
        library_encode.Reference(
            substance=name, spectrum=Spectrum(Axis(x, "cm-1"), y), label=name, file="", sha256="",
            instrument="", laser_nm=None, source="mdatools (SPECARB)", licence="MIT",
        )
        for name, y in zip(names, pure, strict=True)
    ]  # fmt: skip
    return library_encode.encode_references(references, known, "Three carbohydrates", {})


def _rows(
    names: Sequence[str], amounts: Floats, expected: Floats, answers: Sequence[Answer]
) -> list[Row]:
    right = [_parts(names, c) == judge.named(a) for c, a in zip(amounts, answers, strict=True)]
    shares = np.array([[_share(a, name) for name in names] for a in answers])
    tuned, n = HELD_OUT, len(answers)
    rows = [
        Row(NAME, f"{TITLE}: all parts right and none false", "own references", n=n,
            count=sum(right), substances=len(names), instruments=1, target=RIGHT, tuned=tuned,
            note="three of the 21 are pure")
    ]  # fmt: skip
    for words, truth in (("concentration", amounts), ("part of the band area", expected)):
        error = np.abs(shares - truth)[np.array(right)]
        for kind, value, target in (
            ("mean", float(error.mean()) if error.size else 1.0, ERROR),
            ("largest", float(error.max()) if error.size else 1.0, None),
        ):
            rows.append(
                Row(NAME, f"{TITLE}: {kind} error of a share against {words}", "own references",
                    n=int(sum(right)), count=int(sum(right)), substances=len(names), instruments=1,
                    target=target, value=value, tuned=tuned,
                    note="over mixtures with all parts right, every part")
            )  # fmt: skip
    inside = [
        low <= share <= high
        for answer, truth in zip(answers, expected, strict=True)
        for name, share in zip(names, truth, strict=True)
        for low, high in _intervals(answer, name)
    ]
    if inside:
        rows.append(
            Row(NAME, f"{TITLE}: part of the band area inside the interval stated",
                "own references", n=len(inside), count=sum(inside), substances=len(names),
                instruments=1, tuned=tuned, note="a trial is a share with an interval")
        )  # fmt: skip
    return rows


def _intervals(answer: Answer, name: str) -> list[tuple[float, float]]:
    parts = [s.get("share_interval") for s in answer.get("substances", ()) if s["id"] == name]
    return [(float(part[0]), float(part[1])) for part in parts if part]


def _default_rows(
    setting: Setting, names: Sequence[str], amounts: Floats, answers: Sequence[Answer]
) -> list[Row]:
    inside = set(setting.library.substances)
    truths = [_parts(names, c) for c in amounts]
    known = [(t, a) for t, a in zip(truths, answers, strict=True) if t <= inside]
    false = [bool(judge.false_components(a, t)) for t, a in zip(truths, answers, strict=True)]
    return [
        Row(NAME, f"{TITLE} without ribose: all parts right and none false", "default library",
            n=len(known), count=sum(judge.named(a) == t for t, a in known),
            substances=len(names) - 1, instruments=1, tuned=HELD_OUT),
        Row(NAME, f"{TITLE}: a false part named", "default library", n=len(answers),
            count=sum(false), substances=len(names), instruments=1, tuned=HELD_OUT,
            note="ribose is not in the default library"),
    ]  # fmt: skip


def _parts(names: Sequence[str], concentrations: Floats) -> frozenset[str]:
    return frozenset(n for n, c in zip(names, concentrations, strict=True) if c > 0)


def _share(answer: Answer, name: str) -> float:
    found = [s["share"] for s in answer.get("substances", ()) if s["id"] == name]
    return float(found[0] or 0.0) if found else 0.0


def _said(answer: Answer) -> str:
    parts = [f"{s['id']} {s['share']}" for s in answer.get("substances", ())]
    return f"{judge.kind(answer)} {', '.join(parts)}".strip()
