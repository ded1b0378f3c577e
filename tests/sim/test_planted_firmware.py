"""Firmware that breaks every laser rule, under the real interpreter: the simulator must see it all.

The proof that "no rule broken" in other tests means something.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from fieldassay_sim.audit import RULES
from fieldassay_sim.unit import Unit, UnitConfig

pytestmark = pytest.mark.needs("micropython")
KEY_HEX = "b3f09c1e57d24a86e1703c9b58fa2d64907e1bc25fd8463ac07b91e2f4685d3a"
TRAY = 'title = "t"\n[samples.acetone]\nreference = "acetone"\n'
HANG_S = 60.0

# What each main.py does once the board exists; `wait` gives the test time to act.
WARNING_MS = 100
WARN = f"board.indicate(True)\n    time.sleep_ms({WARNING_MS + 5})\n    "
BARE = "board.laser.set_power_uw(100000)\n    board.laser.fire({ms})\n"
SHOT = WARN + BARE
READY = "board.log('selftest', {})\n    wait_for_trigger()\n    "
PLANTED = {
    "before_selftest": SHOT.format(ms=300) + "    time.sleep_ms(50)",
    "no_warning": READY
    + "board.indicate(True)\n    "
    + BARE.format(ms=300)
    + "    time.sleep_ms(50)",
    "indicator_dark": READY + SHOT.format(ms=300) + "    board.indicate(False)\n"
    "    time.sleep_ms(100)",
    "no_trigger": "board.log('selftest', {})\n    " + SHOT.format(ms=300) + "    time.sleep_ms(50)",
    "on_too_long": READY + SHOT.format(ms=9000) + "    time.sleep_ms(50)",
    "idle": READY + SHOT.format(ms=5000) + "    time.sleep_ms(1300)",
    "interlock_open": READY + SHOT.format(ms=5000) + "    board.log('open', {})\n"
    "    time.sleep_ms(400)",
    "interlock_unreadable": READY + SHOT.format(ms=5000) + "    board.log('break', {})\n"
    "    time.sleep_ms(400)",
}
MAIN = """
import time


def main(board, slots=None):
    board.laser.off()

    def wait_for_trigger():
        while not board.buttons() & 1:
            time.sleep_ms(5)

    {body}
    board.laser.off()
    board.log('end', {{}})
    time.sleep_ms(60000)
"""


@pytest.fixture
def plant(tmp_path, root, monkeypatch):
    """A device folder whose main.py is the given body; all else is the real firmware."""

    def make(body: str) -> None:
        device = tmp_path / "device"
        device.mkdir()
        for part in (root / "device").iterdir():
            if part.name != "main.py":
                (device / part.name).symlink_to(part)
        (device / "main.py").write_text(MAIN.format(body=body), encoding="utf-8")
        monkeypatch.setenv("FIELDASSAY_DEVICE", str(device))

    return make


def broken_rules(bench, folder) -> set[str]:
    async def work():
        config = UnitConfig(
            "sim-1", KEY_HEX, "127.0.0.1", 9, settings={"laser": {"warning_ms": WARNING_MS}}
        )
        unit = Unit(config, bench.condition(0), folder)
        hands = {
            "open": lambda: unit.hardware.set_interlock(lid=False),
            "break": lambda: unit.hardware.set_interlock(unreadable=True),
            "selftest": lambda: unit.hardware.press("trigger") if presses else None,
        }
        await unit.start()
        try:
            seen = 0
            while True:
                event = await unit.events.wait(
                    lambda e: e["event"] in ("log", "firmware_ended"), HANG_S, seen
                )
                assert event is not None
                assert event["event"] == "log", list(unit.events.recent)
                seen = event["n"]
                if event["kind"] == "end":
                    break
                hands.get(event["kind"], lambda: None)()
        finally:
            await unit.stop()
        log = [json.loads(line) for line in log_path.read_text("utf-8").splitlines()]
        return {e["rule"] for e in log if e["event"] == "violation"}

    log_path = folder / "sim-1.events.jsonl"
    presses = "wait_for_trigger()\n    board" in (folder.parent / "device/main.py").read_text()
    return asyncio.run(work())


def test_every_rule_has_firmware_that_breaks_it():
    assert set(PLANTED) == set(RULES)


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_seen_and_logged(make_bench, tmp_path, plant, rule):
    plant(PLANTED[rule])
    expected = {rule}
    if rule == "before_selftest":
        expected.add("no_trigger")  # nobody pressed either
    assert broken_rules(make_bench(TRAY), tmp_path / "unit") == expected


def test_the_same_shot_done_properly_breaks_nothing(make_bench, tmp_path, plant):
    plant(READY + SHOT.format(ms=5000) + "    time.sleep_ms(300)")
    assert broken_rules(make_bench(TRAY), tmp_path / "unit") == set()
