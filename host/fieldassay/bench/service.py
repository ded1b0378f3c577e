"""Asks a unit's own `service` module: what it is, its log, frames of its detector.

Stops the firmware first (its laser is then off), and loads the module from the slot that runs.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIGGER_S = 70.0  # a person walks to the unit and presses the trigger; the unit waits 60 s


class Service:
    """The service module of the unit at a port.

    Args:
        repl: Its prompt; this interrupts the firmware and clears the interpreter's memory.

    Raises:
        BenchError: `board_without_firmware` where the flash holds no firmware.
    """

    def __init__(self, repl: Repl) -> None:
        self._repl = repl
        repl.enter(soft_reset=True)
        slot = running_slot(repl)
        if slot is None:
            raise BenchError(
                "board_without_firmware",
                f"The board at {repl.port} has no firmware of a unit.",
                "docs/how-to/release-firmware.md says how it gets there.",
            )
        repl.exec(f"import sys\nsys.path.insert(0, '/{slot}')\nimport service", 30.0)

    def info(self) -> dict[str, Any]:
        """What the unit is and how it is."""
        return self._ask("info()")[0]

    def log(self, count: int = 50) -> list[dict[str, Any]]:
        """The newest entries of its log, oldest first."""
        entries = self._ask(f"log({count})")[0].get("entries")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._nonsense("log", "no list of entries")
        return entries

    def measure(
        self, *, light: bool, exposure_us: int, frames: int
    ) -> tuple[dict[str, Any], dict[str, NDArray[np.uint32]]]:
        """Sums of exposures. With light, the unit waits for a press of its own trigger.

        Args:
            light: A whole measurement with the laser, instead of the detector alone.
            exposure_us: Of each frame, microseconds.
            frames: How many are added up.

        Returns:
            What the unit says of them, and the sums by name, u32 of shape (pixels,): "raw", and
            "dark" with light.
        """
        import numpy as np  # late: it takes long to import, and most commands need none

        patience_s = exposure_us * frames / 1e6 + (TRIGGER_S if light else 15.0)
        answer, lines = self._ask(f"measure({light}, {exposure_us}, {frames})", patience_s)
        try:
            data = b"".join(base64.b64decode(line) for line in lines)
            arrays, at = {}, 0
            announced = answer.pop("arrays")
            if len(data) != sum(count * width for _, count, width in announced):
                raise ValueError("fewer or more bytes than announced")
            for name, count, width in announced:
                arrays[str(name)] = np.frombuffer(data[at : at + count * width], "<u4").copy()
                at += count * width
        except (KeyError, TypeError, ValueError) as error:
            raise self._nonsense("measure", repr(error)) from error
        return answer, arrays

    def _ask(self, call: str, timeout_s: float = 20.0) -> tuple[dict[str, Any], list[bytes]]:
        said = self._repl.exec(f"service.{call}", timeout_s)
        first, _, rest = said.partition(b"\n")
        try:
            answer = json.loads(first)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._nonsense(call, repr(first[:60]))
        told = answer.get("error")
        if told:
            told = told if isinstance(told, dict) else {}
            raise BenchError(
                "unit_refused",
                f"{told.get('what', 'The unit refuses')} ({told.get('code', 'no code')})",
                str(told.get("do_next", "Read its display.")),
            )
        return answer, rest.split()

    def _nonsense(self, call: str, said: str) -> BenchError:
        return BenchError(
            "board_confused",
            f"The unit at {self._repl.port} answered {said} to {call}.",
            "Repeat the command; if it stays, flash the unit again.",
        )


def running_slot(repl: Repl) -> str | None:
    """The slot that the unit starts from, "a" or "b"; None without firmware."""
    slots = [slot for slot in ("a", "b") if repl.files.exists(f"/{slot}/service.py")]
    slots += [slot for slot in ("a", "b") if repl.files.exists(f"/{slot}/service.mpy")]
    if not slots:
        return None
    try:
        told = json.loads(repl.get("/slot.json"))
        wanted = told.get("active", told.get("slot"))
    except (BenchError, ValueError, AttributeError, RecursionError):
        wanted = None
    return wanted if isinstance(wanted, str) and wanted in slots else slots[0]
