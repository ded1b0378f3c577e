"""The clocks of S11639-01 and C12880MA, executed, against the limits of both data sheets."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("pio_run", Path(__file__).with_name("pio_run.py"))
pio_run = sys.modules.setdefault("pio_run", importlib.util.module_from_spec(spec))
spec.loader.exec_module(pio_run)

pytestmark = pytest.mark.needs("micropython")

TICK_NS = 160
CLK_HZ = (0.2e6, 5.0e6)  # C12880MA; the S11639-01 takes up to 10 MHz
ST_HIGH_CLOCKS = 6
ST_CYCLE_CLOCKS = 381  # C12880MA; fewer for the S11639-01
SENSOR_CLOCKS = 48  # integration is ST high and these
FIRST_PIXEL_CLOCK = 89
ADC_NS = 2000


@pytest.fixture(scope="module")
def program(micropython):
    return pio_run.assemble(micropython, "detectors.s11639_pio", "clocks", ("CLK", "ST"))


def frame(program, words):
    looks = 1  # where it looks whether an exposure is asked for
    idle = list(
        program.steps(program.start(y=7), lambda _, s: s.clock > 200 and s.program_counter == looks)
    )
    before = asked = pio_run.give(idle[-1], words)
    seen, triggers = [], []
    pixels = words[2] + 1
    ended = lambda _, s: len(triggers) >= pixels and s.program_counter == looks  # noqa: E731
    for state in program.steps(asked, ended):
        seen.extend(pio_run.edges(program, iter([state]), TICK_NS, before))
        if state.receive_fifo:
            triggers.append((before.clock * TICK_NS, state.receive_fifo.popleft()))
        before = state
    return seen, triggers


def faults(seen, triggers, pixels):
    found = []

    def need(good, what):
        if not good:
            found.append(what)

    def of(pin, level):
        return [e.ns for e in seen if e.pin == pin and e.level == level]

    clk = of("CLK", 1)
    for a, b in pairwise(clk):
        need(1e9 / CLK_HZ[1] <= b - a <= 1e9 / CLK_HZ[0], f"CLK period {b - a} ns")
    need(len(of("ST", 1)) == len(of("ST", 0)) == 1, "ST is not one pulse")
    if found:
        return found
    up, down = of("ST", 1)[0], of("ST", 0)[0]
    high = sum(up < ns < down for ns in clk)
    need(high >= ST_HIGH_CLOCKS, f"ST high for {high} CLK")
    cycle = sum(ns > up for ns in clk)
    need(cycle >= ST_CYCLE_CLOCKS or pixels < 288, f"{cycle} CLK from ST to the end")
    for ns in (up, down):
        last = max((e for e in seen if e.pin == "CLK" and e.ns <= ns), key=lambda e: e.ns)
        need(last.level == 0 and ns - last.ns >= 100, "ST changes while CLK is high")
    need(len(triggers) == pixels, f"{len(triggers)} conversions")
    need({word for _, word in triggers} == {7}, "a wrong word goes to the ADC")
    after = [ns for ns in clk if ns > down]
    for n, (ns, _) in enumerate(triggers):
        number = sum(clock <= ns for clock in after)
        need(number == FIRST_PIXEL_CLOCK + n, f"pixel {n} is taken at CLK {number}")
    for (a, _), (b, _) in pairwise(triggers):
        need(b - a >= ADC_NS * 1.25, f"{b - a} ns between conversions")
    return found


@pytest.mark.parametrize("pixels", [288, 2048])
def test_a_whole_frame_keeps_the_data_sheets(program, pixels):
    seen, triggers = frame(program, [4, 86, pixels - 1])
    assert faults(seen, triggers, pixels) == []


@pytest.mark.parametrize("word", [4, 5, 300])
def test_integration_is_st_high_and_48_clocks(program, word):
    seen, _ = frame(program, [word, 86, 3])
    up, down = (next(e.ns for e in seen if e.pin == "ST" and e.level == n) for n in (1, 0))
    assert (down - up) / 3840 + SENSOR_CLOCKS == word + 50


def test_both_system_clocks_divide_evenly():
    assert [hz % 6_250_000 for hz in (125_000_000, 150_000_000)] == [0, 0]


@pytest.mark.parametrize(
    ("words", "change", "said"),
    [
        ([3, 86, 3], None, "ST high for 5 CLK"),
        ([4, 85, 3], None, "pixel 0 is taken at CLK 88"),
        ([4, 86, 3], (5, 0x1000, 0x1000), "ST changes while CLK is high"),
        ([4, 86, 3], (11, 0x1000, 0x1000), "ST changes while CLK is high"),
        ([4, 86, 3], (16, 0x0F00, 0x0000), "between conversions"),
        ([4, 86, 3], (7, 0x0F00, 0x0000), ""),
    ],
)
def test_planted_wrong_delays_are_found(program, words, change, said):
    if change:
        at, mask, value = change
        program = program.changed(at, program.words[at] & ~mask | value)
    seen, triggers = frame(program, words)
    found = faults(seen, triggers, words[2] + 1)
    if said:
        assert any(said in fault for fault in found), found
    else:
        assert found == []  # a longer or shorter half of CLK within limits is no fault
