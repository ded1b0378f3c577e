"""Deterministic CBOR (RFC 8949 4.2.1): encode, and decode strictly within limits.

The profile: integers of 64 bit, byte and text strings, arrays, maps with integer or text keys,
tags, true, false, null, and the little-endian integer arrays of RFC 8746. No floats, no indefinite
lengths. A value has one encoding, so encode(decode(x)) == x for every x that decode accepts. Any
bytes give a value or a WireError. Knows nothing about messages or seals.
"""

from .errors import WireError
from .values import ITEM_SIZE, Tag, TypedArray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["ITEM_SIZE", "MAX_DEPTH", "MAX_ITEMS", "Tag", "TypedArray", "decode", "encode"]

MAX_DEPTH = 16
MAX_ITEMS = 4096
_BIG = 256  # byte strings from this size on are passed through, not copied


# --- encode ---------------------------------------------------------------------------------------


def head(major: int, argument: int) -> bytes:
    # Initial byte and argument in the shortest form; argument is 0 .. 2^64-1.
    if argument < 24:
        return bytes((major << 5 | argument,))
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument >> (8 * size) == 0:
            return bytes((major << 5 | info,)) + argument.to_bytes(size, "big")
    raise WireError("not_encodable", "An integer needs more than 64 bits.")


def encode_parts(value: "Any") -> "list[Any]":
    # The encoding as a list of byte buffers and TypedArrays; buffers of the caller are not copied.
    parts: list[Any] = [bytearray()]
    _encode(value, parts, 0)
    return parts


def joined(chunks: "Iterable[Any]") -> bytes:
    # b"".join() of MicroPython takes nothing but bytes.
    out = bytearray()
    for chunk in chunks:
        out.extend(chunk)
    return bytes(out)


def encode_chunks(value: "Any") -> "Iterator[bytes | bytearray | memoryview]":
    for part in encode_parts(value):
        if isinstance(part, TypedArray):
            yield from part.chunks()
        elif len(part):
            yield part


def encode(value: "Any") -> bytes:
    return joined(encode_chunks(value))


def _encode(value: "Any", parts: "list[Any]", depth: int) -> None:
    if depth > MAX_DEPTH:
        raise WireError("too_deep", "The value is nested deeper than {} levels.".format(MAX_DEPTH))
    out = parts[-1]
    if value is None:
        out.append(0xF6)
    elif value is True or value is False:
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        out.extend(head(0, value) if value >= 0 else head(1, -1 - value))
    elif isinstance(value, str):
        out.extend(_encode_text(value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        if not isinstance(value, bytes):
            value = memoryview(value)
            if hasattr(value, "cast"):
                value = value.cast("B")
        out.extend(head(2, len(value)))
        if len(value) < _BIG:
            out.extend(value)
        else:
            parts.append(memoryview(value))
            parts.append(bytearray())
    elif isinstance(value, (list, tuple)):
        out.extend(head(4, len(value)))
        for item in value:
            _encode(item, parts, depth + 1)
    elif isinstance(value, dict):
        _encode_map(value, parts, depth)
    elif isinstance(value, TypedArray):
        out.extend(head(6, value.tag))
        out.extend(head(2, value.nbytes))
        parts.append(value)
        parts.append(bytearray())
    elif isinstance(value, Tag):
        if type(value.number) is not int or value.number < 0:
            raise WireError("not_encodable", "A tag number is an unsigned integer.")
        out.extend(head(6, value.number))
        _encode(value.value, parts, depth + 1)
    else:
        raise WireError("not_encodable", "A {} has no encoding.".format(type(value).__name__))


def _encode_map(value: "dict[Any, Any]", parts: "list[Any]", depth: int) -> None:
    keys: list[tuple[bytes, Any]] = []
    for key in value:
        if isinstance(key, str):
            keys.append((_encode_text(key), key))
        elif type(key) is int:
            keys.append((head(0, key) if key >= 0 else head(1, -1 - key), key))
        else:
            raise WireError("bad_key", "A map key is an integer or a text.")
    keys.sort(key=lambda pair: pair[0])
    parts[-1].extend(head(5, len(keys)))
    for encoded, key in keys:
        parts[-1].extend(encoded)
        _encode(value[key], parts, depth + 1)


def _encode_text(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeError:
        raise WireError("bad_utf8", "A text holds half of a surrogate pair.") from None
    _check_text(text, len(data))
    return head(3, len(data)) + data


def _check_text(text: str, nbytes: int) -> None:
    # MicroPython lets surrogates, code points above 10FFFF and overlong forms through: refuse them.
    if len(text) == nbytes:
        return
    shortest = 0
    for char in text:
        code = ord(char)
        if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            raise WireError("bad_utf8", "A text holds a code point that is none.")
        shortest += 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
    if shortest != nbytes:
        raise WireError("bad_utf8", "A text is not in the shortest UTF-8 form.")


# --- decode ---------------------------------------------------------------------------------------


class Reader:
    # Walks over one buffer. Every read checks the end; every item counts against the limit.
    def __init__(self, data: "Any", max_depth: int, max_items: int) -> None:
        view = memoryview(data)
        self.data = view.cast("B") if hasattr(view, "cast") else view
        self.pos = 0
        self.end = len(self.data)
        self.max_depth = max_depth
        self.items_left = max_items

    def take(self, count: int) -> "memoryview":
        start = self.pos
        if count > self.end - start:
            raise WireError(
                "truncated",
                "{} bytes are announced at byte {}, {} are there.".format(
                    count, start, self.end - start
                ),
            )
        self.pos = start + count
        return self.data[start : start + count]

    def head(self) -> "tuple[int, int]":
        # Major type and argument of the next item. Simple values come back as major 7.
        first = self.take(1)[0]
        major = first >> 5
        info = first & 31
        if info < 24:
            return major, info
        if info > 27:
            code = "indefinite_length" if info == 31 else "bad_head"
            raise WireError(
                code, "Byte {} has additional information {}.".format(self.pos - 1, info)
            )
        if major == 7:
            code = "bad_head" if info == 24 else "float"
            raise WireError(code, "Byte {} starts a float or simple value.".format(self.pos - 1))
        size = 1 << (info - 24)
        argument = int.from_bytes(self.take(size), "big")
        if argument < 24 if size == 1 else argument >> (4 * size) == 0:
            raise WireError(
                "not_shortest", "The number before byte {} has a shorter form.".format(self.pos)
            )
        return major, argument

    def item(self, depth: int) -> "Any":
        if depth > self.max_depth:
            raise WireError("too_deep", "Nested deeper than {} levels.".format(self.max_depth))
        self.items_left -= 1
        if self.items_left < 0:
            raise WireError("too_many_items", "More items than the limit of the reader.")
        major, argument = self.head()
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return bytes(self.take(argument))
        if major == 3:
            return self.text(argument)
        if major == 4:
            self.room(argument)
            return [self.item(depth + 1) for _ in range(argument)]
        if major == 5:
            self.room(2 * argument)
            return self.map(argument, depth)
        if major == 6:
            return self.tagged(argument, depth)
        if argument in (20, 21):
            return argument == 21
        if argument == 22:
            return None
        raise WireError("bad_head", "Simple value {} is not in the profile.".format(argument))

    def room(self, count: int) -> None:
        # An item takes at least one byte, so a count above what is left can never be true.
        if count > self.end - self.pos:
            raise WireError("truncated", "{} items do not fit in what is left.".format(count))
        if count > self.items_left:
            raise WireError("too_many_items", "{} items exceed the limit.".format(count))

    def text(self, nbytes: int) -> str:
        view = self.take(nbytes)
        try:
            text = str(view, "utf-8")
        except UnicodeError:
            raise WireError(
                "bad_utf8", "The text before byte {} is no UTF-8.".format(self.pos)
            ) from None
        _check_text(text, nbytes)
        return text

    def map(self, count: int, depth: int) -> "dict[Any, Any]":
        result: dict[Any, Any] = {}
        previous = b""
        for _ in range(count):
            start = self.pos
            key = self.item(depth + 1)
            if type(key) is not int and type(key) is not str:
                raise WireError(
                    "bad_key", "The key at byte {} is no integer or text.".format(start)
                )
            encoded = bytes(self.data[start : self.pos])
            if encoded <= previous:
                code = "duplicate_key" if encoded == previous else "unsorted_keys"
                raise WireError(code, "The key at byte {} is out of order.".format(start))
            previous = encoded
            result[key] = self.item(depth + 1)
        return result

    def tagged(self, number: int, depth: int) -> "Any":
        if not 64 <= number <= 87:
            return Tag(number, self.item(depth + 1))
        major, nbytes = self.head()
        if major != 2:
            raise WireError("bad_typed_array", "An array tag is not followed by a byte string.")
        return TypedArray(number, self.take(nbytes))

    def finish(self) -> None:
        if self.pos != self.end:
            raise WireError(
                "trailing_bytes", "{} bytes follow the value.".format(self.end - self.pos)
            )


def decode(data: "Any", max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS) -> "Any":
    # Typed arrays are views of `data`, byte strings are copies.
    reader = Reader(data, max_depth, max_items)
    try:
        value = reader.item(0)
    except RuntimeError:  # a board's stack, or a depth the caller allowed, is less than was needed
        raise WireError("too_deep", "The stack does not reach as deep as the value.") from None
    except MemoryError:  # a unit's heap ends before the limit of items does
        raise WireError("too_many_items", "The value does not fit in the memory left.") from None
    reader.finish()
    return value
