# mypy: ignore-errors
# ruff: noqa: F821
"""The state machine program that clocks a TCD1304: MC on side-set, SH and ICG on set pins.

Only the program and the times that follow from it. `rp2.asm_pio` runs the function with the
assembler's names alone, so it can use nothing else of this file.

A tick is 80 ns (12.5 MHz, a whole divider at 125 and at 150 MHz). MC is 6 ticks high, 6 low:
1.042 MHz of the 0.8 to 4 MHz allowed; a pixel is 4 MC = 3.84 us, for which the ADC needs 2 us.
Data sheet (Toshiba TCD1304DG, timing requirements), each kept here with what it gives:
    t2  ICG falls to SH rises    100..1000 ns, 500 typical     480 ns
    t3  SH high                  at least 1000 ns             1440 ns
    t1  SH falls to ICG rises    at least 1000, 5000 typical  5520 ns
    t4  ICG rises after MC rose, while MC is high              240 ns, 240 ns left
    SH period                    at least 10 us               18.72 us while nothing is asked for
While nothing is asked for, SH repeats with ICG high: the electronic shutter drains the
photodiodes all the time, and an exposure starts from the last of these pulses.
"""

import rp2

TICK_HZ = 12_500_000
HALF_MC_NS = 480
PIXEL_NS = 8 * HALF_MC_NS
FIXED_HALVES = 43  # of an exposure: SH fall of the last drain pulse to SH fall of the read-out
FIRST_PIXEL_HALVES = 17  # SH fall of the read-out to the first trigger of the ADC


# set pins: bit 0 SH, bit 1 ICG. Words: MC periods of the exposure beyond the fixed part, at least
# 1; elements to read, less 1. Register y holds the word that starts a conversion; it is pushed once
# per element, in the fourth half period, and DMA carries it to the ADC.
@rp2.asm_pio(
    sideset_init=rp2.PIO.OUT_LOW,
    set_init=(rp2.PIO.OUT_LOW, rp2.PIO.OUT_HIGH),
)
def clocks():
    wrap_target()
    label("idle")
    set(pins, 0b11).side(0)[5]
    set(x, 15).side(1)[5]
    nop().side(0)[5]
    set(pins, 0b10).side(1)[5]
    label("rest")
    nop().side(0)[5]
    jmp(x_dec, "rest").side(1)[5]
    set(x, 0).side(0)[5]
    pull(noblock).side(1)[5]
    mov(x, osr).side(0)[5]
    jmp(not_x, "idle").side(1)[5]
    label("integrate")
    nop().side(0)[5]
    jmp(x_dec, "integrate").side(1)[5]
    set(pins, 0b00).side(0)[5]
    set(pins, 0b01).side(1)[5]
    set(x, 3).side(0)[5]
    nop().side(1)[5]
    set(pins, 0b00).side(0)[5]
    label("transfer")
    nop().side(1)[5]
    jmp(x_dec, "transfer").side(0)[5]
    pull(block).side(1)[5]
    mov(x, osr).side(0)[5]
    nop().side(1)[2]
    set(pins, 0b10).side(1)[2]
    label("pixel")
    nop().side(0)[5]
    nop().side(1)[5]
    nop().side(0)[5]
    mov(isr, y).side(1)[5]
    push(noblock).side(0)[5]
    nop().side(1)[5]
    nop().side(0)[5]
    jmp(x_dec, "pixel").side(1)[5]
    wrap()
