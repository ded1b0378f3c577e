"""The page of the serial protocol says what the simulated module does and the driver expects."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fieldassay_sim.oem_spectrometer import OemSpectrometer, frame


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/reference/oem-serial-protocol.md").read_text("utf-8")


def test_the_example_frame_is_one(page):
    example = re.search(r"```\n([0-9a-f ]+)\n```", page)
    assert bytes.fromhex(example[1]) == frame(0xA1, 1000, np.array([1, 2, 65535], np.uint16))


def test_every_verb_of_the_page_is_known_and_every_verb_used_is_on_it(page, root):
    verbs = set(re.findall(r"^\| `([A-Z]{2})` \|", page, re.M))
    driver = (root / "device/detectors/oem_serial.py").read_text("utf-8")
    used = set(re.findall(r'(?:_ask|_ask_async|_send)\("([A-Z]{2})', driver))
    assert verbs == used == {"ID", "IT", "TC", "GO", "RD", "AB"}
    module = OemSpectrometer(lambda us, number: np.zeros(3, np.uint16), 3)
    said: list[bytes] = []
    module._say = said.append
    with module:
        for verb in sorted(verbs - {"GO"}):
            module._command(f"0001 {verb} 1000")
    assert not [line for line in said if b"ERR 1" in line]


def test_limits_on_the_page_are_the_drivers(page, root):
    driver = (root / "device/detectors/oem_serial.py").read_text("utf-8")
    assert "ANSWER_MS = 300\n" in driver and "within 300 ms" in page
    assert "LATE_MS = 1500 " in driver and "within 1.5 s" in page
    assert "GARBAGE_FRAMES = 3 " in driver and "three frames' worth" in page
    assert "EXPOSURE_MAX_US = 60_000_000" in (
        root / "sim/fieldassay_sim/oem_spectrometer.py"
    ).read_text("utf-8")
    assert "1 to 60000000" in page
