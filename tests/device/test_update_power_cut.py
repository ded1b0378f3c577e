"""An update against power cuts: every program and erase operation on littlefs2, enumerated (F2).

Proves that the old or the new firmware starts, whole, wherever the power goes; that the update can
then be done again; and that the enumeration notices wrong ways to do it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fieldassay import bundle

pytestmark = pytest.mark.needs("micropython")

HERE = Path(__file__).parent
DEVICE = HERE.parents[1] / "device"
CUTS = HERE / "update_cuts.py"
# Least number of cut points per scenario, four modes each; fewer would be a hole in the harness.
LEAST = {"install": 100, "resume": 60, "confirm": 10, "revert": 10, "trial_starts": 10}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    (folder / "key").write_text(key.public_key().public_bytes_raw().hex())
    for number, name in ((1, "one"), (2, "two")):
        files = {
            "main.py": b"N = %d\n" % number,
            "app.py": b"# %d\n" % number * 700,
            "same.py": b"the same in both\n",
            "empty.py": b"",
            "boards/__init__.py": b'"""%d"""\n' % number,
        }
        data = bundle.build(
            files, version=name, sequence=number, hardware=["sim"], minimum_sequence=number - 1
        )
        (folder / f"{name}.fafw").write_bytes(bundle.sign(bundle.read(data), key))
    return folder


def paths(*first: Path) -> list[Path]:
    return [*first, DEVICE, DEVICE / "rom", HERE]


@pytest.mark.parametrize("progsize", [32, 256])  # MicroPython's default; what rp2 boards use
def test_every_cut_point(micropython, bundles, progsize, record_property):
    done = micropython(CUTS, progsize, bundles, heap="2M", path=paths(), timeout_s=300)
    points = {}
    for line in done.stdout.splitlines():
        name, _, tried, _ = line.split()
        points[name] = int(tried)
    assert points.keys() == LEAST.keys()
    assert all(points[name] >= LEAST[name] for name in LEAST), points
    record_property("cut_points", sum(points.values()))


@pytest.mark.parametrize(
    ("module", "old", "new", "complaint"),
    [
        pytest.param(
            "rom/slots.py",
            "name = other(self.running)\n",
            "name = self.running if self.running == 'a' else other(self.running)\n",
            "neither firmware starts",
            id="written-over-the-running-one",
        ),
        pytest.param(
            "update.py",
            "        elif prefix + name not in wanted:\n",
            "        elif False:\n",
            "a stray file stays",
            id="stray-files-kept",
        ),
        pytest.param(
            "rom/slots.py",
            'state["boots"] += 1',
            'state["boots"] += 0',
            "the trial goes on",
            id="starts-not-counted",
        ),
    ],
)
def test_a_wrong_way_is_noticed(micropython, bundles, tmp_path, module, old, new, complaint):
    source = (DEVICE / module).read_text()
    assert source.count(old) == 1, old
    (tmp_path / Path(module).name).write_text(source.replace(old, new))
    done = micropython(
        CUTS, 256, bundles, heap="2M", path=paths(tmp_path), check=False, timeout_s=300
    )
    assert done.returncode != 0, done.stdout
    assert complaint in done.stdout + done.stderr
