"""Commands to units: sealed, numbered so that a repeat or an old one is refused.

Owns the numbers. Whether a command is carried out is the unit's decision: the network may ask, and
never fires the laser.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from fieldassay_wire import mac0, messages, topics
from fieldassay_wire.errors import WireError

from fieldassay.errors import UnitError
from fieldassay.unit_states import GONE, UnitStates

Publish = Callable[[str, bytes, int], bool]  # topic, payload, QoS -> the broker link took it
CLOCK_PLAUSIBLE_MS = 1_735_689_600_000  # 2025-01-01: a host clock before that is not set either
SET_TIME_EVERY_S = 10.0


class Commander:
    """Sends commands through `publish`."""

    def __init__(self, units: UnitStates, publish: Publish) -> None:
        self._units = units
        self._publish = publish
        self._lock = threading.Lock()
        self._last_n: dict[str, int] = {}
        self._time_sent_s: dict[str, float] = {}

    def send(self, unit: str, command: str, args: Mapping[str, Any]) -> None:
        """Seal and send one command.

        Raises:
            UnitError: `unit_unknown`, `unit_revoked`, `unit_not_connected`, `command_bad`,
                `link_down`.
        """
        known = self._units.unit(unit)
        if known.revoked_ms is not None:
            raise UnitError(
                "unit_revoked",
                f"The unit {unit!r} was removed.",
                "Add it again under another name if it is to be used.",
            )
        state = self._units.state(unit)
        if state is None or state["state"] in GONE:
            raise UnitError(
                "unit_not_connected",
                f"The unit {unit!r} is not connected.",
                "Switch the unit on and wait until it shows as ready.",
            )
        with self._lock:
            # Seconds as a floor: the numbers keep rising when the host starts again.
            n = max(self._last_n.get(unit, 0) + 1, int(time.time()))
            self._last_n[unit] = n
        message = {
            "v": messages.VERSION,
            "unit": unit,
            "boot": state["boot"],
            "n": n,
            "command": command,
            "args": dict(args),
        }
        try:
            messages.check("command", message)
            sealed = mac0.seal("command", known.key, unit, message)
        except WireError as error:
            raise UnitError("command_bad", error.what, error.do_next) from error
        if not self._publish(topics.topic(unit, "command"), sealed, topics.QOS["command"]):
            raise UnitError(
                "link_down",
                "The host has no connection to the broker.",
                "Check that the broker runs, and try again.",
            )

    def set_time_if_needed(self, state: Mapping[str, Any]) -> bool:
        """Give a connected unit with an unset clock the time; True if a command was sent."""
        now_ms = time.time_ns() // 1_000_000
        unit = state["unit"]
        if state["clock"] != "unset" or state["state"] in GONE or now_ms < CLOCK_PLAUSIBLE_MS:
            return False
        now_s = time.monotonic()
        if now_s - self._time_sent_s.get(unit, -SET_TIME_EVERY_S) < SET_TIME_EVERY_S:
            return False
        self._time_sent_s[unit] = now_s
        self.send(unit, "set_time", {"time_ms": now_ms})
        return True
