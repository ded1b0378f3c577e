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


def counted(monkeypatch, owner, name):
    calls = []
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: (calls.append(args), real(*args))[1])
    return calls


def test_what_is_read_how_often(laser, board, monkeypatch):
    reads = counted(monkeypatch, board.laser, "read")
    looks = counted(monkeypatch, board, "indicator")
    for _ in range(16):
        laser.poll()
    assert (len(reads), len(looks)) == (2, 2)
    board.reading = {"lid": False, "key": True}
    laser.press()
    assert len(looks) == 2  # a refused press lights nothing
    board.reading = {"lid": True, "key": True}
    laser.press()
    for _ in range(7):
        laser.poll()
    assert (len(reads), len(looks)) == (2, 10)
    board.now_ms += WARN
    with laser.emission(1000):
        before = len(reads)
        for _ in range(7):
            laser.poll()
        assert len(reads) == before + 7


def test_the_indicator_is_lit_from_the_press_to_the_end_and_told_once(laser, board, monkeypatch):
    told = counted(monkeypatch, board, "indicate")
    arm(laser, board)
    assert board.lamp
    with laser.emission(1000):
        assert board.lamp
    laser.off()
    laser.off()
    assert told == [(True,), (False,)]


def test_the_indicator_stays_lit_while_the_laser_may_be_on(laser, board):
    arm(laser, board)
    with laser.emission(1000):
        board.laser.broken = {"off"}
    laser.poll()
    assert board.lamp
    board.laser.broken = set()
    laser.poll()
    assert not board.lamp


@pytest.mark.parametrize("readback", [False, OSError(5)])
def test_an_indicator_that_fails_is_no_light_and_a_fault(laser, board, readback):
    board.readback = readback
    laser.press()
    for _ in range(30):
        board.now_ms += 5
        laser.poll()
    assert laser.why_stopped().code == "indicator_failed"
    assert not fires(board)


def test_a_board_without_a_readback_fires_on_what_it_told(laser, board):
    board.readback = None
    arm(laser, board)
    with laser.emission(1000):
        assert board.laser.enabled


def test_an_indicator_that_cannot_be_told_is_a_fault(laser, board):
    def broken(lit):
        raise OSError(5)

    board.indicate = broken
    assert laser.press() == "fault"
    assert laser.why_stopped().code == "indicator_failed"


LOW = laser_module.LOW_UW


@pytest.mark.parametrize(
    ("answer", "power", "fires_"),
    [
        ("no", LOW + 1, True),
        ("yes", LOW + 1, False),
        ("unknown", LOW + 1, False),
        ("yes", LOW, True),
    ],
)
def test_only_no_permits_more_than_low_power(laser, board, answer, power, fires_):
    arm(laser, board)
    laser.answered(answer, 100000)
    if fires_:
        with laser.emission(power):
            assert board.laser.enabled
        assert laser.limit_uw == LOW  # an answer is good for one emission
        return
    with pytest.raises(faults.UnitError) as caught, laser.emission(power):
        pass
    assert caught.value.code == "laser_power_refused"
    assert laser.interlock.state == "fault"
    assert not fires(board)


@pytest.mark.parametrize(
    ("power", "allowed"), [(0, True), (LOW, True), (LOW + 1, False), (-1, False)]
)
def test_the_power_of_a_running_emission_keeps_the_limit(laser, board, power, allowed):
    arm(laser, board)
    laser.answered("yes", 100000)
    with laser.emission(1000):
        laser.answered("no", 100000)  # too late for this one
        if allowed:
            laser.set_power(power)
            assert board.laser.enabled
        else:
            with pytest.raises(faults.UnitError):
                laser.set_power(power)
            assert not board.laser.enabled


def off_raising(board, monkeypatch, *errors):
    left = list(errors)
    real = board.laser.off

    def off():
        if left:
            raise left.pop(0)
        real()

    monkeypatch.setattr(board.laser, "off", off)


def test_a_break_while_switching_off_goes_on_when_it_is_off(laser, board, monkeypatch):
    arm(laser, board)
    with pytest.raises(KeyboardInterrupt), laser.emission(1000):
        off_raising(board, monkeypatch, KeyboardInterrupt())
    assert not board.laser.enabled
    assert laser.interlock.state == "cooldown"


def test_an_off_that_fails_once_works_at_once_and_latches(laser, board, monkeypatch):
    arm(laser, board)
    with laser.emission(1000):
        off_raising(board, monkeypatch, OSError(5))
    assert not board.laser.enabled
    assert laser.interlock.state == "fault"


def test_reasons_without_a_text_get_a_general_one(laser, board):
    assert laser.press() == "armed"
    laser.step("cancel", "odd")
    assert laser.why_stopped().code == "not_armed"
    laser.step("fault", "odd")
    board.reading = {"lid": False, "key": True}
    laser.poll()
    assert laser.why_stopped().code == "fault"


@pytest.mark.parametrize(("after_ms", "state"), [(0, "emitting"), (99, "emitting"), (100, "fault")])
def test_the_photodiode_is_judged_when_it_has_settled(laser, board, after_ms, state):
    arm(laser, board)
    with laser.emission(100000):
        board.laser.light = 0
        board.now_ms += after_ms
        for _ in range(3):
            laser.poll()
        assert laser.interlock.state == state


@pytest.mark.parametrize(
    ("light", "state"),
    [(4999, "fault"), (5000, "emitting"), (15500, "emitting"), (15501, "fault")],
)
def test_light_of_a_set_power_has_limits(laser, board, light, state):
    arm(laser, board)
    with laser.emission(10000):
        board.laser.light = light
        poll_for(laser, board, 150)
        assert laser.interlock.state == state


@pytest.mark.parametrize(("light", "state"), [(500, "safe"), (501, "fault")])
def test_light_while_off_has_a_limit(laser, board, light, state):
    board.laser.light = light
    poll_for(laser, board, 1000)
    assert laser.interlock.state == state


def test_a_gate_that_allows_light_with_the_lid_open_is_a_fault(laser, board, monkeypatch):
    board.reading = {"lid": False, "key": True}
    poll_for(laser, board, 1000)
    assert laser.interlock.state == "safe"
    monkeypatch.setattr(board.laser, "read", lambda: (False, True, 0, 25000))
    poll_for(laser, board, 1000)
    assert laser.why_stopped().code == "laser_gate_stuck"


def test_no_light_while_the_hardware_does_not_allow_it(laser, board, monkeypatch):
    arm(laser, board)
    monkeypatch.setattr(board.laser, "read", lambda: (False, False, 0, 25000))
    with pytest.raises(faults.UnitError) as caught, laser.emission(1000):
        pass
    assert caught.value.code == "cut"
    assert not fires(board)


def test_no_light_while_the_driver_does_not_answer(laser, board):
    arm(laser, board)
    board.laser.broken = {"read"}
    with pytest.raises(faults.UnitError) as caught, laser.emission(1000):
        pass
    assert caught.value.code == "laser_unreadable"
    assert not fires(board)


def test_a_hold_ends_light_and_says_why(laser, board):
    arm(laser, board)
    with laser.emission(1000):
        laser.hold("updating")
        assert not board.laser.enabled
    laser.poll()
    assert laser.press() == "safe"
    assert laser.why_stopped().code == "updating"
    laser.release()
    assert laser.press() == "armed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_main_switches_off_whatever_breaks_it_again_and_again(board, monkeypatch, error):
    main = fixture.device_module("main")
    board.laser.fire(1000)
    off_raising(board, monkeypatch, *[error() for _ in range(main.OFF_TRIES - 1)])
    main._off(board)
    assert not board.laser.enabled


def test_light_is_judged_although_the_clock_ran_back_behind_the_last_edge(laser, board):
    board.now_ms -= 1
    board.laser.light = 5000
    for _ in range(laser_module.IDLE_READS * laser_module.STRIKES):
        laser.poll()
    assert laser.interlock.reason == "laser_light_unexpected"
