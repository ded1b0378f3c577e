"""What the clocked drivers say to state machine, ADC and DMA, and what the program makes of it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("pio_run", Path(__file__).with_name("pio_run.py"))
pio_run = sys.modules.setdefault("pio_run", importlib.util.module_from_spec(spec))
spec.loader.exec_module(pio_run)

pytestmark = pytest.mark.needs("micropython")

SCRIPT = """
import asyncio, json, rp2
from array import array
from sensor import Memory, Pin, Sensor
from detectors.pixel_adc import PixelAdc
import detectors.tcd1304 as tcd1304, detectors.s11639 as s11639

memory = Memory()
eos = Pin(5)

def fill(into, n):
    for i in range(len(into)):
        into[i] = 3000

rp2.sensor = Sensor(memory, lambda words: 0, 0, fill, [], lambda: eos.handler and eos.handler(eos))
adc = PixelAdc(memory, rp2.DMA(), rp2.DMA(), 2)
if KIND == "tcd1304":
    detector = tcd1304.Detector(rp2.StateMachine, 5, Pin(2), Pin(3), adc, None, HZ)
else:
    detector = s11639.Detector(rp2.StateMachine, 5, Pin(2), Pin(3), eos, adc, None, HZ)
started = len(rp2.dialogue)
into = array("H", bytes(2 * detector.pixels))
for us in EXPOSURES:
    asyncio.run(detector.expose(us, into))
print(json.dumps([rp2.dialogue[:started], rp2.dialogue[started:], list(memory.written.items())]))
"""


def dialogue(micropython, kind, exposures, hz=150_000_000):
    script = f"KIND, EXPOSURES, HZ = {kind!r}, {exposures!r}, {hz}\n{SCRIPT}"
    out = micropython(script, path=(pio_run.FAKES, pio_run.DEVICE), heap="512K")
    return json.loads(out.stdout)


@pytest.mark.parametrize(("kind", "elements"), [("tcd1304", 3694), ("s11639", 2048)])
def test_the_recorded_dialogue_of_a_frame(micropython, kind, elements):
    start, said, _ = dialogue(micropython, kind, [1000])
    init = next(entry for entry in start if entry[0] == "init")
    assert init[3] == {"sideset_base": 2, "set_base": 3}
    assert init[4] == {"freq": {"tcd1304": 12_500_000, "s11639": 6_250_000}[kind]}
    assert start[start.index(init) + 1 :] == [
        ["put", 5, [0x2005]],  # enabled, start once, channel 2
        ["exec", 5, "pull()"],
        ["exec", 5, "mov(y, osr)"],
        ["active", 5, True],
    ]
    spoken = [entry for entry in said if entry[0] != "dma_active"]
    assert spoken[:4] == [
        # the ADC's request paces results into the array, the state machine's paces conversions
        ["pack_ctrl", 1, {"size": 1, "inc_read": False, "treq_sel": 48}],
        ["dma", 1, 0x400A000C, "buffer", elements, 2],
        ["pack_ctrl", 0, {"size": 2, "inc_read": False, "inc_write": False, "treq_sel": 13}],
        ["dma", 0, "sm", 0x400A0000, elements, 1],
    ]
    assert [entry[0] for entry in spoken[4:]] == ["put"]
    assert spoken[4][2][-1] == elements - 1


def test_exposures_asked_of_the_driver_are_those_the_ccds_program_makes(micropython):
    exposures = [25, 26, 1000, 4321]
    start, said, _ = dialogue(micropython, "tcd1304", exposures)
    data = next(entry for entry in start if entry[0] == "init")[2]
    program = pio_run.Program(data, ("MC", "SH", "ICG"))
    requests = [entry[2] for entry in said if entry[0] == "put"]
    for asked_us, words in zip(exposures, requests, strict=True):
        state = pio_run.give(program.start(), words)
        icg_rise = lambda _, s: s.program_counter == 23  # noqa: E731
        seen = pio_run.edges(program, program.steps(state, icg_rise), 80, state)
        falls = [e.ns for e in seen if e.pin == "SH" and e.level == 0]
        made_us = (falls[-1] - falls[-2]) / 1000
        assert asked_us - 0.96 - 0.48 <= made_us <= asked_us


def test_exposures_asked_of_the_driver_are_those_the_cmos_program_makes(micropython):
    exposures = [208, 1000, 4321]
    start, said, _ = dialogue(micropython, "s11639", exposures)
    data = next(entry for entry in start if entry[0] == "init")[2]
    program = pio_run.Program(data, ("CLK", "ST"))
    requests = [entry[2] for entry in said if entry[0] == "put"]
    for asked_us, words in zip(exposures, requests, strict=True):
        state = pio_run.give(program.start(), words)
        skipping = lambda _, s: s.program_counter == 12  # noqa: E731
        seen = pio_run.edges(program, program.steps(state, skipping), 160, state)
        up, down = (next(e.ns for e in seen if e.pin == "ST" and e.level == n) for n in (1, 0))
        made_us = (down - up) / 1000 + 48 * 3.84
        assert asked_us - 3.84 <= made_us <= asked_us


@pytest.mark.parametrize("kind", ["tcd1304", "s11639"])
def test_a_system_clock_that_would_jitter_is_refused(micropython, kind):
    with pytest.raises(pytest.fail.Exception, match="multiple of"):
        dialogue(micropython, kind, [], 133_000_000)


def test_the_adc_is_given_back_after_a_frame(micropython):
    _, _, written = dialogue(micropython, "tcd1304", [1000])
    registers = dict(written)
    assert registers[0x400A0008] == 0  # the FIFO takes no other readings
    assert registers[0x400A0010] == 0
    assert registers[0x400A0000] == 0x2001


def test_light_is_turned_round_once_and_full_is_full(micropython):
    script = """
import json
from array import array
import rp2
from detectors.tcd1304 import _turn_round
raw = array("H", [9] * 32 + [3000, 2990, 2000, 601, 600, 0, 3064, 3065, 4095])
into = array("H", bytes(18))
_turn_round(raw, into, 9, 3000, 2400)
print(json.dumps(list(into)))
"""
    out = micropython(script, path=(pio_run.FAKES, pio_run.DEVICE))
    assert json.loads(out.stdout) == [64, 74, 1064, 2463, 4095, 4095, 0, 0, 0]


def test_other_readings_of_the_adc_wait_for_the_pixels(micropython):
    script = """
import json, time
from detectors.pixel_adc import BetweenFrames

class Adc:
    def read_u16(self):
        return 77

ends = time.ticks_add(time.ticks_ms(), 8)
adc = BetweenFrames(Adc(), lambda: time.ticks_diff(ends, time.ticks_ms()) > 0)
began = time.ticks_ms()
first = adc.read_u16(), time.ticks_diff(time.ticks_ms(), began) >= 7
try:
    BetweenFrames(Adc(), lambda: True).read_u16()
    second = "read"
except OSError:
    second = "OSError"
print(json.dumps([first, second]))
"""
    out = micropython(script, path=(pio_run.FAKES, pio_run.DEVICE))
    assert json.loads(out.stdout) == [[77, True], "OSError"]


FRAME = """
import asyncio, json, rp2, time
from array import array
from sensor import Memory, Pin, Sensor
from detectors.pixel_adc import BetweenFrames, PixelAdc
from detectors.s11639 import Detector

memory = Memory()
eos = Pin(5)
rp2.sensor = Sensor(memory, lambda words: 40000, 8000, lambda into, n: None, FAULTS,
                    lambda: eos.handler(eos))
detector = Detector(rp2.StateMachine, 0, Pin(2), Pin(3), eos,
                    PixelAdc(memory, rp2.DMA(), rp2.DMA(), 0), None, 150_000_000)
seen = []
into = array("H", bytes(4096))

class Adc:
    fails = False
    def read_u16(self):
        seen.append(memory.fifo_on)
        if self.fails:
            raise OSError(5)
        return 5

adc = Adc()
light = BetweenFrames(adc, detector.reading_out)
"""


def test_a_reading_in_the_read_out_waits_for_the_last_pixel_and_gives_a_value(micropython):
    script = (
        "FAULTS = []\n"
        + FRAME
        + """
async def main():
    task = asyncio.create_task(detector.expose(40000, into))
    await asyncio.sleep_ms(39)
    began = time.ticks_us()
    value = light.read_u16()
    seen.append(value)
    seen.append(time.ticks_diff(time.ticks_us(), began) > 5000)
    await task

asyncio.run(main())
print(json.dumps(seen))
"""
    )
    out = micropython(script, path=(pio_run.FAKES, pio_run.DEVICE))
    assert json.loads(out.stdout) == [False, 5, True]


def test_a_reading_in_a_read_out_that_never_ends_is_an_error(micropython):
    script = (
        "FAULTS = ['late']\n"
        + FRAME
        + """
async def main():
    task = asyncio.create_task(detector.expose(40000, into))
    await asyncio.sleep_ms(41)
    for wait in (light.read_u16, lambda: None):
        try:
            seen.append(wait())
        except OSError:
            seen.append("OSError")
    try:
        await task
    except OSError:
        seen.append(light.read_u16())

asyncio.run(main())
print(json.dumps(seen))
"""
    )
    out = micropython(script, path=(pio_run.FAKES, pio_run.DEVICE))
    assert json.loads(out.stdout) == ["OSError", None, False, 5]


def test_a_reading_while_a_frame_integrates_does_not_become_its_first_pixel(micropython):
    script = (
        "FAULTS = []\n"
        + FRAME
        + """
async def main():
    light.read_u16()
    task = asyncio.create_task(detector.expose(40000, into))
    await asyncio.sleep_ms(10)
    seen.append(memory.fifo_on)
    light.read_u16()
    seen.append(memory.fifo_on)
    adc.fails = True
    try:
        light.read_u16()
    except OSError:
        seen.append(memory.fifo_on)
    await task
    seen.append(memory.fifo_on)

asyncio.run(main())
print(json.dumps(seen))
"""
    )
    out = micropython(script, path=(pio_run.FAKES, pio_run.DEVICE))
    assert json.loads(out.stdout) == [False, True, False, True, False, True, False]
