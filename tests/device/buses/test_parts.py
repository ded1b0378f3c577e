"""The parts say on their buses what the data sheets ask, and show what the firmware means."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEVICE = HERE.parents[2] / "device"
PICTURES = HERE / "pictures"
CHECKS = re.findall(r"^def check_(\w+)", (HERE / "dialogues.py").read_text("utf-8"), re.M)
FIXTURE = importlib.util.spec_from_file_location(
    "firmware_fixture", HERE.parent / "firmware_fixture.py"
)
assert FIXTURE is not None and FIXTURE.loader is not None
fixture = importlib.util.module_from_spec(FIXTURE)
FIXTURE.loader.exec_module(fixture)
display = fixture.device_module("display")

ROWS = [
    ["unit-07   offline 12/100", "dim"],
    ["READY", "title"],
    ["The quick brown fox jumps", ""],
    ["over the lazy dog. 0123456", ""],
    ["LASER STARTS IN 2 s", "warn"],
    ["LASER ON", "bad"],
    ["[##########..........] 789", ""],
    ["Press the trigger: {@%&}!?", "ok"],
]


@pytest.mark.parametrize("check", CHECKS)
def test_dialogue_on_micropython(micropython, check):
    done = micropython(HERE / "dialogues.py", check, path=(DEVICE, HERE))
    assert done.stdout == "ok\n"


@pytest.mark.parametrize("check", CHECKS)
def test_dialogue_on_cpython(check):
    env = {**os.environ, "PYTHONPATH": f"{DEVICE}:{HERE}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", str(HERE / "dialogues.py"), check]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr


def test_the_small_display_shows_what_is_expected(micropython):
    done = micropython(HERE / "pictures.py", "ssd1306", path=(DEVICE, HERE), stdin=json.dumps(ROWS))
    assert json.loads(done.stdout) == (PICTURES / "ssd1306.txt").read_text().splitlines()


@pytest.mark.parametrize("width", [240, 320])
def test_the_colour_display_shows_what_is_expected(micropython, width):
    done = micropython(
        HERE / "pictures.py", "st7789", width, path=(DEVICE, HERE), stdin=json.dumps(ROWS),
        heap="2M",  # the model's picture, not the driver
    )  # fmt: skip
    head, *lines = done.stdout.splitlines()
    told = json.loads(head)
    # Data sheet of the ST7789V, "System Function Command Table 1".
    assert told["commands"][:7] == [
        [0x01, []], [0x11, []], [0x3A, [0x55]], [0x36, [0x60 if width == 320 else 0]],
        [0x21, []], [0x13, []], [0x2A, [0, 0, width - 1 >> 8, width - 1 & 255]],
    ]  # fmt: skip
    assert told["commands"][7:] == [[0x2B, [0, 0, 0, 29]], [0x2C, []]]
    assert told["waited"] == [[0x01, 150], [0x11, 120]]
    assert told["one"] == width * 30 * 2, "only the row that changed is sent"
    pixels = [line.split() for line in lines]
    assert len(pixels) == 240 and all(len(line) == width for line in pixels)
    # Every line is there three times; what is left is compared with the picture, by colour.
    assert all(pixels[y] == pixels[y - y % 3] for y in range(240))
    letters = {value: mark for mark, value in COLOURS.items()}
    drawn = ["".join(letters[value] for value in line) for line in pixels[::3]]
    assert drawn == (PICTURES / f"st7789-{width}.txt").read_text().splitlines()


# RGB565 as the panel gets it: black, white, yellow, green, orange, red, grey.
COLOURS = {
    ".": "0000", "#": "ffff", "y": "ffe0", "g": "07e0", "o": "fe40", "r": "c800", "d": "ad55",
}  # fmt: skip


def test_rows_of_26_letters_fit_the_small_display(micropython):
    """Every letter stays whole as long as there is a space among them."""
    script = """
import sys
from models import Ssd1306
from parts import letters, ssd1306
chip = Ssd1306()
panel = ssd1306.Panel(chip)
panel.start()
for text in ("Wide words of MMMMM letters", "M" * 26, "no", "caf\\u00e9 \\u20ac"):
    text = text[:26]
    panel.draw(0, text, "")
    page = bytes(chip.memory[0])
    at, narrow = 0, len(text) == 26
    for c in text:
        if c == " ":
            at += 4 if narrow else 5
            narrow = False
            continue
        want = bytes(letters.letter(c))
        got = page[at : at + 4]
        if at > 124:
            assert " " not in text and got == want[:3]
        else:
            assert got == want, (text, c)
        at += 5
print("ok")
"""
    assert micropython(script, path=(DEVICE, HERE)).stdout == "ok\n"


def test_letters_are_all_different(micropython):
    script = """
from parts import letters
seen = {}
for code in range(32, 127):
    shape = bytes(letters.letter(chr(code)))
    assert len(shape) == 4 and shape not in seen, (chr(code), seen.get(shape))
    seen[shape] = chr(code)
assert letters.letter("\\u00b5") == letters.letter("?")
print(len(seen))
"""
    assert micropython(script).stdout == "95\n"


def test_all_styles_of_the_firmware_have_colours(micropython):
    styles = set(re.findall(r'"(title|ok|warn|bad|dim)"', Path(display.__file__).read_text()))
    script = "from parts.st7789 import STYLES\nprint(sorted(STYLES))"
    assert sorted({"", *styles}) == json.loads(micropython(script).stdout.replace("'", '"'))


def test_every_pattern_the_firmware_plays_exists(micropython):
    used = set()
    for file in DEVICE.rglob("*.py"):
        used |= set(re.findall(r'\bbuzz\("(\w+)"\)', file.read_text("utf-8")))
    script = "from parts.signals import PATTERNS\nprint(sorted(PATTERNS))"
    have = set(json.loads(micropython(script).stdout.replace("'", '"')))
    assert used == have
