"""What is done at a port in one visit, from opening it to the firmware running again.

The command line and the page do the same here. What is asked, written and judged belongs to the
modules called.
"""

from __future__ import annotations

from typing import Any

from fieldassay import provision
from fieldassay.bench import doctor
from fieldassay.bench.doctor import Finding
from fieldassay.bench.repl import Repl
from fieldassay.bench.service import Service
from fieldassay.bench.transfer import Progress

CALIBRATION = "/calibration.json"


def examine(repl: Repl) -> tuple[dict[str, Any], list[Finding]]:
    """What the unit says of itself and what is wrong with it; its firmware runs again.

    Raises:
        BenchError: The board cannot even be asked; the error is the finding.
    """
    found = doctor.examine(repl)
    repl.hard_reset()
    return found


def log(repl: Repl, count: int) -> list[dict[str, Any]]:
    """The newest entries of the unit's log, oldest first; its firmware runs again.

    Raises:
        BenchError: The port or the board refuses.
    """
    entries = Service(repl).log(count)
    repl.hard_reset()
    return entries


def put_calibration(repl: Repl, data: bytes, unit: str, progress: Progress | None = None) -> None:
    """Write a calibration to the unit and start its firmware anew, which reads it.

    Args:
        repl: The port.
        data: calibration.json.
        unit: Whose measurements it was made from; another unit is refused.
        progress: Told of bytes written.

    Raises:
        UnitError: `unit_has_other_identity`, `unit_settings_damaged`.
        BenchError: The port or the board refuses.
    """
    repl.enter(soft_reset=True)
    provision.check_identity(provision.read(repl), unit, replace=False)
    repl.put(CALIBRATION, data, progress)
    repl.hard_reset()
