"""Write identity, keys, certificate and network on a unit, verify them, and print its label."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime
from pathlib import Path

from fieldassay_wire import keys

from fieldassay import config, label, provision
from fieldassay.authority import Authority
from fieldassay.bench.repl import Repl
from fieldassay.broker_config import DEFAULT_TLS_PORT
from fieldassay.errors import SetupError, UnitError
from fieldassay.units import UnitRegistry, new_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name, port, network, keys of updates, label."""
    parser.add_argument("name", help="1 to 32 lower-case letters, digits, hyphens; given only once")
    parser.add_argument("--port", required=True, help="serial port of the board")
    parser.add_argument("--broker", required=True, metavar="HOST[:PORT]", help="as units reach it")
    parser.add_argument(
        "--without-tls", action="store_true", help="plain TCP: for a desk, never for a network"
    )
    parser.add_argument("--wifi", default="", metavar="SSID", help="name of the wireless network")
    parser.add_argument(
        "--wifi-password-file", type=Path, metavar="FILE", help="one line; default: it is asked for"
    )
    parser.add_argument("--country", default="", help="two letters, for the radio's rules")
    parser.add_argument(
        "--firmware-key",
        action="append",
        metavar="HEX",
        help="public key that updates must be signed with; repeat for more",
    )
    parser.add_argument("--label", type=Path, metavar="FILE", help="label: .svg, .png or .pdf")
    parser.add_argument(
        "--replace", action="store_true", help="also if the board is another unit, or damaged"
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Look, decide, write, read back; only then the host knows the unit."""
    home = config.home(args.home).create()
    registry = UnitRegistry(home.units)
    authority = None if args.without_tls else Authority.open(home.authority)
    network = _network(args, authority)
    if args.label is not None and label.form_of(args.label) not in label.FORMS:
        label.draw(args.name, "0000-0000", label.form_of(args.label))  # raises what is wrong
    now = datetime.now(UTC)
    with Repl(args.port) as board:
        board.enter(soft_reset=True)
        try:
            found = provision.read(board)
        except UnitError:
            if not args.replace:
                raise
            found = None
        provision.check_identity(found, args.name, args.replace)
        known = {unit.name: unit for unit in registry.all()}.get(args.name)
        again = known is not None and known.revoked_ms is None
        again = again and found is not None and found["unit"] == args.name
        if again and known is not None:
            key = known.key
        else:
            registry.check_new(args.name)
            key = new_key()
        certificate = None if authority is None else authority.issue_unit(args.name, now)
        document = provision.settings(
            args.name, key, network, certificate, now.date(), _limits(found)
        )
        provision.write(board, document, args.firmware_key)
        if not again:
            registry.add(args.name, key)
        if authority is not None and certificate is not None:
            authority.revoke(args.name, now, certificate.certificate.serial)
        board.hard_reset()
    print(f"{args.name} is provisioned and verified; key {keys.fingerprint(key)}.")
    if args.label is not None:
        _write_label(args.label, args.name, keys.fingerprint(key))
    return 0


def _limits(found: dict[str, object] | None) -> dict[str, object]:
    """Laser, acquisition, battery and the like: what belongs to the hardware, not the identity."""
    return {} if found is None else found


def _network(args: argparse.Namespace, authority: Authority | None) -> provision.Network:
    host, _, port = args.broker.rpartition(":")
    if not host or not port.isdigit():
        host, port = args.broker, ""
    default = config.DEFAULT_BROKER_PORT if authority is None else DEFAULT_TLS_PORT
    password = ""
    if args.wifi and args.wifi_password_file is not None:
        try:
            password = args.wifi_password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise SetupError(
                "password_unreadable",
                f"The password file {args.wifi_password_file} cannot be read.",
                "Give a text file with the password in one line, readable by this user.",
            ) from error
    elif args.wifi:
        password = getpass.getpass(f"Password of {args.wifi} (empty: open network): ")
    return provision.Network(
        host.strip("[]"), int(port or default), authority, args.wifi, password, args.country
    )


def _write_label(path: Path, name: str, fingerprint: str) -> None:
    data = label.draw(name, fingerprint, label.form_of(path))
    try:
        path.write_bytes(data)
    except OSError as error:
        raise SetupError(
            "label_not_written",
            f"The unit is provisioned; its label cannot be written to {path}: {error.strerror}.",
            "Type the command again with another file.",
        ) from error
    print(f"label  {path}")
