"""The rows of the accuracy table: what was counted, with its interval and what it was to reach.

Owns Row, Target and the text form. Counting is `experiments`, the page is `page`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fieldassay.evaluate.stats import LEVEL, clopper_pearson

NOT_RUN = "not run"
# Groups whose lines with a target stand for the whole experiment.
HEADLINES = ("all", "held-out", "seen", "own references", "other instruments", "minerals", "ratio")


@dataclass(frozen=True, slots=True)
class Target:
    """What a rate is to reach: at least `least` (or at most, if `at_most`), better `aim`."""

    least: float
    aim: float
    at_most: bool = False

    def reached(self, rate: float) -> str:
        """`aim`, `at least` or `no`."""
        return next(
            (
                word
                for word, value in (("aim", self.aim), ("at least", self.least))
                if (rate <= value if self.at_most else rate >= value)
            ),
            "no",
        )

    def proved(self, interval: tuple[float, float]) -> bool:
        """True if the whole interval lies on the right side of `least`."""
        return interval[1] <= self.least if self.at_most else interval[0] >= self.least


# What `tuned` says of spectra that chose nothing; others can reach a target but prove nothing.
INDEPENDENT = ("", "not used to choose thresholds")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        experiment: Name in the registry.
        test: What was counted.
        group: Of which instrument or set; "all" for the pooled line.
        n: Trials; what a trial is stands in `test` or `note`.
        count: How many of them.
        substances, instruments: How many different ones are behind `n`.
        target: What is to be reached; None for a line that only informs.
        value: For quantities that are no rate (errors of shares): the number; `count` is then n.
        tuned: What was tuned on what.
        note: What a reader must know.
        absent: Why it was not run; "" if it was.
    """

    experiment: str
    test: str
    group: str
    n: int = 0
    count: int = 0
    substances: int = 0
    instruments: int = 0
    target: Target | None = None
    value: float | None = None
    tuned: str = ""
    note: str = ""
    absent: str = ""

    @property
    def rate(self) -> float | None:
        """`value` if there is one, else count / n; None without trials."""
        if self.value is not None:
            return self.value
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The exact interval of the rate; None for quantities that are no rate."""
        return (
            None
            if self.value is not None or not self.n
            else clopper_pearson(int(self.count), self.n)
        )

    @property
    def reached(self) -> str:
        """`aim`, `at least`, `no`, `not run`, or "" without a target."""
        if self.absent or self.rate is None:
            return NOT_RUN
        return self.target.reached(self.rate) if self.target else ""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; the page is made from it."""
        rate, interval, target = self.rate, self.interval, self.target
        return {
            "experiment": self.experiment,
            "test": self.test,
            "group": self.group,
            "n": int(self.n),
            "substances": self.substances,
            "instruments": self.instruments,
            "count": int(self.count),
            "rate": None if rate is None else round(rate, 5),
            "interval": None if interval is None else [round(x, 5) for x in interval],
            "level": LEVEL,
            "is_rate": self.value is None,
            "at_least": None if target is None else target.least,
            "aim": None if target is None else target.aim,
            "at_most": None if target is None else target.at_most,
            "reached": self.reached,
            "headline": self.target is not None and self.group.startswith(HEADLINES),
            # Repeats of one substance are no independent trials, so they prove nothing.
            "proved": bool(
                target
                and interval
                and self.n <= self.substances
                and self.tuned in INDEPENDENT
                and target.proved(interval)
            ),
            "tuned": self.tuned,
            "note": self.note,
            "absent": self.absent,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an experiment gives.

    Attributes:
        rows: For the table.
        figures: What plots are drawn from, by name; JSON-compatible.
        details: Cases a reader may want to look at: wrong ones first of all; JSON-compatible.
    """

    rows: Sequence[Row]
    figures: dict[str, Any] = field(default_factory=dict)
    details: Sequence[dict[str, Any]] = ()


def text_table(rows: Iterable[dict[str, Any]]) -> str:
    """The rows (`Row.as_dict`) as aligned text."""
    lines = [("test", "group", "n", "subst.", "instr.", "count", "rate", "95 % interval",
              "target", "aim", "reached")]  # fmt: skip
    lines += [(row["test"], row["group"], *cells(row)) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """n, substances, instruments, count, rate, interval, target, aim, reached as they are read."""
    if row["absent"]:
        return ("", "", "", "", "", "", *_targets(row), NOT_RUN)
    show = percent if row["is_rate"] else "{:.3f}".format
    interval = row["interval"]
    return (
        str(row["n"]),
        str(row["substances"] or ""),
        str(row["instruments"] or ""),
        str(row["count"]) if row["is_rate"] else "",
        "" if row["rate"] is None else show(row["rate"]),
        "" if interval is None else f"{percent(interval[0])} … {percent(interval[1])}",
        *_targets(row),
        row["reached"] + (", proved" if row["proved"] else ""),
    )


def _targets(row: dict[str, Any]) -> tuple[str, str]:
    if row["at_least"] is None:
        return "", ""
    show = percent if row["is_rate"] else "{:.2f}".format
    sign = "≤" if row["at_most"] else "≥"
    return f"{sign} {show(row['at_least'])}", f"{sign} {show(row['aim'])}"


def percent(rate: float) -> str:
    """A rate as it is read: 93.3 %."""
    return f"{100 * rate:.1f} %"
