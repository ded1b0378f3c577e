"""Units, without their keys, and what their last matches say about their axis."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from fieldassay import config
from fieldassay.clock import now_ms
from fieldassay.store import Store
from fieldassay.units import UnitRegistry

if TYPE_CHECKING:
    from fieldassay.drift import Drift
    from fieldassay.fitness import Fitness


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Form of the list."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """List them; the store need not be there yet."""
    home = config.home(args.home).create()
    registry = UnitRegistry(home.units)
    with contextlib.ExitStack() as stack:
        there = home.evidence.exists()
        store = stack.enter_context(Store.open_read_only(home.evidence)) if there else None
        for unit in registry.all():
            found = _drift(store, unit.name) if store else None
            fit = _fitness(home, store, unit.name) if store else None
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
                facts["fitness"] = None if fit is None else fit.as_dict()
                print(json.dumps(facts))
                continue
            removed = "  removed" * (unit.revoked_ms is not None)
            print(f"{unit.name}{removed}{_axis(found)}{_duty(fit)}")
    return 0


def _drift(store: Store, unit: str) -> Drift | None:
    from fieldassay import drift  # late: numpy takes long to import
    from fieldassay.decide.evidence import load_thresholds

    shifts = store.axis_shifts(unit, drift.RECORDS)
    found = drift.of_unit(shifts, load_thresholds().axis["drifted_cm1"])
    return found if found.records else None


def _fitness(home: config.Home, store: Store, unit: str) -> Fitness:
    from fieldassay.duty import Duty

    return Duty(store, home.fitness, now_ms).of_unit(unit)


def _duty(fit: Fitness | None) -> str:
    if fit is None:
        return ""
    return "  fit for duty" if fit.fit else f"  NOT FIT ({fit.state}): {fit.do_next}"


def _axis(found: Drift | None) -> str:
    if found is None:
        return ""
    text = f"  axis {found.shift_cm1:+.1f} cm-1 over {found.records} matches"
    return text + "  DRIFTED: calibrate this unit before it is used" * found.drifted
