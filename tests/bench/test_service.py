"""The service module of the firmware, asked through the raw prompt of a virtual board with parts.

The firmware runs from the slot on its flash; the audit judges every edge of the laser.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fieldassay.bench.repl import Repl
from fieldassay.bench.service import Service
from fieldassay.errors import BenchError
from fieldassay_sim.board_hardware import BoardHardware
from fieldassay_sim.optics import Instrument
from fieldassay_sim.parts import Condition
from fieldassay_sim.samples import GRID_CM1, Band, Package, Part, Sample, from_bands
from fieldassay_sim.unit import UnitConfig

pytestmark = pytest.mark.needs("micropython")
MAIN = b"""
import sys
sys.path.insert(0, "/a")
import service
import main as firmware
firmware.main(service.open_board())
"""
INSTRUMENT = Instrument(seed=5)
UNIT = UnitConfig(
    name="bench-1",
    key_hex=hashlib.sha256(b"bench-1").hexdigest(),
    broker_host="127.0.0.1",
    broker_port=9,
    instrument=INSTRUMENT,
)


def firmware_files(root: Path) -> dict[str, bytes]:
    device = root / "device"
    return {
        str(path.relative_to(device)): path.read_bytes()
        for path in device.rglob("*.py")
        if "rom" not in path.relative_to(device).parts
    }


@pytest.fixture
def parts():
    curve = from_bands((Band(1000.0, 1.0, 4.0),), 40.0)
    none = np.zeros_like(GRID_CM1)
    condition = Condition(
        sample=Sample("band", "one band", (Part("band", curve, 1.0),)),
        package=Package("none", 1.0, none, none),
    )
    with BoardHardware(INSTRUMENT, condition) as hardware:
        yield hardware


@pytest.fixture
def unit(make_board, parts, root):
    """A virtual board with a whole firmware on its flash, running."""
    board = make_board(bus=parts.bus, heap="512K", blocks=512, on_power_loss=parts.power_on)
    with Repl(board.port) as repl:
        repl.enter()
        repl.files.sync(firmware_files(root), "/a")
        repl.put("/main.py", MAIN)
        repl.put("/settings.json", UNIT.settings_json().encode())
        repl.put("/calibration.json", UNIT.calibration_json().encode())
        repl.hard_reset()
        wait(lambda: "DARK OR COLOURED" in screen(parts))
        yield repl


def screen(parts):
    return " ".join(text for text, _ in parts.hardware.outputs.rows)


def wait(true, timeout_s=30):
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.01)


def press_when(parts, text, button="trigger"):
    """Press a button as soon as the display says `text`."""

    def work():
        wait(lambda: text in screen(parts))
        time.sleep(0.2)  # a person's; the unit must see the button up before it is down
        parts.do(lambda hardware: hardware.press(button))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_unit_tells_what_it_is(unit):
    info = Service(unit).info()
    assert info["errors"].keys() <= {"slot"}
    assert info["board"] == "sim" and info["settings"]["unit"] == "bench-1"
    assert info["calibration"] == {"id": "bench-1-sim-1", "date": "2026-01-15"}
    assert len(info["firmware"]["sha256"]) == 64
    assert info["spool"] == {"used": 0, "capacity": 100}
    assert info["free_flash_bytes"] > 100_000 and info["clock"][1] == "rtc"
    assert UNIT.key_hex not in json.dumps(info)


def test_what_is_broken_is_told_beside_what_is_not(unit):
    unit.enter()
    unit.remove("/calibration.json")
    unit.put("/settings.json", b"{")
    info = Service(unit).info()
    assert {"calibration", "settings"} <= info["errors"].keys()
    assert info["errors"]["calibration"]["do_next"]
    assert info["board"] == "sim" and len(info["firmware"]["sha256"]) == 64


def test_dark_frames_come_without_light(unit, parts):
    answer, arrays = Service(unit).measure(light=False, exposure_us=20_000, frames=3)
    assert answer["frames"] == 3 and answer["exposure_us"] == 20_000
    assert arrays["raw"].shape == (INSTRUMENT.pixels,) and arrays["raw"].min() > 0
    assert parts.audit.fired == 0 and not parts.audit.violations


def test_light_needs_the_units_own_trigger(unit, parts):
    service = Service(unit)
    presser = press_when(parts, "Service measurement")
    answer, arrays = service.measure(light=True, exposure_us=50_000, frames=4)
    presser.join()
    assert parts.audit.fired == 1 and not parts.audit.violations and not parts.is_lit()
    assert answer["frames"] == 4 and answer["exposure_us"] == 50_000 and answer["laser_uw"] > 0
    band = arrays["raw"].astype(float) - arrays["dark"].astype(float)
    assert band.max() > 20 * abs(np.median(band))


def test_nothing_on_the_line_lights_the_laser(unit, parts):
    """Without a press, `measure` with light waits and gives up; Ctrl-C ends the wait."""
    service = Service(unit)
    unit.exec("service.TRIGGER_WAIT_MS = 300")
    with pytest.raises(BenchError) as caught:
        service.measure(light=True, exposure_us=20_000, frames=2)
    assert caught.value.code == "unit_refused" and "trigger_missing" in caught.value.what
    assert parts.audit.fired == 0


@pytest.mark.parametrize("opened", ["lid", "key"])
def test_an_open_interlock_refuses_light_here_too(unit, parts, opened):
    service = Service(unit)
    parts.do(lambda hardware: hardware.set_interlock(**{opened: False}))
    presser = press_when(parts, "Service measurement")
    with pytest.raises(BenchError) as caught:
        service.measure(light=True, exposure_us=20_000, frames=2)
    presser.join()
    assert f"{opened}_open" in caught.value.what
    assert parts.audit.fired == 0 and not parts.audit.violations


def test_breaking_into_a_measurement_turns_the_laser_off(unit, parts):
    """The firmware is measuring by itself; Ctrl-C comes while it emits."""
    press_when(parts, "DARK OR COLOURED", "ok").join()  # it is not
    presser = press_when(parts, "READY")
    wait(parts.is_lit)
    presser.join()
    unit.enter()
    assert not parts.is_lit()
    assert parts.audit.fired == 1 and not parts.audit.violations


def test_breaking_into_a_service_measurement_turns_the_laser_off(unit, parts):
    Service(unit)
    unit.start("service.measure(True, 200000, 8)")
    presser = press_when(parts, "Service measurement")
    wait(parts.is_lit)
    unit.enter()
    presser.join()
    assert not parts.is_lit()
    assert parts.audit.fired == 1 and not parts.audit.violations


def test_the_log_is_read(unit):
    kinds = [entry["kind"] for entry in Service(unit).log(10)]
    assert "boot" in kinds and "selftest" in kinds


def test_a_board_without_firmware_is_told(repl):
    with pytest.raises(BenchError) as caught:
        Service(repl)
    assert caught.value.code == "board_without_firmware"
