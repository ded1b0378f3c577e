"""The ecosystem's ways to install the firmware name exactly its files, and work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fieldassay import release
from fieldassay.bench.repl import Repl
from fieldassay_sim.virtual_board import VirtualBoard

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "device"
FIRMWARE = set(release.firmware_files(DEVICE))


def frozen() -> set[str]:
    """Files that manifest.py names, by the meaning MicroPython gives to its words."""
    found: set[str] = set()

    def package(name: str, base_path: str) -> None:
        base = ROOT / base_path
        found.update(p.relative_to(base).as_posix() for p in (base / name).rglob("*.py"))

    def module(name: str, base_path: str) -> None:
        assert (ROOT / base_path / name).is_file()
        found.add(name)

    words = {"include": lambda *_: None, "package": package, "module": module}
    exec(compile((ROOT / "manifest.py").read_text("utf-8"), "manifest.py", "exec"), words)
    return found


def test_the_frozen_firmware_is_the_firmware() -> None:
    assert frozen() == FIRMWARE


def test_the_package_of_mip_is_the_firmware() -> None:
    package = json.loads((ROOT / "package.json").read_text("utf-8"))
    assert {target for target, _ in package["urls"]} == FIRMWARE
    assert all(source == f"device/{target}" for target, source in package["urls"])
    version = (DEVICE / "firmware.py").read_text("utf-8")
    assert f'VERSION = "{package["version"]}"' in version
    assert package["deps"] == []


@pytest.mark.needs("micropython")
def test_mpremote_installs_the_package_on_a_board(tmp_path: Path) -> None:
    """With the development tool itself; every file then reads back as it is here."""
    with VirtualBoard(tmp_path / "b.flash") as board:
        mpremote = [sys.executable, "-m", "mpremote", "connect", board.port]
        done = subprocess.run(
            [*mpremote, "mip", "install", "--no-mpy", "--target", "/lib", ROOT / "package.json"],
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        with Repl(board.port) as repl:
            repl.enter()
            for name in (
                "main.py",
                "interlock.py",
                "boards/__init__.py",
                "fieldassay_wire/cbor.py",
            ):
                assert repl.get(f"/lib/{name}") == (DEVICE / name).read_bytes()
            repl.exec("import main, interlock; from fieldassay_wire import cbor", 30)
            assert repl.eval_json("interlock.Interlock(1000).state") == "off"


@pytest.mark.parametrize("architecture", ["x64", "armv7emsp", "xtensawin"])
def test_every_module_compiles_for_a_board(architecture: str) -> None:
    files = release.compiled(release.firmware_files(DEVICE), architecture)
    assert [name for name in files if name.endswith(".py")] == ["main.py"]
    assert {name.rpartition(".")[0] for name in files} == {n.rpartition(".")[0] for n in FIRMWARE}


@pytest.mark.needs("micropython")
def test_compiled_modules_run_as_the_source_does(micropython: Any, tmp_path: Path) -> None:
    """Native code included; another architecture is refused by name."""
    program = """
import cosmic, coadd, interlock
from array import array
from fieldassay_wire import cbor
print(cosmic.__file__[-4:], cosmic.reject is not cosmic.reject_plain)
total = array("I", [1000] * 64); frame = array("H", [1000] * 64); frame[30] = 9000
print(cosmic.reject(total, frame, 64, 1, 4000, 9), frame[30])
print(bytes(cbor.encode({"a": [1, -2, "x"]})).hex(), interlock.Interlock(1000).state)
"""
    told = []
    for architecture in ("", "x64"):
        folder = tmp_path / (architecture or "source")
        files = release.firmware_files(DEVICE)
        for name, content in (
            release.compiled(files, architecture) if architecture else files
        ).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        told.append(micropython(program, path=(folder,)).stdout.split("\n"))
    assert told[0][0] == "c.py True"
    assert told[1][0] == ".mpy True"
    assert told[0][1:] == told[1][1:]
    for name, content in release.compiled(files, "xtensawin").items():
        if name == "cosmic_viper.mpy":
            (folder / name).write_bytes(content)
    refused = micropython("import cosmic_viper", path=(folder,), check=False)
    assert "incompatible .mpy" in refused.stdout + refused.stderr


def test_make_firmware_builds_a_bundle_for_every_board(tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    subprocess.run(
        [make, "-s", "-C", str(ROOT), "firmware", f"OUT={tmp_path}", "SEQUENCE=7"],
        check=True, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    for board in ("pico2w", "esp32s3"):
        (bundle,) = tmp_path.glob(f"*-{board}.fafw")
        manifest = release.load(bundle).manifest
        assert manifest["sequence"] == 7
        assert list(manifest["hardware"]) == [board]
