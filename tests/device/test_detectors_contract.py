"""The detector contract, inherited by the drivers that need no serial line."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import threading
import time
from array import array
from pathlib import Path

from fieldassay_sim.bus import Bus, Refused
from fieldassay_wire.values import TypedArray

spec = importlib.util.spec_from_file_location(
    "detector_contract", Path(__file__).with_name("detector_contract.py")
)
contract = importlib.util.module_from_spec(spec)
spec.loader.exec_module(contract)

CLOCKED = """
import errno, rp2
from sensor import Memory, Pin, Sensor
from detectors.pixel_adc import PixelAdc

memory = Memory()
broken = []

def thermometer(fails):
    broken.append(fails)

def read_mdegc():
    if broken:
        raise OSError(errno.EIO)
    return 24875

def asked_us():
    return rp2.sensor.asked_us

def expected(n, i):
    return (i * 7 + n * 131) % 2000 + 100

class Nowhere:
    def append(self, entry):
        pass

def quiet():
    rp2.dialogue = rp2.sensor.asked_us = Nowhere()
"""

TCD1304 = """
from detectors.tcd1304 import Detector
PIXELS = 3648

def fill(into, n):
    for i in range(len(into)):
        into[i] = 0 if n is None else 3300 + i % 3 - 1
    if n is not None:
        for i in range(PIXELS):
            into[32 + i] = 3300 + 64 - expected(n, i)

rp2.sensor = Sensor(memory, lambda words: (43 + 2 * words[0]) * 48 // 100, 14185, fill, FAULTS)
detector = Detector(rp2.StateMachine, 4, Pin(2), Pin(3),
                    PixelAdc(memory, rp2.DMA(), rp2.DMA(), 0), read_mdegc, 150_000_000)
"""

S11639 = """
from detectors.s11639 import Detector
PIXELS = 2048
eos = Pin(5)

def fill(into, n):
    for i in range(PIXELS):
        into[i] = 0 if n is None else expected(n, i)

rp2.sensor = Sensor(memory, lambda words: (words[0] + 50) * 384 // 100, 8203, fill, FAULTS,
                    lambda: eos.handler(eos))
detector = Detector(rp2.StateMachine, 0, Pin(2), Pin(3), eos,
                    PixelAdc(memory, rp2.DMA(), rp2.DMA(), 2), read_mdegc, 125_000_000)
"""


class TestTcd1304(contract.DetectorContract):
    faults = ("late", "lost", "unplugged")
    rounding_us = 1

    def prelude(self, faults):
        return f"FAULTS = {faults}\n{CLOCKED}\n{TCD1304}", [], lambda: None


class TestS11639(contract.DetectorContract):
    faults = ("late", "lost", "unplugged")
    rounding_us = 4

    def prelude(self, faults):
        return f"FAULTS = {faults}\n{CLOCKED}\n{S11639}", [], lambda: None


SIMULATED = """
from boards.sim import Bus, _into_bytes
from detectors.simulated import Detector
bus = Bus(int(sys.argv[1]), "token")
PIXELS = bus.hello["pixels"]
detector = Detector(bus.call, _into_bytes)

def expected(n, i):
    return (i * 7 + n * 131) % 2000 + 100

def asked_us():
    return bus.call("asked")

def thermometer(fails):
    bus.call("break_thermometer")

def quiet():
    pass
"""


class SimulatedHardware:
    """The far end of the simulator bus, with faults by the exposure, in a thread of its own."""

    PIXELS = 2048

    def __init__(self, faults):
        self.faults = list(faults)
        self.asked = []
        self.number = -1
        self.fault = "ok"
        self.end = 0.0
        self.thermometer = True
        self.loop = asyncio.new_event_loop()
        self.bus = Bus("token", self.handle, lambda: None, lambda error: None)
        self.port = self.loop.run_until_complete(self.bus.start())
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def close(self):
        asyncio.run_coroutine_threadsafe(self.bus.stop(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def handle(self, op, args):
        if op == "hello":
            return {"pixels": self.PIXELS}
        if op == "asked":
            return self.asked
        if op == "break_thermometer":
            self.thermometer = False
            return None
        if op == "detector_mdegc":
            if not self.thermometer:
                raise Refused(errno.EIO, "no thermometer")
            return 24875
        if op == "expose_start":
            self.fault = self.faults.pop(0) if self.faults else "ok"
            self.number += 1
            self.asked.append(args[0])
            self.end = time.monotonic() + args[0] / 1e6
            if self.fault == "broken":
                raise Refused(errno.EIO, "the detector does not answer")
            return None
        if op == "expose_ready":
            return self.fault != "late" and time.monotonic() >= self.end
        assert op == "expose_read"
        if self.fault == "unplugged":
            raise Refused(errno.ENODEV, "no detector")
        pixels = [(i * 7 + self.number * 131) % 2000 + 100 for i in range(self.PIXELS)]
        return TypedArray(TypedArray.U16, array("H", pixels))


class TestSimulated(contract.DetectorContract):
    faults = ("late", "broken", "unplugged")
    bytes_per_frame = 10000

    def prelude(self, faults):
        hardware = SimulatedHardware(faults)
        return SIMULATED, [hardware.port], hardware.close
