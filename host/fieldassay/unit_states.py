"""What each unit last said about itself, and the keys to check it with; in memory only.

Which units there are is `units`; sending commands is `commander`.
"""

from __future__ import annotations

import threading
from typing import Any

from fieldassay.units import GRACE_DAYS, Unit, UnitRegistry

GONE = ("disconnected", "lost")


class UnitStates:
    """The newest state of every unit that was heard, and the keys. Thread-safe."""

    def __init__(self, registry: UnitRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._states: dict[str, dict[str, Any]] = {}
        self._telemetry: dict[str, dict[str, Any]] = {}

    def key(self, unit: str) -> bytes:
        """The key of a unit, also of a revoked one.

        Raises:
            UnitError: `unit_unknown`.
        """
        return self._registry.get(unit).key

    def seen_with(self, unit: Unit, key: bytes, now_ms: int) -> None:
        """A message of the unit was sealed with this key: if it was the coming one, it counts."""
        if key == unit.coming:
            self._registry.complete_rotation(unit.name, key, now_ms, GRACE_DAYS)

    def unit(self, name: str) -> Unit:
        """The unit with its key and whether it was revoked.

        Raises:
            UnitError: `unit_unknown`.
        """
        return self._registry.get(name)

    def all(self) -> list[dict[str, Any]]:
        """Newest state message per unit as plain dicts by name; `telemetry` where there is some.

        A unit that was added but never heard is there with state "never seen".
        """
        with self._lock:
            states, telemetry = dict(self._states), dict(self._telemetry)
        for unit in self._registry.all():
            if unit.revoked_ms is None:
                states.setdefault(unit.name, {"unit": unit.name, "state": "never seen"})
        return [
            {**plain(states[name]), "telemetry": plain(telemetry.get(name))}
            for name in sorted(states)
        ]

    def state(self, unit: str) -> dict[str, Any] | None:
        """The newest state message of one unit as it was sent."""
        with self._lock:
            return self._states.get(unit)

    def update(self, kind: str, message: dict[str, Any]) -> bool:
        """Take a verified state or telemetry message; False if it is older than what is known.

        A last will is sealed before the messages it follows, so for it the boot alone counts.
        """
        table = self._states if kind == "state" else self._telemetry
        with self._lock:
            known = table.get(message["unit"])
            if known is not None and _age(message) < _age(known):
                if message.get("state") != "lost" or message["boot"] != known["boot"]:
                    return False
                message = {**known, "state": "lost"}  # keeps the higher number
            table[message["unit"]] = message
        return True


def _age(message: dict[str, Any]) -> tuple[int, int]:
    return message["boot"], message["n"]


def plain(value: Any) -> Any:
    """The same value with byte strings as hex digits, ready for JSON."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
