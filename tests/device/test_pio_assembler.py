"""The stand-in for the port's PIO assembler gives the words that data sheets and documents list."""

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

# Words as printed: RP2040 data sheet, chapter PIO, listings of the `squarewave` and `ws2812`
# examples (ws2812 with one side-set bit), and MicroPython's documentation of asm_pio_encode.
SQUAREWAVE = [0xE081, 0xE101, 0xE000, 0x0001]
WS2812 = [0x6221, 0x1123, 0x1400, 0xA442]
BLOCKING = [0x80A0, 0x8020, 0x8080, 0x8000]


def test_words_are_those_of_the_data_sheet(micropython):
    script = """
import json, rp2

@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def squarewave():
    set(pindirs, 1)
    label("again")
    set(pins, 1)[1]
    set(pins, 0)
    jmp("again")

@rp2.asm_pio(sideset_init=rp2.PIO.OUT_LOW)
def ws2812():
    wrap_target()
    label("bitloop")
    out(x, 1).side(0)[2]
    jmp(not_x, "do_zero").side(1)[1]
    jmp("bitloop").side(1)[4]
    label("do_zero")
    nop().side(0)[4]
    wrap()

@rp2.asm_pio()
def blocking():
    pull()
    push(block)
    pull(noblock)
    push(noblock)

print(json.dumps([p.data()["words"] for p in (squarewave, ws2812, blocking)]))
"""
    words = json.loads(micropython(script, path=(pio_run.FAKES,)).stdout)
    assert words == [SQUAREWAVE, WS2812, BLOCKING]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("nop().side(1)[16]", "delay"), ("nop().side(2)", "side-set"), ("nop()[1].delay(40)", "")],
)
def test_what_does_not_fit_an_instruction_is_refused(micropython, line, complaint):
    script = f"""
import rp2

@rp2.asm_pio(sideset_init=rp2.PIO.OUT_LOW)
def wrong():
    {line}
"""
    done = micropython(script, path=(pio_run.FAKES,), check=False)
    assert done.returncode != 0
    assert "ValueError: " + complaint in done.stderr + done.stdout
