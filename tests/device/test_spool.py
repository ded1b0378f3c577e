"""The spool's rules, on CPython: the same file, checked against a model with Hypothesis."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

_file = Path(__file__).resolve().parents[2] / "device" / "spool.py"
_spec = importlib.util.spec_from_file_location("fieldassay_device_spool", _file)
assert _spec is not None
assert _spec.loader is not None
spool_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(spool_module)
Spool, SpoolError, SpoolFull = (
    spool_module.Spool,
    spool_module.SpoolError,
    spool_module.SpoolFull,
)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "spool")


def test_append_gives_the_digest_of_the_exact_bytes(root):
    spool = Spool(root, 3)
    digest = spool.append(1, 7, [b"ab", memoryview(b"cd"), bytearray(b"e")])
    assert digest == hashlib.sha256(b"abcde").digest() == spool.digest(1, 7)
    assert b"".join(map(bytes, spool.open_blocks(1, 7, 2))) == b"abcde"
    assert spool.size(1, 7) == 5


def test_oldest_first_across_boots(root):
    spool = Spool(root, 9)
    for key in [(2, 0), (1, 300), (1, 20), (10, 1)]:
        spool.append(*key, [b"x"])
    assert spool.pending() == Spool(root, 9).pending() == [(1, 20), (1, 300), (2, 0), (10, 1)]


def test_full_is_refused_not_overwritten(root):
    spool = Spool(root, 2)
    spool.append(1, 1, [b"a"])
    spool.append(1, 2, [b"b"])
    with pytest.raises(SpoolFull) as caught:
        spool.append(1, 3, [b"c"])
    assert (caught.value.code, spool.used) == ("spool_full", 2)
    assert spool.digest(1, 1) == hashlib.sha256(b"a").digest()


def test_the_same_number_twice_is_refused(root):
    spool = Spool(root, 5)
    spool.append(1, 1, [b"a"])
    with pytest.raises(SpoolError) as caught:
        spool.append(1, 1, [b"b"])
    assert caught.value.code == "spool_exists"
    assert spool.digest(1, 1) == hashlib.sha256(b"a").digest()


def test_release_needs_the_digest(root):
    spool = Spool(root, 5)
    digest = spool.append(1, 1, [b"a"])
    assert not spool.release(1, 1, hashlib.sha256(b"b").digest())
    assert not spool.release(1, 1, b"")
    assert not spool.release(1, 1, digest[:8])
    assert not spool.release(1, 2, digest)
    assert spool.used == 1
    assert spool.release(1, 1, memoryview(digest))
    assert not spool.release(1, 1, digest)
    assert Spool(root, 5).used == 0


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt])
def test_a_failing_source_leaves_nothing(root, error):
    def chunks():
        yield b"half"
        raise error

    spool = Spool(root, 5)
    with pytest.raises(error):
        spool.append(1, 1, chunks())
    assert list(Path(root).iterdir()) == []
    assert spool.used == 0
    spool.append(1, 1, [b"whole"])


def test_damage_is_set_aside_and_counted(root):
    spool = Spool(root, 5)
    for seq in range(3):
        spool.append(1, seq, [b"record %d" % seq])
    names = sorted(Path(root).iterdir())
    names[1].write_bytes(b"record ?")
    (Path(root) / "junk.rec").write_bytes(b"")
    (Path(root) / "00000001-00000009.tmp").write_bytes(b"half a rec")
    again = Spool(root, 5)
    assert again.pending() == [(1, 0), (1, 2)]
    assert again.bad == 2
    assert sorted(p.suffix for p in Path(root).iterdir()) == [".bad", ".bad", ".rec", ".rec"]
    assert Spool(root, 5).bad == 2
    assert names[1].with_suffix(".bad").read_bytes() == b"record ?"


def test_scan_feeds_the_watchdog(root):
    spool = Spool(root, 5)
    for seq in range(3):
        spool.append(1, seq, [b"x"])
    ticks = []
    Spool(root, 5, tick=lambda: ticks.append(1))
    assert len(ticks) == 3


def test_unknown_record(root):
    for ask in (Spool(root, 5).digest, Spool(root, 5).size, Spool(root, 5).open_blocks):
        with pytest.raises(SpoolError) as caught:
            ask(1, 1)
        assert caught.value.code == "spool_unknown"


def test_boot_counter_goes_on(root):
    assert [Spool(root, 5).next_boot() for _ in range(3)] == [1, 2, 3]


def test_boot_counter_is_never_below_a_stored_record(root):
    Spool(root, 5).append(41, 1, [b"x"])
    assert Spool(root, 5).next_boot() == 42


@pytest.mark.parametrize("content", ["", "x", "1x", "\0\0\0\0"])
def test_a_damaged_boot_counter_is_no_guess(root, content):
    spool = Spool(root, 5)
    spool.next_boot()
    (Path(root) / "boot").write_text(content)
    with pytest.raises(SpoolError) as caught:
        spool.next_boot()
    assert caught.value.code == "spool_counter"


class SpoolModel(RuleBasedStateMachine):
    """Any order of appends, releases, restarts and left-overs, beside a dict that cannot fail."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.root = self.folder + "/spool"
        self.spool = Spool(self.root, 4)
        self.model: dict[tuple[int, int], bytes] = {}
        self.boots: list[int] = []

    keys = st.tuples(st.integers(0, 3), st.integers(0, 0xFFFFFFFF) | st.integers(0, 3))

    @rule(key=keys, chunks=st.lists(st.binary(max_size=700), max_size=4))
    def append(self, key, chunks):
        try:
            digest = self.spool.append(*key, chunks)
        except SpoolFull:
            assert len(self.model) == 4
        except SpoolError:
            assert key in self.model
        else:
            assert len(self.model) < 4
            assert key not in self.model
            self.model[key] = b"".join(chunks)
            assert digest == hashlib.sha256(self.model[key]).digest()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), right=st.booleans())
    def release(self, data, right):
        key = data.draw(st.sampled_from(sorted(self.model)))
        digest = hashlib.sha256(self.model[key] + (b"" if right else b"!")).digest()
        assert self.spool.release(*key, digest) is right
        if right:
            del self.model[key]

    @rule()
    def restart(self):
        self.spool = Spool(self.root, 4)
        boot = self.spool.next_boot()
        assert boot > max([0, *self.boots])
        self.boots.append(boot)

    @rule(name=st.sampled_from(["00000000-00000000.tmp", "boot.tmp"]), data=st.binary(max_size=9))
    def left_over(self, name, data):
        (Path(self.root) / name).write_bytes(data)

    @invariant()
    def same_as_the_model(self):
        assert self.spool.pending() == sorted(self.model)
        assert self.spool.used == len(self.model)
        for key, data in self.model.items():
            assert self.spool.holds(*key)
            assert b"".join(map(bytes, self.spool.open_blocks(*key, 64))) == data
        assert not self.spool.holds(9, 9)
        assert self.spool.bad == 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
