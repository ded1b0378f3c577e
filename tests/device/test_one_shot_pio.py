"""The laser's one-shot, executed: low after its time whatever happens, and never longer."""

from __future__ import annotations

import importlib.util
import random
import sys
from itertools import pairwise
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("pio_run", Path(__file__).with_name("pio_run.py"))
pio_run = sys.modules.setdefault("pio_run", importlib.util.module_from_spec(spec))
spec.loader.exec_module(pio_run)

pytestmark = pytest.mark.needs("micropython")

TICK_US = 160
PAUSE_TICKS = 518
END_TICKS = 15_000


@pytest.fixture(scope="module")
def program(micropython):
    return pio_run.assemble(micropython, "drivers.one_shot_pio", "one_shot", ("ENABLE",))


def run(program, events, end_ticks=END_TICKS):
    """Lengths of (high, low before it) in ticks. Events: (tick, "restart") or (tick, [words])."""
    state = program.start()
    waiting = sorted(events, key=lambda event: event[0])
    changes = [(0, state.pin_values & 1)]
    assert changes[0][1] == 0
    while state.clock < end_ticks:
        while waiting and waiting[0][0] <= state.clock:
            _, what = waiting.pop(0)
            if what == "restart":
                state = pio_run.restarted(state)
            else:
                room = 4 - len(state.transmit_fifo)  # put() waits while the queue is full
                state = pio_run.give(state, what[:room])
        before = state
        state = next(program.steps(state, lambda _, s: False))
        if state.pin_values & 1 != changes[-1][1]:
            changes.append((before.clock, state.pin_values & 1))
    changes.append((state.clock, None))
    spans = [(b - a, level) for (a, level), (b, _) in pairwise(changes)]
    highs = [ticks for ticks, level in spans if level == 1]
    lows = [ticks for ticks, level in spans if level == 0]
    return highs, lows, state.pin_values & 1


@pytest.mark.parametrize("word", [0, 1, 5, 624, 12499])
def test_the_pin_is_high_for_exactly_the_ticks_asked(program, word):
    highs, lows, last = run(program, [(1000, [word])])
    assert (highs, last) == ([word + 1], 0)
    assert lows[0] >= PAUSE_TICKS


@pytest.mark.parametrize("word", [0x10000, 0xFFFFFFFF])
def test_no_word_emits_longer_than_16_bits_of_ticks(program, word):
    highs, _, last = run(program, [(1000, [word])], 70_000)
    assert highs == [(word & 0xFFFF) + 1]
    assert last == 0
    assert max(highs) * TICK_US <= 10_500_000


def test_requests_during_an_emission_are_thrown_away(program):
    again = [(tick, [999]) for tick in (1200, 1300, 1999, 2100, 2400)]
    highs, _, last = run(program, [(1000, [999]), *again])
    assert (highs, last) == ([1000], 0)


def test_a_restart_drops_the_pin_at_once_and_starts_nothing(program):
    highs, lows, last = run(program, [(1000, [9999]), (1500, "restart")])
    assert len(highs) == 1
    assert highs[0] <= 501
    assert last == 0
    assert lows[-1] > 10_000


def test_a_request_queued_before_a_restart_does_not_survive_it(program):
    highs, _, _ = run(program, [(1000, [9999]), (1100, [9999]), (1500, "restart")])
    assert len(highs) == 1


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_sent_no_emission_is_longer_and_none_join(program, seed):
    rng = random.Random(seed)
    longest = 400
    events = [
        (tick, "restart" if rng.random() < 0.3 else [rng.randrange(longest)] * rng.randint(1, 5))
        for tick in sorted(rng.randrange(END_TICKS - 1000) for _ in range(rng.choice([5, 60, 200])))
    ]
    highs, lows, last = run(program, events)
    assert all(high <= longest for high in highs)
    assert all(low >= PAUSE_TICKS for low in lows[:-1])
    assert last == 0


def test_python_that_floods_the_queue_gets_bounded_emissions_with_pauses(program):
    events = [(tick, [99] * 4) for tick in range(600, END_TICKS, 7)]
    highs, lows, _ = run(program, events)
    assert len(highs) > 15
    assert max(highs) == 100
    assert min(lows[:-1]) >= PAUSE_TICKS


@pytest.mark.parametrize(
    ("at", "flip"),
    [
        (None, 0),
        (1, 0x0800),  # a pause of half the length
        (8, 0x1000),  # the pin stays low while it counts
        (0, 0x1000),  # the pin is high in the pause
        (6, 0x1000),  # high while it waits
        (1, 0x1000),
    ],
)
def test_a_planted_defect_shows_where_the_program_itself_passes(program, at, flip):
    wrong = program.changed(at, program.words[at] ^ flip) if at is not None else program
    highs, lows, last = run(wrong, [(tick, [99]) for tick in range(600, 4000, 50)], 6000)
    good = set(highs) == {100} and min(lows) >= PAUSE_TICKS and last == 0
    assert good == (at is None)
