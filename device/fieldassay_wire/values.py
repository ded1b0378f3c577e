"""TypedArray and Tag: the two CBOR values that Python has no type for.

A TypedArray (RFC 8746) holds whole numbers in a buffer that is never copied. Knows nothing about
the encoding of anything else.
"""

from .errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# RFC 8746 tag -> bytes per element. Boards, hosts and the arrays of both are little-endian.
ITEM_SIZE = {64: 1, 69: 2, 70: 4, 71: 8, 72: 1, 77: 2, 78: 4, 79: 8}
_BLOCK = 512  # bytes copied at a time where an array cannot be viewed as bytes (MicroPython)


class TypedArray:
    # tag: RFC 8746; data: bytes-like or an array with items of that size; never copied
    U8 = 64
    U16 = 69
    U32 = 70
    U64 = 71
    I16 = 77
    I32 = 78
    __slots__ = ("data", "nbytes", "tag")

    def __init__(self, tag: int, data: "Any") -> None:
        if tag not in ITEM_SIZE:
            raise WireError("bad_typed_array", "Array tag {} is not in the profile.".format(tag))
        if hasattr(memoryview, "cast"):
            data = memoryview(data)
            width = data.itemsize
        else:
            width = len(bytes(data[:1])) or 1
        if width not in (1, ITEM_SIZE[tag]):
            raise WireError(
                "bad_typed_array",
                "Array tag {} needs items of {} bytes, not {}.".format(tag, ITEM_SIZE[tag], width),
            )
        if width != 1 and hasattr(memoryview, "cast"):
            data = data.cast("B")
            width = 1
        self.tag = tag
        self.data = data
        self.nbytes: int = len(data) * width
        if self.nbytes % ITEM_SIZE[tag]:
            raise WireError(
                "bad_typed_array",
                "{} bytes are no whole number of {}-byte items.".format(
                    self.nbytes, ITEM_SIZE[tag]
                ),
            )

    def __len__(self) -> int:
        return self.nbytes // ITEM_SIZE[self.tag]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypedArray):
            return False
        return self.tag == other.tag and bytes(self.data) == bytes(other.data)

    def __hash__(self) -> int:
        return hash((self.tag, bytes(self.data)))

    def __repr__(self) -> str:
        return "TypedArray({}, {} items)".format(self.tag, len(self))

    def chunks(self) -> "Iterator[bytes | memoryview]":
        # The bytes as views, whose len() counts bytes on both interpreters.
        data = self.data
        if len(data) == self.nbytes:
            yield memoryview(data)
            return
        step = _BLOCK // ITEM_SIZE[self.tag]
        for start in range(0, len(data), step):
            yield bytes(data[start : start + step])


class Tag:
    __slots__ = ("number", "value")

    def __init__(self, number: int, value: "Any") -> None:
        self.number = number
        self.value = value

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Tag)
            and self.number == other.number
            and bool(self.value == other.value)
        )

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return "Tag({}, {!r})".format(self.number, self.value)
