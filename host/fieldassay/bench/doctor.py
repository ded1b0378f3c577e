"""What is wrong with a unit on the bench and what to do about it: a list of findings.

`judge` is pure: it reads what the unit's service module said. Opening the port is `examine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fieldassay.bench.repl import Repl
from fieldassay.bench.service import Service

BASE_AT_LEAST = (1, 24)  # our choice: older ones were never run with this firmware
FREE_FLASH_BYTES = 64 * 1024  # room for the spool's next measurements and one file beside another
BATTERY_LOW_MV = 3500  # the default of battery.low_mv


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a code, what, and what to do."""

    code: str
    what: str
    do_next: str


def examine(repl: Repl) -> tuple[dict[str, Any], list[Finding]]:
    """What the unit at a prompt says of itself, and what is wrong with it.

    Raises:
        BenchError: The board cannot even be asked; the error is the finding.
    """
    info = Service(repl).info()
    return info, list(judge(info))


def judge(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings from the answer of `service.info()`, the gravest first."""
    for name, error in sorted(info["errors"].items()):
        if name != "slot":
            yield Finding(f"{name}_unusable", error["what"], error["do_next"])
    version = tuple(int(part) for part in info["interpreter"].split(".")[:2])
    if version < BASE_AT_LEAST:
        yield Finding(
            "base_firmware_old",
            f"The board runs MicroPython {info['interpreter']}.",
            f"Install {'.'.join(map(str, BASE_AT_LEAST))} or newer from micropython.org.",
        )
    spool = info["spool"]
    if spool and spool["used"] >= spool["capacity"]:
        yield Finding(
            "spool_full",
            f"All {spool['capacity']} slots hold measurements that no host has.",
            "Bring the unit into the network until it has delivered them.",
        )
    if info["free_flash_bytes"] < FREE_FLASH_BYTES:
        yield Finding(
            "flash_nearly_full",
            f"{info['free_flash_bytes']} bytes of the flash are free.",
            "Let the unit deliver its measurements; remove files that are not its own.",
        )
    if info["clock"] and info["clock"][1] == "unset":
        yield Finding(
            "clock_unset",
            "The unit does not know the time.",
            "Bring it into the network; if that does not last, its clock battery is empty.",
        )
    if info["battery_mv"] is not None and info["battery_mv"] < BATTERY_LOW_MV:
        yield Finding(
            "battery_low", f"The battery is at {info['battery_mv']} mV.", "Charge the unit."
        )
