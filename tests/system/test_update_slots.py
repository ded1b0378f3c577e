"""The real firmware started from a slot of its flash on a simulated unit: trial, confirm, return.

The laser audit of the simulator watches: no light while a firmware is started, tried or given up.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fieldassay import bundle, release
from fieldassay_sim.bench import Bench
from fieldassay_sim.references import References
from fieldassay_sim.scenario import parse
from fieldassay_sim.unit import Unit, UnitConfig
from littlefs import LittleFS, UserContext

pytestmark = pytest.mark.needs("micropython")
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
KEY_HEX = hashlib.sha256(b"a key that nobody guesses").hexdigest()
BLOCK, BLOCKS = 4096, 1024
# MicroPython's: a file kept in a directory's block must not be longer than its cache.
MICROPYTHONS = {"read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32}
SCENARIO = 'title = "t"\nseed = 3\n[samples.acetone]\nreference = "acetone"\n'
HANG_S = 40.0


def firmware(root: Path, sequence: int, **changed: str) -> bundle.Bundle:
    """A signed release of the firmware as it stands, with some files replaced."""
    files = release.compiled(release.firmware_files(root / "device"))
    for name, text in changed.items():
        files.pop(f"{name}.mpy", None)
        files[f"{name}.py"] = text.encode()
    data = bundle.build(files, version=f"0.{sequence}", sequence=sequence, hardware=["sim"])
    return bundle.read(bundle.sign(bundle.read(data), KEY))


class FlashImage:
    """The flash of a unit as a file, read and written while the unit is off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        self.context = UserContext(BLOCK * BLOCKS)
        self.fs = LittleFS(
            context=self.context,
            block_size=BLOCK,
            block_count=BLOCKS,
            mount=False,
            **MICROPYTHONS,
        )
        if fresh:
            self.fs.format()
        else:
            self.context.buffer = bytearray(path.read_bytes())
        self.fs.mount()

    def put(self, path: str, data: bytes) -> None:
        parent = path.rpartition("/")[0]
        if parent:
            self.fs.makedirs(parent, exist_ok=True)
        with self.fs.open(path, "wb") as file:
            file.write(data)

    def get(self, path: str) -> bytes:
        with self.fs.open(path, "rb") as file:
            return bytes(file.read())

    def slot(self, name: str, found: bundle.Bundle) -> list[Any]:
        for path, content in found.files():
            self.put(f"{name}/{path}", content)
        self.put(f"{name}/manifest.json", found.manifest_bytes)
        return [found.sha256, found.manifest["sequence"], found.manifest["minimum_sequence"]]

    def save(self) -> None:
        self.path.write_bytes(bytes(self.context.buffer))


def state(active: str = "a", trial: str = "", **slots: Any) -> bytes:
    facts = {"active": active, "trial": trial, "boots": 0, "minimum": 0, "a": None, "b": None}
    return json.dumps({**facts, "why": "", **slots}).encode()


def run_until(
    folder: Path, sources: Path, done: Callable[[Unit], bool], port: int = 9, name: str = "sim-1"
) -> Unit:
    """Switch the unit on, wait until `done`, switch it off."""
    bench = Bench(parse(SCENARIO, folder / "t.toml"), References(sources))
    config = UnitConfig(name, KEY_HEX, "127.0.0.1", port, bench.instrument(0))

    async def work() -> Unit:
        unit = Unit(config, bench.condition(0), folder)
        await unit.start()
        end = time.monotonic() + HANG_S
        try:
            while not done(unit):
                assert time.monotonic() < end, "\n".join(map(str, list(unit.events.recent)[-40:]))
                await asyncio.sleep(0.02)
        finally:
            await unit.stop()
        return unit

    return asyncio.run(work())


def logged(unit: Unit, kind: str) -> list[dict[str, Any]]:
    return [e["details"] for e in unit.events.recent if e.get("kind") == kind]


def ready(unit: Unit) -> bool:
    return any("DARK OR COLOURED" in row[0] for row in unit.hardware.outputs.rows)


def image(folder: Path) -> FlashImage:
    return FlashImage(folder / "sim-1.flash")


def test_starts_the_confirmed_slot(root, tmp_path, sources_dir):
    flash = image(tmp_path)
    flash.put("slot.json", state(a=flash.slot("a", firmware(root, 1))))
    flash.save()
    unit = run_until(tmp_path, sources_dir, ready)
    assert unit.crashes == 0
    assert unit.audit.violations == []


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("app", "raise ValueError('broken at the import')\n", "it did not confirm itself"),
        ("main", "import nothing_of_this_name\n", "it did not confirm itself"),
        (
            "selftest",
            "import interlock\nasync def run(board, laser, acquirer, settings):\n"
            "    return {'laser': 'fail'}\ndef blocked(checks):\n    return True\n",
            "its self-test failed",
        ),
    ],
)
def test_a_bad_firmware_gives_way_to_the_old_one(root, tmp_path, sources_dir, name, text, why):
    flash = image(tmp_path)
    old = flash.slot("a", firmware(root, 1))
    bad = flash.slot("b", firmware(root, 2, **{name: text}))
    flash.put("slot.json", state(trial="b", a=old, b=bad))
    flash.save()
    unit = run_until(tmp_path, sources_dir, ready)
    after = json.loads(image(tmp_path).get("slot.json"))
    assert (after["active"], after["trial"], after["b"], after["why"]) == ("a", "", None, why)
    assert unit.audit.fired == 0
    assert unit.audit.violations == []


def test_damaged_files_do_not_start(root, tmp_path, sources_dir):
    flash = image(tmp_path)
    old = flash.slot("a", firmware(root, 1))
    new = flash.slot("b", firmware(root, 2))
    flash.put("b/boards/sim.mpy", b"M")
    flash.put("slot.json", state(active="b", a=old, b=new))
    flash.save()
    unit = run_until(tmp_path, sources_dir, ready)
    assert json.loads(image(tmp_path).get("slot.json"))["active"] == "a"
    assert unit.crashes == 0
