# mypy: ignore-errors
# ruff: noqa: F821
"""The state machine program that clocks a Hamamatsu S11639-01 or C12880MA: CLK and ST.

A tick is 160 ns (6.25 MHz, a whole divider at 125 and at 150 MHz). CLK is 12 ticks high, 12 low:
260 kHz of the 0.2 to 5 MHz both sensors take; one pixel per CLK, for which the ADC needs 2 us.
Data sheets, timing chart: integration is ST high plus 48 CLK; ST is high for at least 6 CLK and
changes while CLK is low; video of the first pixel comes with the 89th CLK after ST fell. Check the
last number against the revision of the sensor at hand.
"""

import rp2

TICK_HZ = 6_250_000
CLOCK_NS = 3840
FIXED_CLOCKS = 50  # of an integration: 2 of the program, 48 of the sensor
SKIP_CLOCKS = 88  # from the fall of ST to the first pixel's CLK
SKIP_WORD = SKIP_CLOCKS - 2


# Words: CLK periods of ST high less 2, at least 4; SKIP_WORD; pixels less 1. Register y holds the
# word that starts a conversion; it is pushed once per pixel, when CLK falls.
@rp2.asm_pio(sideset_init=rp2.PIO.OUT_LOW, set_init=rp2.PIO.OUT_LOW)
def clocks():
    wrap_target()
    label("idle")
    set(x, 0).side(1)[11]
    pull(noblock).side(0)[11]
    mov(x, osr).side(1)[11]
    jmp(not_x, "idle").side(0)[11]
    nop().side(1)[11]
    nop().side(0)[5]
    set(pins, 1).side(0)[5]
    label("integrate")
    nop().side(1)[11]
    jmp(x_dec, "integrate").side(0)[11]
    pull(block).side(1)[11]
    mov(x, osr).side(0)[5]
    set(pins, 0).side(0)[5]
    label("skip")
    nop().side(1)[11]
    jmp(x_dec, "skip").side(0)[11]
    pull(block).side(1)[11]
    mov(x, osr).side(0)[11]
    label("pixel")
    mov(isr, y).side(1)[11]
    push(noblock).side(0)[5]
    jmp(x_dec, "pixel").side(0)[5]
    wrap()
