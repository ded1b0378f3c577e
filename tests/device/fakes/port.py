"""A board port's `machine`, `network` and `esp32` for MicroPython on a computer.

install() puts them into sys.modules. Everything done to the hardware is an event, in order, so a
test sees what came first. On the I2C bus are the chips of `chips`: {address: object}; an address
without a chip is an OSError, as on a bus without one. Pins are kept by number: what a test puts
into `levels` is what an input reads.
"""

import sys
import time

events = []
chips = {}
levels = {}
timers = []


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 1, 2
    outputs = {}

    def __init__(self, number, mode=None, pull=None, value=None):
        self.number = number
        events.append(("pin", number, mode, value))
        if mode == Pin.OUT:
            Pin.outputs[number] = 0 if value is None else value

    def init(self, mode, pull=None, value=None):
        self.__init__(self.number, mode, pull, value)

    def value(self, *level):
        if level:
            events.append(("level", self.number, level[0]))
            Pin.outputs[self.number] = level[0]
            return None
        if self.number in Pin.outputs:
            return Pin.outputs[self.number]
        return levels.get(self.number, 0)


class I2C:
    def __init__(self, number, sda, scl, freq):
        events.append(("i2c", number, sda.number, scl.number, freq))

    def _chip(self, address):
        if address not in chips:
            raise OSError(19)
        return chips[address]

    def writeto(self, address, data):
        self._chip(address).write(bytes(data))

    def readfrom_into(self, address, into):
        into[:] = self._chip(address).read(len(into))

    def writeto_mem(self, address, register, data):
        self.writeto(address, bytes((register,)) + bytes(data))

    def readfrom_mem(self, address, register, count):
        return self._chip(address).read_at(register, count)

    def readfrom_mem_into(self, address, register, into):
        into[:] = self.readfrom_mem(address, register, len(into))


class Chip:
    """Registers by number; takes every write."""

    def __init__(self, registers):
        self.registers = registers
        self.last = b""

    def write(self, data):
        self.last = data
        if data[0] in self.registers:
            self.registers[data[0]] = data[1:]

    def read_at(self, register, count):
        return self.registers[register][:count]


class Dac:
    """MCP4725: gives back what was written last."""

    code = 0x800

    def write(self, data):
        self.code = (data[0] & 15) << 8 | data[1]
        events.append(("dac", self.code))

    def read(self, count):
        return bytes((0xC0, self.code >> 4, (self.code & 15) << 4))[:count]


class Spi:
    def __init__(self, number, baudrate, sck, mosi):
        self.bytes = 0
        events.append(("spi", number, sck.number, mosi.number))

    def write(self, data):
        self.bytes += len(data)


class Adc:
    ATTN_11DB = 3

    def __init__(self, pin, atten=None):
        self.number = pin.number

    def read_u16(self):
        return levels.get(("adc", self.number), 32768)


class Pwm:
    def __init__(self, pin, freq, duty_u16):
        self.number = pin.number

    def freq(self, hertz):
        events.append(("tone", self.number, hertz))

    def duty_u16(self, duty):
        events.append(("duty", self.number, duty))


class Timer:
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, number):
        timers.append(self)

    def init(self, mode, period, callback):
        self.mode, self.period, self.callback = mode, period, callback


class Wdt:
    made = []

    def __init__(self, timeout):
        self.timeout, self.fed = timeout, 0
        Wdt.made.append(self)

    def feed(self):
        self.fed += 1


class Rtc:
    told = []

    def datetime(self, fields):
        Rtc.told.append(fields)


class Uart:
    """A spectrometer module that knows `answers` to requests "<tag> <words>"; else silence."""

    answers = {}

    def __init__(self, number, **options):
        self._waiting = b""
        events.append(("uart", number, options["tx"].number, options["rx"].number))

    def readinto(self, into):
        got, self._waiting = self._waiting[: len(into)], self._waiting[len(into) :]
        into[: len(got)] = got
        return len(got) or None

    def write(self, data):
        tag, words = bytes(data[:4]), bytes(data[5:-1])
        if words in self.answers:
            self._waiting += tag + b" " + self.answers[words] + b"\n"
        return len(data)


class Wlan:
    """A station that needs `polls_to_join` looks until it is connected; None: never."""

    IF_STA = 0
    polls_to_join = 2
    said = []

    def __init__(self, interface):
        self._left = None

    def active(self, on):
        Wlan.said.append(("active", on))

    def connect(self, ssid, password):
        if self._left is not None:
            raise RuntimeError("already connecting")
        Wlan.said.append(("connect", ssid, password))
        self._left = Wlan.polls_to_join if Wlan.polls_to_join is not None else -1

    def disconnect(self):
        Wlan.said.append(("disconnect",))
        self._left = None

    def isconnected(self):
        if self._left is None or self._left < 0:
            return False
        self._left = max(0, self._left - 1)
        return self._left == 0


class Rmt:
    def __init__(self, channel, pin, clock_div, idle_level):
        self.number = pin.number

    def write_pulses(self, durations, data):
        events.append(("fire", self.number))

    def deinit(self):
        pass


class _Module:
    pass


def install(freq_hz=150000000):
    machine, network, esp32 = _Module(), _Module(), _Module()
    machine.Pin, machine.I2C, machine.SPI, machine.ADC = Pin, I2C, Spi, Adc
    machine.PWM, machine.Timer, machine.WDT, machine.RTC = Pwm, Timer, Wdt, Rtc
    machine.UART = Uart
    machine.mem32 = _Memory()
    machine.freq = lambda: freq_hz
    machine.unique_id = lambda: b"\xe6\x61\x2a\x00\x12\x34\x56\x78"
    machine.reset = lambda: events.append(("reset",))
    network.WLAN = Wlan
    network.country = lambda code: Wlan.said.append(("country", code))
    esp32.RMT = Rmt
    for name, module in (("machine", machine), ("network", network), ("esp32", esp32)):
        sys.modules[name] = module
    assert time.ticks_ms  # not for CPython


class _Memory:
    """The converter's registers: its FIFO is always empty, no error."""

    def __getitem__(self, address):
        return 1 << 8

    def __setitem__(self, address, value):
        pass
