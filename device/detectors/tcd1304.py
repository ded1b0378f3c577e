"""Toshiba TCD1304 linear CCD, 3648 pixels, on an RP2350: clocks by PIO, pixels by ADC and DMA.

The sensor gives 3694 elements: 16 dummies, 13 light-shielded ones, 3 dummies, the pixels, 14
dummies. Its output falls with light. Here is the one place where that is turned round: a pixel is
the shielded elements' mean minus its reading, plus a pedestal that keeps the noise of dark pixels
above zero. A pixel that fell by the full swing is full and becomes FULL_COUNTS.

Clock lines go through a buffer that does not invert (SH and ICG are several hundred pF) and the
video through an amplifier; `swing_counts` says what saturation is after it. Not tested on hardware:
the phase between conversion and output, linearity and lag need a real sensor.
"""

import errno
from array import array

import micropython

from detectors import tcd1304_pio as pio
from detectors.clocked import ClockedSensor
from detectors.pixel_adc import FULL_COUNTS

PIXELS = 3648
SHIELDED_FIRST, SHIELDED = 16, 13
PIXEL_FIRST = 32
ELEMENTS = PIXEL_FIRST + PIXELS + 14
PEDESTAL_COUNTS = 64
# What the shielded elements of a connected sensor can give; a floating or shorted line does not.
BIAS_MIN_COUNTS, BIAS_SPREAD_COUNTS = 600, 200


class Detector(ClockedSensor):
    tick_hz = pio.TICK_HZ
    pixels = PIXELS
    elements = ELEMENTS
    readout_ms = ELEMENTS * pio.PIXEL_NS // 1000000 + 1
    exposure_min_us = 25

    def __init__(
        self, machine_of, number, mc, sh, adc, read_mdegc, system_hz, swing_counts=2400
    ):  # ICG is the pin after SH
        self._raw = _half_words(ELEMENTS)
        self._swing_counts = swing_counts
        self.bias_counts = 0  # of the last frame, as the ADC read it
        super().__init__(pio.clocks, machine_of, number, mc, sh, adc, read_mdegc, system_hz)

    def _request(self, exposure_us):
        halves = exposure_us * 1000 // pio.HALF_MC_NS
        return ((halves - pio.FIXED_HALVES) // 2, ELEMENTS - 1)

    def _target(self, into):
        return self._raw

    def _finish(self, into):
        raw = self._raw
        total, low, high = 0, FULL_COUNTS, 0
        for i in range(SHIELDED_FIRST, SHIELDED_FIRST + SHIELDED):
            value = raw[i]
            total += value
            low = min(low, value)
            high = max(high, value)
        bias = total // SHIELDED
        if bias < BIAS_MIN_COUNTS or bias >= FULL_COUNTS or high - low > BIAS_SPREAD_COUNTS:
            raise OSError(errno.ENODEV, "no TCD1304: shielded elements give %d to %d" % (low, high))
        self.bias_counts = bias
        _turn_round(raw, into, PIXELS, bias, self._swing_counts)


def _half_words(n):
    return array("H", bytes(2 * n))


# The constants are PIXEL_FIRST, PEDESTAL_COUNTS and FULL_COUNTS: viper takes no globals cheaply.
@micropython.viper
def _turn_round(raw: ptr16, into: ptr16, n: int, bias: int, swing: int):  # noqa: F821
    for i in range(n):
        fall = bias - int(raw[32 + i])
        value = fall + 64
        if fall >= swing:
            value = 4095
        elif value < 0:
            value = 0
        elif value > 4094:
            value = 4094
        into[i] = value
