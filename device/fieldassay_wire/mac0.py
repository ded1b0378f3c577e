"""COSE_Mac0 (RFC 9052) with HMAC-SHA256: seal a message, open a sealed one.

The seal says which kind of message it is and whose key made it; both are authenticated. It is
symmetric: it proves "this unit or this host", not which of the two. Hash, store and forward the
sealed bytes exactly as received; parse afterwards. Does not look into the message.
"""

import hashlib

from . import cbor
from .errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

KINDS = ("measurement", "state", "telemetry", "receipt", "verdict", "command")
TAG = 17
ALGORITHM = 5  # HMAC 256/256
MAX_KID = 64
_PREFIX = "application/fieldassay."
_SUFFIX = "+cbor"


def _hmac_start(key: bytes) -> "tuple[Any, Any]":
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key))
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key))
    return inner, outer


def _hmac_end(inner: "Any", outer: "Any") -> bytes:
    outer.update(inner.digest())
    return bytes(outer.digest())


def hmac_sha256(key: bytes, chunks: "Iterable[Any]") -> bytes:
    inner, outer = _hmac_start(key)
    for chunk in chunks:
        inner.update(chunk)
    return _hmac_end(inner, outer)


def equal(a: "Any", b: "Any") -> bool:
    # Takes the same time wherever the first difference is.
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0


def content_type(kind: str) -> str:
    if kind not in KINDS:
        raise WireError("unknown_kind", "There is no message kind {!r}.".format(kind))
    return _PREFIX + kind + _SUFFIX


def _mac_prefix(protected: "Any", payload_size: int) -> bytes:
    # MAC_structure of RFC 9052 6.3 up to the payload's bytes; no external data.
    start = b"\x84\x64MAC0" + cbor.head(2, len(protected))
    return start + bytes(protected) + b"\x40" + cbor.head(2, payload_size)


def seal_chunks(
    kind: str, key: bytes, kid: "bytes | str", message: "Any"
) -> "Iterator[bytes | bytearray | memoryview]":
    # First the length, then the bytes with the HMAC running along: big arrays are never copied.
    if isinstance(kid, str):
        kid = kid.encode("utf-8")
    if not 1 <= len(kid) <= MAX_KID:
        raise WireError("bad_length", "The key id has {} bytes, 1..64 fit.".format(len(kid)))
    protected = cbor.encode({1: ALGORITHM, 3: content_type(kind), 4: kid})
    parts = cbor.encode_parts(message)
    size = sum(part.nbytes if isinstance(part, cbor.TypedArray) else len(part) for part in parts)
    inner, outer = _hmac_start(key)
    inner.update(_mac_prefix(protected, size))
    yield b"\xd1\x84" + cbor.head(2, len(protected)) + protected + b"\xa0" + cbor.head(2, size)
    for part in parts:
        if isinstance(part, cbor.TypedArray):
            for chunk in part.chunks():
                inner.update(chunk)
                yield chunk
        elif len(part):
            inner.update(part)
            yield part
    yield b"\x58\x20" + _hmac_end(inner, outer)


def seal(kind: str, key: bytes, kid: "bytes | str", message: "Any") -> bytes:
    return cbor.joined(seal_chunks(kind, key, kid, message))


def _open(data: "Any") -> "tuple[str, bytes, memoryview, memoryview, memoryview]":
    # kind, key id, protected header, payload, tag; nothing of it is authenticated yet.
    reader = cbor.Reader(data, 2, 16)
    if reader.end < 2 or bytes(reader.take(2)) != b"\xd1\x84":
        raise WireError("not_sealed", "The bytes do not start as a tagged COSE_Mac0.")
    protected = _bytes(reader, "protected header")
    if bytes(reader.take(1)) != b"\xa0":
        raise WireError("not_sealed", "The unprotected header is not empty.")
    payload = _bytes(reader, "payload")
    tag = _bytes(reader, "tag")
    reader.finish()
    header = cbor.decode(protected, 1, 16)
    if not isinstance(header, dict) or sorted(header, key=str) != [1, 3, 4]:
        raise WireError("not_sealed", "The protected header has not exactly the labels 1, 3, 4.")
    if header[1] != ALGORITHM or len(tag) != 32:
        raise WireError("bad_algorithm", "The algorithm is not HMAC 256/256 with a full tag.")
    kid = header[4]
    if not isinstance(kid, bytes) or not 1 <= len(kid) <= MAX_KID:
        raise WireError("not_sealed", "The key id is not 1..64 bytes.")
    content = header[3]
    if not isinstance(content, str) or not (
        content.startswith(_PREFIX) and content.endswith(_SUFFIX)
    ):
        raise WireError("not_sealed", "The content type is not one of ours.")
    kind = content[len(_PREFIX) : -len(_SUFFIX)]
    content_type(kind)
    return kind, kid, protected, payload, tag


def _bytes(reader: cbor.Reader, name: str) -> "memoryview":
    major, nbytes = reader.head()
    if major != 2:
        raise WireError("not_sealed", "The {} is no byte string.".format(name))
    return reader.take(nbytes)


def peek(data: "Any") -> "tuple[str, bytes]":
    # Kind and key id as the sender claims them: only good for finding the key.
    kind, kid, _, _, _ = _open(data)
    return kind, kid


def open_sealed(data: "Any", key: bytes) -> "tuple[str, bytes, memoryview]":
    # Kind, key id and payload (a view of `data`) once the tag is right; WireError otherwise.
    kind, kid, protected, payload, tag = _open(data)
    expected = hmac_sha256(key, (_mac_prefix(protected, len(payload)), payload))
    if not equal(expected, tag):
        raise WireError("bad_mac", "The tag does not fit the message and this key.")
    return kind, kid, payload
