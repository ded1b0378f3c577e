"""Add units and make their keys, list them, remove them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fieldassay import config
from fieldassay.clock import now_ms
from fieldassay.errors import SetupError
from fieldassay.units import Unit, UnitRegistry, write_private


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`add`, `list` and `remove`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a unit with a new random key")
    add.add_argument("name", help="1 to 32 lower-case letters, digits, hyphens; given only once")
    add.add_argument(
        "--settings-out",
        type=Path,
        metavar="FILE",
        help="write the settings.json to provision the unit with; holds the key",
    )
    add.add_argument("--broker-host", default="127.0.0.1", help="broker for the settings file")
    add.add_argument(
        "--broker-port", type=int, default=config.DEFAULT_BROKER_PORT, help="its port (1883)"
    )
    listing = actions.add_parser("list", help="units, without their keys")
    listing.add_argument("--json", action="store_true", help="print one JSON object a line")
    remove = actions.add_parser("remove", help="trust a unit no longer; its records stay")
    remove.add_argument("name", help="which")
    for sub in (add, listing, remove):
        sub.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Run one action; a running host sees the change at once."""
    home = config.home(args.home).create()
    registry = UnitRegistry(home.units)
    if args.action == "add":
        _add(args, registry, home)
    elif args.action == "list":
        for unit in registry.all():
            removed = unit.revoked_ms is not None
            facts = {"unit": unit.name, "removed_ms": unit.revoked_ms}
            print(json.dumps(facts) if args.json else f"{unit.name}{'  removed' * removed}")
    else:
        registry.remove(args.name, now_ms())
        print(f"{args.name} is removed. What it sends from now on is kept aside as not trusted.")
    return 0


def _add(args: argparse.Namespace, registry: UnitRegistry, home: config.Home) -> None:
    out: Path | None = args.settings_out
    if out is not None and out.exists():
        raise SetupError(
            "settings_file_exists",
            f"{out} exists already; it may hold the key of another unit.",
            "Give another name with --settings-out.",
        )
    unit = registry.add(args.name)
    print(f"{unit.name} is added; its key is in {home.units}.")
    if out is not None:
        settings = settings_of(unit, args.broker_host, args.broker_port)
        try:
            write_private(out, json.dumps(settings, indent=2) + "\n")
        except OSError as error:
            raise SetupError(
                "settings_not_written",
                f"{unit.name} is added, but {out} cannot be written: {error.strerror}.",
                "Remove the unit and add one under another name with a file you may write.",
            ) from error
        print(f"Settings for the unit are in {out}. It holds the key: delete it when done.")


def settings_of(unit: Unit, broker_host: str, broker_port: int) -> dict[str, Any]:
    """What a technician puts on the unit; the calibration must be replaced by the unit's own."""
    return {
        "unit": unit.name,
        "key": unit.key.hex(),
        "broker": {"host": broker_host, "port": broker_port, "tls": False},
        "excitation_pm": 785_000,
        "calibration": {
            "id": "none-yet",
            "date": "2000-01-01",
            "coefficients_nm": ["800", "0.125"],
        },
    }
