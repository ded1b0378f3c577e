"""The spool against power cuts: every program and erase operation on littlefs2, enumerated.

Proves that an acknowledged record survives, the interrupted one is whole or absent, and the boot
counter never repeats; and that the enumeration notices three wrong ways to write.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("micropython")

CUTS = Path(__file__).with_name("spool_cuts.py")
DEVICE = Path(__file__).resolve().parents[2] / "device"

# Least number of cut points per scenario, four modes each; fewer would mean a hole in the harness.
LEAST = {
    "first_start": 9,
    "append_first": 60,
    "append_over_three": 60,
    "release": 3,
    "boot_counter": 6,
    "scan_left_over": 3,
    "scan_damaged": 3,
}


@pytest.mark.parametrize("progsize", [32, 256])  # MicroPython's default; what rp2 boards use
def test_every_cut_point(micropython, progsize, record_property):
    done = micropython(CUTS, progsize, heap="2M")
    points = {}
    for line in done.stdout.splitlines():
        name, _, tried, _ = line.split()
        points[name] = int(tried)
    assert points.keys() == LEAST.keys()
    assert all(points[name] >= LEAST[name] for name in LEAST), points
    record_property("cut_points", sum(points.values()))


def _mutant(folder: Path, old: str, new: str) -> Path:
    source = (DEVICE / "spool.py").read_text()
    assert source.count(old) == 1, old
    (folder / "spool.py").write_text(source.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param(
            'tmp = self._path(_hex(key) + ".tmp")',
            'tmp = self._path(_hex(key) + "-0123456789abcdef.rec")',
            "a record was damaged",
            id="append-under-the-final-name",
        ),
        pytest.param(
            'os.rename(path + ".tmp", path)',
            'if last: os.remove(path)\n            os.rename(path + ".tmp", path)',
            "again",
            id="counter-removed-before-the-rename",
        ),
        pytest.param(
            'os.rename(self._path(name), self._path(name[:-4] + ".bad"))',
            "os.remove(self._path(name))",
            "a damaged record was deleted",
            id="damaged-record-deleted",
        ),
    ],
)
def test_a_wrong_way_to_write_is_noticed(micropython, tmp_path, old, new, complaint):
    folder = _mutant(tmp_path, old, new)
    done = micropython(CUTS, 256, heap="2M", path=[folder, DEVICE], check=False)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr
