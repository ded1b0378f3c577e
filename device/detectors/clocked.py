"""What the sensors have in common that a state machine clocks and `PixelAdc` reads.

Owns the order of things: arm the ADC, hand over the exposure, sleep, wait for the last pixel, and
after a failure or a cancellation put everything back to its first state. A sensor adds its program
and its arithmetic by subclassing.
"""

import asyncio
import errno
import time
from array import array

POLL_MS = 2
LATE_MS = 100  # the hardware is exact: a frame that much late does not come any more


class ClockedSensor:
    tick_hz = 0
    pixels = 0  # of a frame
    elements = 0  # read for it, dummies included
    readout_ms = 0  # from the end of an exposure to the last pixel, rounded up
    exposure_min_us = 0

    # `machine_of(number)` gives an rp2.StateMachine; the pins are machine.Pin, `set_pin` the first
    # of those the program sets. `read_mdegc` reads the thermometer beside the sensor.
    def __init__(self, program, machine_of, number, side_pin, set_pin, adc, read_mdegc, system_hz):
        if system_hz % self.tick_hz:
            # A fractional divider would jitter by a system clock: edges and pixels move.
            raise ValueError("system clock must be a multiple of %d Hz" % self.tick_hz)
        self._program = program
        self._machine = machine_of(number)
        self._number = number
        self._side_pin = side_pin
        self._set_pin = set_pin
        self._adc = adc
        self._read_mdegc = read_mdegc
        self._words = array("I", bytes(4 * len(self._request(self.exposure_min_us))))
        self._ends_ms = time.ticks_ms()
        self._reset()

    def temperature_mdegc(self):
        return self._read_mdegc()

    # Whether pixels are being converted right now: other readings of the ADC must wait.
    def reading_out(self):
        due = time.ticks_diff(time.ticks_ms(), self._ends_ms) >= -POLL_MS
        return due and self._adc.waiting()

    async def expose(self, exposure_us, into):
        if self._adc.busy:
            raise OSError(errno.EAGAIN, "a frame is being taken")
        if len(into) != self.pixels or exposure_us < self.exposure_min_us:
            raise OSError(errno.EINVAL, "frame size or exposure out of range")
        request = self._request(exposure_us)
        for i in range(len(request)):
            self._words[i] = request[i]
        try:
            self._begin()
            self._adc.arm(self._machine, self._number, self._target(into), self.elements)
            self._ends_ms = time.ticks_add(time.ticks_ms(), exposure_us // 1000)
            self._machine.put(self._words)
            await asyncio.sleep_ms(exposure_us // 1000 + self.readout_ms)
            while not self._adc.done():
                if time.ticks_diff(time.ticks_ms(), self._ends_ms) > self.readout_ms + LATE_MS:
                    raise OSError(errno.ETIMEDOUT)
                await asyncio.sleep_ms(POLL_MS)
        except BaseException:  # cancellation too: the program may be anywhere
            self._reset()
            raise
        self._finish(into)

    # Pins to their first state, queues empty, clocks running, nothing asked for.
    def _reset(self):
        self._adc.stop()
        machine = self._machine
        machine.init(
            self._program, freq=self.tick_hz, sideset_base=self._side_pin, set_base=self._set_pin
        )
        machine.put(self._adc.start_word)
        machine.exec("pull()")
        machine.exec("mov(y, osr)")
        machine.active(1)

    # The words that ask the program for an exposure.
    def _request(self, exposure_us):
        raise NotImplementedError

    def _begin(self):
        pass

    def _target(self, into):
        return into

    # Judge and convert what was read; OSError if no sensor can have given it.
    def _finish(self, into):
        pass
