"""Doing a scenario's steps on a running unit, and saying for each what came of it.

Owns presses, timed faults and waiting. Judges only the kind of outcome against `accept`; whether
the named substance is the true one is for who reads the evidence store (the result carries boot and
seq).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fieldassay_sim.bench import Bench
from fieldassay_sim.errors import SetupError
from fieldassay_sim.events import Event
from fieldassay_sim.unit import Unit, random_flash_op

LOOK_S = 0.5  # a person reads the display before pressing; the laser's cool-down is over by then
READY_S = 60.0
OUTCOME_S = 60.0
DISPLAY_S = 0.5
PRESS_S = 0.3  # until the next press
ANSWERS = 12  # looks at the display, at most
MEASURED = ("SAVED ON", "DELIVERED", "KEPT FOR REVIEW", "OK: new")
DARK_BUTTONS = {"no": "ok", "yes": "next", "unknown": "trigger"}
ENDS = ("verdict", "refused", "stopped", "kept_for_review")


class Player:
    """Plays one scenario on one unit.

    Args:
        bench: The scenario's samples.
        unit: Started; with broker and host up if verdicts are to come.
        outcome_s: How long to wait for a step's end: a hang detector.
        verdicts: False ends a step when the measurement is saved, for use without a host.
    """

    def __init__(
        self, bench: Bench, unit: Unit, outcome_s: float = OUTCOME_S, *, verdicts: bool = True
    ) -> None:
        self._bench = bench
        self._unit = unit
        self._outcome_s = outcome_s
        self._ends = ENDS if verdicts else (*ENDS, "saved")
        self._timers: list[asyncio.TimerHandle] = []

    async def ready(self) -> None:
        """Wait until the firmware's self-test is over.

        Raises:
            SetupError: It does not come up; says what its console printed last.
        """
        if await self._log(("selftest",), READY_S, 0) is None:
            lines = [e["text"] for e in self._unit.events.recent if e["event"] == "console"]
            raise SetupError(
                "firmware_not_ready",
                f"The firmware of {self._unit.config.name} did not finish its self-test in "
                f"{READY_S:.0f} s. Last console line: {lines[-1] if lines else 'none'}.",
                f"Read {self._unit.config.name}.events.jsonl in the state folder.",
            )

    async def step(self, number: int, step: Mapping[str, Any]) -> dict[str, Any]:
        """Do one step.

        Returns:
            The result: step, title, unit, truth, truth_text, accept, why, outcome, acceptable (None
            where `accept` is empty), detail, boot, seq, display, and times in ms where they are
            known.
        """
        unit, hardware = self._unit, self._unit.hardware
        start = unit.events.count
        changes = {k: step[k] for k in ("sample", "packaging") if k in step} | step.get("set", {})
        self._bench.change(hardware, changes)
        boot_before = unit.boots
        armed = await self._arm_flash_cut(step)
        if step.get("wait_ms"):
            await asyncio.sleep(step["wait_ms"] / 1000.0)
        if step.get("press", "trigger") == "trigger":
            new = "sample" in step
            await answer(self._unit, step.get("dark_sample", "no"), new_sample=new)
        for button in step.get("press_before", ()):
            await self._press(button)
        await asyncio.sleep(LOOK_S)
        self._schedule(step)
        button = step.get("press", "trigger")
        pressed = unit.events.count if armed is None else armed
        if armed is not None and hardware.cut_after_flash_ops is None:
            button = ""  # the cut fell into the boot itself
        if button:
            hardware.press(button)
        if step.get("power_cut_after_press_ms") is not None:
            self._after(step["power_cut_after_press_ms"], unit.cut_power)
        result = await self._outcome(step, button, pressed)
        hardware.on_fire.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if "lid_opens_after_fire_ms" in step or "key_opens_after_fire_ms" in step:
            hardware.set_interlock(lid=True, key=True)
        violations = [e for e in unit.events.recent if e["event"] == "violation" and e["n"] > start]
        accept = list(step.get("accept", ()))
        return {
            "step": number,
            "title": step["title"],
            "unit": unit.config.name,
            "truth": list(step.get("truth", ())),
            "truth_text": step.get("truth_text", ""),
            "accept": accept,
            "why": step.get("why", ""),
            "broker": step.get("broker", "up"),
            "acceptable": result["outcome"] in accept if accept else None,
            "power_cuts": unit.boots - boot_before if self._cuts(step) else 0,
            "violations": len(violations),
            "display": [row[0] for row in hardware.outputs.rows],
            **result,
        }

    async def _outcome(self, step: Mapping[str, Any], button: str, after: int) -> dict[str, Any]:
        if self._cuts(step):
            cut = await self._unit.events.wait(_is("power_cut"), self._outcome_s, after)
            if cut is None:
                return {"outcome": "no_power_cut", "detail": "the flash operation never came"}
            again = await self._log(("selftest",), READY_S, cut["n"])
            return {"outcome": "power_cut" if again else "no_restart", "detail": ""}
        if button != "trigger":
            return {"outcome": "pressed", "detail": button}
        end = await self._log(self._ends, self._outcome_s, after)
        if end is None:
            return {"outcome": "timeout", "detail": f"no end in {self._outcome_s:.0f} s"}
        await self._unit.events.wait(_is("display"), DISPLAY_S, end["n"])  # what it shows about it
        saved = await self._log(("saved",), 0.001, after)
        details = end["details"]
        result: dict[str, Any] = {
            "outcome": details["verdict"] if end["kind"] == "verdict" else end["kind"],
            "detail": details.get("reason", ""),
            "boot": details.get("boot"),
            "seq": details.get("seq"),
        }
        if saved is not None:
            read_ms = self._unit.hardware.outputs.last_read_at_ms
            result["last_frame_to_saved_ms"] = round(saved["at_ms"] - read_ms, 1)
            if end["kind"] == "verdict":
                result["last_frame_to_verdict_ms"] = round(end["at_ms"] - read_ms, 1)
                result["unit_last_frame_to_verdict_ms"] = details.get("last_frame_to_verdict_ms")
        return result

    async def _arm_flash_cut(self, step: Mapping[str, Any]) -> int | None:
        """Restart with a cut armed; the event number from which the cut is looked for."""
        count = step.get("power_cut_at_flash_op")
        if step.get("power_cut_at_random_flash_op"):
            count = random_flash_op(self._bench.scenario.seed)
        if count is None:
            return None
        unit = self._unit
        unit.cut_power()
        unit.cut_power_at_flash_op(count)
        armed = unit.events.count
        await self._log(("selftest",), READY_S, armed)
        return armed

    def _schedule(self, step: Mapping[str, Any]) -> None:
        hardware, unit = self._unit.hardware, self._unit
        actions: dict[str, Callable[[], None]] = {
            "lid_opens_after_fire_ms": lambda: hardware.set_interlock(lid=False),
            "key_opens_after_fire_ms": lambda: hardware.set_interlock(key=False),
            "power_cut_after_fire_ms": unit.cut_power,
        }
        for key, action in actions.items():
            if key in step:
                hardware.on_fire.append(partial(self._after, step[key], action))

    def _after(self, delay_ms: float, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(delay_ms / 1000.0, action))

    async def _press(self, button: str) -> None:
        self._unit.hardware.press(button)
        await asyncio.sleep(PRESS_S)

    def _cuts(self, step: Mapping[str, Any]) -> bool:
        return any(key.startswith("power_cut") for key in step)

    async def _log(self, kinds: tuple[str, ...], timeout_s: float, after: int) -> Event | None:
        def wanted(event: Event) -> bool:
            return event["event"] == "log" and event["kind"] in kinds

        return await self._unit.events.wait(wanted, timeout_s, after)


async def answer(unit: Unit, dark_sample: str, *, new_sample: bool) -> None:
    """Do what the display asks before the trigger measures, as a person who reads it.

    Args:
        unit: Started.
        dark_sample: "no", "yes" or "unknown": what the person says about the sample.
        new_sample: False: another spot of the sample measured before.
    """
    for _ in range(ANSWERS):
        await asyncio.sleep(PRESS_S)  # until the display shows what the last press did
        shown = " ".join(row[0] for row in unit.hardware.outputs.rows)
        if not shown or "Please wait" in shown:
            continue
        if "DARK OR COLOURED" in shown:
            button = DARK_BUTTONS[dark_sample]
        elif "SAME SAMPLE?" in shown:
            button = "ok" if new_sample else "next"
        elif any(word in shown for word in MEASURED):
            button = "ok" if new_sample else "trigger"
        else:
            return
        unit.hardware.press(button)


def _is(name: str) -> Callable[[Event], bool]:
    return lambda event: event["event"] == name
