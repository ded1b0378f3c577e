"""Fitness for duty: may this unit's measurements be given a name? Pure.

Owns the rule and its words. A unit that was never checked, whose last check failed, is overdue, or
was made with another calibration is not fit: a verdict on its measurement becomes inconclusive, and
the candidates stay in the evidence. The check itself is `calibrate.check`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from fieldassay import decide
from fieldassay.errors import SetupError
from fieldassay.verdict import Identification, Reason, Verdict

DAY_MS = 86_400_000
CHECK = "Measure polystyrene with this unit and check it: fieldassay unit verify UNIT."


@dataclass(frozen=True, slots=True)
class LastCheck:
    """What fitness asks of the newest check of a unit.

    Attributes:
        made_ms: UTC, milliseconds since 1970, by the clock of the host.
        passed: Its result.
        calibration_id: The calibration the unit had.
        firmware: SHA-256 of its firmware, hex; "" unknown.
        record: The measurement that was judged.
    """

    made_ms: int
    passed: bool
    calibration_id: str
    firmware: str
    record: str


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether a unit is fit.

    Attributes:
        state: "fit", "never_checked", "failed", "overdue" or "recalibrated".
        text: One sentence.
        do_next: What to do; "" if fit.
        due_ms: When the next check is due; None without a passed check.
        note: Something to know that changes nothing, such as other firmware; "" mostly.
    """

    state: str
    text: str
    do_next: str = ""
    due_ms: int | None = None
    note: str = ""

    @property
    def fit(self) -> bool:
        """Whether matches may be reported."""
        return self.state == "fit"

    def as_dict(self) -> dict[str, Any]:
        """The form in a stored verdict and on the page."""
        return {
            "state": self.state,
            "fit": self.fit,
            "text": self.text,
            "do_next": self.do_next,
            "due_ms": self.due_ms,
            "note": self.note,
        }


def from_dict(stored: Mapping[str, Any]) -> Fitness:
    """What `as_dict` gave."""
    return Fitness(
        str(stored["state"]),
        str(stored["text"]),
        str(stored["do_next"]),
        stored["due_ms"],
        str(stored["note"]),
    )


def interval_days(own_text: str | None = None) -> float:
    """Days from a check to the next: of the text of fitness.toml if given, else the default.

    Raises:
        SetupError: `fitness_unreadable`.
    """
    default = files("fieldassay").joinpath("calibrate/limits.toml").read_text(encoding="utf-8")
    days = tomllib.loads(default)["fitness"]["interval_days"]
    if own_text is not None:
        try:
            days = tomllib.loads(own_text)["interval_days"]
            if isinstance(days, bool) or not 0 < float(days) <= 366:
                raise ValueError("out of range")
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise SetupError(
                "fitness_unreadable",
                f"fitness.toml in the home folder does not say interval_days ({error}).",
                "Write one line, for example: interval_days = 7, at most 366.",
            ) from error
    return float(days)


def judge(
    unit: str,
    last: LastCheck | None,
    calibration_id: str | None,
    firmware: str,
    now_ms: int,
    days: float,
) -> Fitness:
    """Whether a unit is fit now.

    Args:
        unit: Its name, for the sentence.
        last: Its newest check; None: never checked.
        calibration_id: The calibration it has, None if not known.
        firmware: SHA-256 of its firmware, hex; "" unknown.
        now_ms: UTC, milliseconds since 1970.
        days: From a check to the next.
    """
    ask = CHECK.replace("UNIT", unit)
    if last is None:
        return Fitness("never_checked", f"{unit} has never passed a performance check.", ask)
    if not last.passed:
        failed = f"{unit} failed its last performance check ({last.record})."
        return Fitness("failed", failed, f"Calibrate or repair the unit. {ask}")
    due_ms = last.made_ms + int(days * DAY_MS)
    if calibration_id is not None and calibration_id != last.calibration_id:
        changed = f"{unit} was calibrated ({calibration_id}) after its last performance check."
        return Fitness("recalibrated", changed, ask)
    if now_ms >= due_ms:
        late = (
            f"The performance check of {unit} is overdue: the last was {days:g} days ago or more."
        )
        return Fitness("overdue", late, ask, due_ms)
    note = ""
    if firmware and last.firmware and firmware != last.firmware:
        note = f"{unit} has other firmware than when it was checked."
    return Fitness("fit", f"{unit} passed its performance check ({last.record}).", "", due_ms, note)


def limited(found: Identification, fitness: Fitness) -> Identification:
    """The identification as it may be said: inconclusive unless the unit is fit.

    Candidates, quality and figures stay; an inconclusive verdict keeps its own reasons as well.
    """
    if fitness.fit:
        return replace(found, fitness=fitness.as_dict())
    kept = tuple(
        reason
        for reason in found.verdict.reasons
        if found.verdict.kind == "inconclusive" or reason.code == "low_share_not_excluded"
    )
    verdict = Verdict(
        kind="inconclusive",
        substances=(),
        reasons=(Reason("unit_not_fit", fitness.text), *kept),
        do_next=fitness.do_next,
    )
    return replace(
        found,
        verdict=verdict,
        hazard_card=decide.hazard_card(verdict, {}),
        alternatives=(),
        fitness=fitness.as_dict(),
    )
