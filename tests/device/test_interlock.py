"""The interlock's state machine: complete, and its promises hold for every sequence of events.

The same file runs on the unit; the exhaustive search (`laser_invariants`) runs on MicroPython too.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
m = fixture.device_module("interlock")
spec = importlib.util.spec_from_file_location(
    "laser_invariants", Path(__file__).with_name("laser_invariants.py")
)
invariants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(invariants)

CLOSED = {"lid": True, "key": True}
READINGS = [
    CLOSED,
    {"lid": False, "key": True},
    {"lid": True, "key": False},
    None,
    {},
    {"lid": 1, "key": 1},
]


def test_every_state_and_event_is_defined():
    assert len(m.TABLE) == 16
    for event, row in m.TABLE.items():
        assert set(row) == set(m.STATES), event
        for state, (target, action) in row.items():
            assert target in m.STATES, (event, state)
            assert action in ("", "off", "warn", "fire"), (event, state)


def test_light_comes_from_one_cell_and_arming_from_one():
    cells = [(e, s, *c) for e, row in m.TABLE.items() for s, c in row.items()]
    assert [c[:2] for c in cells if c[3] == "fire"] == [("fire", "armed")]
    assert [c[:2] for c in cells if c[2] == "armed" and c[1] != "armed"] == [("press", "safe")]
    assert [c[:2] for c in cells if c[2] == "emitting" and c[1] != "emitting"] == [
        ("fire", "armed")
    ]


def test_leaving_light_or_arming_always_switches_off():
    for event, row in m.TABLE.items():
        for state in ("armed", "emitting"):
            target, action = row[state]
            if target not in (state, "emitting"):
                assert action == "off", (event, state)


def test_fault_is_left_by_reset_alone_and_into_the_selftest():
    ways = {e: row["fault"][0] for e, row in m.TABLE.items() if row["fault"][0] != "fault"}
    assert ways == {"reset": "selftest"}


def test_the_network_moves_nothing():
    assert all(row == (state, "") for state, row in m.TABLE["request"].items())


def test_opened_while_emitting_is_safe_and_unreadable_is_a_fault():
    assert m.TABLE["opened"]["emitting"] == ("safe", "off")
    assert m.TABLE["unreadable"]["emitting"] == ("fault", "off")


NEAR_WRAP = (1 << 30) - 3


@pytest.mark.parametrize("now", [0, NEAR_WRAP])
def test_the_promises_hold_on_every_transition_that_can_be_reached(now):
    count, states, depth, fires, names = invariants.search(m, now)
    assert names == sorted(m.STATES)  # every state is reached, light by many ways
    assert fires > 10
    assert depth > 10  # the search ended because nothing new was reached
    assert count == states * len(invariants.STEPS)


@pytest.mark.needs("micropython")
def test_the_same_search_on_micropython(micropython):
    here = [list(invariants.search(m, now)) for now in (0, NEAR_WRAP)]
    script = (
        "import interlock, json, laser_invariants\n"
        f"print(json.dumps([laser_invariants.search(interlock, n) for n in (0, {NEAR_WRAP})]))"
    )
    there = micropython(script, heap="4M", path=(fixture.DEVICE, Path(__file__).parent))
    assert json.loads(there.stdout) == here


steps = st.lists(
    st.one_of(
        st.sampled_from([("in", r) for r in READINGS]),
        st.sampled_from([("ev", e) for e in sorted(m.EVENTS) if e not in ("press", "fire")]),
        st.just(("press", None)),
        st.just(("fire", None)),
        st.tuples(st.just("wait"), st.integers(0, 3000)),
    ),
    max_size=80,
)


@given(steps, st.integers(0, (1 << 30) - 1))
def test_any_history_keeps_the_promises_across_a_tick_wrap(history, start_ms):
    lock = m.Interlock(max_on_ms=700, warning_ms=300)
    now, lit_since, inputs_closed = 0, None, False
    for kind, value in [("ev", "boot"), ("ev", "checks_ok"), ("in", CLOSED), *history]:
        ticks = (start_ms + now) & ((1 << 30) - 1)
        before = lock.state
        if kind == "in":
            lock.inputs(value, ticks)
            inputs_closed = value == CLOSED and value["lid"] is True
        elif kind == "ev":
            lock.step(value, ticks)
        elif kind == "press":
            lock.press(ticks)
            lock.indicator(lock.state in ("armed", "emitting"), ticks)
        elif kind == "fire":
            action = lock.fire(ticks)
            assert (action == "fire") == (before == "armed" and lock.state == "emitting")
        else:
            now += value
            lock.tick((start_ms + now) & ((1 << 30) - 1))
        if lock.state == "emitting":
            lit_since = now if before != "emitting" else lit_since
            assert inputs_closed
            assert now - lit_since < 700
        if lock.state == "armed" and before != "armed":
            assert kind == "press"
            assert inputs_closed


def test_the_warning_cannot_be_shortened():
    lock = m.Interlock(max_on_ms=700, warning_ms=300)
    for event in ("boot", "checks_ok"):
        lock.step(event, 0)
    lock.inputs(CLOSED, 0)
    assert lock.press(10) == "warn"
    lock.indicator(True, 10)
    watch(lock, 10, 309)
    assert lock.fire(309) == ""
    assert lock.warning_left_ms(309) == 1
    lock.press(200)  # a second press neither restarts nor shortens it
    assert lock.fire(310) == "fire"


def test_reasons_are_kept_for_the_display():
    lock = m.Interlock(max_on_ms=700, warning_ms=0)
    for event in ("boot", "checks_ok"):
        lock.step(event, 0)
    for reading, reason in [(READINGS[1], "lid_open"), (READINGS[2], "key_open")]:
        lock.inputs(CLOSED, 0)
        lock.press(0)
        lock.indicator(True, 0)
        lock.fire(0)
        assert lock.state == "emitting"
        lock.inputs(reading, 1)
        assert (lock.state, lock.reason) == ("safe", reason)


def cells(event):
    return m.TABLE[event]


@pytest.mark.parametrize("event", ["fault", "checks_failed"])
def test_a_defect_ends_in_fault_from_everywhere(event):
    for state in m.STATES:
        if event == "checks_failed" and state == "fault":
            continue
        assert cells(event)[state] == ("fault", "off"), state
    assert cells(event)["fault"][0] == "fault"


def test_a_second_boot_is_a_fault():
    assert cells("boot")["off"] == ("selftest", "off")
    for state in set(m.STATES) - {"off", "fault"}:
        assert cells("boot")[state] == ("fault", "off"), state


def test_only_harmless_events_leave_light_or_arming_as_it_is():
    stays = {s: {e for e in m.TABLE if cells(e)[s][0] == s} for s in ("armed", "emitting")}
    assert stays["emitting"] == {"closed", "press", "request", "fire", "reset"}
    assert stays["armed"] == {"closed", "press", "request", "reset"}


def test_where_each_end_of_emission_leads():
    ends = {e: cells(e)["emitting"] for e in m.TABLE if cells(e)["emitting"][0] != "emitting"}
    safe, rest, fault = ("safe", "off"), ("cooldown", "off"), ("fault", "off")
    assert ends == {
        "boot": fault,
        "checks_ok": fault,
        "checks_failed": fault,
        "opened": safe,
        "unreadable": fault,
        "press_open": safe,
        "done": rest,
        "cancel": rest,
        "deadline": rest,
        "cut": rest,
        "fault": fault,
    }


def test_asking_for_or_ending_light_in_a_dark_state_repeats_off():
    for state in set(m.STATES) - {"armed", "emitting"}:
        for event in ("fire", "done"):
            assert cells(event)[state] == (state, "off"), (event, state)
    assert cells("deadline")["cooldown"][0] == "safe"


def test_the_warning_counts_down_to_zero():
    lock = m.Interlock(max_on_ms=700, warning_ms=300)
    for event in ("boot", "checks_ok"):
        lock.step(event, 0)
    assert lock.warning_left_ms(0) == 0
    lock.inputs(CLOSED, 0)
    lock.press(0)
    assert lock.warning_left_ms(50) == 300  # not before the indicator is seen
    lock.indicator(True, 0)
    assert [lock.warning_left_ms(t) for t in (0, 299, 300, 400)] == [300, 1, 0, 0]


def watch(lock, from_ms, to_ms):
    """The guard looks often, as it does while a warning runs."""
    for now_ms in range(from_ms, to_ms, 50):
        lock.tick(now_ms)


def ready(warning_ms=300):
    lock = m.Interlock(max_on_ms=700, warning_ms=warning_ms)
    for event in ("boot", "checks_ok"):
        lock.step(event, 0)
    lock.inputs(CLOSED, 0)
    return lock


def test_light_asked_for_by_name_still_needs_the_warning():
    lock = ready()
    lock.press(0)
    lock.indicator(True, 0)
    assert lock.step("fire", 299) == "off"
    assert lock.state == "safe"


def test_firing_keeps_the_reason_and_the_time_the_indicator_was_lit():
    lock = ready()
    lock.press(0)
    lock.indicator(True, 0)
    reason = lock.reason
    watch(lock, 0, 300)
    assert lock.fire(300) == "fire"
    assert (lock.reason, lock.lit_ms) == (reason, 0)


def test_a_nose_contact_counts_from_its_first_reading():
    lock = ready()
    nose = {**CLOSED, "nose": True}
    lock.inputs(nose, 1)
    assert lock.closed
    lock.inputs({**CLOSED, "nose": False}, 2)
    assert lock.open_why == "nose_open"
    lock.inputs(CLOSED, 3)
    assert lock.open_why == "unreadable"
    lock.inputs(nose, 4)
    assert lock.closed


def test_a_lit_indicator_that_should_be_dark_is_a_fault_after_its_time():
    lock = ready()
    for at_ms in (0, 99):
        lock.indicator(True, at_ms)
        assert lock.state == "safe"
    lock.indicator(False, 99)
    lock.indicator(True, 100)
    lock.indicator(True, 199)
    assert lock.state == "safe"  # each disagreement has its own time
    lock.indicator(True, 200)
    assert (lock.state, lock.reason) == ("fault", "indicator_failed")


def test_a_dark_indicator_while_emitting_is_a_fault_at_once_and_in_a_fault_says_nothing():
    lock = ready()
    lock.press(0)
    lock.indicator(True, 0)
    watch(lock, 0, 300)
    lock.fire(300)
    assert lock.indicator(None, 301) == "off"
    assert lock.state == "fault"
    assert lock.indicator(True, 1000) == ""


@pytest.mark.parametrize(
    ("gap_ms", "state", "reason"),
    [(1000, "armed", None), (1001, "safe", "guard_late"), (-1, "fault", "clock_jumped")],
)
def test_a_clock_that_jumps_or_a_late_guard_ends_arming(gap_ms, state, reason):
    lock = ready(warning_ms=3000)
    lock.press(5000)
    lock.tick(5000 + gap_ms)
    assert lock.state == state
    assert reason is None or lock.reason == reason


def test_while_safe_the_clock_may_do_what_it_will():
    lock = ready()
    lock.tick(5000)
    lock.tick(4000)
    assert lock.state == "safe"


def test_a_hold_ends_arming_and_forbids_it_until_it_is_released():
    lock = ready()
    lock.press(0)
    assert lock.hold("updating", 1) == "off"
    lock.inputs(CLOSED, 2)
    assert (lock.closed, lock.open_why) == (False, "updating")
    lock.press(3)
    assert lock.state == "safe"
    lock.release()
    lock.inputs(CLOSED, 4)
    assert lock.press(5) == "warn"


@pytest.mark.parametrize(("gap_ms", "counts"), [(m.LOOK_MS, True), (m.LOOK_MS + 1, False)])
def test_a_warning_that_nobody_watched_does_not_count(gap_ms, counts):
    """A clock that leaps within what a late guard may be must not shorten the warning."""
    lock = m.Interlock(max_on_ms=500, warning_ms=200)
    lock.step("boot", 0)
    lock.step("checks_ok", 0)
    lock.inputs(CLOSED, 0)
    lock.press(0)
    lock.indicator(True, 0)
    lock.tick(gap_ms)
    assert lock.warning_left_ms(gap_ms) == (200 - gap_ms if counts else 200)
    now = gap_ms
    while lock.warning_left_ms(now):
        now += 50
        lock.tick(now)
    assert lock.fire(now) == "fire" and now == (200 if counts else 101 + 200)


def test_a_clock_one_back_ends_the_pause_and_the_patience_with_the_indicator():
    lock = ready()
    assert lock.indicator(True, 100) == ""
    assert lock.indicator(True, 99) == "off"
    assert (lock.state, lock.reason) == ("fault", "indicator_failed")
    lock = ready()
    lock.press(0)
    lock.indicator(True, 0)
    watch(lock, 0, 300)
    lock.fire(300)
    lock.step("done", 310)
    lock.tick(309)
    assert lock.state == "safe"
