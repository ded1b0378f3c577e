"""One unit's event log: JSON lines in a file, the last ones in memory, and waiting.

Every event has `n` (counts from 1 in this run), `at_ms` (monotonic), `time_ms` (unix), `unit`,
`event`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEPT = 500
Event = dict[str, Any]


def plain(value: Any) -> Any:
    """`value` as JSON can say it: byte strings as hex, everything unknown as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


class EventLog:
    """Append-only log of one unit. Use from the event loop only.

    Args:
        unit: The unit's name.
        path: File to append to; None keeps events in memory alone.
    """

    def __init__(self, unit: str, path: Path | None = None) -> None:
        self.unit = unit
        self.recent: deque[Event] = deque(maxlen=KEPT)
        self.count = 0
        self._file = path.open("a", encoding="utf-8", buffering=1) if path else None
        self._waiters: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []

    def emit(self, event: str, details: dict[str, Any] | None = None) -> Event:
        """Record one event and wake who waits for it."""
        self.count += 1
        line: Event = {
            "n": self.count,
            "at_ms": round(time.monotonic() * 1000.0, 1),
            "time_ms": time.time_ns() // 1_000_000,
            "unit": self.unit,
            "event": event,
            **plain(details or {}),
        }
        self.recent.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        for waiter in list(self._waiters):
            wanted, future = waiter
            if not future.done() and wanted(line):
                future.set_result(line)
        return line

    async def wait(
        self, wanted: Callable[[Event], bool], timeout_s: float, after: int = -1
    ) -> Event | None:
        """The first wanted event with n > `after` (-1: from now on); None after `timeout_s`."""
        if after >= 0:
            for line in self.recent:
                if line["n"] > after and wanted(line):
                    return line
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        waiter = (wanted, future)
        self._waiters.append(waiter)
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return None
        finally:
            self._waiters.remove(waiter)

    def close(self) -> None:
        """Close the file; events are still kept in memory."""
        if self._file is not None:
            self._file.close()
            self._file = None
