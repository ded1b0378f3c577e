"""What a unit refuses to install, and that it then wrote nothing (F1); slots without power cuts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fieldassay import bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import DEVICE

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
TRUSTED = [KEY.public_key().public_bytes_raw()]
NOW_MS = 1_800_000_000_000
FILES = {"main.py": b"N = 2\n", "boards/sim.py": b"x\n" * 3000}
FACTS: dict[str, Any] = {
    "version": "2",
    "sequence": 7,
    "hardware": ["sim"],
    "minimum_sequence": 5,
    "expires_s": NOW_MS // 1000 + 10,
}


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    sys.path[:0] = [str(DEVICE), str(DEVICE / "rom")]
    try:
        import slots
        import update
    finally:
        del sys.path[:2]
    return {"update": update, "slots": slots}


def make(key=KEY, files=FILES, **change) -> bytes:
    data = bundle.build(files, **{**FACTS, **change})
    return data if key is None else bundle.sign(bundle.read(data), key)


def unit(modules, root: Path, clock=(NOW_MS, "synced"), sequence: int = 6, minimum: int = 5):
    """A unit whose slot a holds sequence 6 and which never goes below 5."""
    slots = modules["slots"].Slots(str(root))
    slots.state.update(a=["0" * 64, sequence, 0], minimum=minimum)
    slots.running = "a"
    return slots, modules["update"].Update(slots, TRUSTED, "sim", lambda: clock)


def head(data: bytes) -> bytes:
    return data[: bundle.form.HEAD_BYTES + int.from_bytes(data[6:10], "big")]


def receive(update, data: bytes, step: int = 1000) -> None:
    update.begin(head(data))
    while (wanted := update.wanted(step)) is not None:
        update.block(wanted[0], data[wanted[0] : wanted[0] + wanted[1]])
    update.finish()


def code_of(modules, root: Path, data: bytes, **facts) -> str:
    update = unit(modules, root, **facts)[1]
    with pytest.raises(Exception) as caught:
        receive(update, data)
    assert caught.value.what
    assert caught.value.do_next
    return caught.value.code


def forged() -> bytes:
    data = bytearray(make())
    data[60] ^= 1
    return bytes(data)


def renamed_key() -> bytes:
    """Signed by another, but says it is ours."""
    data = bytearray(make(OTHER))
    data[10:42] = TRUSTED[0]
    return bytes(data)


REFUSED = {
    "unsigned": (lambda: make(None), {}, "update_unsigned"),
    "wrong key": (lambda: make(OTHER), {}, "update_key_unknown"),
    "wrong key under our name": (renamed_key, {}, "update_altered"),
    "altered signature": (forged, {}, "update_altered"),
    "altered manifest": (
        lambda: make().replace(b'"sequence":7', b'"sequence":9'),
        {},
        "update_altered",
    ),
    "older": (lambda: make(sequence=6), {"sequence": 7}, "update_older"),
    "the same": (make, {"sequence": 7}, "update_older"),
    "below the minimum": (make, {"sequence": 1, "minimum": 8}, "update_below_minimum"),
    "other hardware": (lambda: make(hardware=["pico2w"]), {}, "update_wrong_hardware"),
    "expired": (lambda: make(expires_s=NOW_MS // 1000 - 1), {}, "update_expired"),
    "no bundle": (lambda: b"fafw" + make()[4:90], {}, "update_damaged"),
    "cut in the manifest": (lambda: make()[:-6100], {}, "update_damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_written(modules, tmp_path, name):
    data, facts, code = REFUSED[name]
    assert code_of(modules, tmp_path, data(), **facts) == code
    assert list(tmp_path.iterdir()) == []


def test_another_product_is_refused(modules, tmp_path):
    data = make(None).replace(b'"fieldassay-unit"', b'"fieldassay-onit"')
    manifest = head(data)[bundle.form.HEAD_BYTES :]
    proof = KEY.sign(b"fieldassay-fw-1" + bundle.hashlib.sha256(manifest).digest())
    signed = bundle.form.head(len(manifest), TRUSTED[0], proof) + manifest
    assert code_of(modules, tmp_path, signed) == "update_damaged"


def test_no_trusted_key_means_no_update(modules, tmp_path):
    assert modules["update"].trusted_keys(str(tmp_path)) == []
    slots, _ = unit(modules, tmp_path)
    update = modules["update"].Update(slots, [], "sim", lambda: (NOW_MS, "synced"))
    with pytest.raises(Exception, match="does not trust"):
        update.begin(head(make()))


def test_without_a_clock_expiry_is_flagged(modules, tmp_path):
    update = unit(modules, tmp_path, clock=(0, "unset"))[1]
    update.begin(head(make(expires_s=1)))
    assert update.expiry_unchecked
    update.begin(head(make(expires_s=0)))
    assert not update.expiry_unchecked
    update.abandon()


def test_too_big_is_refused(modules, tmp_path, monkeypatch):
    facts = (4096, 4096, 100, 13, 13, 0, 0, 0, 0, 255)
    monkeypatch.setattr("os.statvfs", lambda path: facts)
    assert code_of(modules, tmp_path, make()) == "update_too_big"


def test_a_file_that_came_wrong_is_refused_and_not_kept(modules, tmp_path):
    data = bytearray(make())
    data[-1] ^= 1
    assert code_of(modules, tmp_path, bytes(data)) == "update_altered"
    assert not (tmp_path / "b" / "manifest.json").exists()
    assert not list(tmp_path.rglob("*.new"))


def test_installed_then_tried_then_confirmed(modules, tmp_path):
    update = unit(modules, tmp_path)[1]
    receive(update, make())
    again = modules["slots"].Slots(str(tmp_path))
    assert again.choose() == "b"
    assert again.on_trial()
    assert (tmp_path / "b" / "boards" / "sim.py").read_bytes() == FILES["boards/sim.py"]
    again.confirm()
    state = json.loads((tmp_path / "slot.json").read_text())
    assert (state["active"], state["trial"], state["minimum"]) == ("b", "", 5)


def test_no_update_while_one_is_on_trial(modules, tmp_path):
    """The slot it would go into is the one to fall back to."""
    receive(unit(modules, tmp_path)[1], make())
    slots = modules["slots"].Slots(str(tmp_path))
    slots.choose()
    update = modules["update"].Update(slots, TRUSTED, "sim", lambda: (NOW_MS, "synced"))
    with pytest.raises(Exception, match="prove itself"):
        update.begin(head(make(sequence=8)))


def test_damage_after_the_installation_is_seen_at_the_start(modules, tmp_path):
    receive(unit(modules, tmp_path)[1], make())
    (tmp_path / "b" / "main.py").write_bytes(b"N = 3\n")
    assert modules["slots"].Slots(str(tmp_path)).choose() == ""  # and a was never whole here


@given(st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_altered_is_ever_installed(modules, tmp_path_factory, data):
    """Mutations of head, signature, manifest and files: never a trial, always a typed refusal."""
    root = tmp_path_factory.mktemp("unit")
    good = make()
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    else:
        bad = good[:at] + data.draw(st.binary(min_size=1, max_size=40)) + good[at + 5 :]
    if bad[: len(good)] == good:
        return
    slots, update = unit(modules, root)
    with pytest.raises(Exception) as caught:
        receive(update, bad.ljust(len(good), b"\0"))
    update.abandon()
    assert caught.value.code.startswith("update_"), repr(caught.value)
    assert slots.state["trial"] == ""


@given(st.lists(st.tuples(st.integers(0, 9000), st.binary(max_size=600)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_blocks_that_nobody_asked_for_change_nothing(modules, tmp_path_factory, blocks):
    root = tmp_path_factory.mktemp("unit")
    data = make()
    slots, update = unit(modules, root)
    update.begin(head(data))
    for offset, junk in blocks:
        wanted = update.wanted(512)
        if offset != wanted[0]:
            assert not update.block(offset, junk)
    receive(update, data)
    assert slots.state["trial"] == "b"
