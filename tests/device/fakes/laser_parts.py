"""Pins, an I2C DAC and an ADC that record what is done to them, for the laser driver's tests."""


class Pin:
    OUT = "out"

    def __init__(self, dialogue, number, level=0):
        self.dialogue, self.number, self.level = dialogue, number, level

    def init(self, mode, value=0):
        self.level = value
        self.dialogue.append(("pin", self.number, mode, value))

    def value(self):
        return self.level


class Adc:
    def __init__(self, reading):
        self.reading = reading

    def read_u16(self):
        return self.reading


class DacOnI2c:
    def __init__(self, dialogue):
        self.dialogue, self.code, self.broken, self.deaf = dialogue, 0x800, False, False

    def writeto(self, address, data):
        self.dialogue.append(("i2c", address, list(data)))
        if self.broken:
            raise OSError(5)
        if not self.deaf:
            self.code = (data[0] & 15) << 8 | data[1]

    def readfrom_into(self, address, into):
        into[:] = bytes((0xC0, self.code >> 4, (self.code & 15) << 4))


class Rmt:
    def __init__(self, dialogue):
        self.dialogue = dialogue
        dialogue.append(("rmt",))

    def write_pulses(self, durations, levels):
        self.dialogue.append(("pulses", list(durations), list(levels)))

    def deinit(self):
        self.dialogue.append(("rmt_deinit",))
