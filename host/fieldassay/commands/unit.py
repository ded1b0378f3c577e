"""Add units and make their keys, list them, remove them."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldassay import config
from fieldassay.clock import now_ms
from fieldassay.errors import SetupError
from fieldassay.store import Store
from fieldassay.units import Unit, UnitRegistry, write_private

if TYPE_CHECKING:
    from fieldassay.drift import Drift


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
        _list(args, registry, home)
    else:
        registry.remove(args.name, now_ms())
        print(f"{args.name} is removed. What it sends from now on is kept aside as not trusted.")
    return 0


def _list(args: argparse.Namespace, registry: UnitRegistry, home: config.Home) -> None:
    """Units and what their last matches say about their axis; the store need not be there yet."""
    with contextlib.ExitStack() as stack:
        there = home.evidence.exists()
        store = stack.enter_context(Store.open_read_only(home.evidence)) if there else None
        for unit in registry.all():
            found = _drift(store, unit.name) if store else None
            if args.json:
                axis = None
                if found is not None:
                    axis = {
                        "shift_cm1": round(found.shift_cm1, 2),
                        "error_cm1": round(found.error_cm1, 2),
                        "records": found.records,
                        "drifted": found.drifted,
                    }
                facts = {"unit": unit.name, "removed_ms": unit.revoked_ms, "axis": axis}
                print(json.dumps(facts))
                continue
            print(f"{unit.name}{'  removed' * (unit.revoked_ms is not None)}{_axis(found)}")


def _drift(store: Store, unit: str) -> Drift | None:
    from fieldassay import drift  # late: numpy takes long to import
    from fieldassay.decide.evidence import load_thresholds

    shifts = store.axis_shifts(unit, drift.RECORDS)
    found = drift.of_unit(shifts, load_thresholds().axis["drifted_cm1"])
    return found if found.records else None


def _axis(found: Drift | None) -> str:
    if found is None:
        return ""
    text = f"  axis {found.shift_cm1:+.1f} cm-1 over {found.records} matches"
    return text + "  DRIFTED: calibrate this unit before it is used" * found.drifted


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
