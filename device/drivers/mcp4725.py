"""MCP4725 12-bit DAC on I2C: the set-point of the laser's current. Every write is read back.

Data sheet (Microchip DS22039): fast mode write, section 6.1.1; read command, section 6.2. Its
memory may hold another start value than 0, so the first thing done here is to set 0.
"""

import errno

ADDRESS = 0x60
FULL_CODE = 4095


class Mcp4725:
    def __init__(self, i2c, address=ADDRESS):
        self._i2c = i2c
        self._address = address
        self._two = bytearray(2)
        self._three = bytearray(3)
        self.write(0)

    def write(self, code):
        if not 0 <= code <= FULL_CODE:
            raise OSError(errno.EINVAL, "DAC code out of range")
        self._two[0] = code >> 8
        self._two[1] = code & 255
        self._i2c.writeto(self._address, self._two)
        self._i2c.readfrom_into(self._address, self._three)
        if self._three[0] & 6 or (self._three[1] << 4 | self._three[2] >> 4) != code:
            raise OSError(errno.EIO, "DAC did not take its value")
