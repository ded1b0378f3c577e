"""boot.py, main.py and slots.py of a unit's flash root, executed on real MicroPython.

The firmware in the slots is a few lines that say what happens; the whole firmware starts this way
in tests/system/test_update_slots.py.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError
from fieldassay_sim.virtual_board import VirtualBoard

DEVICE = Path(__file__).resolve().parents[2] / "device"
ROM = DEVICE / "rom"
pytestmark = pytest.mark.needs("micropython")

BOARDS = "def here():\n    return 'a board'\n"
GOOD = """
def main(board, slots):
    with open("/told", "a") as file:
        file.write("{name} on " + board + "; ")
    {then}
"""


def manifest(files: dict[str, str], sequence: int) -> str:
    rows = [
        [path, len(text), hashlib.sha256(text.encode()).hexdigest()] for path, text in files.items()
    ]
    return json.dumps({"files": rows, "sequence": sequence, "minimum_sequence": 0})


def slot(name: str, then: str = "pass", sequence: int = 1) -> dict[str, str]:
    files = {"main.py": GOOD.format(name=name, then=then), "boards.py": BOARDS}
    return {**files, "manifest.json": manifest(files, sequence)}


def state(a: dict[str, str] | None, b: dict[str, str] | None, trial: str = "") -> str:
    def entry(files: dict[str, str] | None) -> list[Any] | None:
        if files is None:
            return None
        told = json.loads(files["manifest.json"])
        digest = hashlib.sha256(files["manifest.json"].encode()).hexdigest()
        return [digest, told["sequence"], 0]

    return json.dumps(
        {"active": "a", "trial": trial, "boots": 0, "minimum": 0, "why": "",
         "a": entry(a), "b": entry(b)}
    )  # fmt: skip


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Puts a flash together, switches the board on, and gives (what was told, slot.json)."""

    def start(
        a: dict[str, str], b: dict[str, str] | None, trial: str = "", spoil: str = ""
    ) -> tuple[str, dict[str, Any]]:
        files = {name: (ROM / name).read_text("utf-8") for name in ("boot.py", "slots.py")}
        files |= {f"a/{name}": text for name, text in a.items()}
        files |= {f"b/{name}": text for name, text in (b or {}).items()}
        files["slot.json"] = state(a, b, trial)
        if spoil:
            files[spoil] += "# another byte\n"
        with VirtualBoard(tmp_path / "unit.flash") as board:
            with Repl(board.port) as repl:
                repl.enter()
                repl.exec("import os; os.mkdir('a'); os.mkdir('b')")
                for path, text in files.items():
                    repl.put(f"/{path}", text.encode())
                repl.put("/start.py", (ROM / "main.py").read_bytes())
            # As the board does by itself, under another name: an interrupt that gets us the prompt
            # must not hit a start.
            for _ in range(9):
                with Repl(board.port) as repl:
                    repl.enter()
                    before = board.starts
                    with contextlib.suppress(BenchError):  # it may reset the board
                        repl.exec("exec(open('/start.py').read())", 30)
                if board.starts == before:
                    break
            with Repl(board.port) as repl:
                repl.enter()
                names = [entry.name for entry in repl.listdir("/")]
                told = repl.get("/told").decode() if "told" in names else ""
                return told, json.loads(repl.get("/slot.json"))

    return start


def test_the_confirmed_slot_starts_with_the_board(started: Callable[..., Any]) -> None:
    told, after = started(slot("a"), slot("b", sequence=2))
    assert told == "a on a board; "
    assert after["active"] == "a"


def test_a_trial_that_confirms_itself_stays(started: Callable[..., Any]) -> None:
    told, after = started(slot("a"), slot("b", "slots.confirm()", 2), "b")
    assert told == "b on a board; "
    assert (after["active"], after["trial"], after["minimum"]) == ("b", "", 0)


@pytest.mark.parametrize("then", ["raise ValueError('broken')", "pass", "import nothing_there"])
def test_a_trial_that_does_not_confirm_is_tried_three_times(
    started: Callable[..., Any], then: str
) -> None:
    told, after = started(slot("a"), slot("b", then, 2), "b")
    assert told == "b on a board; " * 3 + "a on a board; "
    assert (after["active"], after["trial"], after["b"]) == ("a", "", None)
    assert after["why"] == "it did not confirm itself"


@pytest.mark.parametrize("spoil", ["b/main.py", "b/boards.py", "b/manifest.json"])
def test_a_trial_with_another_byte_never_runs(started: Callable[..., Any], spoil: str) -> None:
    told, after = started(slot("a"), slot("b", sequence=2), "b", spoil)
    assert told == "a on a board; "
    assert after["why"] == "its files are damaged"


def test_without_a_whole_firmware_there_is_a_prompt(started: Callable[..., Any]) -> None:
    told, after = started(slot("a"), None, spoil="a/main.py")
    assert told == ""
    assert after["active"] == "a"


@pytest.mark.parametrize("platform", ["rp2", "esp32"])
def test_boot_drives_the_enable_of_that_board_low(micropython: Any, platform: str) -> None:
    """Before anything else; the number is that of boards/, which stands in another file system."""
    fake = f"""
import sys
class Pin:
    OUT = "out"
    def __init__(self, number, mode, value):
        print("pin", number, mode, value)
class Module:
    pass
machine = Module(); machine.Pin = Pin
system = Module(); system.platform = {platform!r}
sys.modules["machine"] = machine
sys.modules["sys"] = system
exec(open({str(ROM / "boot.py")!r}).read())
"""
    module = {"rp2": "pico2w", "esp32": "esp32s3"}[platform]
    source = (DEVICE / "boards" / f"{module}.py").read_text("utf-8")
    pin = re.search(r"^LASER_ENABLE = (\d+)$", source, re.MULTILINE)
    assert pin is not None
    assert micropython(fake).stdout.strip() == f"pin {pin[1]} out 0"
    told = re.search(r"^LASER_ENABLE = (\{.*\})$", (ROM / "boot.py").read_text(), re.MULTILINE)
    assert told is not None
    assert ast.literal_eval(told[1])[platform] == int(pin[1])
