"""Whole measurements of the real firmware in which memory, flash, clock, inputs or processor fail.

After each: enable low, no rule of the audit broken, and the unit measures again, if need be after a
person has held OK. What is planned is carried out by `injected_main.py` in the real heap.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from fieldassay_sim import interpreter
from fieldassay_sim import unit as unit_module
from fieldassay_sim.play import answer
from fieldassay_sim.unit import Unit, UnitConfig

pytestmark = pytest.mark.needs("micropython")
KEY_HEX = "b3f09c1e57d24a86e1703c9b58fa2d64907e1bc25fd8463ac07b91e2f4685d3a"
TRAY = 'title = "t"\nseed = 3\n[samples.acetone]\nreference = "acetone"\n'
SETTINGS = {
    "laser": {"warning_ms": 100, "max_on_ms": 900},
    "acquire": {"total_ms": 150, "exposure_max_us": 50000, "dark_frames_max": 2},
    "spool": {"capacity": 100},
}
HANG_S = 60.0
LOOK_S = 0.4
ENDS = ("saved", "stopped", "refused", "fault")
WATCHDOG_MS = 1500.0
# Calls of the hardware in the order they come; at which of them, counted from the press, and where.
ANY = ("interlock", "indicator", "laser_read", "buttons", "expose_ready")
SHOT = ("laser_fire", "laser_power")
FRAME = ("expose_start", "expose_read")


@pytest.fixture
def injected(tmp_path, root, monkeypatch):
    """The real firmware behind `injected_main`."""
    device = tmp_path / "device"
    device.mkdir()
    for part in (root / "device").iterdir():
        (device / ("real_main.py" if part.name == "main.py" else part.name)).symlink_to(part)
    (device / "main.py").symlink_to(Path(__file__).with_name("injected_main.py"))
    monkeypatch.setenv("FIELDASSAY_DEVICE", str(device))
    # The unit's heap and room for the code that injects.
    monkeypatch.setattr(interpreter, "HEAP", "352K")
    monkeypatch.setattr(unit_module, "CRASH_RESTART_S", (0.05,))
    monkeypatch.setattr(unit_module, "WATCHDOG_MS", WATCHDOG_MS)


class Person:
    """Presses, looks, and holds OK where the unit shows a fault."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.ends: list[str] = []

    async def until(self, after, *kinds):
        event = await self.unit.events.wait(
            lambda e: (e["kind"] if e["event"] == "log" else e["event"]) in kinds, HANG_S, after
        )
        assert event is not None, (kinds, list(self.unit.events.recent)[-15:])
        return event

    async def shoot(self, plan, during=None):
        """One press and what came of it; `during(event of the fault)` may do more harm."""
        unit = self.unit
        unit.hardware.provision["plan.json"] = json.dumps(plan)
        start = unit.events.count
        await asyncio.sleep(LOOK_S)
        await answer(unit, "no", new_sample=False)
        unit.hardware.press("trigger")
        if plan:
            event = await self.until(start, "injected")
            if during is not None:
                during(event)
        end = await self.until(start, *ENDS, "firmware_ended", "watchdog_reset")
        kind = end["kind"] if end["event"] == "log" else end["event"]
        self.ends.append(kind)
        unit.hardware.provision["plan.json"] = "{}"
        await asyncio.sleep(LOOK_S)
        unit.hardware.settle()
        assert not unit.hardware.laser.enabled
        assert unit.audit.violations == [], plan
        ended = [e for e in unit.events.recent if e["n"] > start]
        restarts = [e for e in ended if e["event"] in ("firmware_ended", "watchdog_reset")]
        if restarts:
            await self.until(restarts[-1]["n"], "selftest")
        elif any(e["event"] == "log" and e["kind"] == "fault" for e in ended):
            assert "FAULT" in str(unit.hardware.outputs.rows)
            start = unit.events.count
            unit.hardware.press("ok", 2500.0)
            await self.until(start, "selftest")
        return kind


def with_unit(bench, folder, work, extra=None, last="saved"):
    async def run():
        config = UnitConfig(
            "sim-1",
            KEY_HEX,
            "127.0.0.1",
            9,
            instrument=bench.instrument(0),
            settings=SETTINGS,
        )
        unit = Unit(config, bench.condition(0), folder)
        unit.hardware.provision.update(extra or {})
        await unit.start()
        try:
            person = Person(unit)
            await person.until(0, "selftest")
            await work(person)
            # Whatever it was: afterwards it measures as before.
            assert await person.shoot({}) == last, person.ends
            return person, unit
        finally:
            await unit.stop()

    return asyncio.run(run())


def plan(what, at, ops, span=1, by=0):
    return {"what": what, "at": at, "ops": ops, "span": span, "by": by}


MEMORY = [
    *[plan("memory", at, ANY) for at in (3, 60)],
    plan("memory", 1, ["laser_fire"]),
    plan("memory", 1, ["laser_off"]),
    plan("memory", 1, ["expose_read"], span=3),
    *[plan("lock", at, ANY, span=span) for at, span in ((5, 1), (30, 40), (120, 8))],
    plan("lock", 1, ["laser_fire"], span=2),
    plan("lock", 1, ["laser_fire"], span=60),
    plan("lock", 110, ["laser_power"], span=30),
    *[plan("heap", 1, ["laser_fire"], 200, by) for by in (0, 256, 1024, 4096, 16384)],
    plan("heap", 2, ["buttons"], 600, 512),
]


def test_no_memory_at_any_phase(make_bench, tmp_path, injected):
    async def work(person):
        for fault in MEMORY:
            await person.shoot(fault)

    person, unit = with_unit(make_bench(TRAY), tmp_path / "unit", work)
    assert len(person.ends) == len(MEMORY) + 1
    assert set(person.ends) - {"saved"}, "no fault had any effect"
    assert unit.audit.fired >= 5


def test_the_flash_is_full_while_lit(make_bench, tmp_path, injected):
    async def work(person):
        assert await person.shoot(plan("flash", 1, ["laser_fire"])) in ("stopped", "fault")

    # It stays full: nothing is claimed saved.
    person, _ = with_unit(
        make_bench(TRAY), tmp_path / "unit", work, {"fill_flash": "6"}, last="stopped"
    )
    assert "saved" not in person.ends


JUMPS = [
    plan("clock", at, ops, by=by)
    for at, ops in ((3, ANY), (1, ["laser_fire"]), (90, FRAME))
    for by in (-5000, -1, 700, 5000, 1 << 29)
]


def test_the_clock_jumps_in_warning_and_emission(make_bench, tmp_path, injected):
    async def work(person):
        for fault in JUMPS:
            await person.shoot(fault)

    person, _ = with_unit(make_bench(TRAY), tmp_path / "unit", work)
    assert "fault" in person.ends and "stopped" in person.ends


def test_the_lid_bounces_in_every_phase(make_bench, tmp_path, injected):
    async def work(person):
        hardware = person.unit.hardware
        read = hardware._ops["interlock"]
        for at, ops in ((1, ANY), (1, SHOT), (1, FRAME), (70, FRAME), (140, ["expose_start"])):
            left = [15]

            def bouncing(left=left):
                if left[0]:
                    left[0] -= 1
                    hardware.set_interlock(lid=left[0] % 2 == 0)
                return read()

            def begin(_event, bouncing=bouncing):
                hardware._ops["interlock"] = bouncing

            assert await person.shoot(plan("none", at, ops), begin) == "stopped"
            assert left == [0]
            hardware._ops["interlock"] = read

    with_unit(make_bench(TRAY), tmp_path / "unit", work)


def test_a_processor_that_hangs_is_reset_by_the_watchdog(make_bench, tmp_path, injected):
    async def work(person):
        unit = person.unit
        for at, ops in ((3, ANY), (1, ["laser_fire"]), (90, ["expose_start"])):

            def stop(_event):
                assert unit.pid is not None
                os.kill(unit.pid, signal.SIGSTOP)

            assert await person.shoot(plan("none", at, ops), stop) == "watchdog_reset"

    _, unit = with_unit(make_bench(TRAY), tmp_path / "unit", work)
    assert unit.watchdog_resets == 3
    assert unit.crashes == 0
