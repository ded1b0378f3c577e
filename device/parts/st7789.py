"""ST7789 colour display, 240 x 240 or 320 x 240 pixels on SPI: rows of 30 pixels, letters 24 high.

Commands: data sheet of Sitronix, ST7789V, "System Function Command Table 1". Text is drawn by
framebuf in its 8 x 8 letters, spread over the width; each line is sent three times. Pixels are
RGB565, high byte first. One row is 14 to 19 kB, about 4 ms at 40 MHz. No gamma settings, no
rotation other than the panel's wiring needs (`madctl`).
"""

import framebuf
from micropython import const

_SWRESET = const(0x01)
_SLPOUT = const(0x11)
_NORON = const(0x13)
_INVON = const(0x21)
_DISPON = const(0x29)
_CASET = const(0x2A)
_RASET = const(0x2B)
_RAMWR = const(0x2C)
_MADCTL = const(0x36)
_COLMOD = const(0x3A)

RESET_MS = const(150)  # software reset takes 5 ms, 120 ms before the next sleep out
SLEEP_OUT_MS = const(120)

_LINES = const(10)  # 8 of the letters, one above, one below
_TALL = const(3)  # each is sent so often
ROW_HEIGHT = const(30)
_LETTER = const(8)
_COLUMNS = const(26)


# RGB565 in the order the display wants; framebuf stores the low byte first.
def swapped(red, green, blue):
    value = (red & 0xF8) << 8 | (green & 0xFC) << 3 | blue >> 3
    return (value & 0xFF) << 8 | value >> 8


BLACK = swapped(0, 0, 0)
WHITE = swapped(255, 255, 255)
# style: (letters, ground)
STYLES = {
    "": (WHITE, BLACK),
    "title": (swapped(255, 255, 0), BLACK),
    "ok": (swapped(0, 255, 0), BLACK),
    "warn": (BLACK, swapped(255, 200, 0)),
    "bad": (WHITE, swapped(200, 0, 0)),
    "dim": (swapped(170, 170, 170), BLACK),
}


class Panel:
    # `dc` and `cs` are output pins; `sleep_ms` waits. `madctl` 0x00 is upright on a 240 x 240
    # panel, 0x60 lying on a 320 x 240 one (rows and columns exchanged, columns mirrored).
    def __init__(self, spi, dc, cs, sleep_ms, width=240, madctl=0x00):
        self._spi = spi
        self._dc = dc
        self._cs = cs
        self._sleep_ms = sleep_ms
        self._width = width
        self._madctl = madctl
        self._pixels = bytearray(width * _LINES * 2)
        self._view = memoryview(self._pixels)
        self._buffer = framebuf.FrameBuffer(self._pixels, width, _LINES, framebuf.RGB565)
        self._pitch = width // _COLUMNS
        self._left = (width - _COLUMNS * self._pitch + self._pitch - _LETTER) // 2
        self._window = bytearray(4)

    def start(self):
        self._command(_SWRESET)
        self._sleep_ms(RESET_MS)
        self._command(_SLPOUT)
        self._sleep_ms(SLEEP_OUT_MS)
        self._command(_COLMOD, b"\x55")  # 16 bits per pixel
        self._command(_MADCTL, bytes((self._madctl,)))
        self._command(_INVON)  # IPS panels show true colours inverted
        self._command(_NORON)
        for row in range(240 // ROW_HEIGHT):
            self.draw(row, "", "")
        self._command(_DISPON)

    def draw(self, row, text, style):
        letters, ground = STYLES.get(style, STYLES[""])
        self._buffer.fill(ground)
        x = self._left
        for character in text:
            if character != " ":
                self._buffer.text(character, x, 1, letters)
            x += self._pitch
        top = row * ROW_HEIGHT
        self._range(_CASET, 0, self._width - 1)
        self._range(_RASET, top, top + ROW_HEIGHT - 1)
        self._command(_RAMWR)
        stride = self._width * 2
        self._dc.value(1)
        self._cs.value(0)
        try:
            for line in range(_LINES):
                pixels = self._view[line * stride : (line + 1) * stride]
                for _ in range(_TALL):
                    self._spi.write(pixels)
        finally:
            self._cs.value(1)

    def _range(self, command, first, last):
        window = self._window
        window[0], window[1] = first >> 8, first & 0xFF
        window[2], window[3] = last >> 8, last & 0xFF
        self._command(command, window)

    def _command(self, command, data=None):
        self._cs.value(0)
        try:
            self._dc.value(0)
            self._spi.write(bytes((command,)))
            if data is not None:
                self._dc.value(1)
                self._spi.write(data)
        finally:
            self._cs.value(1)
