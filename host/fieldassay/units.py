"""Which units there are, and their keys.

Owns units.json ({name: key in hex}, readable by its owner only, replaced as a whole) and beside it
units-removed.json: a removed unit keeps its key, so that its old records can still be verified; its
name is never given again, because records are named after it. units-keys.json has the keys that a
unit had before, and the one it is about to get. What units say of themselves is `unit_states`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fieldassay_wire import keys, topics

from fieldassay.errors import SetupError, UnitError
from fieldassay.private_file import write_private

GRACE_DAYS = 30  # a unit may come back from a month in the field with sealed measurements
_DAY_MS = 86_400_000
_Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class OldKey:
    """A key that a unit had; new messages sealed with it are taken until `until_ms`, UTC."""

    key: bytes
    until_ms: int

    def __repr__(self) -> str:
        return f"OldKey({keys.fingerprint(self.key)}, until_ms={self.until_ms})"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and its keys; `revoked_ms` is when it was removed, UTC, milliseconds since 1970.

    `key` seals what goes to the unit. `coming` is a key that the unit may have already: it becomes
    `key` with the first message that it seals.
    """

    name: str
    key: bytes
    revoked_ms: int | None = None
    coming: bytes | None = None
    old: tuple[OldKey, ...] = ()

    def __repr__(self) -> str:
        return f"Unit({self.name!r}, revoked_ms={self.revoked_ms})"

    def accepted(self, now_ms: int) -> list[bytes]:
        """Keys with which a new message may be sealed, likeliest first."""
        coming = [] if self.coming is None else [self.coming]
        return [self.key, *coming, *(old.key for old in self.old if now_ms < old.until_ms)]

    def every_key(self) -> list[bytes]:
        """Keys with which a stored record may be sealed."""
        coming = [] if self.coming is None else [self.coming]
        return [self.key, *coming, *(old.key for old in self.old)]


class UnitRegistry:
    """The file units.json. Thread-safe; sees changes that another process made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._units: dict[str, Unit] = {}
        self._removed_path = path.with_name(f"{path.stem}-removed{path.suffix}")
        self._keys_path = path.with_name(f"{path.stem}-keys{path.suffix}")
        self._seen: tuple[_Version | None, ...] | None = None

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

    def check_new(self, name: str) -> None:
        """Whether a unit of this name can be added.

        Raises:
            UnitError: `unit_name_bad`, `unit_exists`.
        """
        if not topics.valid_unit(name):
            raise UnitError(
                "unit_name_bad",
                f"{name!r} is not a name for a unit.",
                "Use 1 to 32 lower-case letters, digits and hyphens.",
            )
        with self._lock:
            self._reload()
            self._check_free(name)

    def _check_free(self, name: str) -> None:
        if name in self._units:
            raise UnitError(
                "unit_exists",
                f"There is, or was, a unit {name!r}; records are named after it.",
                "Choose another name.",
            )

    def add(self, name: str, key: bytes | None = None) -> Unit:
        """Make a unit with a new random key, or with the one that it has got already.

        Raises:
            UnitError: `unit_name_bad`, `unit_exists`, `key_guessable`.
        """
        self.check_new(name)
        unit = Unit(name, new_key() if key is None else _usable(key))
        with self._lock, self._file_lock():
            self._reload()
            self._check_free(name)
            self._save({**self._units, name: unit})
        return unit

    def begin_rotation(self, name: str) -> Unit:
        """Give a unit a key that it is about to get; the one of a rotation never ended stays.

        Raises:
            UnitError: `unit_unknown`, `unit_revoked`.
        """
        return self._change(
            name, lambda unit: unit if unit.coming else replace(unit, coming=new_key())
        )

    def complete_rotation(self, name: str, key: bytes, now_ms: int, grace_days: int) -> Unit:
        """The unit has this key: make it the one that counts, and the other an old one.

        Does nothing if that was done before.

        Raises:
            UnitError: `unit_unknown`, `unit_revoked`.
        """

        def promoted(unit: Unit) -> Unit:
            if unit.coming is None or unit.coming != key:
                return unit
            old = OldKey(unit.key, now_ms + grace_days * _DAY_MS)
            return replace(unit, key=key, coming=None, old=(*unit.old, old))

        return self._change(name, promoted)

    def confirm_rotation(self, name: str, now_ms: int) -> Unit:
        """Take nothing more that an old key seals; records sealed with it stay verifiable.

        Raises:
            UnitError: `unit_unknown`, `unit_revoked`, `rotation_open`.
        """
        unit = self.get(name)
        if unit.coming is not None:
            raise UnitError(
                "rotation_open",
                f"The unit {name!r} has not been seen with its new key yet.",
                "Connect it and type `fieldassay unit rotate` with --port, or wait for it to send.",
            )
        return self._change(
            name,
            lambda unit: replace(
                unit, old=tuple(OldKey(o.key, min(o.until_ms, now_ms)) for o in unit.old)
            ),
        )

    def _change(self, name: str, change: Callable[[Unit], Unit]) -> Unit:
        unit = self.get(name)
        with self._lock, self._file_lock():
            self._reload()
            unit = self._units[name]
            if unit.revoked_ms is not None:
                raise UnitError(
                    "unit_revoked",
                    f"The unit {name!r} was removed.",
                    "Add it again under another name if it is to be used.",
                )
            changed = change(unit)
            if changed is not unit:
                self._save({**self._units, name: changed})
        return changed

    def remove(self, name: str, now_ms: int) -> Unit:
        """Revoke a unit: nothing it sends from now on becomes a record.

        Raises:
            UnitError: `unit_unknown`.
        """
        unit = self.get(name)
        with self._lock, self._file_lock():
            self._reload()
            unit = self._units[name]
            revoked = replace(unit, revoked_ms=unit.revoked_ms or now_ms)
            self._save({**self._units, name: revoked})
        return revoked

    @contextlib.contextmanager
    def _file_lock(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(self._path.name + ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _reload(self) -> None:
        seen = self._versions()
        if seen == self._seen:
            return
        try:
            units = {name: _unit(name, key) for name, key in _read(self._path).items()}
            for name, entry in _read(self._removed_path).items():  # wins: a crash while removing
                units[name] = _unit(name, entry["key"], int(entry["revoked_ms"]))
            for name, entry in _read(self._keys_path).items():
                if name in units:
                    units[name] = _with_keys(units[name], entry)
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
        # The history comes first and keeps a coming key until it stands in units.json too: a crash
        # anywhere leaves no key that nobody remembers.
        before = {name: unit.coming for name, unit in self._units.items()}
        both = {n: replace(u, coming=u.coming or before.get(n)) for n, u in units.items()}
        self._save_history(both)
        if removed:
            write_private(self._removed_path, json.dumps(removed, indent=1) + "\n")
        write_private(self._path, json.dumps(active, indent=1) + "\n")
        if both != units:
            self._save_history(units)
        self._units = units
        self._seen = self._versions()

    def _save_history(self, units: dict[str, Unit]) -> None:
        history = {
            unit.name: {
                "coming": None if unit.coming is None else unit.coming.hex(),
                "old": [{"key": o.key.hex(), "until_ms": o.until_ms} for o in unit.old],
            }
            for unit in units.values()
            if unit.coming is not None or unit.old
        }
        if history or self._keys_path.exists():
            write_private(self._keys_path, json.dumps(history, indent=1) + "\n")

    def _versions(self) -> tuple[_Version | None, ...]:
        return tuple(_version(p) for p in (self._path, self._removed_path, self._keys_path))


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
    if not keys.usable(key) or not topics.valid_unit(name):
        raise ValueError(f"entry {name!r} has no key that can be used, or no valid name")
    return Unit(name, key, revoked_ms)


def _with_keys(unit: Unit, entry: dict[str, Any]) -> Unit:
    coming = None if entry["coming"] is None else bytes.fromhex(entry["coming"])
    found = [OldKey(bytes.fromhex(o["key"]), int(o["until_ms"])) for o in entry["old"]]
    # After a crash in the middle of a change one key may stand in two places.
    old = tuple(o for o in found if o.key != unit.key)
    return replace(unit, coming=None if coming == unit.key else coming, old=old)


def new_key() -> bytes:
    """A random key to seal with."""
    return secrets.token_bytes(keys.KEY_BYTES)


def _usable(key: bytes) -> bytes:
    if not keys.usable(key):
        raise UnitError(
            "key_guessable",
            "The key is a default or an example, not a secret.",
            "Provision the unit with `fieldassay unit provision`, which makes a random one.",
        )
    return key
