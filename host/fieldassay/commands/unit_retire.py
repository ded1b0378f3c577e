"""Take a unit out of service: revoke its certificate and key, wipe what it holds."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from fieldassay import broker_config, config, provision
from fieldassay.authority import Authority
from fieldassay.bench.repl import Repl
from fieldassay.clock import now_ms
from fieldassay.units import UnitRegistry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name, and port or lost."""
    parser.add_argument("name", help="which")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--port", help="serial port of the unit: wipe it, then revoke")
    what.add_argument("--lost", action="store_true", help="the unit is not at hand: revoke only")
    parser.add_argument(
        "--force", action="store_true", help="also if measurements on the unit are lost for ever"
    )
    parser.add_argument(
        "--broker-folder", type=Path, metavar="FOLDER", help="of `broker config`: update and reload"
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Wipe first: what the unit holds must be delivered while it is still let in."""
    home = config.home(args.home)
    registry = UnitRegistry(home.units)
    registry.get(args.name)
    lost = 0
    if args.port is not None:
        with Repl(args.port) as board:
            board.enter(soft_reset=True)
            lost = provision.wipe(board, args.name, args.force)
            board.hard_reset()
        print(f"{args.name} is wiped; {lost} measurements were lost with it.")
    registry.remove(args.name, now_ms())
    print(f"{args.name} is revoked. What it sends from now on is kept aside; its records verify.")
    if not (home.authority / "ca.key").exists():
        return 0
    authority = Authority.open(home.authority)
    count = authority.revoke(args.name, datetime.now(UTC))
    print(f"{count} certificates are revoked.")
    if args.broker_folder is None:
        print("Type `fieldassay broker config FOLDER` so that the broker knows.")
        return 0
    broker_config.refresh(args.broker_folder, authority)
    if broker_config.reload(args.broker_folder):
        print("The broker has been told.")
    else:
        print("No broker runs with that folder; it will know at its next start.")
    return 0
