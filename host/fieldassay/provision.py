"""What a technician writes on a unit, verified, and what is taken off it when it leaves service.

Owns the settings document, whose identity may be overwritten, and the order of the steps on the
board. Keys are `units`, certificates `authority`, files on the board `bench`. Nothing here prints,
and no error holds a secret.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Protocol

from fieldassay.authority import Authority, Issued
from fieldassay.errors import BenchError, UnitError

SETTINGS = "/settings.json"
TRUST = "/trust.json"
HARDWARE = "/hardware.json"
BOOT = "/spool/boot"  # the unit counts its starts there; measurements are numbered by it
BOOTS_SKIPPED = 1000  # starts after which the host has heard nothing
SPOOL = "/spool"
# In this order: what opens doors first, so that a cut leaves no unit that can still speak.
SECRETS = (SETTINGS, SETTINGS + ".new", TRUST, TRUST + ".new", "/calibration.json", SPOOL, "/log")
RECORD = ".rec"


class Board(Protocol):
    """What is needed of `bench.repl.Repl`."""

    def put(self, path: str, data: bytes) -> object:
        """Write a file whole or not at all."""

    def get(self, path: str) -> bytes:
        """Read a file."""

    def listdir(self, path: str = "/") -> Sequence[Any]:
        """Entries with a `name`."""

    def remove(self, path: str) -> None:
        """Remove a file or a folder."""

    def mkdir(self, path: str) -> None:
        """Make a folder where there is none."""


@dataclass(frozen=True, slots=True)
class Network:
    """How the unit reaches the broker; `authority` None: without TLS, for a desk only."""

    host: str
    port: int
    authority: Authority | None
    ssid: str = ""
    password: str = ""
    country: str = ""

    def __repr__(self) -> str:
        return f"Network({self.host}:{self.port})"


def settings(
    name: str,
    key: bytes,
    network: Network,
    certificate: Issued | None,
    today: date,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """The settings of a unit.

    Args:
        name: Of the unit.
        key: It seals with.
        network: How it reaches the broker.
        certificate: Its own; None without TLS.
        today: Day of provisioning, UTC.
        before: What the unit had; limits and everything else that is not identity or network stay.
    """
    broker: dict[str, Any] = {"host": network.host, "port": network.port, "tls": False}
    if network.authority is not None and certificate is not None:
        broker |= {
            "tls": True,
            "ca_der_hex": network.authority.ca_der.hex(),
            "cert_der_hex": certificate.cert_der.hex(),
            "key_der_hex": certificate.key_der.hex(),
        }
    return {
        **before,
        "unit": name,
        "key": key.hex(),
        "broker": broker,
        "wifi": {
            "ssid": network.ssid,
            "password": network.password,
            "country": network.country,
        },
        "provisioned": today.isoformat(),
    }


def with_new_secrets(
    before: Mapping[str, Any], key: bytes, certificate: Issued | None, now: datetime
) -> dict[str, Any]:
    """The settings of a unit after rotation: another key and certificate, the rest as it was."""
    broker = dict(before["broker"])
    if certificate is not None:
        broker["cert_der_hex"] = certificate.cert_der.hex()
        broker["key_der_hex"] = certificate.key_der.hex()
    return {
        **before,
        "key": key.hex(),
        "broker": broker,
        "provisioned": now.astimezone(UTC).date().isoformat(),
    }


def read(board: Board) -> dict[str, Any] | None:
    """The settings on the board, None if it has none.

    Raises:
        UnitError: `unit_settings_damaged`.
        BenchError: The board cannot be read.
    """
    if SETTINGS[1:] not in {entry.name for entry in board.listdir("/")}:
        return None
    try:
        found = json.loads(board.get(SETTINGS))
        if not isinstance(found["unit"], str) or not isinstance(found["broker"], dict):
            raise ValueError("no name or no broker")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnitError(
            "unit_settings_damaged",
            "The unit has settings that cannot be read.",
            "Type the command again with --replace to write new ones.",
        ) from None
    return dict(found)


def check_identity(found: Mapping[str, Any] | None, name: str, replace: bool) -> None:
    """Whether this board may become the unit `name`.

    Raises:
        UnitError: `unit_has_other_identity`.
    """
    if found is not None and found["unit"] != name and not replace:
        raise UnitError(
            "unit_has_other_identity",
            f"This board is the unit {found['unit']!r}, not {name!r}.",
            "Take the right board, or retire that unit first; --replace overwrites it.",
        )


def write(
    board: Board,
    document: Mapping[str, Any],
    firmware_keys: Sequence[bytes] | None = None,
    hardware: Mapping[str, Any] | None = None,
) -> None:
    """Write settings last, after what else is given, and read all of it back.

    Args:
        board: At its prompt.
        document: The settings.
        firmware_keys: Public keys that updates must be signed with; None: what is there stays.
        hardware: What its builder measured, checked; None: what is there stays.

    Raises:
        BenchError: `provision_not_verified`, or the board cannot be written.
    """
    files = {}
    if firmware_keys is not None:
        files[TRUST] = _json({"firmware_keys": [key.hex() for key in firmware_keys]})
    if hardware is not None:
        files[HARDWARE] = _json(hardware)
    files[SETTINGS] = _json(document)
    for path, data in files.items():
        board.put(path, data)
    for path, data in files.items():
        if board.get(path) != data:
            raise BenchError(
                "provision_not_verified",
                f"The board gives back another {path} than was written.",
                "Type the command again; if it stays, the flash is failing.",
            )


def trusted_keys(board: Board) -> int:
    """How many keys the unit takes updates from; 0 also where its file cannot be read."""
    if TRUST[1:] not in {entry.name for entry in board.listdir("/")}:
        return 0
    try:
        return len(json.loads(board.get(TRUST))["firmware_keys"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def go_on_after(board: Board, boot: int) -> None:
    """Let the unit number its measurements after those of this start, of which the host has some.

    A unit that began again at 1 would use numbers twice; the host would put what it sends aside.

    Raises:
        BenchError: The board cannot be written.
    """
    there = {entry.name for entry in board.listdir("/")}
    names = {entry.name for entry in board.listdir(SPOOL)} if SPOOL[1:] in there else set()
    counted = -1
    if BOOT.rpartition("/")[2] in names:
        with contextlib.suppress(ValueError):
            counted = int(board.get(BOOT))
    if counted <= boot:
        board.mkdir(SPOOL)
        board.put(BOOT, str(boot + BOOTS_SKIPPED).encode())


def waiting(board: Board) -> int:
    """How many measurements the unit holds that no host has confirmed."""
    if SPOOL[1:] not in {entry.name for entry in board.listdir("/")}:
        return 0
    return sum(entry.name.endswith(RECORD) for entry in board.listdir(SPOOL))


def wipe(board: Board, name: str, force: bool) -> int:
    """Take identity, secrets and measurements off a unit; how many measurements were lost.

    Args:
        board: At its prompt.
        name: The unit it should be.
        force: Also if measurements are lost with it.

    Raises:
        UnitError: `unit_has_other_identity`, `unit_not_empty`.
        BenchError: `wipe_not_verified`, or the board cannot be written.
    """
    found = read(board)
    check_identity(found, name, replace=False)
    count = waiting(board)
    if count and not force:
        raise UnitError(
            "unit_not_empty",
            f"The unit holds {count} measurements that the host has not confirmed.",
            "Let it connect until its display shows none; --force destroys them.",
        )
    there = {"/" + entry.name for entry in board.listdir("/")}
    for path in SECRETS:
        if path in there:
            board.remove(path)
    left = {"/" + entry.name for entry in board.listdir("/")} & set(SECRETS)
    if left:
        raise BenchError(
            "wipe_not_verified",
            f"The board still has {', '.join(sorted(left))}.",
            "Type the command again, or erase the whole flash.",
        )
    return count


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True) + "\n").encode()
