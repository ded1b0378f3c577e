"""Loads device modules into CPython by path, and a board made of plain attributes for them.

Test files load this file by path; the modules it loads are the ones a unit runs.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DEVICE = Path(__file__).resolve().parents[2] / "device"


def device_module(name: str) -> ModuleType:
    """Import `device/<name>.py` under its own name with its siblings, without touching sys.path."""
    if name in sys.modules:
        return sys.modules[name]
    finder = _Siblings()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)


class _Siblings:
    """Finds the flat modules of device/ only while one of them is being imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        file = DEVICE / f"{name}.py"
        if "." in name or not file.exists():
            return None
        return importlib.util.spec_from_file_location(name, file)


class FakeLaser:
    """A driver that records every call and gives the light a healthy one would."""

    def __init__(self, board: FakeBoard) -> None:
        self.board = board
        self.enabled = False
        self.power_uw = 0
        self.calls: list[tuple[Any, ...]] = []
        self.until_ms = 0
        self.light: int | None = None  # override of the photodiode
        self.broken: set[str] = set()  # operations that raise OSError

    def _call(self, *call: Any) -> None:
        self.calls.append((self.board.now_ms, *call))
        if call[0] in self.broken:
            raise OSError(5, call[0])

    def set_power_uw(self, uw: int) -> None:
        self._call("power", uw)
        self.power_uw = uw

    def fire(self, max_ms: int) -> None:
        self._call("fire", max_ms)
        self.enabled = True
        self.until_ms = self.board.now_ms + max_ms

    def off(self) -> None:
        self._call("off")
        self.enabled = False

    def read(self) -> tuple[bool, bool, int, int]:
        if "read" in self.broken:
            raise OSError(5, "read")
        self.enabled = self.enabled and self.board.now_ms < self.until_ms
        light = self.power_uw if self.enabled else 0
        return (
            self.enabled,
            self.board.closed(),
            light if self.light is None else self.light,
            25000,
        )


class FakeBoard:
    """Inputs are attributes; `now_ms` moves only when a test or an exposure moves it."""

    def __init__(self, pixels: int = 64, full_scale: int = 4000) -> None:
        self.now_ms = 1000
        self.pixels = pixels
        self.full_scale_counts = full_scale
        self.gain_me_per_count = 10000
        self.read_noise_me = 20000
        self.reading: Any = {"lid": True, "key": True}  # or an Exception to raise
        self.laser = FakeLaser(self)
        self.lamp = False
        self.readback: Any = "lamp"  # or what the readback says, or an Exception to raise
        self.detector = self
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.buzzed: list[str] = []
        self.exposures: list[tuple[int, bool]] = []  # (us, laser on)
        self.counts: Any = lambda us, on: [100] * pixels
        self.on_expose: Any = None  # called with the number of the exposure, while it runs
        self.battery = 3900
        self.flash_root = ""

    def ticks_ms(self) -> int:
        return self.now_ms

    def closed(self) -> bool:
        return isinstance(self.reading, dict) and all(
            self.reading.get(name) is True for name in {"lid", "key", *self.reading}
        )

    def interlock(self) -> Any:
        if isinstance(self.reading, Exception):
            raise self.reading
        return self.reading

    def indicate(self, lit: bool) -> None:
        self.lamp = lit

    def indicator(self) -> Any:
        if isinstance(self.readback, Exception):
            raise self.readback
        return self.lamp if self.readback == "lamp" else self.readback

    def log(self, kind: str, details: dict[str, Any]) -> None:
        self.logged.append((kind, details))

    def buzz(self, pattern: str) -> None:
        self.buzzed.append(pattern)

    def battery_mv(self) -> int:
        return self.battery

    def temperature_mdegc(self) -> int:
        return 25000

    async def expose(self, us: int, into: Any) -> None:
        self.exposures.append((us, self.laser.enabled))
        self.now_ms += us // 1000 + 1
        if self.on_expose:
            self.on_expose(len(self.exposures))
        await asyncio.sleep(0)
        for i, value in enumerate(self.counts(us, self.laser.enabled)):
            into[i] = max(0, min(value, self.full_scale_counts))
