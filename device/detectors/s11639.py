"""Hamamatsu S11639-01 (2048 pixels) or C12880MA (288) on an RP2350, clocked by PIO.

Both are CMOS sensors with the same clocks, CLK and ST; video rises with light, so pixels go by DMA
straight into the caller's array. The sensor's EOS pulse after the last pixel tells that a sensor is
there and kept count. Not tested on hardware.
"""

import errno

from detectors import s11639_pio as pio
from detectors.clocked import ClockedSensor

S11639_PIXELS, C12880_PIXELS = 2048, 288


class Detector(ClockedSensor):
    tick_hz = pio.TICK_HZ
    exposure_min_us = 208  # ST high for 6 CLK, and 48 more

    # `eos` is a machine.Pin input with irq().
    def __init__(
        self, machine_of, number, clk, st, eos, adc, read_mdegc, system_hz, pixels=S11639_PIXELS
    ):
        self.pixels = self.elements = pixels
        self.readout_ms = (pio.SKIP_CLOCKS + pixels) * pio.CLOCK_NS // 1000000 + 1
        self._ended = False
        eos.irq(self._on_end)
        super().__init__(pio.clocks, machine_of, number, clk, st, adc, read_mdegc, system_hz)

    def _on_end(self, pin):
        self._ended = True

    def _request(self, exposure_us):
        clocks = exposure_us * 1000 // pio.CLOCK_NS
        return (clocks - pio.FIXED_CLOCKS, pio.SKIP_WORD, self.pixels - 1)

    def _begin(self):
        self._ended = False

    # EOS comes about one CLK after the last pixel; waking up takes longer than that.
    def _finish(self, into):
        if not self._ended:
            raise OSError(errno.ENODEV, "no end of scan from the sensor")
