"""A host's knowledge of which units are fit for duty: checks made, checks asked for.

Joins the store, the clock and fitness.toml to the pure rules of `fitness` and `calibrate.check`.
Which page, command or message asks is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fieldassay import fitness
from fieldassay.calibrate import check
from fieldassay.frame import Frame
from fieldassay.store import Store
from fieldassay.store_reader import Reader
from fieldassay.verdict import Identification

LOOKED_BACK = 50  # checks, for the signal of the last one that passed


class Duty:
    """Fitness of the units of one host.

    Args:
        store: Where checks are kept.
        settings: fitness.toml of the home folder; need not be there.
        now_ms: The clock.
    """

    def __init__(self, store: Reader, settings: Path, now_ms: Callable[[], int]) -> None:
        self._store, self._now_ms = store, now_ms
        own = settings.read_text(encoding="utf-8") if settings.exists() else None
        self.days = fitness.interval_days(own)

    def of_unit(
        self, unit: str, calibration_id: str | None = None, firmware: str = ""
    ) -> fitness.Fitness:
        """Whether a unit is fit now, as far as is known of its calibration and firmware."""
        newest = self._store.checks(unit, 1)
        last = _last(newest[0]) if newest else None
        return fitness.judge(unit, last, calibration_id, firmware, self._now_ms(), self.days)

    def limited(self, frame: Frame, found: Identification) -> Identification:
        """What may be said of a measurement of this unit; see `fitness.limited`."""
        told = frame.message.get("firmware")
        digest = told.get("sha256", b"") if isinstance(told, Mapping) else b""
        fit = self.of_unit(frame.unit, frame.calibration.id, bytes(digest).hex())
        return fitness.limited(found, fit)

    def check(self, frame: Frame) -> dict[str, Any]:
        """Judge a measurement of polystyrene and keep the result, with `number` and times.

        Raises:
            RecordError: The store cannot write.
        """
        assert isinstance(self._store, Store)
        made_ms = self._now_ms()
        result = check.check(frame, self._intensity(frame.unit)).as_dict()
        result["due_ms"] = made_ms + int(self.days * fitness.DAY_MS) if result["passed"] else None
        number = self._store.add_check(result, made_ms)
        return {**result, "number": number, "made_ms": made_ms}

    def _intensity(self, unit: str) -> float | None:
        for earlier in self._store.checks(unit, LOOKED_BACK):
            if earlier["passed"]:
                for item in earlier["items"]:
                    if item["name"] == "intensity_e_per_mj":
                        return float(item["value"])
        return None


def _last(stored: Mapping[str, Any]) -> fitness.LastCheck:
    return fitness.LastCheck(
        made_ms=stored["made_ms"],
        passed=stored["passed"],
        calibration_id=stored["calibration"]["id"],
        firmware=stored["firmware"],
        record=stored["record"],
    )
