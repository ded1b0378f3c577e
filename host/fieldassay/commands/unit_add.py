"""Make a unit with a new random key, and the settings to provision it with."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fieldassay import config
from fieldassay.errors import SetupError
from fieldassay.private_file import write_private
from fieldassay.units import Unit, UnitRegistry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name, settings file, broker."""
    parser.add_argument("name", help="1 to 32 lower-case letters, digits, hyphens; given only once")
    parser.add_argument(
        "--settings-out",
        type=Path,
        metavar="FILE",
        help="write the settings.json to provision the unit with; holds the key",
    )
    parser.add_argument("--broker-host", default="127.0.0.1", help="broker for the settings file")
    parser.add_argument(
        "--broker-port", type=int, default=config.DEFAULT_BROKER_PORT, help="its port (1883)"
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Add it; a running host sees the change at once."""
    home = config.home(args.home).create()
    registry = UnitRegistry(home.units)
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
    return 0


def settings_of(unit: Unit, broker_host: str, broker_port: int) -> dict[str, Any]:
    """What a technician puts on the unit as settings.json; its calibration is a file of its own."""
    return {
        "unit": unit.name,
        "key": unit.key.hex(),
        "broker": {"host": broker_host, "port": broker_port, "tls": False},
    }
