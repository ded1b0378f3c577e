"""What real boards have in common: the offers of a board (see __init__) over parts that were made.

A board file gives pins, buses and parts; here they become one object. A part that is missing gives
an OSError when it is asked for, so the unit starts, says so and refuses to measure. Owns
`hardware.json`, which says what was built into this unit: written by its builder, see
docs/how-to/build-a-unit.md. Not tested on hardware.
"""

import errno
import json
import time

import machine
from parts.contact import Contact
from parts.keys import Keys
from parts.rtc import Clock
from parts.signals import Signals

from boards.wifi import Wifi

WATCHDOG_MS = 8000  # the RP2350 can wait 8388 ms at most
REST_FEED_MS = 2000
LOG_KEPT = 16

# Until the builder has measured them: no laser power can be set, and detector figures are guesses
# for a 12-bit converter. Keys as in drivers/laser_diode.py and boards/__init__.py.
DEFAULTS: dict = {
    "excitation_pm": 785000,
    "gain_me_per_count": 25000,
    "read_noise_me": 50000,
    "laser": {
        "power_codes": [[0, 0]],
        "photodiode_zero": 0,
        "photodiode_uw": 500000,
        "ntc_ohm": 10000,
        "ntc_beta": 3950,
        "ntc_series_ohm": 10000,
    },
}


# What the file says over the defaults; a damaged or missing file leaves a unit that cannot fire.
def hardware(root):
    given = {}
    try:
        with open(root + "/hardware.json") as file:
            given = json.load(file)
    except (OSError, ValueError):
        pass
    found = dict(DEFAULTS)
    if isinstance(given, dict):
        for key in DEFAULTS:
            if isinstance(given.get(key), type(DEFAULTS[key])):
                found[key] = given[key]
        laser = dict(DEFAULTS["laser"])
        laser.update(found["laser"])
        found["laser"] = laser
    return found


# A stand-in for a laser whose parts do not answer: off is certain, all else is an error.
class NoLaser:
    def __init__(self, enable, error):
        self._enable = enable
        self._error = error

    def off(self):
        self._enable.init(machine.Pin.OUT, value=0)

    def set_power_uw(self, uw):
        raise self._error

    def fire(self, max_ms):
        raise self._error

    def read(self):
        raise self._error


class NoDetector:
    def __init__(self, error, pixels):
        self.pixels = pixels
        self._error = error

    async def expose(self, exposure_us, into):
        raise self._error

    def temperature_mdegc(self):
        raise self._error


# Pins by the names of a board's table.
class Pins:
    def __init__(self, table):
        self._table = table

    def bare(self, name):
        return machine.Pin(self._table[name])

    def out(self, name, level=0):
        return machine.Pin(self._table[name], machine.Pin.OUT, value=level)

    def pulled_up(self, name):
        return machine.Pin(self._table[name], machine.Pin.IN, machine.Pin.PULL_UP)

    def pulled_down(self, name):
        return machine.Pin(self._table[name], machine.Pin.IN, machine.Pin.PULL_DOWN)

    # Changeover contact between NAME_made and NAME_rest.
    def contact(self, name):
        return Contact(self.pulled_down(name + "_made"), self.pulled_down(name + "_rest"))


class Wired:
    flash_root = ""
    name = ""
    full_scale_counts = 0

    # `found` is of hardware(), `chip` a clock chip, `timer` and `rest_timer` are
    # machine.Timer, the others parts.
    def __init__(self, found, pins, laser, detector, timer, rest_timer, battery, chip, panel):
        laser.off()
        self.laser = laser
        self.detector = detector
        self.pixels = detector.pixels
        self.excitation_pm = found["excitation_pm"]
        self.gain_me_per_count = found["gain_me_per_count"]
        self.read_noise_me = found["read_noise_me"]
        self.recent = []  # the newest (ticks, kind, details) of log()
        self._timer = timer
        self._rest_timer = rest_timer
        buzzer = machine.PWM(pins.bare("buzzer"), freq=1000, duty_u16=0)
        self._signals = Signals(buzzer, self._after, pins.out("motor"))
        self._lid = pins.contact("lid")
        self._key = pins.contact("key")
        self._indicator = pins.out("indicator")
        self._indicator_sense = pins.pulled_down("indicator_sense")
        self._keys = Keys([pins.pulled_up(name) for name in ("trigger", "next", "ok")])
        self._battery = battery
        self._clock = Clock(chip, _set_port_clock)
        self._panel = panel
        self._wifi = Wifi()
        self._watchdog: machine.WDT | None = None

    def interlock(self):
        return {"lid": self._lid.closed(), "key": self._key.closed()}

    def indicate(self, lit):
        self._indicator.value(1 if lit else 0)

    # The lamp's own current, so a lamp that is broken is dark.
    def indicator(self):
        return self._indicator_sense.value() == 1

    def buttons(self):
        return self._keys.bits()

    def battery_mv(self):
        return self._battery.mv()

    def clock(self):
        return self._clock.now()

    def set_clock(self, unix_ms):
        self._clock.set(unix_ms)

    def display(self, rows):
        self._panel.show(rows)

    def buzz(self, pattern):
        self._signals.play(pattern)

    # Starts with the first feeding and cannot be stopped again.
    def feed_watchdog(self):
        if self._watchdog is None:
            self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        self._watchdog.feed()

    # What sounds goes on to its end: it may be the fault that ended the firmware.
    def rest(self):
        self.laser.off()
        if self._watchdog is not None:
            self._rest_timer.init(
                mode=machine.Timer.PERIODIC, period=REST_FEED_MS, callback=self._feed_resting
            )

    def _after(self, ms, then):
        self._timer.init(mode=machine.Timer.ONE_SHOT, period=ms, callback=then)

    def _feed_resting(self, _timer):
        self.feed_watchdog()

    # In memory only: what must stay is the logbook's. Writing to a console could block.
    def log(self, kind, details):
        if len(self.recent) >= LOG_KEPT:
            self.recent.pop(0)
        self.recent.append((time.ticks_ms(), kind, details))

    def set_wifi(self, wifi):
        self._wifi.settings = wifi

    async def open_socket(self, host, port, tls):
        from mqtt_socket import connect_tcp

        await self._wifi.join()
        return await connect_tcp(host, port, tls, 10000)

    def unique_id(self):
        return machine.unique_id()

    def reset(self):
        try:
            self.laser.off()
        finally:
            machine.reset()


# The port's clock, by which TLS judges certificates; fields as parts.rtc gives them.
def _set_port_clock(fields):
    year, month, day, weekday, hour, minute, second = fields
    machine.RTC().datetime((2000 + year, month, day, weekday, hour, minute, second, 0))


# Makes a part, or what stands for it when its bus does not answer.
def or_absent(make, absent):
    try:
        return make()
    except OSError as error:
        if not error.args:
            error = OSError(errno.ENODEV)
        return absent(error)
