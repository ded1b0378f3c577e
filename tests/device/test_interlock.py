"""The interlock's state machine: complete, and its promises hold for every sequence of events.

The same file runs on the unit; the exhaustive walk runs on MicroPython too.
"""

from __future__ import annotations

import importlib.util
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


# One walk for CPython and MicroPython: all sequences up to `depth` over what can happen to the
# machine. Machines that are equal (state, closed, ages of the state capped at what matters) are
# walked once.
WALK = """
MAX_ON, WARN = 30, 20
READINGS = [
    {"lid": True, "key": True}, {"lid": False, "key": True}, {"lid": True, "key": False}, None
]
EVENTS = (
    "boot", "checks_ok", "checks_failed", "request", "done", "cancel", "cut", "fault", "reset"
)

def walk(m, depth):
    start = m.Interlock(MAX_ON, WARN, 40, 10)
    seen = {}
    front = [(start.state, False, 0, "", 0, False)]
    steps = [("in", r) for r in READINGS] + [("ev", e) for e in EVENTS]
    steps += [("press", 0), ("fire", 0), ("tick", 5), ("tick", 25), ("tick", 1000)]
    count = 0
    emitted = 0
    for level in range(depth):
        after = {}
        for state, closed, age, reason, on_ms, pressed in front:
            for kind, value in steps:
                lock = m.Interlock(MAX_ON, WARN, 40, 10)
                lock.state, lock.closed, lock.since_ms, lock.reason = state, closed, -age, reason
                now = 0
                acts = []
                if kind == "in":
                    acts.append(lock.inputs(value, now))
                elif kind == "ev":
                    acts.append(lock.step(value, now))
                elif kind == "press":
                    acts.append(lock.press(now))
                elif kind == "fire":
                    acts.append(lock.fire(now))
                else:
                    now = value
                    acts.append(lock.tick(now))
                count += 1
                new_age = now - lock.since_ms
                # 1. light only from ARMED, by `fire`, after the warning, with lid and key closed
                if "fire" in acts:
                    assert (kind, state) == ("fire", "armed"), (kind, state)
                    assert closed and lock.closed and age >= WARN and pressed
                if lock.state == "emitting" and state != "emitting":
                    assert acts == ["fire"]
                    emitted += 1
                # 2. out of light or arming: off at once
                if state in ("emitting", "armed") and lock.state not in ("emitting", "armed"):
                    assert "off" in acts, (state, kind, value)
                # 3. not closed, not lit
                if kind == "in" and not lock.closed:
                    assert lock.state not in ("armed", "emitting")
                # 4. light ends in time: a tick at or after the limit never leaves it on
                if lock.state == "emitting" and kind == "tick":
                    assert new_age < MAX_ON
                # 5. a fault stays until a reset
                if state == "fault":
                    assert lock.state == "fault" or (kind, value) == ("ev", "reset")
                # 6. arming needs the press itself
                if lock.state == "armed" and state != "armed":
                    assert kind == "press" and closed
                now_pressed = lock.state in ("armed", "emitting")
                key = (lock.state, lock.closed, min(new_age, 100), lock.reason, 0, now_pressed)
                if key not in seen:
                    seen[key] = True
                    after[key] = True
        front = list(after)
        if not front:
            return count, emitted, len(seen), level + 1
    return count, emitted, len(seen), 0
"""


def test_all_sequences_until_nothing_new_is_reached():
    scope: dict = {}
    exec(WALK, scope)
    _, emitted, states, depth = scope["walk"](m, 60)
    assert emitted > 0  # the walk does reach light
    assert states > 100
    assert depth > 7  # closed under every step: deeper sequences reach nothing new


@pytest.mark.needs("micropython")
def test_all_sequences_on_micropython(micropython):
    scope: dict = {}
    exec(WALK, scope)
    here = scope["walk"](m, 8)
    there = micropython(WALK + "\nimport interlock\nprint(walk(interlock, 8))\n", heap="1M")
    assert there.stdout.strip() == str(here)


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
    assert [lock.warning_left_ms(t) for t in (0, 299, 300, 400)] == [300, 1, 0, 0]
