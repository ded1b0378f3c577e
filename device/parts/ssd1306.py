"""SSD1306 display of 128 x 64 pixels on I2C: a row of text is one page of the chip.

Commands: data sheet of Solomon Systech, SSD1306, "Command Table" and "Command Descriptions";
control bytes: "I2C-bus Write data"; charge pump: application note "Charge Pump Setting". A whole
screen is 8 writes of 129 bytes, about 25 ms at 400 kHz; one row 3 ms. No brightness control.
"""

from micropython import const

from parts import letters

ADDRESS = const(0x3C)
WIDTH = const(128)
_PITCH = const(5)
_COMMANDS = const(0x00)  # control byte: the rest are commands
_DATA = const(0x40)  # control byte: the rest are pixels

START = bytes(
    (
        _COMMANDS,
        0xAE,  # display off
        0xD5, 0x80,  # clock divide 1, frequency as after a reset
        0xA8, 0x3F,  # multiplex ratio: 64 rows
        0xD3, 0x00,  # no display offset
        0x40,  # start line 0
        0x8D, 0x14,  # charge pump on
        0x20, 0x00,  # memory addressing: horizontal
        0xA1,  # segment remap: column 127 is SEG0
        0xC8,  # COM scan direction: from the last
        0xDA, 0x12,  # COM pins: alternative
        0x81, 0xCF,  # contrast
        0xD9, 0xF1,  # pre-charge period
        0xDB, 0x40,  # VCOMH deselect level
        0xA4,  # show the memory
        0xA6,  # not inverted
    )
)  # fmt: skip
ON = bytes((_COMMANDS, 0xAF))


class Panel:
    def __init__(self, i2c, address=ADDRESS):
        self._i2c = i2c
        self._address = address
        self._page = bytearray(1 + WIDTH)
        self._page[0] = _DATA
        self._window = bytearray((_COMMANDS, 0x21, 0, WIDTH - 1, 0x22, 0, 7))

    # The memory holds noise after power-up: it is cleared before the display goes on.
    def start(self):
        self._i2c.writeto(self._address, START)
        for row in range(8):
            self.draw(row, "", "")
        self._i2c.writeto(self._address, ON)

    # "bad" is inverse, "warn" underlined; there is no other way to stress in one colour.
    def draw(self, row, text, style):
        self._paint(text, style)
        window = self._window
        window[5] = row
        self._i2c.writeto(self._address, window)
        self._i2c.writeto(self._address, self._page)

    def _paint(self, text, style):
        page = self._page
        for at in range(1, 1 + WIDTH):
            page[at] = 0
        at = 1
        # 26 letters of 5 pixels are 2 too wide: the gap after the last is none, the first space
        # gives the other. A row without any space loses the last column of its last letter.
        narrow = len(text) * _PITCH - 1 > WIDTH
        for character in text:
            if narrow and character == " ":
                narrow = False
                at += _PITCH - 1
                continue
            columns = letters.letter(character)
            for column in columns:
                if at <= WIDTH:
                    page[at] = column
                at += 1
            at += 1
        if style == "bad":
            for at in range(1, 1 + WIDTH):
                page[at] ^= 0xFF
        elif style == "warn" and text:
            for at in range(1, 1 + WIDTH):
                page[at] |= 0x80
