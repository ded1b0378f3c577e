"""The build guide's wiring, addresses and example are those of the boards' code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "docs" / "how-to" / "build-a-unit.md").read_text("utf-8")


def constants(path: Path) -> dict[str, object]:
    """The names a module gives plain values to, names of names resolved."""
    found: dict[str, object] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(target, ast.Name):
            continue
        source = re.sub(r"\bconst\((\w+)\)", r"\1", ast.unparse(node.value))  # type: ignore[attr-defined]
        for name, value in found.items():
            source = re.sub(rf"(?<!['\w]){name}(?!['\w])", repr(value), source)
        try:
            found[target.id] = ast.literal_eval(source)
        except ValueError:
            continue
    return found


@pytest.mark.parametrize(
    ("board", "heading"), [("pico2w", "Raspberry Pi Pico 2 W"), ("esp32s3", "ESP32-S3")]
)
def test_the_wiring_is_the_code_s(root: Path, guide: str, board: str, heading: str) -> None:
    section = guide.split(f"### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", section, re.M)
    written = {name: int(number) for name, number, _ in rows}
    assert written == constants(root / "device" / "boards" / f"{board}.py")["PINS"]
    assert [int(number) for _, number, _ in rows] == sorted(written.values())


@pytest.mark.parametrize(
    ("chip", "file", "name"),
    [
        ("SSD1306", "parts/ssd1306.py", "ADDRESS"),
        ("MAX17048", "parts/battery.py", "GAUGE_ADDRESS"),
        ("DS3231", "parts/rtc.py", "DS3231_ADDRESS"),
        ("PCF8563", "parts/rtc.py", "PCF8563_ADDRESS"),
        ("MCP4725", "drivers/mcp4725.py", "ADDRESS"),
        ("TMP117", "parts/thermometer.py", "ADDRESS"),
    ],
)
def test_the_addresses_are_the_code_s(root: Path, guide: str, chip: str, file: str, name: str):
    address = re.search(rf"^\| {chip} \| (0x[0-9A-F]+) \|", guide, re.M)
    assert address is not None
    assert int(address[1], 16) == constants(root / "device" / file)[name]


def test_the_example_of_what_was_measured_is_complete(root: Path, guide: str) -> None:
    example = json.loads(guide.split("```json\n")[1].split("```")[0])
    defaults = constants(root / "device" / "boards" / "wired.py")["DEFAULTS"]
    assert isinstance(defaults, dict)
    assert example.keys() == defaults.keys()
    assert example["laser"].keys() == defaults["laser"].keys()
    table = set(re.findall(r"`(laser\.\w+|\w+)`", guide.split("| key | what it is |")[1]))
    keys = {key for key in defaults if key != "laser"} | {f"laser.{k}" for k in defaults["laser"]}
    assert keys <= table
    codes = example["laser"]["power_codes"]
    assert codes == sorted(codes) and all(code <= 4095 for _, code in codes)


def test_it_is_said_that_nothing_was_tested_on_hardware(root: Path, guide: str) -> None:
    safety = (root / "docs" / "explanation" / "laser-safety-for-builders.md").read_text("utf-8")
    for text in (guide, safety, (root / "docs" / "how-to" / "add-a-board.md").read_text("utf-8")):
        assert "tested on\nhardware" in text or "tested on hardware" in text
    assert "whoever builds" in safety.lower() and not re.search(r"clause \d", safety)
