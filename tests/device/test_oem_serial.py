"""The OEM spectrometer's driver on real MicroPython, over a real PTY to the simulated module."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from fieldassay_sim.oem_spectrometer import OemSpectrometer, physics
from fieldassay_sim.optics import Instrument, ambient_light

spec = importlib.util.spec_from_file_location(
    "detector_contract", Path(__file__).with_name("detector_contract.py")
)
contract = importlib.util.module_from_spec(spec)
spec.loader.exec_module(contract)

PIXELS = 2048
OPEN = f"""
from detectors.oem_serial import Detector
uart = open(sys.argv[1], "r+b")
PIXELS = {PIXELS}
detector = Detector(uart, PIXELS)

def expected(n, i):
    return (i * 7 + n * 131) % 2000 + 100

def quiet():
    pass
"""


def pattern(exposure_us, number):
    return ((np.arange(PIXELS) * 7 + number * 131) % 2000 + 100).astype(np.uint16)


class TestOemSerial(contract.DetectorContract):
    faults = ("late", "broken", "checksums", "short", "unplugged")
    final = ("unplugged",)
    bytes_per_frame = 4096

    def prelude(self, faults):
        # The thermometer breaks when the script says so: by a file, as the line carries frames.
        state = {"broken": False}
        peer = OemSpectrometer(pattern, PIXELS, lambda: None if state["broken"] else 24875, faults)
        peer.__enter__()
        tell = _Tell(state, peer)
        body = OPEN + tell.script()
        return body, [peer.path], tell.close


class _Tell:
    """Side channel of the contract: two extra commands that the module answers for the test."""

    def __init__(self, state, peer):
        self.peer = peer
        answer = peer._answer

        def more(verb, argument):
            if verb == "XB":
                state["broken"] = True
                return "OK"
            if verb == "XA":
                return "OK " + json.dumps(peer.asked_us)[:80]
            return answer(verb, argument)

        peer._answer = more

    def script(self):
        return """
def asked_us():
    return json.loads(detector._ask("XA"))

def thermometer(broken):
    detector._ask("XB")
"""

    def close(self):
        self.peer.__exit__(None, None, None)


def run(micropython, peer, body, heap="256K"):
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    script = (
        f"{contract.TOOLS}\n{OPEN}\nasync def main():\n{lines}\n"
        "asyncio.run(main())\nprint(json.dumps(answers))\n"
    )
    with peer:
        out = micropython(script, peer.path, heap=heap, timeout_s=60)
    return json.loads(out.stdout.strip().split("\n")[-1])


pytestmark = pytest.mark.needs("micropython")


def test_frames_of_the_simulators_physics_arrive_unchanged(micropython):
    instrument = Instrument(seed=5)
    counts = physics(instrument, 40.0 * ambient_light(instrument, 1.0), 24.875)
    peer = OemSpectrometer(counts, PIXELS)
    body = "for us in (4000, 30000):\n    note(list(await frame(us)))"
    first, second = run(micropython, peer, body, heap="512K")
    assert first == counts(4000, 0).tolist()
    assert second == counts(30000, 1).tolist()
    assert max(second) > max(first) > 950


def test_it_says_who_it_is_and_another_size_is_refused(micropython):
    body = """
note(detector.identify())
try:
    Detector(uart, 288).identify()
except OSError as error:
    note(str(error.args[1]))
"""
    answers = run(micropython, OemSpectrometer(pattern, PIXELS), body)
    assert answers == [[PIXELS, "simulated", "S1"], f"spectrometer has {PIXELS} pixels"]


def test_noise_false_magic_and_a_foreign_frame_before_ours_are_passed_over(micropython):
    peer = OemSpectrometer(pattern, PIXELS, faults=["garbage", "ok", "garbage"])
    body = "for _ in range(3):\n    note(number_of(await frame(3000)))"
    assert run(micropython, peer, body) == [0, 1, 2]


def test_a_wrong_checksum_is_asked_for_once_more_and_no_new_exposure_made(micropython):
    peer = OemSpectrometer(pattern, PIXELS, faults=["checksum"])
    assert run(micropython, peer, "note(number_of(await frame(3000)))") == [0]
    assert peer.commands == ["IT", "GO", "RD"]
    assert peer.asked_us == [3000]


def test_two_wrong_checksums_are_an_error(micropython):
    peer = OemSpectrometer(pattern, PIXELS, faults=["checksums"])
    body = "note(await tried(3000))\nnote(number_of(await frame(3000)))"
    assert run(micropython, peer, body) == ["OSError", 1]
    assert peer.commands == ["IT", "GO", "RD", "AB", "IT", "GO"]


def test_an_exposure_the_module_cannot_make_is_an_error_at_once(micropython):
    peer = OemSpectrometer(pattern, PIXELS)
    assert run(micropython, peer, "note(await tried(60000001))") == ["OSError"]
    assert "GO" not in peer.commands


def test_a_line_that_talks_without_end_is_given_up(micropython):
    peer = OemSpectrometer(pattern, PIXELS)
    body = f"""
class Babble:
    def readinto(self, into):
        for i in range(len(into)):
            into[i] = 0xA5
        return len(into)
    def write(self, data):
        return len(data)
babble = Detector(Babble(), {PIXELS})
for call in (babble.identify, babble.temperature_mdegc):
    try:
        call()
    except OSError:
        note("OSError")
try:
    babble._send("GO")
    await babble._frame(1000, bytearray(2 * PIXELS))
except OSError as error:
    note(str(error.args[-1]))
"""
    assert run(micropython, peer, body) == [
        "OSError", "OSError", "no frame among the bytes of the serial line",
    ]  # fmt: skip
