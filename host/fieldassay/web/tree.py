"""A decoded CBOR value as a tree that people can read; long values are shortened. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fieldassay_wire.cbor import Tag, TypedArray

FIRST_VALUES = 6
FIRST_BYTES = 32
MAX_CHILDREN = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A name, what it is, a short text for leaves, children for maps and arrays."""

    name: str
    kind: str
    text: str = ""
    children: tuple[Node, ...] = ()


def _bytes_text(data: bytes) -> str:
    shown = data[:FIRST_BYTES].hex()
    return shown if len(data) <= FIRST_BYTES else f"{shown}… ({len(data)} bytes)"


def _array_text(array: TypedArray) -> tuple[str, str]:
    dtype = "<u2" if array.tag == TypedArray.U16 else "<u4"
    values = np.frombuffer(array.data, dtype=dtype)
    shown = ", ".join(str(int(v)) for v in values[:FIRST_VALUES])
    kind = f"{values.size} × uint{values.dtype.itemsize * 8}"
    return kind, f"{shown}, …" if values.size > FIRST_VALUES else shown


def node(name: str, value: object) -> Node:
    """The tree of one value.

    Args:
        name: How the value is called where it stands.
        value: Anything `fieldassay_wire.cbor.decode` returns.
    """
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_CHILDREN]
        return Node(
            name, f"map, {len(value)} entries", children=tuple(node(str(k), v) for k, v in pairs)
        )
    if isinstance(value, list | tuple):
        items = tuple(node(str(i), v) for i, v in enumerate(value[:MAX_CHILDREN]))
        return Node(name, f"array, {len(value)} items", children=items)
    if isinstance(value, TypedArray):
        return Node(name, *_array_text(value))
    if isinstance(value, Tag):
        return Node(name, f"tag {value.number}", children=(node("value", value.value),))
    if isinstance(value, bytes | bytearray | memoryview):
        return Node(name, "bytes", _bytes_text(bytes(value)))
    if isinstance(value, bool) or value is None:
        return Node(name, "simple", {True: "true", False: "false", None: "null"}[value])
    return Node(name, "text" if isinstance(value, str) else "integer", str(value))
