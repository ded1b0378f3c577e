"""Fingers on the three buttons: presses one after another, long enough to be seen.

Owns what `buttons()` reads; what a press means is the firmware's business.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

BUTTONS = {"trigger": 1, "next": 2, "ok": 4}
PRESS_MS = 130.0
MIN_POLLS = 3  # a finger lifts only after the firmware had this many looks ...
LOST_MS = 5000.0  # ... or this long after the press, if it never looked
GAP_MS = 90.0


@dataclass
class Press:
    """A button going down, for `hold_ms` from its first poll."""

    bit: int
    asked_at_ms: float
    hold_ms: float
    down_at_ms: float | None = None
    polls: int = 0


class Fingers:
    """The buttons of one unit."""

    def __init__(self) -> None:
        self._presses: deque[Press] = deque()
        self._free_at_ms = 0.0

    def press(self, button: str, at_ms: float, hold_ms: float = PRESS_MS) -> None:
        """Press a button once the presses before it are over."""
        self._presses.append(Press(BUTTONS[button], at_ms, hold_ms))

    def poll(self, now_ms: float) -> int:
        """The bits that are down, as the firmware reads them now."""
        while self._presses:
            press = self._presses[0]
            if press.down_at_ms is None and now_ms - press.asked_at_ms > LOST_MS:
                self._presses.popleft()
                continue
            if now_ms < self._free_at_ms:
                return 0
            if press.down_at_ms is None:
                press.down_at_ms = now_ms
            if now_ms - press.down_at_ms > press.hold_ms and press.polls >= MIN_POLLS:
                self._presses.popleft()
                self._free_at_ms = now_ms + GAP_MS
                return 0
            press.polls += 1
            return press.bit
        return 0

    def clear(self) -> None:
        """Nobody touches the unit."""
        self._presses.clear()
