"""`make types` would see a mistake in the firmware: one is planted for each port."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PORTS = {
    "rp2": (
        "import machine\nimport rp2\nbad: int = machine.unique_id()\n"
        "rp2.StateMachine(0).put(1)\nmachine.Pin(3).nope()\n"
    ),
    "esp32": (
        "import esp32\nimport machine\nbad: int = machine.unique_id()\n"
        "esp32.RMT.bitstream_channel()\nmachine.Pin(3).nope()\n"
    ),
    "linux": (
        "import gc\nimport time\nbad: bytes = gc.mem_free()\ngc.collect()\ntime.ticks_us().nope()\n"
    ),
}


@pytest.mark.parametrize("port", PORTS)
def test_a_planted_mistake_is_found(tmp_path, port):
    typings = ROOT / "typings" / port
    if not (typings / ".ready").exists():
        pytest.skip("no stubs of MicroPython here: type `make types` once")
    planted = tmp_path / "planted.py"
    planted.write_text(PORTS[port])
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--config-file", str(ROOT / "device" / "mypy.ini"),
            "--custom-typeshed-dir", str(typings), "--platform", port,
            "--cache-dir", str(ROOT / ".mypy_cache" / port), str(planted),
        ],
        env={**os.environ, "MYPYPATH": f"{ROOT / 'device'}:{typings}"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert "3" in found and "5" in found, done.stdout + done.stderr
    assert "1" not in found and "2" not in found, done.stdout


def test_every_board_is_in_exactly_its_own_run():
    made = (ROOT / "Makefile").read_text("utf-8")
    lists = {
        port: set(line.split(":=")[1].split())
        for line in made.splitlines()
        for port in PORTS
        if line.startswith(f"BOARDS_{port} ")
    }
    files = {path.stem for path in (ROOT / "device" / "boards").glob("*.py")} - {"__init__"}
    assert set().union(*lists.values()) == files
    assert lists["rp2"] & lists["esp32"] == {"wired", "wifi"}
