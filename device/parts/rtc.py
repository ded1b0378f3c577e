"""Real time clocks on I2C, and the unit's clock made of one: unix ms with a quality.

DS3231 (data sheet of Maxim/Analog Devices, "Timekeeping Registers" and "Status Register (0Fh)":
oscillator stop flag, bit 7) and PCF8563 (data sheet of NXP, "VL_seconds register": bit 7). Both
keep UTC from 2000 to 2099 in BCD. A chip whose oscillator has stopped does not know the time.
"""

import errno
import time

from micropython import const

DS3231_ADDRESS = const(0x68)
PCF8563_ADDRESS = const(0x51)
_READ_AGAIN_MS = const(600000)  # from the chip; in between the ticks count
_DAY_2000 = const(10957)  # days from 1970-01-01 to 2000-01-01


def _bcd(value):
    return value // 10 << 4 | value % 10


def _number(byte):
    if byte & 15 > 9 or byte >> 4 > 9:
        raise OSError(errno.EIO, "clock chip gives no time")
    return (byte >> 4) * 10 + (byte & 15)


# Days from 2000-01-01; every fourth year from 2000 to 2099 is a leap year.
def _days(year, month, day):
    lengths = (31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1]):
        raise OSError(errno.EIO, "clock chip gives no date")
    return year * 365 + (year + 3) // 4 + sum(lengths[: month - 1]) + day - 1


# Seconds since 1970 as (year - 2000, month, day, weekday from Monday 0, hour, minute, second).
def fields(unix_s):
    days, second = divmod(unix_s, 86400)
    days -= _DAY_2000
    if not 0 <= days < 36525:
        raise OSError(errno.EINVAL, "no year from 2000 to 2099")
    year = days * 4 // 1461
    while _days(year, 1, 1) > days:
        year -= 1
    month = 12
    while _days(year, month, 1) > days:
        month -= 1
    day = days - _days(year, month, 1) + 1
    weekday = (days + 5) % 7  # 2000-01-01 was a Saturday
    return year, month, day, weekday, second // 3600, second // 60 % 60, second % 60


def _unix_s(year, month, day, hour, minute, second):
    if hour > 23 or minute > 59 or second > 59:
        raise OSError(errno.EIO, "clock chip gives no time")
    return (_days(year, month, day) + _DAY_2000) * 86400 + hour * 3600 + minute * 60 + second


class Ds3231:
    def __init__(self, i2c, address=DS3231_ADDRESS):
        self._i2c = i2c
        self._address = address

    # Unix seconds, or None when the oscillator has stopped since the time was set.
    def read(self):
        status = self._i2c.readfrom_mem(self._address, 0x0F, 1)[0]
        if status & 0x80:
            return None
        raw = self._i2c.readfrom_mem(self._address, 0x00, 7)
        if raw[2] & 0x40:
            raise OSError(errno.EIO, "clock chip is set to 12 hours")
        return _unix_s(
            _number(raw[6]),
            _number(raw[5] & 0x1F),
            _number(raw[4] & 0x3F),
            _number(raw[2] & 0x3F),
            _number(raw[1] & 0x7F),
            _number(raw[0] & 0x7F),
        )

    # The flag is cleared last: a cut in between leaves a clock that says it is not set.
    def set(self, unix_s):
        year, month, day, weekday, hour, minute, second = fields(unix_s)
        now = (second, minute, hour, weekday + 1, day, month, year)
        self._i2c.writeto_mem(self._address, 0x00, bytes([_bcd(value) for value in now]))
        status = self._i2c.readfrom_mem(self._address, 0x0F, 1)[0]
        self._i2c.writeto_mem(self._address, 0x0F, bytes((status & 0x7F,)))


class Pcf8563:
    def __init__(self, i2c, address=PCF8563_ADDRESS):
        self._i2c = i2c
        self._address = address

    def read(self):
        raw = self._i2c.readfrom_mem(self._address, 0x02, 7)
        if raw[0] & 0x80:
            return None
        return _unix_s(
            _number(raw[6]),
            _number(raw[5] & 0x1F),
            _number(raw[3] & 0x3F),
            _number(raw[2] & 0x3F),
            _number(raw[1] & 0x7F),
            _number(raw[0] & 0x7F),
        )

    # Seconds and flag share a register; the century bit (of the months) stays 0: 20xx.
    def set(self, unix_s):
        year, month, day, weekday, hour, minute, second = fields(unix_s)
        now = (second, minute, hour, day, (weekday + 1) % 7, month, year)
        self._i2c.writeto_mem(self._address, 0x02, bytes([_bcd(value) for value in now]))


class Clock:
    # `chip` may be None: then the time is unset until the host sets it. `system(fields)` sets the
    # port's own clock, by which TLS judges certificates.
    def __init__(self, chip, system, ticks_ms=time.ticks_ms):
        self._chip = chip
        self._system = system
        self._ticks_ms = ticks_ms
        self._quality = "unset"
        self._unix_ms = 0  # at _at_ms
        self._at_ms = ticks_ms()
        self._read_ms = None

    # (unix ms, "unset" | "rtc" | "synced"); OSError while the chip does not answer and no time
    # is known.
    def now(self):
        ticks_ms = self._ticks_ms()
        # Ticks wrap: what has passed is added at every call.
        self._unix_ms += time.ticks_diff(ticks_ms, self._at_ms)
        self._at_ms = ticks_ms
        late = self._read_ms is None or time.ticks_diff(ticks_ms, self._read_ms) >= _READ_AGAIN_MS
        if late and self._chip is not None and self._quality != "synced":
            try:
                unix_s = self._chip.read()
            except OSError:
                if self._quality == "unset":
                    raise
            else:
                self._take(unix_s, ticks_ms)
        return self._unix_ms if self._quality != "unset" else 0, self._quality

    def _take(self, unix_s, ticks_ms):
        self._read_ms = ticks_ms
        if unix_s is None:
            self._quality = "unset"
            return
        self._quality = "rtc"
        self._unix_ms = unix_s * 1000
        self._system(fields(unix_s))

    # The host's time counts even if the chip cannot keep it: the next start then tells the truth.
    def set(self, unix_ms):
        self._at_ms = self._ticks_ms()
        self._unix_ms = unix_ms
        self._quality = "synced"
        unix_s = (unix_ms + 500) // 1000
        self._system(fields(unix_s))
        if self._chip is not None:
            try:
                self._chip.set(unix_s)
            except OSError:
                pass
