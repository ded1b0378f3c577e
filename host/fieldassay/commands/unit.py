"""Everything about units: their keys, and the technician's bench.

One module an action, `fieldassay.commands.unit_ACTION`, with `add_arguments` and `run` as every
command has.
"""

from __future__ import annotations

import argparse
import importlib

ACTIONS = {
    "add": "make a unit with a new random key",
    "calibrate": "wavelength axis and laser from a lamp and shift standards",
    "doctor": "find out what is wrong with units on serial ports, and what to do",
    "list": "units, without their keys",
    "provision": "write identity, keys, certificate and network on a unit",
    "rotate": "give a unit a new key and certificate",
    "retire": "take a unit out of service: revoke and wipe",
    "logs": "read the technician's log of units on serial ports",
    "remove": "trust a unit no longer; its records stay",
    "verify": "performance check with polystyrene: pass or fail, and a certificate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command an action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_text in ACTIONS.items():
        module = importlib.import_module(f"fieldassay.commands.unit_{name}")
        sub = actions.add_parser(name, help=help_text, description=module.__doc__)
        module.add_arguments(sub)
        sub.set_defaults(run_action=module.run)


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    return int(args.run_action(args))
