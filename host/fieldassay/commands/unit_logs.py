"""Read the technician's log of units on this computer's ports.

Stops the unit's firmware and starts it again afterwards.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from fieldassay.bench import many, visits
from fieldassay.bench.repl import Repl
from fieldassay.commands.unit_doctor import add_ports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which units and how much."""
    add_ports(parser)
    parser.add_argument("--count", type=int, default=50, help="newest entries, at most 100 (50)")


def run(args: argparse.Namespace) -> int:
    """Print one JSON object an entry, with the port; 1 if a unit could not be read."""

    def action(repl: Repl) -> list[dict[str, Any]]:
        return visits.log(repl, args.count)

    failed = False
    for outcome in many.on_each(many.chosen(args.port, every=args.all), action):
        for entry in outcome.value or []:
            print(json.dumps({"port": outcome.port, **entry}))
        if outcome.error is not None:
            failed = True
            error = outcome.error
            print(f"{outcome.port}: {error.code}: {error.what}\n  {error.do_next}", file=sys.stderr)
    return int(failed)
