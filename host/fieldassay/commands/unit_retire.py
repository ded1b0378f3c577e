"""Take a unit out of service: revoke its certificate and key, wipe what it holds."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fieldassay import broker_config, config, equip
from fieldassay.authority import Authority
from fieldassay.errors import UnitError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name, and port or lost."""
    parser.add_argument("name", help="which")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--port", help="serial port of the unit: wipe it, then revoke")
    what.add_argument("--lost", action="store_true", help="the unit is not at hand: revoke only")
    parser.add_argument(
        "--force", action="store_true", help="also if measurements on the unit are lost for ever"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for the name again")
    parser.add_argument(
        "--broker-folder", type=Path, metavar="FOLDER", help="of `broker config`: update and reload"
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Retire it, then tell the broker."""
    home = config.home(args.home)
    confirm = partial(_confirm, args.name) if not args.yes else lambda lost: None
    done = equip.retire(
        home, args.port, args.name, datetime.now(UTC), force=args.force, confirm=confirm
    )
    if args.port is not None:
        print(f"{args.name} is wiped; {done.lost} measurements were lost with it.")
    print(f"{args.name} is revoked. What it sends from now on is kept aside; its records verify.")
    if done.revoked is None:
        return 0
    authority = Authority.open(home.authority)
    print(f"{done.revoked} certificates are revoked.")
    if args.broker_folder is None:
        print("Type `fieldassay broker config FOLDER` so that the broker knows.")
        return 0
    broker_config.refresh(args.broker_folder, authority)
    if broker_config.reload(args.broker_folder):
        print("The broker has been told.")
    else:
        print("No broker runs with that folder; it will know at its next start.")
    return 0


def _confirm(name: str, lost: int) -> None:
    """What will be lost is said before anything is, and the name is the answer.

    Raises:
        UnitError: `retire_not_confirmed`.
    """
    print(f"{lost} measurements that no host has confirmed will be destroyed on {name}.")
    try:
        said = input("Type the unit's name to go on: ")
    except EOFError:
        said = ""
    if said.strip() != name:
        raise UnitError(
            "retire_not_confirmed",
            "Nothing was changed: the name was not typed.",
            "Type the command again and the name of the unit, or add --yes.",
        )
