"""The page docs/explanation/measured-accuracy.md, made from evaluate.json alone.

Owns its words. Every number comes from the document; what the experiments do is said by the first
lines of their modules, so the page and the code cannot part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fieldassay.evaluate.plots import PICTURES
from fieldassay.evaluate.table import NOT_RUN, cells

IMAGES = "../images"
MAX_CASES = 25
HEAD = """# Measured accuracy
*Written by `fieldassay evaluate --page`; do not edit.*

How often the identification is right on spectra whose truth is known. Intervals are exact
(Clopper-Pearson, 95 %). A rate counts as *reached* by its own value; *proved* stands only where the
spectra chose no threshold, the whole interval is on the right side of the target and each trial is
a substance of its own. Repeats of one sample are no independent trials: the columns say how many
substances and instruments stand behind each count.

After each test stands what was tuned: *tuned* means that thresholds were chosen on these spectra,
so the number is no independent estimate; *seen*, that their scores are among the ranks of the
calibration; *held out*, neither; *partly tuned*, a mixture of these.

**What this does not show.** The spectra are of pure chemicals, minerals and polymers in good light;
mixtures, covers, noise and axis errors are made from them by arithmetic. No controlled drug was
measured. Nothing here is a sensitivity in the field.
"""
COLUMNS = ("", "of", "n", "subst.", "instr.", "count", "rate", "95 % interval", "at least", "aim",
           "reached")  # fmt: skip
SHORT = {
    "thresholds were chosen on this set: no independent estimate": "tuned",
    "ranks of its scores are in the calibration; no threshold was chosen on it": "seen",
    "not used to choose thresholds": "held out",
    "part of these sets chose thresholds; see the lines of each": "partly tuned",
}


def render(document: Mapping[str, Any]) -> str:
    """The page as Markdown.

    Args:
        document: What `fieldassay.evaluate.evaluate` returns, or evaluate.json read back.
    """
    parts = [HEAD]
    if document["quick"]:
        parts.append("**Quick run: a small part only. These numbers are no evaluation.**\n")
    parts.append(
        f"Method `{document['algorithm']}`, library `{document['library'][:19]}…`. "
        "Make it again with `fieldassay evaluate --fetch --page`.\n"
    )
    parts.append(_summary(document["rows"]))
    for name, about in document["experiments"].items():
        rows = [r for r in document["rows"] if r["experiment"] == name]
        parts.append(f"## {name.capitalize()}\n\n{about}\n\n{_table(rows)}{_notes(rows)}")
        parts += [
            f"![{text}]({IMAGES}/{picture}.svg)\n"
            for picture, (_, _, text) in PICTURES.items()
            if document["pictures"].get(picture) == name
        ]
        parts.append(_cases(document["details"].get(name, ())))
    return "\n".join(part for part in parts if part)


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every pooled line that has a target."""
    return "## Against the targets\n\n" + _table([r for r in rows if r["headline"]])


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|" + "--:|" * (len(COLUMNS) - 3) + "---|"]
    for row in rows:
        name = f"{row['test']} ({SHORT[row['tuned']]})" if row["tuned"] in SHORT else row["test"]
        if row["absent"]:
            name += f": {row['absent']}"
        shown = [c.replace("|", "\\|") for c in (name, row["group"], *cells(dict(row)))]
        if row["reached"] in ("no", NOT_RUN) and row["at_least"] is not None:
            shown[-1] = f"**{shown[-1]}**"
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _notes(rows: Sequence[Mapping[str, Any]]) -> str:
    notes = dict.fromkeys(r["note"] for r in rows if r["note"])
    return "\nNotes: " + "; ".join(notes) + ".\n" if notes else ""


def _cases(cases: Sequence[Mapping[str, Any]]) -> str:
    if not cases:
        return ""
    shown = [
        "- " + ", ".join(f"{key}: {_plain(value)}" for key, value in case.items() if value)
        for case in cases[:MAX_CASES]
    ]
    more = len(cases) - MAX_CASES
    rest = f"\n- … and {more} more in evaluate.json" if more > 0 else ""
    return "Cases to look at:\n\n" + "\n".join(shown) + rest + "\n"


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_plain(v) for v in value)
    if isinstance(value, Mapping):
        return " ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return str(value)
