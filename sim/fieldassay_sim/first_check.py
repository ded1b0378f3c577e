"""The performance check of a simulated unit: polystyrene under the probe, a press, the host judges.

The very steps a technician does, on the page's own route; nothing is passed that did not pass.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from fieldassay_sim.bench import Bench
from fieldassay_sim.errors import SetupError
from fieldassay_sim.play import PRESS_S, Player
from fieldassay_sim.unit import Unit

TRIES = 3  # a cosmic ray may spoil one
STORED_S = 30.0


async def first_check(bench: Bench, unit: Unit, player: Player, page: str) -> dict[str, Any]:
    """Measure polystyrene and have the host judge it; the sample is put back afterwards.

    Args:
        bench: For the sample.
        unit: Running and ready, with broker and host up.
        player: Of this unit.
        page: Address of the host's page.

    Returns:
        The host's result, `passed`, all figures, and `tries`: how often it was measured.

    Raises:
        SetupError: No measurement came about, or the host did not answer.
    """
    hardware = unit.hardware
    before, package = hardware.condition.sample, hardware.condition.package
    result: dict[str, Any] = {}
    try:
        for number in range(1, TRIES + 1):
            hardware.place(bench.standard("polystyrene"), bench.packages["none"])
            taken = await player.step(number, {"title": "Performance check with polystyrene"})
            if taken.get("seq") is None:
                raise SetupError(
                    "check_not_measured",
                    f"{unit.config.name} did not measure polystyrene: {taken['outcome']}.",
                    "Look at the unit's panel and start again.",
                )
            record = f"{unit.config.name}-{taken['boot']}-{taken['seq']}"
            result = await _judged(f"{page}/api/measurements/{record}/check")
            result["tries"] = number
            if result["passed"]:
                break
    finally:
        hardware.place(before, package or bench.packages["none"])
    hardware.press("ok")  # done with this sample: whoever comes next finds the question
    await asyncio.sleep(PRESS_S)
    return result


async def is_fit(unit: str, page: str) -> bool:
    """Whether the host says so; waits for a host that is just starting.

    Raises:
        SetupError: No host answers.
    """
    end = asyncio.get_running_loop().time() + STORED_S
    while True:
        try:
            said = await asyncio.to_thread(_open, urllib.request.Request(f"{page}/api/units"))  # noqa: S310
        except OSError as error:
            if asyncio.get_running_loop().time() > end:
                raise _unreachable(page, error) from error
            await asyncio.sleep(0.2)
            continue
        return any(
            state["unit"] == unit and state.get("fitness", {}).get("fit") is True
            for state in said["units"]
        )


async def _judged(url: str) -> dict[str, Any]:
    """The host's answer; it may have to store the measurement first."""
    end = asyncio.get_running_loop().time() + STORED_S
    while True:
        try:
            return await asyncio.to_thread(_post, url)
        except urllib.error.HTTPError as error:
            with error:
                said = json.load(error).get("error", {})
            if error.code != 404 or asyncio.get_running_loop().time() > end:
                raise SetupError(
                    said.get("code", "host_unreachable"),
                    said.get("what", f"The host refused the check: {error.code}."),
                    said.get("do_next", "Read the host's log."),
                ) from error
        except OSError as error:
            raise _unreachable(url, error) from error
        await asyncio.sleep(0.1)


def _post(url: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return _open(urllib.request.Request(url, data=b"", headers=headers))  # noqa: S310 - our host


def _open(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        document: dict[str, Any] = json.load(response)
        return document


def _unreachable(address: str, error: OSError) -> SetupError:
    return SetupError(
        "host_unreachable", f"No host answers at {address}: {error}.", "Start the host first."
    )
