"""Joins the wireless network of the settings, when a connection is wanted and only then.

Never waits without a deadline and never blocks the other tasks while waiting. The radio is started
at the first join, so a unit without a network name never turns it on. Not tested on hardware.
"""

import asyncio
import errno
import time

import network

JOIN_MS = 15000
POLL_MS = 50


class Wifi:
    def __init__(self):
        self.settings = None  # {"ssid", "password", "country"}
        self._station = None

    # Coroutine; OSError when there is no such network, a wrong password or no answer in time.
    async def join(self, timeout_ms=JOIN_MS):
        wifi = self.settings
        if not wifi or not wifi["ssid"]:
            raise OSError(errno.ENODEV, "no wireless network is set")
        station = self._station
        if station is None:
            if wifi["country"]:
                network.country(wifi["country"])
            station = network.WLAN(network.WLAN.IF_STA)
            self._station = station
        if station.isconnected():
            return
        try:
            station.active(True)
            station.connect(wifi["ssid"], wifi["password"] or None)
            deadline = time.ticks_add(time.ticks_ms(), timeout_ms)
            while not station.isconnected():
                if time.ticks_diff(deadline, time.ticks_ms()) < 0:
                    raise OSError(errno.ETIMEDOUT, "no wireless network " + wifi["ssid"])
                await asyncio.sleep_ms(POLL_MS)
        except BaseException as error:
            _leave(station)
            if isinstance(error, RuntimeError):  # what the ESP32 raises
                raise OSError(errno.EIO, "wireless: " + str(error)) from None
            raise


# A half-made connection would refuse the next try.
def _leave(station):
    try:
        station.disconnect()
    except (OSError, RuntimeError):
        pass
