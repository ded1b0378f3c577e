"""TMP117 thermometer on I2C, thermally joined to the sensor chip.

Data sheet of Texas Instruments, TMP117, "Register Map": Temp_Result at 0x00, two's complement,
7.8125 m degrees C per bit; 0x8000 until the first conversion.
"""

import errno

from micropython import const

ADDRESS = const(0x48)
_RESULT = const(0x00)
_NONE_YET = const(0x8000)


class Tmp117:
    def __init__(self, i2c, address=ADDRESS):
        self._i2c = i2c
        self._address = address
        self._raw = bytearray(2)

    def mdegc(self):
        self._i2c.readfrom_mem_into(self._address, _RESULT, self._raw)
        raw = self._raw[0] << 8 | self._raw[1]
        if raw == _NONE_YET:
            raise OSError(errno.EAGAIN, "thermometer has no reading yet")
        return (raw - 65536 if raw & 0x8000 else raw) * 125 // 16
