"""Every board keeps the contract: the simulator's and the real ones, on their ports' fakes."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEVICE = ROOT / "device"
FAKES = HERE / "fakes"
BOARDS = ("pico2w", "esp32s3")
PATH = (DEVICE, FAKES, HERE)


def _load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bus = _load("firmware_bus")


def ask(micropython, *args):
    # A real board leaves about this much; 64-bit words take twice the room of a board's.
    done = micropython(HERE / "boards_run.py", *args, path=PATH, heap="512K")
    *told, last = done.stdout.splitlines()
    assert last == "ok", done.stdout
    return told


@pytest.mark.parametrize("state", ["alive", "dead"])
@pytest.mark.parametrize("board", BOARDS)
def test_contract(micropython, board, state):
    assert int(ask(micropython, board, "contract", state)[0]) == 27


def test_the_simulated_board_keeps_the_same_contract(micropython, tmp_path):
    bench = bus.Bench(tmp_path)
    script = f"""
from boards.sim import Board
import board_contract
print(board_contract.check(Board({bench._server.getsockname()[1]}, "token"), True))
"""
    bench._thread.start()
    with bench:
        assert micropython(script, path=PATH).stdout == "27\n"


def test_the_list_of_offers_is_the_documented_one(micropython):
    text = (DEVICE / "boards" / "__init__.py").read_text("utf-8").split('"""')[1]
    script = """
from board_contract import DETECTOR, FACTS, LASER, OFFERS
print(" ".join(row[0] for row in OFFERS + LASER + FACTS))
"""
    for name in micropython(script, path=PATH).stdout.split():
        assert re.search(rf"\b{name}\b", text), f"{name} is not described in boards/__init__.py"


@pytest.mark.parametrize("question", ["laser_first", "watchdog", "wifi", "clock", "buzzing"])
@pytest.mark.parametrize("board", BOARDS)
def test_board(micropython, board, question):
    ask(micropython, board, question)


@pytest.mark.parametrize("board", BOARDS)
def test_no_power_before_the_laser_was_measured(micropython, tmp_path, board):
    ask(micropython, board, "unmeasured", tmp_path)


@pytest.mark.parametrize("board", BOARDS)
def test_a_nonsense_calibration_gives_a_board_without_power(micropython, tmp_path, board):
    ask(micropython, board, "nonsense", tmp_path)


@pytest.mark.parametrize("board", BOARDS)
def test_the_laser_is_low_before_anything_else_is_imported(board):
    lines = (DEVICE / "boards" / f"{board}.py").read_text("utf-8").split('"""')[2].split("\n")
    code = [line for line in lines if line]
    assert code[0] == "import machine"
    assert re.fullmatch(r"LASER_ENABLE = \d+", code[1])
    assert code[2] == "machine.Pin(LASER_ENABLE, machine.Pin.OUT, value=0)"


@pytest.mark.parametrize("board", BOARDS)
def test_no_pin_is_used_twice_or_taken(micropython, board):
    pins = json.loads(ask(micropython, board, "pins")[0])
    assert len(set(pins.values())) == len(pins)
    usable = {
        # Pico 2 W data sheet: GP23, 24, 25, 29 are the radio's; analogue inputs are GP26 to 28.
        "pico2w": set(range(23)) | {26, 27, 28},
        # ESP32-S3: not 22 to 25 (do not exist), flash and memory 26 to 37, USB 19 and 20,
        # strapping 0, 3, 45, 46, console 43 and 44.
        "esp32s3": set(range(1, 49)) - {0, 3, 19, 20, *range(22, 38), 43, 44, 45, 46},
    }[board]
    assert set(pins.values()) <= usable
    analogue = {"pico2w": {26, 27, 28}, "esp32s3": set(range(1, 11))}[board]
    assert {pins["photodiode"], pins["laser_ntc"]} <= analogue
    if board == "pico2w":
        assert pins["ccd_icg"] == pins["ccd_sh"] + 1
        assert pins["sda"] % 4 == 0 and pins["scl"] == pins["sda"] + 1  # I2C0
        assert pins["buzzer"] // 2 % 8 not in {pins["ccd_mc"] // 2}


@pytest.mark.parametrize(
    ("platform", "machine", "board"),
    [
        ("rp2", "Raspberry Pi Pico 2 W with RP2350", "pico2w"),
        ("esp32", "Generic ESP32S3 module with ESP32S3", "esp32s3"),
        ("esp32", "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "esp32s3"),
        ("rp2", "Raspberry Pi Pico 2 with RP2350", None),  # has no radio
        ("rp2", "Raspberry Pi Pico W with RP2040", None),
        ("esp32", "Generic ESP32 module with ESP32", None),
        ("linux", "linux [GCC 14.2.1] version", None),
    ],
)
def test_which_board_this_is(micropython, platform, machine, board):
    script = f"""
import boards
try:
    print(boards.which({platform!r}, {machine!r}))
except OSError as error:
    assert {machine!r} in str(error)
    print(None)
"""
    assert micropython(script).stdout == f"{board}\n"


def test_here_is_the_one_it_runs_on(micropython):
    script = """
import sys
import port
port.install()
import boards
boards.BOARDS = ((sys.platform, "", "pico2w"),)
print(boards.here().name)
"""
    assert micropython(script, path=PATH, heap="512K").stdout == "pico2w\n"


@pytest.mark.parametrize("board", BOARDS)
def test_the_firmware_on_a_unit_without_settings(micropython, tmp_path, board):
    rows = json.loads(ask(micropython, board, "unprovisioned", tmp_path)[-1])
    assert rows[0] == "FAULT  LASER OFF" and "settings" in rows[1]
