"""Ed25519 and SHA-512 of the firmware: vectors of RFC 8032, forgeries, `cryptography` as oracle.

The same file runs on CPython (all cases) and on MicroPython (the vectors, in a small heap).
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import DEVICE

# RFC 8032 7.1: public key, message, signature of tests 1, 2 and 3.
RFC = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
]
# The encodings of the eight points of small order, and two that are not canonical (y >= p).
SMALL = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.fixture(scope="module")
def signature() -> ModuleType:
    sys.path.insert(0, str(DEVICE))
    try:
        return importlib.import_module("signature")
    finally:
        sys.path.remove(str(DEVICE))


@pytest.fixture(scope="module")
def signed() -> tuple[bytes, bytes, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    message = b"fieldassay-fw-1" + hashlib.sha256(b"manifest").digest()
    return key.public_key().public_bytes_raw(), message, key.sign(message)


@pytest.mark.parametrize(("public", "message", "sig"), RFC)
def test_vectors_of_the_rfc(signature, public, message, sig):
    key, text, proof = (bytes.fromhex(part) for part in (public, message, sig))
    assert signature.verify(key, text, proof)
    assert not signature.verify(key, text + b"\x00", proof)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_sha512_is_that_of_hashlib(signature, data):
    sha512 = sys.modules["sha512"].sha512
    assert sha512(data) == hashlib.sha512(data).digest()


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
@settings(max_examples=25, deadline=None)
def test_takes_what_cryptography_signs(signature, seed, message):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert signature.verify(key.public_key().public_bytes_raw(), message, key.sign(message))


@given(st.integers(0, 8 * (32 + 47 + 64) - 1))
@settings(max_examples=150, deadline=None)
def test_no_single_bit_may_change(signature, signed, bit):
    parts = [bytearray(part) for part in signed]
    for part in parts:
        if bit < 8 * len(part):
            part[bit // 8] ^= 1 << bit % 8
            break
        bit -= 8 * len(part)
    assert not signature.verify(*(bytes(part) for part in parts))


@given(st.binary(max_size=70), st.binary(max_size=40), st.binary(max_size=70))
@settings(max_examples=150, deadline=None)
def test_garbage_is_refused_without_an_exception(signature, key, message, proof):
    assert signature.verify(key, message, proof) is False


def test_another_key_is_refused(signature, signed):
    other = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32).public_key().public_bytes_raw()
    assert not signature.verify(other, signed[1], signed[2])


def test_s_above_the_order_is_refused(signature, signed):
    """The same signature with the order added to s: malleable implementations take it."""
    public, message, proof = signed
    s = int.from_bytes(proof[32:], "little") + signature.ORDER
    assert s < 1 << 256
    assert not signature.verify(public, message, proof[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("point", SMALL)
def test_keys_of_small_order_are_refused(signature, point):
    """With such a key, R = that point and s = 0 would sign about every eighth message or all."""
    key = bytes.fromhex(point)
    for r in SMALL:
        for message in (b"", b"a", b"b"):
            assert not signature.verify(key, message, bytes.fromhex(r) + bytes(32))


def test_a_non_canonical_r_is_refused(signature):
    """R is compared as bytes, so a second encoding of the same point never fits."""
    key = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32).public_key().public_bytes_raw()
    for r in SMALL[8:]:
        assert not signature.verify(key, b"x", bytes.fromhex(r) + bytes(32))


SCRIPT = """
import sys
from binascii import unhexlify
import signature
key, text, proof = [unhexlify(part) for part in sys.argv[1:]]
print(signature.verify(key, text, proof), signature.verify(key, text + b"x", proof))
"""


@pytest.mark.needs("micropython")
def test_the_same_on_micropython_in_a_small_heap(micropython, signed):
    vectors = [signed, *(tuple(bytes.fromhex(part) for part in vector) for vector in RFC)]
    for vector in vectors:
        done = micropython(SCRIPT, *[part.hex() for part in vector], heap="48K")
        assert done.stdout.split() == ["True", "False"]
