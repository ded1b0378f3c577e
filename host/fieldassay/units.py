"""Which units there are, their keys, and what each last said about itself.

Owns units.json ({name: key in hex}, readable by its owner only, replaced as a whole) and beside it
units-removed.json: a removed unit keeps its key, so that its old records can still be verified; its
name is never given again, because records are named after it. Sending commands is `commander`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fieldassay_wire import topics

from fieldassay.errors import SetupError, UnitError
from fieldassay.private_file import write_private

KEY_BYTES = 32
GONE = ("disconnected", "lost")
_Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and its key; `revoked_ms` is when it was removed, UTC, milliseconds since 1970."""

    name: str
    key: bytes
    revoked_ms: int | None = None

    def __repr__(self) -> str:
        return f"Unit({self.name!r}, revoked_ms={self.revoked_ms})"


class UnitRegistry:
    """The file units.json. Thread-safe; sees changes that another process made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._units: dict[str, Unit] = {}
        self._removed_path = path.with_name(f"{path.stem}-removed{path.suffix}")
        self._seen: tuple[_Version | None, _Version | None] | None = None

    def all(self) -> list[Unit]:
        """Every unit by name, revoked ones too."""
        with self._lock:
            self._reload()
            return [self._units[name] for name in sorted(self._units)]

    def get(self, name: str) -> Unit:
        """One unit.

        Raises:
            UnitError: `unit_unknown`.
        """
        with self._lock:
            self._reload()
            unit = self._units.get(name)
        if unit is None:
            raise UnitError(
                "unit_unknown",
                f"There is no unit {name!r}.",
                f"Add it with `fieldassay unit add {name}` and provision it with the new key.",
            )
        return unit

    def add(self, name: str) -> Unit:
        """Make a unit with a new random key.

        Raises:
            UnitError: `unit_name_bad`, `unit_exists`.
        """
        if not topics.valid_unit(name):
            raise UnitError(
                "unit_name_bad",
                f"{name!r} is not a name for a unit.",
                "Use 1 to 32 lower-case letters, digits and hyphens.",
            )
        with self._lock, self._file_lock():
            self._reload()
            if name in self._units:
                raise UnitError(
                    "unit_exists",
                    f"There is, or was, a unit {name!r}; records are named after it.",
                    "Choose another name.",
                )
            unit = Unit(name, secrets.token_bytes(KEY_BYTES))
            self._save({**self._units, name: unit})
        return unit

    def remove(self, name: str, now_ms: int) -> Unit:
        """Revoke a unit: nothing it sends from now on becomes a record.

        Raises:
            UnitError: `unit_unknown`.
        """
        unit = self.get(name)
        with self._lock, self._file_lock():
            self._reload()
            revoked = Unit(name, unit.key, unit.revoked_ms or now_ms)
            self._save({**self._units, name: revoked})
        return revoked

    @contextlib.contextmanager
    def _file_lock(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(self._path.name + ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _reload(self) -> None:
        seen = (_version(self._path), _version(self._removed_path))
        if seen == self._seen:
            return
        try:
            units = {name: _unit(name, key) for name, key in _read(self._path).items()}
            for name, entry in _read(self._removed_path).items():  # wins: a crash while removing
                units[name] = _unit(name, entry["key"], int(entry["revoked_ms"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SetupError(
                "units_unreadable",
                f"The list of units {self._path} cannot be read: {error}.",
                "Restore the file from a copy; without it no unit is trusted.",
            ) from error
        self._units, self._seen = units, seen

    def _save(self, units: dict[str, Unit]) -> None:
        removed = {
            unit.name: {"key": unit.key.hex(), "revoked_ms": unit.revoked_ms}
            for unit in units.values()
            if unit.revoked_ms is not None
        }
        active = {u.name: u.key.hex() for u in units.values() if u.revoked_ms is None}
        if removed:
            write_private(self._removed_path, json.dumps(removed, indent=1) + "\n")
        write_private(self._path, json.dumps(active, indent=1) + "\n")
        self._units = units
        self._seen = (_version(self._path), _version(self._removed_path))


def _version(path: Path) -> _Version | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _unit(name: str, key_hex: str, revoked_ms: int | None = None) -> Unit:
    key = bytes.fromhex(key_hex)
    if len(key) != KEY_BYTES or not topics.valid_unit(name):
        raise ValueError(f"entry {name!r} has no key of {KEY_BYTES} bytes or no valid name")
    return Unit(name, key, revoked_ms)


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
