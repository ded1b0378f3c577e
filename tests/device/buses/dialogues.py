# What is said on the buses, byte by byte as the data sheets have it (sections by their titles).
# Runs as a program under CPython and MicroPython: the first argument is the name of one check.
import errno
import sys
import time

if sys.implementation.name == "cpython":
    from types import ModuleType

    time.ticks_ms = lambda: time.monotonic_ns() // 1_000_000 % 2**30
    time.ticks_diff = lambda a, b: (a - b + 2**29) % 2**30 - 2**29
    time.ticks_add = lambda ticks, ms: (ticks + ms) % 2**30
    sys.modules["micropython"] = ModuleType("micropython")
    sys.modules["micropython"].const = lambda value: value

from models import Dialogue, Pin, Ssd1306
from parts import battery, contact, keys, rtc, signals, ssd1306, surface, thermometer

EMPTY = [("", "")] * 8


def raises(what, *args):
    try:
        what(*args)
    except OSError as error:
        return error
    raise AssertionError("no OSError")


# Wraps as the port's own ticks do; starts `before` the wrap.
class Ticks:
    def __init__(self, before):
        self.now = -before

    def __call__(self):
        return time.ticks_add(0, self.now)


# --- SSD1306: "Command Table", "I2C-bus Write data" ---


def check_ssd1306_start():
    page = b"\x40" + bytes(128)
    lines = [
        (
            "write",
            0x3C,
            bytes.fromhex(
                "00 ae d580 a83f d300 40 8d14 2000 a1 c8 da12 81cf d9f1 db40 a4 a6".replace(" ", "")
            ),
        )
    ]
    for row in range(8):
        lines.append(("write", 0x3C, bytes((0, 0x21, 0, 127, 0x22, row, 7))))
        lines.append(("write", 0x3C, page))
    lines.append(("write", 0x3C, b"\x00\xaf"))
    bus = Dialogue(lines)
    ssd1306.Panel(bus).start()
    bus.done()


def check_ssd1306_letter():
    bus = Dialogue(
        [
            ("write", 0x3C, bytes((0, 0x21, 0, 127, 0x22, 2, 7))),
            ("write", 0x3C, b"\x40" + b"\x7e\x09\x09\x7e" + bytes(124)),
        ]
    )
    ssd1306.Panel(bus).draw(2, "A", "")
    bus.done()


def check_surface_sends_only_what_changed():
    chip = Ssd1306()
    panel = surface.Surface(ssd1306.Panel(chip))
    panel.show(EMPTY)
    assert chip.on and "#" not in "".join(chip.on_at), "noise was shown"
    started = chip.written
    panel.show(EMPTY)
    assert chip.written == started
    rows = list(EMPTY)
    rows[3] = ("READY", "title")
    panel.show(rows)
    assert chip.written == started + 128
    rows[3] = ("READY", "bad")
    panel.show(rows)
    assert chip.written == started + 256
    assert sum(line.count("#") for line in chip.picture()[:24]) == 0


def check_surface_comes_back_whole():
    chip = Ssd1306()
    chip.absent = True
    panel = surface.Surface(ssd1306.Panel(chip))
    rows = [("row " + str(n), "") for n in range(8)]
    raises(panel.show, rows)
    chip.absent = False
    panel.show(rows)
    want = chip.picture()
    chip.absent = True
    raises(panel.show, [("other", "")] * 8)
    again = Ssd1306()
    chip.absent, chip.memory, chip.on = False, again.memory, False
    panel.show(rows)
    assert chip.picture() == want and chip.on


# --- MAX17048: "Register Summary", VCELL (02h) ---


def check_gauge():
    bus = Dialogue([("read", 0x36, 0x02, b"\xc3\x50"), ("read", 0x36, 0x02, b"\xa8\xc0")])
    gauge = battery.Gauge(bus)
    assert gauge.mv() == 3906  # 50000 x 78.125 uV
    assert gauge.mv() == 3375
    bus.done()
    for nonsense in (b"\x00\x00", b"\xff\xff"):
        raises(battery.Gauge(Dialogue([("read", 0x36, 0x02, nonsense)])).mv)
    raises(battery.Gauge(Dialogue([OSError(errno.ENODEV)])).mv)


def check_divider():
    class Adc:
        value = 37236  # 1875 mV of 3300

        def read_u16(self):
            return self.value

    adc = Adc()
    assert battery.Divider(adc, 100000, 100000).mv() == 3750
    assert battery.Divider(adc, 200000, 100000, 2200).mv() == 3750
    adc.value = 0
    raises(battery.Divider(adc, 100000, 100000).mv)


# --- DS3231: "Timekeeping Registers", "Status Register (0Fh)" ---

LEAP = 1_709_210_096  # 2024-02-29 12:34:56


def check_ds3231():
    now = bytes.fromhex("56341204290224")
    bus = Dialogue(
        [
            ("read", 0x68, 0x0F, b"\x08"),
            ("read", 0x68, 0x00, now),
            ("read", 0x68, 0x0F, b"\x88"),
            ("write", 0x68, b"\x00" + now),
            ("read", 0x68, 0x0F, b"\x88"),
            ("write", 0x68, b"\x0f\x08"),
        ]
    )
    chip = rtc.Ds3231(bus)
    assert chip.read() == LEAP
    assert chip.read() is None, "oscillator had stopped"
    chip.set(LEAP)
    bus.done()
    for wrong in ("56341204290223", "6a341204290224", "56345204290224", "56341204000224"):
        bus = Dialogue([("read", 0x68, 0x0F, b"\x00"), ("read", 0x68, 0x00, bytes.fromhex(wrong))])
        raises(rtc.Ds3231(bus).read)


# --- PCF8563: "Register organization", VL_seconds (02h) ---


def check_pcf8563():
    bus = Dialogue(
        [
            ("read", 0x51, 0x02, bytes.fromhex("56341229040224")),
            ("read", 0x51, 0x02, bytes.fromhex("d6341229040224")),
            ("write", 0x51, b"\x02" + bytes.fromhex("56341229040224")),
        ]
    )
    chip = rtc.Pcf8563(bus)
    assert chip.read() == LEAP
    assert chip.read() is None, "the voltage was low"
    chip.set(LEAP)
    bus.done()


def check_dates():
    assert rtc.fields(946684800) == (0, 1, 1, 5, 0, 0, 0)
    assert rtc.fields(LEAP) == (24, 2, 29, 3, 12, 34, 56)
    assert rtc.fields(4102444799) == (99, 12, 31, 3, 23, 59, 59)
    for outside in (946684799, 4102444800):
        raises(rtc.fields, outside)

    class Kept:
        def writeto_mem(self, address, register, data):
            if register == 0:
                self.time = bytes(data)

        def readfrom_mem(self, address, register, count):
            return self.time if register == 0 else b"\x00"

    chip = rtc.Ds3231(Kept())
    for day in range(0, 36525, 13):
        chip.set(946684800 + day * 86400 + day)
        assert chip.read() == 946684800 + day * 86400 + day


class Chip:
    def __init__(self, unix_s):
        self.unix_s = unix_s
        self.reads = 0

    def read(self):
        self.reads += 1
        if self.unix_s == "broken":
            raise OSError(errno.EIO)
        return self.unix_s

    def set(self, unix_s):
        self.unix_s = unix_s


def check_clock():
    told = []
    ticks = Ticks(500)
    chip = Chip("broken")
    clock = rtc.Clock(chip, told.append, ticks)
    raises(clock.now)
    chip.unix_s = None
    assert clock.now() == (0, "unset") and not told
    ticks.now += 600_000
    chip.unix_s = LEAP
    assert clock.now() == (LEAP * 1000, "rtc")
    assert told == [(24, 2, 29, 3, 12, 34, 56)]
    ticks.now += 1000
    assert clock.now() == (LEAP * 1000 + 1000, "rtc") and chip.reads == 3
    chip.unix_s = "broken"  # what is known goes on without the chip
    ticks.now += 600_000
    assert clock.now() == (LEAP * 1000 + 601_000, "rtc")
    clock.set(LEAP * 1000 + 700_600)
    assert chip.unix_s == LEAP + 701 and told[-1] == (24, 2, 29, 3, 12, 46, 37)
    ticks.now += 10
    assert clock.now() == (LEAP * 1000 + 700_610, "synced")
    alone = rtc.Clock(None, told.append, ticks)
    assert alone.now() == (0, "unset")


# --- TMP117: "Register Map", Temp_Result (00h), 7.8125 m degrees C per bit ---


def check_thermometer():
    bus = Dialogue(
        [
            ("read", 0x48, 0x00, b"\x0c\x80"),
            ("read", 0x48, 0x00, b"\xf3\x80"),
            ("read", 0x48, 0x00, b"\x80\x00"),
        ]
    )
    sensor = thermometer.Tmp117(bus)
    assert sensor.mdegc() == 25000
    assert sensor.mdegc() == -25000
    raises(sensor.mdegc)  # what the register holds before the first conversion
    bus.done()


# --- buttons, contacts, signals ---


def check_keys():
    ticks = Ticks(20)
    pins = [Pin(1), Pin(1), Pin(1)]
    board = keys.Keys(pins, ticks)
    assert board.bits() == 0
    for bounce in (0, 1, 0, 1, 0):
        pins[0].level = bounce
        ticks.now += 3
        assert board.bits() == 0, "a bounce is no press"
    ticks.now += 7
    assert board.bits() == 0
    ticks.now += 1
    assert board.bits() == 1
    pins[2].level = 0
    board.bits()
    ticks.now += 8
    assert board.bits() == 5
    pins[0].level = pins[2].level = 1
    assert board.bits() == 5
    ticks.now += 8
    assert board.bits() == 0


def check_contact():
    ticks = Ticks(30)
    made, rest = Pin(1), Pin(0)
    lid = contact.Contact(made, rest, ticks)
    assert lid.closed() is True
    made.level = 0  # on its way
    assert lid.closed() is False
    ticks.now += 50
    assert lid.closed() is False
    rest.level = 1
    assert lid.closed() is False
    ticks.now += 1000
    for level in (0, 1):  # wires broken; wires shorted
        made.level = rest.level = level
        assert lid.closed() is False
        ticks.now += 51
        raises(lid.closed)
        raises(lid.closed)
        made.level, rest.level = 1, 0
        assert lid.closed() is True


class Pwm:
    def __init__(self):
        self.said = []

    def freq(self, hertz):
        self.said.append(hertz)

    def duty_u16(self, duty):
        self.said.append(("duty", duty))


def check_signals():
    pwm, motor, due = Pwm(), Pin(1), []
    board = signals.Signals(pwm, lambda ms, then: due.append((ms, then)), motor)
    assert pwm.said == [("duty", 0)] and not motor.level
    board.play("saved")
    pwm.said.clear()
    heard = []
    while due:
        ms, then = due.pop()
        heard.append((ms, motor.level))
        then(None)
    assert heard == [(80, 1), (60, 0), (120, 1)]
    assert pwm.said == [("duty", 0), 2400, ("duty", 32768), ("duty", 0)]
    raises(board.play, "tune")
    total = sum(ms for _, ms in signals.PATTERNS["warning"])
    assert total == 2000


def check_every_pattern_of_the_firmware():
    for name in ("warning", "refused", "saved", "verdict", "request", "fault"):
        assert name in signals.PATTERNS


if __name__ == "__main__":
    globals()["check_" + sys.argv[1]]()
    print("ok")
