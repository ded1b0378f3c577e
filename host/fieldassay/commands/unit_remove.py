"""Trust a unit no longer; its records stay."""

from __future__ import annotations

import argparse
from pathlib import Path

from fieldassay import config
from fieldassay.clock import now_ms
from fieldassay.units import UnitRegistry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument("name", help="which")
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Remove it; a running host sees the change at once."""
    UnitRegistry(config.home(args.home).create().units).remove(args.name, now_ms())
    print(f"{args.name} is removed. What it sends from now on is kept aside as not trusted.")
    return 0
