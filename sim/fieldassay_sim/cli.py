"""The command `fieldassay-sim`: run units, press a trigger, play a scenario, list what there is.

Exit status: 0 done, 1 something failed or an outcome was not acceptable, 2 wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from fieldassay_sim import __version__
from fieldassay_sim.errors import SimError

BROKER_PORT = 1883
PANEL_PORT = 8081


def build_parser() -> argparse.ArgumentParser:
    """The full parser; docs/reference/scenarios.md and the how-to are checked against it."""
    parser = argparse.ArgumentParser(
        prog="fieldassay-sim",
        description="Simulated fieldassay units: the real firmware on real MicroPython; only the "
        "physics of sample and instrument is computed.",
    )
    parser.add_argument("--version", action="version", version=f"fieldassay-sim {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="units with a panel in the browser, until Ctrl-C")
    _scenario(run, "default")
    _unit_arguments(run)
    run.add_argument(
        "--panel-port", type=int, default=PANEL_PORT, help=f"port of the panel ({PANEL_PORT})"
    )
    run.add_argument(
        "--check-at",
        default="",
        metavar="PAGE",
        help="the host's page: units that are not fit for duty measure polystyrene first",
    )

    trigger = commands.add_parser("trigger", help="press a button of a running unit")
    trigger.add_argument(
        "--panel", default=f"http://127.0.0.1:{PANEL_PORT}", help="address of the panel"
    )
    trigger.add_argument("--unit", default="", help="unit; default: the first")
    trigger.add_argument(
        "--button", default="trigger", choices=("trigger", "next", "ok"), help="default: trigger"
    )

    play = commands.add_parser(
        "play", help="do the steps of a scenario and write what came of them"
    )
    _scenario(play, "demo")
    _unit_arguments(play)
    play.add_argument(
        "--events", type=Path, help="file for the results, JSON lines; default: print"
    )
    play.add_argument(
        "--timeout-s", type=float, default=60.0, help="hang detector for one step (60)"
    )
    play.add_argument(
        "--no-verdicts",
        action="store_true",
        help="end a step when it is saved on the unit: no host runs",
    )

    demo = commands.add_parser(
        "demo", help="the whole chain with a host of its own: truth against verdict"
    )
    _scenario(demo, "demo")
    demo.add_argument("--events", type=Path, help="file for the results, JSON lines")
    demo.add_argument("--sources", type=Path, help="folder of reference CSV files")
    demo.add_argument("--seed", type=int, help="replaces the scenario's seed")

    board = commands.add_parser(
        "board", help="a board without hardware on a serial port, to try every tool on"
    )
    board.add_argument("flash", type=Path, help="file of its flash; made if missing")
    board.add_argument("--heap", default="192K", help="size of MicroPython's heap (192K)")
    board.add_argument("--link", type=Path, help="symbolic link to keep on the port")

    listing = commands.add_parser("list", help="scenarios and their samples")
    listing.add_argument("scenario", nargs="?", help="show the samples and steps of this one")
    listing.add_argument(
        "--references", action="store_true", help="reference spectra to make samples of"
    )
    return parser


def _scenario(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "scenario", nargs="?", default=default, help=f"shipped name or TOML file ({default})"
    )


def _unit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker-host", default="127.0.0.1", help="MQTT broker (127.0.0.1)")
    parser.add_argument("--broker-port", type=int, default=BROKER_PORT, help=f"({BROKER_PORT})")
    parser.add_argument(
        "--keys",
        type=Path,
        required=True,
        help='JSON file {"unit": "64 hex digits"}, as the host has',
    )
    parser.add_argument("--unit", default="", help="unit name; default: the scenario's")
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="keeps flash images and event logs"
    )
    parser.add_argument("--sources", type=Path, help="folder of reference CSV files")
    parser.add_argument("--seed", type=int, help="replaces the scenario's seed")


def main(argv: list[str] | None = None) -> int:
    """Run one command; typed errors become the same three lines as the host's."""
    args = build_parser().parse_args(argv)
    from fieldassay_sim import commands

    try:
        match args.command:
            case "list":
                return commands.list_scenarios(args)
            case "board":
                from fieldassay_sim.virtual_board import serve

                return serve(args.flash, args.heap, args.link)
            case "trigger":
                return commands.trigger(args)
            case "demo":
                from fieldassay_sim.demo import demo

                return asyncio.run(demo(args))
            case "play":
                return asyncio.run(commands.play(args))
            case _:
                return asyncio.run(commands.run(args))
    except SimError as error:
        print(f"{error.code}: {error.what}\n  {error.do_next}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
