"""What a clocked sensor, the ADC and DMA would do, in real time, for the drivers' contract.

An instance goes into `rp2.sensor`. Faults are taken one per exposure: "ok", "late" (never ends),
"lost" (the ADC overflows), "unplugged" (no sensor on the lines).
"""

import time

FCS = 0x400A0008
EMPTY, OVERFLOW = 1 << 8, 1 << 11


class Pin:
    def __init__(self, number):
        self.number = number
        self.handler = None

    def irq(self, handler, *rest):
        self.handler = handler


class Memory:
    def __init__(self):
        self.written = {}
        self.overflow = False
        self.fifo_on = False

    def __getitem__(self, address):
        return EMPTY | (OVERFLOW if self.overflow else 0) if address == FCS else 0

    def __setitem__(self, address, value):
        self.written[address] = value
        if address == FCS:
            self.fifo_on = bool(value & 1)


class Sensor:
    # `exposure_us(words)` is what the emulated program makes of a request; `fill(into, n)` gives
    # the raw elements of the n-th exposure, None for a missing sensor.
    def __init__(self, memory, exposure_us, readout_us, fill, faults, on_end=None):
        self.memory = memory
        self.exposure_us = exposure_us
        self.readout_us = readout_us
        self.fill = fill
        self.faults = faults
        self.on_end = on_end
        self.asked_us = []
        self._number = -1
        self._running = False

    def reset(self, machine):
        self._running = False
        self.memory.overflow = False

    def put(self, machine, words):
        if len(words) == 1:  # the ADC's start word, taken at once
            return
        us = self.exposure_us(words)
        self._number += 1
        self.asked_us.append(us)
        self.fault = self.faults.pop(0) if self.faults else "ok"
        self._began_us = time.ticks_us()
        self._takes_us = us + self.readout_us
        self._running = machine.active()

    def tx_fifo(self, machine):
        return 0

    def dma_done(self, channel):
        if not self._running or self.fault == "late":
            return False
        if time.ticks_diff(time.ticks_us(), self._began_us) < self._takes_us:
            return False
        if not isinstance(channel.write, int):
            self._running = False
            self.fill(channel.write, None if self.fault == "unplugged" else self._number)
            self.memory.overflow = self.fault == "lost"
            if self.on_end and self.fault != "unplugged":
                self.on_end()
        return True
