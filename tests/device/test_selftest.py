"""Self-test: each check fails when its part is broken, and only laser and interlock block."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
interlock = fixture.device_module("interlock")
laser_module = fixture.device_module("laser")
selftest = fixture.device_module("selftest")
frames = fixture.device_module("frames")
firmware = fixture.device_module("firmware")
buttons = fixture.device_module("buttons")

SETTINGS = {"battery": {"empty_mv": 3300}}
NAMES = {
    "laser_off",
    "interlock",
    "indicator",
    "flash",
    "battery",
    "detector_temperature",
    "dark_level",
    "read_noise",
}


@pytest.fixture
def board(tmp_path):
    board = fixture.FakeBoard(pixels=64)
    board.flash_root = str(tmp_path)
    noise = iter(range(10**6))
    # nominal read noise is 20 e at 10 e per count: 2 counts rms
    board.counts = lambda us, on: [200 + (next(noise) * 7919) % 7 - 3 for _ in range(64)]
    return board


def run(board):
    laser = laser_module.Laser(board, interlock.Interlock(500), 500, board.ticks_ms)
    return asyncio.run(selftest.run(board, laser, frames.Frames(64), SETTINGS))


def test_a_healthy_unit_passes_everything_with_the_laser_off(board):
    checks = run(board)
    assert checks == dict.fromkeys(NAMES, "pass")
    assert not selftest.blocked(checks)
    assert {call[1] for call in board.laser.calls} == {"off"}
    assert all(not on for _, on in board.exposures)


def raises(*_):
    raise OSError(5)


BREAK = {
    "laser_off": lambda b: setattr(b.laser, "light", 3000),
    "interlock": lambda b: setattr(b, "reading", OSError(5)),
    "indicator": lambda b: setattr(b, "readback", False),  # does not light
    "flash": lambda b: setattr(b, "flash_root", "/nowhere/at/all"),
    "battery": lambda b: setattr(b, "battery", 3299),
    "detector_temperature": lambda b: setattr(b, "temperature_mdegc", lambda: 60001),
    "dark_level": lambda b: setattr(b, "counts", lambda us, on: [3000 + i % 5 for i in range(64)]),
    "read_noise": lambda b: setattr(b, "counts", lambda us, on: [200] * 64),  # stuck converter
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_check_fails_for_its_part(board, name):
    BREAK[name](board)
    checks = run(board)
    assert checks[name] == "fail"
    others = {n for n in NAMES if checks[n] == "fail"} - {name}
    assert others <= {"read_noise"}, others
    assert selftest.blocked(checks) == (name in selftest.BLOCKING)


@pytest.mark.parametrize(
    "broken",
    [
        ("laser_off", lambda b: b.laser.broken.add("read")),
        ("interlock", lambda b: setattr(b, "reading", {"lid": 1, "key": 1})),
        ("interlock", lambda b: setattr(b, "reading", {})),
        ("indicator", lambda b: setattr(b, "readback", True)),  # cannot be switched off
        ("indicator", lambda b: setattr(b, "readback", OSError(5))),
        ("indicator", lambda b: setattr(b, "indicate", raises)),
        ("battery", lambda b: setattr(b, "battery_mv", raises)),
        ("detector_temperature", lambda b: setattr(b, "temperature_mdegc", raises)),
        ("dark_level", lambda b: setattr(b, "on_expose", raises)),
        ("dark_level", lambda b: setattr(b, "counts", lambda us, on: [0] * 64)),
    ],
    ids=lambda b: b[0],
)
def test_unreadable_parts_fail_and_never_raise(board, broken):
    name, break_it = broken
    break_it(board)
    assert run(board)[name] == "fail"


def test_an_indicator_without_a_readback_can_only_be_told(board):
    board.readback = None
    checks = run(board)
    assert checks["indicator"] == "pass"
    assert not board.lamp


def test_laser_interlock_and_indicator_block():
    assert set(selftest.BLOCKING) == {"laser_off", "interlock", "indicator"}


def test_an_open_lid_is_no_defect(board):
    board.reading = {"lid": False, "key": False}
    assert run(board)["interlock"] == "pass"


def test_the_firmware_hash_changes_with_any_file(tmp_path):
    (tmp_path / "boards").mkdir()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "main.py").write_text("a = 1\n")
    (tmp_path / "boards" / "x.py").write_text("b = 1\n")
    (tmp_path / "notes.md").write_text("not firmware")
    first = firmware.describe(str(tmp_path))
    (tmp_path / "__pycache__" / "main.py").write_text("cache")
    (tmp_path / "notes.md").write_text("changed")
    assert firmware.describe(str(tmp_path)) == first
    assert len(first["sha256"]) == 32
    (tmp_path / "boards" / "x.py").write_text("b = 2\n")
    second = firmware.describe(str(tmp_path))
    assert second != first
    (tmp_path / "boards" / "x.py").rename(tmp_path / "x.py")
    assert firmware.describe(str(tmp_path)) != second


@pytest.mark.needs("micropython")
def test_the_firmware_hash_is_the_same_on_the_unit(micropython):
    here = firmware.describe(str(fixture.DEVICE))["sha256"].hex()
    there = micropython("import firmware; print(firmware.describe()['sha256'].hex())")
    assert there.stdout.strip() == here


def feed(readings):
    machine = buttons.Buttons()
    return [machine.feed(bits, i * 20) for i, bits in enumerate(readings)]


def test_a_press_is_one_edge_and_bouncing_is_none():
    pressed = [p for p, _ in feed([0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1])]
    assert pressed == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def test_a_button_held_at_power_up_gives_no_edge():
    assert [p for p, _ in feed([1, 1, 1, 1])] == [0, 0, 0, 0]
    assert [p for p, _ in feed([1, 1, 3, 3, 1, 1])] == [0, 0, 0, 2, 0, 0]
    assert [p for p, _ in feed([1, 1, 0, 0, 1, 1])][-1] == 1


def test_holding_ok_is_told_once():
    held = [h for _, h in feed([0, 0, *([4] * 200)])]
    assert held.count(True) == 1
    assert [h for _, h in feed([4] * 200)].count(True) == 0
