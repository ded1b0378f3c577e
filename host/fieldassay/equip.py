"""Puts a unit into service and takes it out: the order of the steps on board, registry, authority.

The command line and the page do the same here. What is written on a board is `provision`; nothing
here prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fieldassay_wire import keys

from fieldassay import config, provision
from fieldassay.authority import Authority
from fieldassay.bench.repl import Repl
from fieldassay.broker_config import DEFAULT_TLS_PORT
from fieldassay.errors import SetupError, UnitError
from fieldassay.units import UnitRegistry, new_key


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
    registry: UnitRegistry,
    firmware_keys: Sequence[str] | None,
    now: datetime,
    *,
    replace: bool,
) -> str:
    """Look, decide, write, read back; only then the host knows the unit.

    Args:
        port: Serial port of the board.
        name: Of the unit.
        network: How it reaches the broker.
        registry: Gets the unit's key.
        firmware_keys: What updates must be signed with, hex; None: as it is.
        now: UTC.
        replace: Also if the board is another unit, or damaged.

    Returns:
        The fingerprint of its key.

    Raises:
        UnitError: The name or the board does not allow it.
        BenchError: The board cannot be written.
    """
    authority = network.authority
    with Repl(port) as board:
        board.enter(soft_reset=True)
        try:
            found = provision.read(board)
        except UnitError:
            if not replace:
                raise
            found = None
        provision.check_identity(found, name, replace)
        known = {unit.name: unit for unit in registry.all()}.get(name)
        again = known is not None and known.revoked_ms is None
        again = again and found is not None and found["unit"] == name
        if again and known is not None:
            key = known.key
        else:
            registry.check_new(name)
            key = new_key()
        certificate = None if authority is None else authority.issue_unit(name, now)
        # Limits of laser, acquisition and the like belong to the hardware: they stay.
        document = provision.settings(name, key, network, certificate, now.date(), found or {})
        provision.write(board, document, firmware_keys)
        if not again:
            registry.add(name, key)
        if authority is not None and certificate is not None:
            authority.revoke(name, now, certificate.certificate.serial)
        board.hard_reset()
    return str(keys.fingerprint(key))


def retire(
    home: config.Home, port: str | None, name: str, now: datetime, *, force: bool
) -> Retired:
    """Wipe first: what the unit holds must be delivered while it is still let in. Then revoke.

    Args:
        home: Of the host.
        port: Serial port of the unit; None: it is not at hand and only revoked.
        name: Of the unit.
        now: UTC.
        force: Also if measurements on the unit are lost for ever.

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
            lost = provision.wipe(board, name, force)
            board.hard_reset()
    registry.remove(name, int(now.timestamp() * 1000))
    if not (home.authority / "ca.key").exists():
        return Retired(lost, None)
    return Retired(lost, Authority.open(home.authority).revoke(name, now))
