"""Puts a unit into service and takes it out: the order of the steps on board, registry, authority.

The command line and the page do the same here. What is written on a board is `provision`; nothing
here prints.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fieldassay_wire import keys

from fieldassay import config, provision, release
from fieldassay.authority import Authority
from fieldassay.bench.repl import Repl
from fieldassay.broker_config import DEFAULT_TLS_PORT
from fieldassay.errors import SetupError, UnitError
from fieldassay.store import Store
from fieldassay.units import GRACE_DAYS, UnitRegistry, new_key


@dataclass(frozen=True, slots=True)
class Equipped:
    """Fingerprint of the unit's key; how many keys it takes updates from, 0: it refuses them."""

    fingerprint: str
    firmware_keys: int


@dataclass(frozen=True, slots=True)
class Retired:
    """Measurements lost with the unit; certificates revoked, None where there is no authority."""

    lost: int
    revoked: int | None


def address(text: str, *, tls: bool) -> tuple[str, int]:
    """Host and port of HOST[:PORT]; without a port the usual one.

    Raises:
        SetupError: `broker_address_bad`.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (not port.isdigit() and text.startswith("[")):
        host, port = text, str(DEFAULT_TLS_PORT if tls else config.DEFAULT_BROKER_PORT)
    if not host.strip("[]") or not port.isdigit() or not 0 < int(port) < 65536:
        raise SetupError(
            "broker_address_bad",
            f"{text!r} is not the address of a broker.",
            "Give name or address and port, as in 192.168.7.1:8883.",
        )
    return host.strip("[]"), int(port)


def equip(
    port: str,
    name: str,
    network: provision.Network,
    home: config.Home,
    firmware_keys: Sequence[str] | None,
    now: datetime,
    *,
    replace: bool,
    hardware: Mapping[str, Any] | None = None,
) -> Equipped:
    """Look, decide, write, read back; only then the host knows the unit.

    Args:
        port: Serial port of the board.
        name: Of the unit.
        network: How it reaches the broker.
        home: Of the host; its list of units gets the key.
        firmware_keys: What updates must be signed with, hex or files; None: what this host trusts,
            and where that is nothing, what is on the board.
        now: UTC.
        replace: Also if the board is another unit, or damaged, or the name has a unit already.
        hardware: What its builder measured (`hardware_file`); None: as it is.

    Raises:
        UnitError: The name or the board does not allow it.
        ReleaseError: A firmware key is none.
        BenchError: The board cannot be written.
    """
    authority = network.authority
    registry = UnitRegistry(home.units)
    trusted = [release.public_key(text) for text in firmware_keys or ()] or _host_trusts(home)
    with Repl(port) as board:
        board.enter(soft_reset=True)
        try:
            found = provision.read(board)
        except UnitError:
            if not replace:
                raise
            found = None
        provision.check_identity(found, name, replace)
        same = found is not None and found["unit"] == name
        key, known = _key(registry, name, same, replace)
        if known and not same:
            provision.go_on_after(board, _newest_boot(home, name))
        certificate = None if authority is None else authority.issue_unit(name, now)
        # Limits of laser, acquisition and the like belong to the hardware: they stay.
        document = provision.settings(name, key, network, certificate, now.date(), found or {})
        provision.write(board, document, trusted or None, hardware)
        if not known:
            registry.add(name, key)
        registry.complete_rotation(name, key, _ms(now), GRACE_DAYS)
        if authority is not None and certificate is not None:
            authority.revoke(name, now, certificate.certificate.serial)
        count = provision.trusted_keys(board)
        board.hard_reset()
    return Equipped(keys.fingerprint(key), count)


def _key(registry: UnitRegistry, name: str, same: bool, replace: bool) -> tuple[bytes, bool]:
    """The key to write, and whether the host knows the unit.

    A unit that is known and whose board says so keeps its key. Another board under a known name,
    or one whose settings are lost, gets a new one; the command may be repeated until it succeeds.
    """
    known = {unit.name: unit for unit in registry.all()}.get(name)
    if known is None or known.revoked_ms is not None:
        registry.check_new(name)
        return new_key(), False
    if same:
        return known.coming or known.key, True
    if not replace:
        raise UnitError(
            "unit_exists",
            f"There is a unit {name!r} already, and this board does not say it is that one.",
            "Choose another name; if it is that unit after a repair, add --replace.",
        )
    coming = registry.begin_rotation(name).coming
    assert coming is not None
    return coming, True


def _newest_boot(home: config.Home, name: str) -> int:
    if not home.evidence.exists():
        return 0
    with Store.open_read_only(home.evidence) as store:
        return store.newest_boot(name)


def _host_trusts(home: config.Home) -> list[bytes]:
    path = home.root / "release-keys.json"
    if not path.exists():
        return []
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["firmware_keys"]
        return [release.public_key(text) for text in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            "release_keys_unreadable",
            f"The list of trusted release keys {path} cannot be read: {error}.",
            "Give the keys with --firmware-key, or correct the file.",
        ) from error


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def retire(
    home: config.Home,
    port: str | None,
    name: str,
    now: datetime,
    *,
    force: bool,
    confirm: Callable[[int], None] = lambda lost: None,
) -> Retired:
    """Wipe first: what the unit holds must be delivered while it is still let in. Then revoke.

    Args:
        home: Of the host.
        port: Serial port of the unit; None: it is not at hand and only revoked.
        name: Of the unit.
        now: UTC.
        force: Also if measurements on the unit are lost for ever.
        confirm: Called with their number before any is lost; what it raises stops it.

    Raises:
        UnitError: `unit_unknown`, `unit_has_other_identity`, `unit_not_empty`.
        BenchError: The board cannot be wiped.
    """
    registry = UnitRegistry(home.units)
    registry.get(name)
    lost = 0
    if port is not None:
        with Repl(port) as board:
            board.enter(soft_reset=True)
            provision.check_identity(provision.read(board), name, replace=False)
            waiting = provision.waiting(board)
            if waiting and force:
                confirm(waiting)
            lost = provision.wipe(board, name, force)
            board.hard_reset()
    registry.remove(name, _ms(now))
    if not (home.authority / "ca.key").exists():
        return Retired(lost, None)
    return Retired(lost, Authority.open(home.authority).revoke(name, now))
