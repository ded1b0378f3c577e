"""What the builder of a unit measured, `hardware.json`: read and checked before a board gets it.

A unit takes a file that makes no sense for none, and can then set no laser power; so it is refused
here, where someone can correct it. The keys are those of docs/how-to/build-a-unit.md. Which laser
power is safe is not decided here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fieldassay.errors import UnitError

FULL_CODE = 4095  # of the 12-bit MCP4725, as in device/drivers/laser_diode.py
MOST_UW = 500_000  # as laser.power_uw in docs/reference/settings.md
MOST_BYTES = 8192
# Lowest and highest value.
TOP = {
    "excitation_pm": (100_000, 20_000_000),
    "gain_me_per_count": (1, 1_000_000_000),
    "read_noise_me": (0, 1_000_000_000),
}
LASER = {
    "photodiode_zero": (0, 64_999),
    "photodiode_uw": (1, 10_000_000),
    "ntc_ohm": (1, 10_000_000),
    "ntc_beta": (1, 100_000),
    "ntc_series_ohm": (1, 10_000_000),
}


def read(path: Path) -> dict[str, Any]:
    """The checked content of a file.

    Raises:
        UnitError: `hardware_file_unreadable`, `hardware_file_bad`.
    """
    try:
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        document = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise UnitError(
            "hardware_file_unreadable",
            f"The hardware file {path} cannot be read: {error}.",
            "Give a JSON file as in docs/how-to/build-a-unit.md.",
        ) from error
    return check(document)


def check(document: Any) -> dict[str, Any]:
    """The document, if a unit can work with it.

    Raises:
        UnitError: `hardware_file_bad`: names the key and what is allowed.
    """
    found = _table(document, "the file", {*TOP, "laser"})
    laser = _table(found["laser"], "laser", {*LASER, "power_codes"})
    for name, (low, high) in TOP.items():
        _number(name, found[name], low, high)
    for name, (low, high) in LASER.items():
        _number(f"laser.{name}", laser[name], low, high)
    _check_codes(laser["power_codes"])
    return found


def _check_codes(points: Any) -> None:
    name = "laser.power_codes"
    if not isinstance(points, list) or len(points) < 2:
        raise _bad(f"{name} must be two pairs or more of microwatts and code")
    before = (-1, -1)
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise _bad(f"{name} must be pairs of microwatts and code")
        _number(f"{name} (microwatts)", point[0], 0, MOST_UW)
        _number(f"{name} (code)", point[1], 0, FULL_CODE)
        if point[0] <= before[0] or point[1] <= before[1]:
            raise _bad(f"{name} must rise in microwatts and in code")
        before = (point[0], point[1])


def _table(value: Any, name: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{name} must be a table")
    for key in sorted(keys ^ set(value)):
        raise _bad(f"{name} {'has no' if key in keys else 'has an unknown'} {key!r}")
    return value


def _number(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise _bad(f"{name} must be a whole number from {low} to {high}")


def _bad(problem: str) -> UnitError:
    return UnitError(
        "hardware_file_bad",
        f"The hardware file is wrong: {problem}.",
        "Correct it by docs/how-to/build-a-unit.md; nothing was written on the board.",
    )
