"""The laser comes on through one door and goes off through every one."""

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
faults = fixture.device_module("faults")

MAX_ON = 500
WARN = 100


@pytest.fixture
def board():
    return fixture.FakeBoard()


@pytest.fixture
def laser(board):
    lock = interlock.Interlock(MAX_ON, WARN)
    laser = laser_module.Laser(board, lock, MAX_ON, board.ticks_ms)
    laser.step("boot")
    laser.step("checks_ok")
    return laser


def arm(laser, board):
    assert laser.press() == "armed"
    laser.answered("no", 500000)
    board.now_ms += WARN


def fires(board):
    return [call for call in board.laser.calls if call[1] == "fire"]


def test_emission_sets_power_before_firing_and_ends_off(laser, board):
    arm(laser, board)
    with laser.emission(80000):
        assert board.laser.enabled
        assert (laser.on, laser.set_uw) == (True, 80000)
    assert not board.laser.enabled
    names = [call[1:] for call in board.laser.calls]
    assert names.index(("power", 80000)) < names.index(("fire", MAX_ON))
    assert [kind for kind, _ in board.logged] == ["fire", "off"]
    assert laser.interlock.state == "cooldown"


@pytest.mark.parametrize(
    ("reading", "code"),
    [
        ({"lid": False, "key": True}, "lid_open"),
        ({"lid": True, "key": False}, "key_open"),
        (OSError(5), "unreadable"),
        ({}, "unreadable"),
        (None, "unreadable"),
        (RuntimeError("driver"), "unreadable"),
    ],
)
def test_no_light_with_anything_but_a_closed_interlock(laser, board, reading, code):
    board.reading = reading
    assert laser.press() == "safe"
    assert laser.why_stopped().code == code
    board.reading = {"lid": True, "key": True}
    arm(laser, board)
    board.reading = reading  # opened in the very last moment: emission reads again
    with pytest.raises(faults.UnitError) as caught, laser.emission(1000):
        raise AssertionError("emitting")
    assert caught.value.code == code
    assert not fires(board)
    assert not board.laser.enabled


def test_no_light_without_a_press_or_before_the_warning_is_over(laser, board):
    with pytest.raises(faults.UnitError), laser.emission(1000):
        pass
    assert laser.press() == "armed"
    board.now_ms += WARN - 1
    with pytest.raises(faults.UnitError), laser.emission(1000):
        pass
    assert not fires(board)


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt, SystemExit])
def test_every_exception_switches_off(laser, board, error):
    arm(laser, board)
    with pytest.raises(error), laser.emission(1000):
        raise error
    assert not board.laser.enabled


def test_cancellation_switches_off(laser, board):
    arm(laser, board)

    async def shot():
        with laser.emission(1000):
            await asyncio.sleep(60)

    async def run():
        task = asyncio.create_task(shot())
        await asyncio.sleep(0)
        assert board.laser.enabled
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert not board.laser.enabled


@pytest.mark.parametrize("broken", ["power", "fire"])
def test_a_driver_that_fails_to_fire_is_switched_off_and_faults(laser, board, broken):
    arm(laser, board)
    board.laser.broken = {broken}
    with pytest.raises(faults.UnitError) as caught, laser.emission(1000):
        pass
    assert caught.value.code == "laser_unreadable"
    assert board.laser.calls[-1][1] == "off"
    assert laser.interlock.state == "fault"


def test_an_off_that_fails_is_repeated_until_it_works(laser, board):
    arm(laser, board)
    with laser.emission(1000):
        board.laser.broken = {"off"}
    assert board.laser.enabled  # the hardware did not obey
    assert laser.interlock.state == "fault"
    laser.poll()
    assert board.laser.enabled
    board.laser.broken = set()
    laser.poll()
    assert not board.laser.enabled


@pytest.mark.parametrize(
    ("reading", "state"),
    [
        ({"lid": False, "key": True}, "safe"),
        ({"lid": True, "key": False}, "safe"),
        (OSError(), "fault"),
    ],
)
def test_opening_while_emitting_is_off_at_the_next_poll(laser, board, reading, state):
    arm(laser, board)
    with laser.emission(1000):
        board.reading = reading
        assert laser.poll() == state
        assert not board.laser.enabled
    assert laser.interlock.state == state


def test_the_deadline_ends_emission_without_anybody_else(laser, board):
    arm(laser, board)
    with laser.emission(1000):
        board.laser.until_ms = 10**9  # the one-shot is broken
        board.now_ms += MAX_ON - 1
        laser.poll()
        assert board.laser.enabled
        board.now_ms += 1
        laser.poll()
        assert not board.laser.enabled
    assert laser.why_stopped().code == "time_limit"


def test_the_hardware_ending_it_early_is_noticed(laser, board):
    arm(laser, board)
    with laser.emission(1000):
        board.now_ms += 200
        board.laser.enabled = False
        laser.poll()
        assert laser.interlock.state == "cooldown"
    assert laser.why_stopped().code == "cut"


def poll_for(laser, board, ms, step=5):
    for _ in range(ms // step):
        board.now_ms += step
        laser.poll()


def test_no_light_while_on_latches_a_fault(laser, board):
    arm(laser, board)
    board.laser.light = 0
    with laser.emission(100000):
        poll_for(laser, board, 90)
        assert laser.interlock.state == "emitting"  # not judged while it settles
        poll_for(laser, board, 40)
        assert laser.interlock.state == "fault"
        assert not board.laser.enabled
    assert laser.why_stopped().code == "laser_light_missing"


def test_light_while_off_latches_a_fault(laser, board):
    board.laser.light = 5000
    poll_for(laser, board, 600)
    assert laser.interlock.state == "fault"
    assert laser.why_stopped().code == "laser_light_unexpected"
    board.laser.light = None
    poll_for(laser, board, 600)
    assert laser.interlock.state == "fault"  # latched
    assert laser.press() == "fault"


def test_one_disagreeing_reading_is_no_fault(laser, board):
    arm(laser, board)
    with laser.emission(100000):
        poll_for(laser, board, 150)
        board.laser.light = 0
        poll_for(laser, board, 10)
        board.laser.light = None
        poll_for(laser, board, 50)
        assert laser.interlock.state == "emitting"


def test_a_log_that_fails_does_not_keep_the_laser_on(laser, board):
    arm(laser, board)

    def broken(kind, details):
        raise OSError(28)

    board.log = broken
    with laser.emission(1000):
        assert board.laser.enabled
    assert not board.laser.enabled


def test_only_laser_py_energises():
    for file in fixture.DEVICE.rglob("*.py"):
        if file.name == "laser.py" or file.parent.name in ("boards", "drivers"):
            continue
        text = file.read_text()
        assert ".fire(" not in text, file
        assert "set_power_uw" not in text, file


@pytest.mark.parametrize("fail_at", range(1, 73))
def test_an_error_at_any_call_of_the_hardware_leaves_the_laser_off(board, fail_at):
    """Fail the n-th call of any board function once: whatever happens, the laser ends off."""
    count = 0

    def counting(function):
        def call(*args):
            nonlocal count
            count += 1
            if count == fail_at:
                raise OSError(5, "injected")
            return function(*args)

        return call

    for name in ("set_power_uw", "fire", "read"):
        setattr(board.laser, name, counting(getattr(board.laser, name)))
    board.interlock = counting(board.interlock)
    board.log = counting(board.log)
    lock = interlock.Interlock(MAX_ON, WARN)
    laser = laser_module.Laser(board, lock, MAX_ON, board.ticks_ms)
    laser.step("boot")
    laser.step("checks_ok")
    try:
        laser.press()
        for _ in range(20):
            board.now_ms += 5
            laser.poll()
        with laser.emission(1000):
            for _ in range(20):
                board.now_ms += 5
                laser.poll()
                assert board.laser.enabled == (lock.state == "emitting")
    except faults.UnitError:
        pass
    assert count >= fail_at or lock.state != "emitting"
    assert not board.laser.enabled


def test_arming_warns_once(laser, board):
    arm(laser, board)
    laser.poll()
    assert board.buzzed == ["warning"]


def test_an_off_that_worked_is_not_repeated(laser, board):
    arm(laser, board)
    with laser.emission(1000):
        pass
    before = len(board.laser.calls)
    laser.poll()
    assert len(board.laser.calls) == before


@pytest.mark.parametrize(("readings", "state"), [(2, "emitting"), (3, "fault")])
def test_the_third_disagreeing_reading_is_the_fault(laser, board, readings, state):
    arm(laser, board)
    with laser.emission(100000):
        poll_for(laser, board, 150)
        board.laser.light = 0
        poll_for(laser, board, 5 * readings)
        assert laser.interlock.state == state


def test_strikes_of_one_emission_do_not_count_in_the_next(laser, board):
    for _ in range(2):
        arm(laser, board)
        with laser.emission(100000):
            board.laser.light = None
            poll_for(laser, board, 150)
            board.laser.light = 0
            poll_for(laser, board, 10)
            assert laser.interlock.state == "emitting"
        board.laser.light = None
        board.now_ms += 300
        laser.poll()


def test_a_driver_that_does_not_answer_counts_as_not_enabled_and_faults_while_on(laser, board):
    arm(laser, board)
    with laser.emission(100000):
        poll_for(laser, board, 150)
        board.laser.broken = {"read"}
        assert laser.read() is False
        assert (laser.enabled, laser.can_fire) == (False, False)
        poll_for(laser, board, 20)
        assert laser.interlock.state == "fault"
    assert laser.why_stopped().code == "laser_unreadable"


def test_off_is_sent_even_if_the_state_machine_would_not_ask(laser, board, monkeypatch):
    arm(laser, board)
    with laser.emission(1000):
        monkeypatch.setattr(laser, "_do", lambda action: None)
    assert not board.laser.enabled


def test_light_at_the_limit(laser, board):
    for light, firing in ((500, False), (501, True)):
        board.laser.light = light
        assert laser.read() is True
        assert laser.is_firing() is firing
