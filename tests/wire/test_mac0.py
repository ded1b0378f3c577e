"""The seal: checked by an independent one of stdlib hmac and cbor2; broken by any change."""

from __future__ import annotations

import array
import contextlib
import hashlib
import hmac
import tracemalloc

import cbor2
import pytest
from fieldassay_wire import WireError, mac0, messages
from fieldassay_wire.cbor import TypedArray
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = bytes(range(32))
MESSAGE = {"v": 1, "unit": "u", "boot": 1, "n": 1, "command": "abort", "args": {}}


def independent_open(sealed: bytes, key: bytes) -> tuple[dict, bytes]:
    """Header and payload of a COSE_Mac0, checked with nothing of ours (RFC 9052, section 6.3)."""
    envelope = cbor2.loads(sealed)
    assert envelope.tag == 17
    protected, unprotected, payload, tag = envelope.value
    assert unprotected == {}
    structure = cbor2.dumps(["MAC0", protected, b"", payload])
    assert hmac.compare_digest(hmac.new(key, structure, hashlib.sha256).digest(), tag)
    return cbor2.loads(protected), payload


def independent_seal(kind: str, key: bytes, kid: bytes, payload: bytes) -> bytes:
    header = {1: 5, 3: f"application/fieldassay.{kind}+cbor", 4: kid}
    protected = cbor2.dumps(header, canonical=True)
    structure = cbor2.dumps(["MAC0", protected, b"", payload])
    tag = hmac.new(key, structure, hashlib.sha256).digest()
    return cbor2.dumps(cbor2.CBORTag(17, [protected, {}, payload, tag]), canonical=True)


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.binary(max_size=200), max_size=4))
def test_hmac_is_that_of_the_standard_library(key, chunks):
    expected = hmac.new(key, b"".join(chunks), hashlib.sha256).digest()
    assert mac0.hmac_sha256(key, chunks) == expected


def test_an_independent_reader_opens_every_vector(vectors):
    for v in vectors.values():
        header, payload = independent_open(v["sealed"], v["key"])
        assert header == {
            1: 5,
            3: f"application/fieldassay.{v['kind']}+cbor",
            4: v["kid"].encode(),
        }
        assert cbor2.loads(payload)["unit"] == v["message"]["unit"]


@settings(deadline=None)
@given(
    st.sampled_from(messages.KINDS),
    st.binary(min_size=1, max_size=80),
    st.binary(min_size=1, max_size=64),
)
def test_both_ways_with_the_independent_sealer(kind, key, kid):
    sealed = mac0.seal(kind, key, kid, MESSAGE)
    _, payload = independent_open(sealed, key)
    assert independent_seal(kind, key, kid, payload) == sealed
    opened = mac0.open_sealed(independent_seal(kind, key, kid, payload), key)
    assert (opened[0], opened[1], bytes(opened[2])) == (kind, kid, payload)


def test_every_flipped_bit_is_refused(vectors):
    for name in ("command-4", "receipt-1"):
        v = vectors[name]
        for bit in range(8 * len(v["sealed"])):
            changed = bytearray(v["sealed"])
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(WireError):
                mac0.open_sealed(bytes(changed), v["key"])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_vectors_never_open(vectors_by_size, data):
    v = data.draw(st.sampled_from(vectors_by_size))
    changed = bytearray(v["sealed"])
    at = data.draw(st.integers(0, len(changed)))
    changed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    if bytes(changed) == v["sealed"]:
        return
    with pytest.raises(WireError):
        mac0.open_sealed(bytes(changed), v["key"])
    with contextlib.suppress(WireError):
        mac0.peek(changed)


@pytest.fixture(scope="module")
def vectors_by_size(vectors):
    return sorted(vectors.values(), key=lambda v: len(v["sealed"]))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes(data):
    for prefix in (b"", b"\xd1\x84", b"\xd1\x84\x58\x30\xa3\x01\x05\x03"):
        for read in (mac0.peek, lambda d: mac0.open_sealed(d, KEY)):
            with pytest.raises(WireError):
                read(prefix + data)


def test_wrong_key_and_wrong_kind(vectors):
    v = vectors["receipt-1"]
    with pytest.raises(WireError) as caught:
        mac0.open_sealed(v["sealed"], v["key"] + b"\x01")
    assert caught.value.code == "bad_mac"
    renamed = v["sealed"].replace(b"assay.receipt+", b"assay.verdict+")
    assert mac0.peek(renamed)[0] == "verdict"
    with pytest.raises(WireError) as caught:
        mac0.open_sealed(renamed, v["key"])
    assert caught.value.code == "bad_mac"


@pytest.mark.parametrize("kid", ["", b"", b"k" * 65, "é" * 33])
def test_key_id_length(kid):
    with pytest.raises(WireError) as caught:
        mac0.seal("command", KEY, kid, MESSAGE)
    assert caught.value.code == "bad_length"


def test_unknown_kind_is_not_sealed():
    with pytest.raises(WireError) as caught:
        mac0.seal("greeting", KEY, "u", MESSAGE)
    assert caught.value.code == "unknown_kind"


def test_equal_compares_all_bytes():
    assert mac0.equal(b"abc", memoryview(b"abc"))
    for other in (b"abd", b"bbc", b"ab", b"abcd", b""):
        assert not mac0.equal(b"abc", other)


def test_sealing_streams_without_a_copy_of_the_arrays():
    numbers = array.array("I", range(500_000))
    message = {"raw": TypedArray(TypedArray.U32, numbers)}
    tracemalloc.start()
    size = sum(len(chunk) for chunk in mac0.seal_chunks("measurement", KEY, "u", message))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 2_000_000
    assert peak < 100_000
    sealed = mac0.seal("measurement", KEY, "u", message)
    assert len(sealed) == size
    independent_open(sealed, KEY)


STREAM = """
import gc, sys
from array import array
from fieldassay_wire import mac0, cbor
pixels = array("I", range(8192))
message = {"raw": cbor.TypedArray(70, pixels), "dark": cbor.TypedArray(70, pixels)}
gc.collect()
total = biggest = 0
for chunk in mac0.seal_chunks("measurement", b"k", "u", message):
    total += len(chunk)
    biggest = max(biggest, len(chunk))
print(total, biggest)
"""


@pytest.mark.needs("micropython")
def test_sealing_on_micropython_needs_no_second_array(micropython):
    # 32 kB of pixels in a heap that has no room for another 64 kB message.
    done = micropython(STREAM, heap="112K")
    total, biggest = map(int, done.stdout.split())
    assert total == len(
        mac0.seal(
            "measurement",
            b"k",
            "u",
            {name: TypedArray(70, bytes(4 * 8192)) for name in ("raw", "dark")},
        )
    )
    assert biggest <= 512
