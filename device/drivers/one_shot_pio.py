# mypy: ignore-errors
# ruff: noqa: F821
"""The RP2350's hardware one-shot of the laser enable: a state machine that no hanging Python stops.

A word in the queue starts one emission of (its low 16 bits + 1) ticks of 160 us: 10.5 s at most,
whatever the word. Before each the pin is low for PAUSE_TICKS and everything queued meanwhile is
thrown away, so neither more words nor restarts can lengthen an emission or join two of them.
"""

import rp2

TICK_HZ = 6250  # a whole divider at 125 and at 150 MHz
PAUSE_TICKS = 518  # 82.9 ms


@rp2.asm_pio(sideset_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_RIGHT)
def one_shot():
    set(y, 31).side(0)
    label("pause")
    jmp(y_dec, "pause").side(0)[15]
    pull(noblock).side(0)
    pull(noblock).side(0)
    pull(noblock).side(0)
    pull(noblock).side(0)
    pull(block).side(0)
    out(x, 16).side(0)
    label("on")
    jmp(x_dec, "on").side(1)
