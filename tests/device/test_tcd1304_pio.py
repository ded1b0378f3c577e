"""The TCD1304's clocks, from the firmware's own program, against every limit of the data sheet."""

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

TICK_HZ = 12_500_000
ELEMENTS = 3694
CS_WORD = 0x2005
# Toshiba TCD1304DG data sheet, clock and timing requirements, in ns.
MC_HZ = (0.8e6, 4.0e6)
ICG_TO_SH_NS = (100, 1000)  # t2
SH_HIGH_NS = 1000  # t3
SH_TO_ICG_NS = 1000  # t1
SH_PERIOD_NS = 10_000  # shortest integration
ADC_NS = 2000  # 96 cycles of its 48 MHz clock


@pytest.fixture(scope="module")
def program(micropython):
    return pio_run.assemble(micropython, "detectors.tcd1304_pio", "clocks", ("MC", "SH", "ICG"))


def frame(program, words, tick_ns, elements, idle_loops=2):
    """Edges and ADC triggers of one exposure asked for while the program idles."""
    state = program.start(y=CS_WORD)
    seen, triggers = [], []

    def record(until):
        nonlocal state
        before = state
        for after in program.steps(state, until):
            seen.extend(pio_run.edges(program, iter([after]), tick_ns, before))
            if after.receive_fifo:
                triggers.append((before.clock * tick_ns, after.receive_fifo.popleft()))
            before = after
        state = before

    idle_pull = 7  # where it looks whether an exposure is asked for
    for loops in range(idle_loops):
        record(lambda _, s: s.program_counter == idle_pull)
        if loops + 1 < idle_loops:
            record(lambda _, s: s.program_counter == 0)
    state = pio_run.give(state, words)
    record(lambda _, s: len(triggers) == elements and s.program_counter == 0)
    record(lambda _, s: s.program_counter == idle_pull)
    return seen, triggers


def faults(seen, triggers, elements):
    """What the data sheet forbids and these edges do, as sentences."""
    found = []

    def need(good, what):
        if not good:
            found.append(what)

    def of(pin, level):
        return [e.ns for e in seen if e.pin == pin and e.level == level]

    mc = of("MC", 1)
    for a, b in pairwise(mc):
        need(1e9 / MC_HZ[1] <= round(b - a, 3) <= 1e9 / MC_HZ[0], f"MC period {b - a} ns")
    for a, b in pairwise([e.ns for e in seen if e.pin == "MC"]):
        need(b - a >= 100, f"MC half period {b - a} ns")
    for rise, fall in zip(of("SH", 1), of("SH", 0), strict=True):
        need(fall - rise >= SH_HIGH_NS, f"SH high {fall - rise} ns")
    for a, b in pairwise(of("SH", 1)):
        need(b - a >= SH_PERIOD_NS, f"SH period {b - a} ns")
    icg_fall, icg_rise = of("ICG", 0), of("ICG", 1)
    need(len(icg_fall) == len(icg_rise) == 1, "ICG is not one pulse")
    if not (icg_fall and icg_rise):
        return found
    down, up = icg_fall[0], icg_rise[0]
    inside = [ns for ns in of("SH", 1) if down <= ns <= up]
    need(len(inside) == 1, f"{len(inside)} SH pulses while ICG is low")
    for rise in inside:
        fall = min(ns for ns in of("SH", 0) if ns > rise)
        need(ICG_TO_SH_NS[0] <= rise - down <= ICG_TO_SH_NS[1], f"t2 {rise - down} ns")
        need(up - fall >= SH_TO_ICG_NS, f"t1 {up - fall} ns")
    last_mc = max((e for e in seen if e.pin == "MC" and e.ns <= up), key=lambda e: e.ns)
    need(last_mc.level == 1, "ICG rises while MC is low (t4)")
    ticks = [ns for ns, _ in triggers]
    need(len(ticks) == elements, f"{len(ticks)} conversions")
    need({word for _, word in triggers} == {CS_WORD}, "a wrong word goes to the ADC")
    need(all(ns > up for ns in ticks), "a conversion before the read-out")
    quiet = [ns for ns in of("SH", 1) if up < ns < ticks[-1]]
    need(not quiet, "SH pulses during the read-out")
    for a, b in pairwise(ticks):
        need(b - a >= ADC_NS * 1.25, f"{b - a} ns between conversions: the ADC needs {ADC_NS}")
        clocks = sum(a <= ns < b for ns in mc) if elements < 100 else 4
        need(clocks == 4, f"{clocks} MC periods per element")
    return found


@pytest.mark.parametrize("system_hz", [125_000_000, 150_000_000])
def test_all_edges_of_a_whole_frame_keep_the_data_sheet(program, system_hz):
    divider = system_hz / TICK_HZ
    assert divider == int(divider), "a fractional divider jitters"
    tick_ns = divider * 1e9 / system_hz
    seen, triggers = frame(program, [5, ELEMENTS - 1], tick_ns, ELEMENTS)
    assert len(seen) > 2 * 4 * ELEMENTS
    assert faults(seen, triggers, ELEMENTS) == []
    # Elements follow each other at 4 MC exactly, so the n-th conversion is the n-th element's.
    spacing = {round(b - a, 3) for (a, _), (b, _) in pairwise(triggers)}
    assert spacing == {3840.0}


@pytest.mark.parametrize("periods", [1, 2, 40, 1000])
def test_the_exposure_is_the_time_between_two_falls_of_sh(program, periods):
    seen, _ = frame(program, [periods, 9], 80, 10)
    falls = [e.ns for e in seen if e.pin == "SH" and e.level == 0]
    down = next(e.ns for e in seen if e.pin == "ICG" and e.level == 0)
    drained = max(ns for ns in falls if ns < down)
    transferred = min(ns for ns in falls if ns > down)
    assert transferred - drained == (43 + 2 * periods) * 480


@pytest.mark.parametrize("idle_loops", [1, 2, 5])
def test_while_idle_the_shutter_drains_and_mc_never_stops(program, idle_loops):
    seen, triggers = frame(program, [1, 9], 80, 10, idle_loops)
    assert faults(seen, triggers, 10) == []
    down = next(e.ns for e in seen if e.pin == "ICG" and e.level == 0)
    assert sum(e.pin == "SH" and e.level == 1 and e.ns < down for e in seen) == idle_loops
    gaps = {round(b - a) for a, b in pairwise(e.ns for e in seen if e.pin == "MC")}
    assert gaps == {480}


# Delays of the program made wrong, by what must then be said: (instructions, delay, fault).
PLANTED = [
    ((12,), 0, "t2"),  # SH follows ICG at once
    ((12,), 15, "t2"),
    ((13, 14), 0, "SH high"),  # 640 ns
    ((0, 1), 0, "SH high"),
    ((15,), 15, "MC period"),
    ((21,), 15, "MC period"),
    ((27,), 0, "MC half period"),
    ((23, 24, 25, 26, 27, 28, 29, 30), 1, "between conversions"),
]


@pytest.mark.parametrize(("at", "delay", "said"), PLANTED)
def test_a_planted_wrong_delay_is_found(program, at, delay, said):
    changed = program
    for number in at:
        changed = changed.changed(number, program.words[number] & ~0x0F00 | delay << 8)
    seen, triggers = frame(changed, [3, 9], 80, 10)
    assert any(said in fault for fault in faults(seen, triggers, 10)), faults(seen, triggers, 10)


@pytest.mark.parametrize(
    ("at", "flip", "said"),
    [
        (12, 0b10, "t2"),  # ICG stays high before SH
        (16, 0b10, "t1"),
        (22, 0x1000, "t4"),  # ICG rises with MC low
        (0, 0b10, "ICG is not one pulse"),
    ],
)
def test_a_planted_wrong_level_is_found(program, at, flip, said):
    seen, triggers = frame(program.changed(at, program.words[at] ^ flip), [3, 9], 80, 10)
    assert any(said in fault for fault in faults(seen, triggers, 10)), faults(seen, triggers, 10)
