"""Find out what is wrong with units on this computer's ports, and what to do about it.

Stops the unit's firmware and starts it again afterwards.
"""

from __future__ import annotations

import argparse
import json

from fieldassay.bench import many, visits
from fieldassay.bench.doctor import Finding
from fieldassay.errors import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which units, and the form."""
    add_ports(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a unit")


def add_ports(parser: argparse.ArgumentParser) -> None:
    """The options by which every bench command is told its units."""
    parser.add_argument(
        "--port", action="append", help="serial port of a unit; may be given several times"
    )
    parser.add_argument("--all", action="store_true", help="every unit that is plugged in")


def run(args: argparse.Namespace) -> int:
    """Examine them all; 1 if anything is wrong."""
    wrong = False
    for outcome in many.on_each(many.chosen(args.port, every=args.all), visits.examine):
        info, findings = outcome.value or ({}, [])
        if outcome.error is not None:
            error = outcome.error
            findings = [Finding(error.code, error.what, error.do_next)]
        wrong |= bool(findings)
        if args.json:
            told = [{"code": f.code, "what": f.what, "do_next": f.do_next} for f in findings]
            print(json.dumps({"port": outcome.port, "info": info, "findings": told}))
            continue
        unit = (info.get("settings") or {}).get("unit", "no name")
        verdict = "ok" if not findings else f"{len(findings)} wrong"
        print(f"{outcome.port}  {printable(str(unit))}  {verdict}")
        for finding in findings:
            print(f"  {finding.code}: {finding.what}\n    {finding.do_next}")
    return int(wrong)
