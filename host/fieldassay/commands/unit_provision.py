"""Write identity, keys, certificate and network on a unit, verify them, and print its label."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime
from pathlib import Path

from fieldassay import config, equip, hardware_file, label, provision
from fieldassay.authority import Authority
from fieldassay.errors import SetupError


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
        metavar="KEY",
        help="public key, in hex or a file, that updates must be signed with; repeat for more "
        "(those this host trusts)",
    )
    parser.add_argument(
        "--hardware", type=Path, metavar="FILE", help="what its builder measured: hardware.json"
    )
    parser.add_argument("--label", type=Path, metavar="FILE", help="label: .svg, .png or .pdf")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="also if the board is another unit, or damaged, or the name has a unit already",
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Write it, then draw the label."""
    home = config.home(args.home).create()
    authority = None if args.without_tls else Authority.open(home.authority)
    network = _network(args, authority)
    if args.label is not None and label.form_of(args.label) not in label.FORMS:
        label.draw(args.name, "0000-0000", label.form_of(args.label))  # raises what is wrong
    done = equip.equip(
        args.port,
        args.name,
        network,
        home,
        args.firmware_key,
        datetime.now(UTC),
        replace=args.replace,
        hardware=None if args.hardware is None else hardware_file.read(args.hardware),
    )
    print(f"{args.name} is provisioned and verified; key {done.fingerprint}.")
    if done.firmware_keys:
        print(f"Firmware keys it trusts: {done.firmware_keys}.")
    else:
        print(
            "WARNING: it trusts no firmware key and will refuse every update. "
            "Type the command again with --firmware-key."
        )
    if args.label is not None:
        _write_label(args.label, args.name, done.fingerprint)
    return 0


def _network(args: argparse.Namespace, authority: Authority | None) -> provision.Network:
    host, port = equip.address(args.broker, tls=authority is not None)
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
    return provision.Network(host, port, authority, args.wifi, password, args.country)


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
