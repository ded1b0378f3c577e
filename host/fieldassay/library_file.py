"""The container a library is kept in: named arrays and one JSON header, hashed, ready to be mapped.

Owns the bytes; what the header and the arrays mean is `library`. Pure: writes to a file object it
is given, reads from a buffer.

Layout, little-endian. 64 bytes of prefix: magic "FALIB" 0 0 2, place and length of the header
(8 bytes each), 8 zero bytes, SHA-256 of the header. Then the arrays one after another, each from a
multiple of 64 bytes on and filled with zeros up to the next. Then the header (UTF-8 JSON, sorted
keys) up to the end of the file. The header lists of each array name, dtype, shape, stride (bytes
from row to row), offset, bytes (filling included) and SHA-256 of these bytes. So the hash of the
header stands for the whole file, every byte is covered, and each array can be checked by itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import LibraryError

MAGIC = b"FALIB\x00\x00\x02"
PREFIX = 64
ALIGN = 64
Array = NDArray[Any]
# What a file may hold: fixed-size numbers, byte order given. Anything else (objects!) is refused.
DTYPES = frozenset(
    {"|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"}
)  # fmt: skip
MAX_DIMENSIONS = 4
_LONE_SURROGATE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]")
REBUILD = "Build or import it again; `fieldassay library build` makes the default one."


@dataclass(frozen=True, slots=True)
class Content:
    """A checked file: header, arrays (read-only views) and the hash of the header."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Array]
    digest: bytes


class Writer:
    """Writes arrays one after another, then the header; holds no array in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = PREFIX
        self._places: list[dict[str, Any]] = []
        file.write(bytes(PREFIX))

    def add(
        self,
        name: str,
        dtype: str,
        shape: tuple[int, ...],
        blocks: Iterable[Array],
        padded: bool = False,
    ) -> None:
        """Write one array.

        Args:
            name: Unique.
            dtype: One of DTYPES.
            shape: Of the whole array.
            blocks: The array in parts along its first axis.
            padded: Fill the rows of a matrix up to a multiple of 64 bytes.
        """
        size = np.dtype(dtype).itemsize
        row = size * int(np.prod(shape[1:], dtype=np.int64))
        stride = _aligned(row) if padded and len(shape) == 2 else row
        digest, count = hashlib.sha256(), 0
        for block in blocks:
            data = np.ascontiguousarray(block, dtype=dtype)
            if stride != row:
                wider = np.zeros((data.shape[0], stride // size), dtype=dtype)
                wider[:, : shape[1]] = data
                data = wider
            digest.update(data.data)
            self._file.write(data.data)
            count += data.nbytes
        if count != stride * shape[0]:
            raise ValueError(f"{name!r} has {count} bytes instead of {stride * shape[0]}")
        filling = bytes(_aligned(count) - count)
        digest.update(filling)
        self._file.write(filling)
        self._places.append(
            {
                "name": name,
                "dtype": dtype,
                "shape": list(shape),
                "stride": stride,
                "offset": self._at,
                "bytes": count + len(filling),
                "sha256": digest.hexdigest(),
            }
        )
        self._at += count + len(filling)

    def finish(self, header: Mapping[str, Any]) -> None:
        """Write the header with the list of arrays, and the prefix."""
        text = _json({**header, "arrays": self._places})
        self._file.write(text)
        self._file.seek(0)
        numbers = b"".join(n.to_bytes(8, "little") for n in (self._at, len(text), 0))
        self._file.write(MAGIC + numbers + hashlib.sha256(text).digest())


def read(data: NDArray[np.uint8], verify: bool = True) -> Content:
    """Check and map a library file.

    Args:
        data: The whole file, shape (bytes,).
        verify: Hash the arrays too, which reads the whole file. Without it only the header is
            hashed: for a file that was verified before and not written since.

    Raises:
        LibraryError: `library_damaged`, `library_other_version`.
    """
    if data.size < PREFIX or bytes(data[:5]) != MAGIC[:5]:
        raise damaged("it does not start like a library")
    if bytes(data[:8]) != MAGIC:
        raise LibraryError(
            "library_other_version",
            "The reference library has another format version.",
            REBUILD,
        )
    start, length, zero = (int.from_bytes(bytes(data[a : a + 8]), "little") for a in (8, 16, 24))
    if zero or start < PREFIX or start + length != data.size:
        raise damaged("its header is not where it should be")
    text, digest = bytes(data[start:]), bytes(data[32:PREFIX])
    if hashlib.sha256(text).digest() != digest:
        raise damaged("its hash is wrong")
    try:
        if _LONE_SURROGATE.search(text):
            raise ValueError("it holds what is no text")
        header = json.loads(text)
        arrays = _arrays(header["arrays"], data, start)
        if verify:
            for place in header["arrays"]:
                part = data[place["offset"] : place["offset"] + place["bytes"]]
                if hashlib.sha256(part.data).hexdigest() != place["sha256"]:
                    raise damaged(f"the hash of {str(place['name'])[:40]!r} is wrong")
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise unreadable(error) from error
    return Content(header, arrays, digest)


def _arrays(places: Any, data: NDArray[np.uint8], end: int) -> dict[str, Array]:
    """Views on the arrays, which must fill the file from the prefix to the header without a gap."""
    at = PREFIX
    arrays: dict[str, Array] = {}
    for place in places:
        name, dtype, shape = place["name"], place["dtype"], place["shape"]
        numbers = (place["stride"], place["offset"], place["bytes"], *shape)
        if not isinstance(name, str) or name in arrays or dtype not in DTYPES:
            raise ValueError(f"array {str(name)[:40]!r} is of no known kind or there twice")
        if any(type(n) is not int or n < 0 or n > data.size for n in numbers):
            raise ValueError(f"array {name[:40]!r} has impossible numbers")
        if not 1 <= len(shape) <= MAX_DIMENSIONS:
            raise ValueError(f"array {name[:40]!r} has {len(shape)} dimensions")
        size = np.dtype(dtype).itemsize
        row = size
        for n in shape[1:]:
            row *= n
        stride = place["stride"]
        if place["offset"] != at or place["bytes"] != _aligned(stride * shape[0]):
            raise ValueError(f"array {name[:40]!r} is not where it should be")
        if stride < row or stride % size or (len(shape) == 1 and stride != size):
            raise ValueError(f"array {name[:40]!r} has an impossible stride")
        if at + place["bytes"] > end:
            raise ValueError(f"array {name[:40]!r} does not fit")
        flat = np.frombuffer(data, dtype, count=stride * shape[0] // size, offset=at)
        array = flat if len(shape) == 1 else flat.reshape(shape[0], stride // size)
        array = array[:, : row // size].reshape(shape) if len(shape) > 1 else array[: shape[0]]
        array.setflags(write=False)
        arrays[name] = array
        at += place["bytes"]
    if at != end:
        raise ValueError("there are bytes that belong to no array")
    return arrays


def damaged(why: str) -> LibraryError:
    """The error for a file that cannot be used."""
    return LibraryError("library_damaged", f"The reference library cannot be used: {why}.", REBUILD)


def unreadable(error: Exception) -> LibraryError:
    """The error for a header that says something impossible."""
    return damaged(f"its header cannot be read ({str(error)[:200]})")


def _json(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _aligned(offset: int) -> int:
    return -(-offset // ALIGN) * ALIGN
