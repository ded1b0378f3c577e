"""What the unit believes about the time: the earliest time and the port's clock."""

from __future__ import annotations

import calendar
import datetime
import importlib.util
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
trust = fixture.device_module("clock_trust")

EARLIEST = trust.earliest_ms("2026-11-24")


@given(st.dates(datetime.date(1970, 1, 1), datetime.date(2199, 12, 31)))
def test_the_earliest_time_is_the_start_of_the_day(day):
    expected = calendar.timegm(day.timetuple()) * 1000
    assert trust.earliest_ms(day.isoformat()) == expected


class Chip:
    """A port with a settable clock."""

    def __init__(self):
        self.set = None

    def RTC(self):  # noqa: N802 - MicroPython's name
        return self

    def datetime(self, value):
        self.set = value


class Clock:
    """MicroPython's time of a port that counts from `epoch`."""

    def __init__(self, epoch, unix_s):
        self.offset_s = calendar.timegm((epoch, 1, 1, 0, 0, 0))
        self.unix_s = unix_s

    def time(self):
        return self.unix_s - self.offset_s

    def gmtime(self, seconds):
        t = time.gmtime(seconds + self.offset_s)
        return (t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7])


@pytest.mark.parametrize("epoch", [1970, 2000])
def test_a_clock_that_is_behind_is_raised(epoch):
    chip = Chip()
    behind = Clock(epoch, calendar.timegm((2021, 1, 1, 0, 0, 0)))
    assert trust.raise_port_clock(EARLIEST, chip, behind)
    assert chip.set == (2026, 11, 24, 1, 0, 0, 0, 0)  # a Tuesday


@pytest.mark.parametrize("epoch", [1970, 2000])
def test_a_clock_that_is_right_is_left_alone(epoch):
    chip = Chip()
    assert not trust.raise_port_clock(EARLIEST, chip, Clock(epoch, EARLIEST // 1000 + 1))
    assert chip.set is None


def test_a_port_without_a_settable_clock_is_left_alone():
    assert not trust.raise_port_clock(EARLIEST, object(), Clock(1970, 0))
