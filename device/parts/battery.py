"""Voltage of the battery: a MAX17048 gauge on I2C, or two resistors on an analogue input.

Gauge: data sheet of Maxim (Analog Devices), MAX17048/MAX17049, "Register Summary", VCELL at 0x02,
78.125 uV per bit. What cannot be the voltage of a lithium cell is an OSError, not a number.
"""

import errno

from micropython import const

GAUGE_ADDRESS = const(0x36)
_VCELL = const(0x02)
_LOWEST_MV = const(2000)  # a cell below this does not feed the unit: the reading is wrong
_HIGHEST_MV = const(5000)
_SAMPLES = const(16)


def _plausible(mv):
    if not _LOWEST_MV <= mv <= _HIGHEST_MV:
        raise OSError(errno.EIO, "battery reads " + str(mv) + " mV")
    return mv


class Gauge:
    def __init__(self, i2c, address=GAUGE_ADDRESS):
        self._i2c = i2c
        self._address = address
        self._raw = bytearray(2)

    def mv(self):
        self._i2c.readfrom_mem_into(self._address, _VCELL, self._raw)
        raw = self._raw[0] << 8 | self._raw[1]
        return _plausible(raw * 5 // 64)


class Divider:
    # `adc` gives read_u16(); the resistors in ohm, the reference in mV at full scale.
    def __init__(self, adc, top_ohm, bottom_ohm, full_scale_mv=3300):
        self._adc = adc
        self._top_ohm = top_ohm
        self._bottom_ohm = bottom_ohm
        self._full_scale_mv = full_scale_mv

    def mv(self):
        total = 0
        for _ in range(_SAMPLES):
            total += self._adc.read_u16()
        mv = total * self._full_scale_mv // (_SAMPLES * 65535)
        return _plausible(mv * (self._top_ohm + self._bottom_ohm) // self._bottom_ohm)
