"""Detector, laser and buttons for a virtual board: a simulated hardware bus in a thread of its own.

Owns the event loop that serves the bus and lets the audit follow the clock. The interpreter is
`virtual_board`'s, physics and rules are `parts`' and `audit`'s.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from fieldassay_sim.audit import Audit
from fieldassay_sim.bus import Bus
from fieldassay_sim.optics import Instrument
from fieldassay_sim.parts import Condition, Hardware

TICK_S = 0.005
_T = TypeVar("_T")


class BoardHardware:
    """The parts of one board; a context manager.

    Args:
        instrument: Optics and detector as built.
        condition: What is under the probe and how the unit is.
        max_on_ms: On-time that the audit allows.
        emit: Called with (event, details) for each thing that happens; in the bus's thread.

    Attributes:
        bus: (TCP port, token), for `VirtualBoard(bus=…)`.
        audit: What the laser did, and which rules it broke.
    """

    def __init__(
        self,
        instrument: Instrument,
        condition: Condition,
        max_on_ms: int = 8000,
        emit: Callable[[str, dict[str, Any]], object] = lambda event, details: None,
    ) -> None:
        self.audit = Audit(max_on_ms)
        self.hardware = Hardware(instrument, condition, self.audit, emit)
        self.bus = (0, secrets.token_hex(16))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="board-hardware", daemon=True)
        self._up = threading.Event()
        self._end = asyncio.Event()

    def __enter__(self) -> BoardHardware:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def do(self, action: Callable[[Hardware], _T]) -> _T:
        """Run something on the hardware, in its thread: `do(lambda h: h.press("trigger"))`."""

        async def call() -> _T:
            return action(self.hardware)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def power_on(self) -> None:
        """The board starts after it had no power: outputs off, nothing pressed."""
        self.do(Hardware.power_on)

    def is_lit(self) -> bool:
        """Whether the laser's enable is asserted."""
        return self.do(lambda hardware: bool(hardware.laser.enabled))

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        bus = Bus(self.bus[1], self.hardware.handle, lambda: None, lambda error: None)
        self.bus = (await bus.start(), self.bus[1])
        self.hardware.power_on()
        self._up.set()
        while not self._end.is_set():
            await asyncio.sleep(TICK_S)
            self.hardware.settle()
        await bus.stop()
