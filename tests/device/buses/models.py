"""The far ends of the buses, for CPython and MicroPython: recorded dialogues and display chips.

`Dialogue` is a bus that knows every byte in advance. `Ssd1306` and `St7789` decode commands as the
data sheets say and hold the picture memory, so a test sees what a person would. No firmware here.
"""


class Dialogue:
    """An I2C bus: [("write", address, bytes) | ("read", address, register, bytes) | OSError]."""

    def __init__(self, lines):
        self.lines = list(lines)

    def _next(self, got):
        assert self.lines, f"unexpected: {got}"
        line = self.lines.pop(0)
        if isinstance(line, OSError):
            raise line
        return line

    def writeto(self, address, data):
        got = ("write", address, bytes(data))
        want = self._next(got)
        assert got == want, f"{got} instead of {want}"

    def writeto_mem(self, address, register, data):
        self.writeto(address, bytes((register,)) + bytes(data))

    def readfrom_mem(self, address, register, count):
        line = self._next(("read", address, register))
        assert line[:3] == ("read", address, register), (line, address, register)
        assert len(line[3]) == count
        return line[3]

    def readfrom_mem_into(self, address, register, buffer):
        buffer[:] = self.readfrom_mem(address, register, len(buffer))

    def done(self):
        assert not self.lines, self.lines


class Pin:
    def __init__(self, value=0):
        self.level = value

    def value(self, *level):
        if level:
            self.level = level[0]
        return self.level


# Command Table of the SSD1306: how many bytes follow a command.
SSD1306_ARGUMENTS = {
    0x20: 1, 0x21: 2, 0x22: 2, 0x81: 1, 0x8D: 1, 0xA8: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1,
    0xDB: 1, 0xA1: 0, 0xC8: 0, 0xA4: 0, 0xA6: 0, 0xAE: 0, 0xAF: 0, 0x40: 0,
}  # fmt: skip


class Ssd1306:
    def __init__(self, address=0x3C):
        self.address = address
        self.memory = [bytearray(b"\xa5" * 128) for _ in range(8)]  # noise after power-up
        self.on = False
        self.on_at = None  # picture when it was switched on
        self.mode = 2  # page addressing after a reset
        self.columns, self.pages = (0, 127), (0, 7)
        self.column = self.page = 0
        self.written = 0
        self.absent = False

    def writeto(self, address, data):
        if self.absent or address != self.address:
            raise OSError(19)
        assert data[0] in (0x00, 0x40), "control byte"
        if data[0] == 0x40:
            self._pixels(data[1:])
        else:
            self._commands(bytes(data[1:]))

    def _commands(self, data):
        at = 0
        while at < len(data):
            command = data[at]
            count = SSD1306_ARGUMENTS[command]
            arguments = data[at + 1 : at + 1 + count]
            assert len(arguments) == count
            at += 1 + count
            if command == 0x20:
                self.mode = arguments[0]
            elif command == 0x21:
                self.columns = tuple(arguments)
                self.column = arguments[0]
            elif command == 0x22:
                self.pages = tuple(arguments)
                self.page = arguments[0]
            elif command in (0xAE, 0xAF):
                self.on = command == 0xAF
                self.on_at = self.picture()

    def _pixels(self, data):
        assert self.mode == 0
        self.written += len(data)
        for byte in data:
            self.memory[self.page][self.column] = byte
            self.column += 1
            if self.column > self.columns[1]:
                self.column = self.columns[0]
                self.page = self.page + 1 if self.page < self.pages[1] else self.pages[0]

    def picture(self):
        lines = []
        for page in self.memory:
            for bit in range(8):
                lines.append("".join("#" if byte >> bit & 1 else "." for byte in page))
        return lines


class St7789:
    """SPI, D/C and chip select in one; `spi`, `dc`, `cs` are what a driver gets."""

    def __init__(self, width, height=240):
        self.width, self.height = width, height
        self.pixels = [[None] * width for _ in range(height)]
        self.dc, self.cs = Pin(), Pin(1)
        self.spi = self
        self.commands = []  # [command, bytes of arguments]; picture data is counted only
        self.bytes = 0
        self.waited_ms = []
        self._x = self._y = 0
        self._high = None

    def sleep_ms(self, ms):
        self.waited_ms.append((self.commands[-1][0] if self.commands else None, ms))

    def write(self, data):
        assert self.cs.level == 0, "chip is not selected"
        if self.dc.level == 0:
            assert len(data) == 1
            self.commands.append([data[0], b""])
            if data[0] == 0x2C:
                self._x, self._y = self._range(0x2A)[0], self._range(0x2B)[0]
                self._high = None
        elif self.commands[-1][0] == 0x2C:
            self._draw(data)
        else:
            self.commands[-1][1] += bytes(data)

    def _range(self, command):
        raw = [arguments for name, arguments in self.commands if name == command][-1]
        return raw[0] << 8 | raw[1], raw[2] << 8 | raw[3]

    def _draw(self, data):
        self.bytes += len(data)
        left, right = self._range(0x2A)
        assert len(data) % 2 == 0 and right < self.width
        for at in range(0, len(data), 2):
            value = data[at] << 8 | data[at + 1]
            self.pixels[self._y][self._x] = value
            self._x += 1
            if self._x > right:
                self._x = left
                self._y += 1
