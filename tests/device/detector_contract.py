"""What every detector driver must do, as tests that a driver's test class inherits.

A subclass says in `prelude(faults)` how to make its driver on MicroPython: lines that define
`detector`, `PIXELS`, `expected(n, i)` (pixel i of the n-th frame that the hardware gives),
`asked_us()` (exposures the hardware was asked for), `thermometer(broken)` and `quiet()` (after it
the fakes record nothing). `faults` names what
goes wrong at each exposure in turn; "ok" or the end of the list is nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
DEVICE = HERE.parents[1] / "device"

TOOLS = """
import asyncio, gc, json, sys, time
from array import array

answers = []

def note(value):
    answers.append(value)

async def frame(us, size=None):
    into = array("H", [0xBEEF] * (PIXELS if size is None else size))
    await detector.expose(us, into)
    return into

async def tried(us):
    try:
        await frame(us)
        return "ok"
    except OSError as error:
        return "OSError"

def number_of(into, numbers=range(20)):
    for n in numbers:
        if all(into[i] == expected(n, i) for i in range(PIXELS)):
            return n
    return -1
"""


@pytest.mark.needs("micropython")
class DetectorContract:
    """Inherit, and set what differs."""

    faults: tuple[str, ...] = ()  # every way its hardware can fail at an exposure
    final: tuple[str, ...] = ()  # those after which no exposure can succeed
    exposures_us: tuple[int, ...] = (5000, 40000)
    rounding_us = 0  # the hardware's step of the exposure
    bytes_per_frame = 2048  # most that a frame may take from the heap

    @pytest.fixture
    def unit(self, micropython: Any) -> Any:
        """Run the body of `async def main()` with the driver; what it noted."""

        def run(body: str, faults: list[str] | None = None) -> list[Any]:
            prelude, arguments, done = self.prelude(faults or [])
            lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
            script = (
                f"{TOOLS}\n{prelude}\nasync def main():\n{lines}\n"
                "asyncio.run(main())\nprint(json.dumps(answers))\n"
            )
            try:
                out = micropython(
                    script, *arguments, path=(HERE / "fakes", DEVICE), heap="512K", timeout_s=60
                )
            finally:
                done()
            return list(json.loads(out.stdout.strip().split("\n")[-1]))

        return run

    def prelude(self, faults: list[str]) -> tuple[str, list[Any], Any]:
        """Script lines, arguments of the script, and what to call when it has ended."""
        raise NotImplementedError

    def test_a_frame_fills_exactly_the_buffer(self, unit):
        assert unit("note(number_of(await frame(6000)))") == [0]

    @pytest.mark.parametrize("more", [-1, 1])
    def test_a_buffer_of_another_size_is_refused(self, unit, more):
        body = f"""
try:
    await frame(6000, PIXELS + {more})
    note("taken")
except OSError:
    note("refused")
note(number_of(await frame(6000)) >= 0)
"""
        assert unit(body) == ["refused", True]

    def test_the_exposure_asked_for_is_the_one_made_and_waited_for(self, unit):
        body = f"""
for us in {self.exposures_us}:
    began = time.ticks_us()
    await frame(us)
    note(time.ticks_diff(time.ticks_us(), began))
note(asked_us())
"""
        *waited, asked = unit(body)
        for us, took, made in zip(self.exposures_us, waited, asked, strict=True):
            assert took >= made
            assert us - self.rounding_us <= made <= us

    def test_other_tasks_run_meanwhile(self, unit):
        body = """
turns = 0
async def other():
    nonlocal turns
    while True:
        turns += 1
        await asyncio.sleep_ms(1)
task = asyncio.create_task(other())
await frame(60000)
task.cancel()
note(turns)
"""
        assert unit(body)[0] >= 10

    def test_two_frames_back_to_back_are_two_frames(self, unit):
        body = "for _ in range(3):\n    note(number_of(await frame(5000)))"
        assert unit(body) == [0, 1, 2]

    def test_every_failure_is_an_oserror_and_the_next_frame_is_good(self, unit):
        assert self.faults
        for fault in self.faults:
            body = "note(await tried(5000))"
            if fault in self.final:
                assert unit(body, [fault]) == ["OSError"], fault
                continue
            body += "\nnote(number_of(await frame(5000)) > 0)"
            assert unit(body, [fault]) == ["OSError", True], fault

    def test_a_cancelled_exposure_leaves_the_detector_usable(self, unit):
        body = """
for after_ms in (0, 2, 30, 66):
    task = asyncio.create_task(frame(60000))
    await asyncio.sleep_ms(after_ms)
    task.cancel()
    try:
        await task
        note("not cancelled")
    except asyncio.CancelledError:
        pass
    note(number_of(await frame(5000)) >= 0)
"""
        answers = unit(body)
        assert answers.count(True) == 4
        assert len(answers) - 4 <= 1  # the last may have been faster than its cancellation

    def test_the_temperature_is_whole_and_a_broken_thermometer_says_so(self, unit):
        body = """
note(detector.temperature_mdegc())
await frame(5000)
note(detector.temperature_mdegc())
thermometer(True)
try:
    note(detector.temperature_mdegc())
except OSError:
    note("OSError")
"""
        first, second, broken = unit(body)
        assert (first, second, broken) == (24875, 24875, "OSError")
        assert isinstance(first, int)

    def test_a_frame_takes_no_more_of_the_heap_than_stated(self, unit):
        body = """
into = array("H", bytes(2 * PIXELS))
quiet()
for _ in range(3):
    await detector.expose(5000, into)
gc.collect()
gc.disable()
before = gc.mem_alloc()
for _ in range(4):
    await detector.expose(5000, into)
note((gc.mem_alloc() - before) // 4)
gc.enable()
gc.collect()
note(gc.mem_alloc() - before)
"""
        each, left = unit(body)
        assert each <= self.bytes_per_frame
        assert left <= 256  # nothing is kept
