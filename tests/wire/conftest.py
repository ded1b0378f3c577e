"""Fixtures of the wire tests: golden vectors, their JSON form, the CDDL, the interpreter."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pycddl
import pytest
from fieldassay_wire.cbor import TypedArray

HERE = Path(__file__).parent
VECTORS = HERE / "vectors"
CDDL = HERE.parents[1] / "docs" / "reference" / "wire.cddl"

_spec = importlib.util.spec_from_file_location(
    "fieldassay_device_fixtures", HERE.parent / "device" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_device_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_device_fixtures)
micropython = _device_fixtures.micropython


def _plain(value: Any) -> Any:
    """The JSON form of vectors back to wire values: {"$bytes": hex}, {"$array": [tag, hex]}."""
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return bytes.fromhex(value["$bytes"])
        if set(value) == {"$array"}:
            return TypedArray(value["$array"][0], bytes.fromhex(value["$array"][1]))
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def load_vectors() -> dict[str, dict[str, Any]]:
    """Every golden message by file name, in wire values."""
    vectors = {}
    for path in sorted(VECTORS.glob("*.json")):
        if path.name.startswith("rejected"):
            continue
        vector = json.loads(path.read_text(encoding="utf-8"))
        vector["message"] = _plain(vector["message"])
        vector["sealed"] = bytes.fromhex(vector["sealed"])
        vector["key"] = bytes.fromhex(vector["key"])
        vectors[path.stem] = vector
    return vectors


@pytest.fixture(scope="session")
def vectors() -> dict[str, dict[str, Any]]:
    return load_vectors()


@pytest.fixture(scope="session")
def rejected() -> list[dict[str, str]]:
    """Byte strings every reader must refuse, with the error code."""
    entries: list[dict[str, str]] = []
    for path in sorted(VECTORS.glob("rejected*.json")):
        entries += json.loads(path.read_text(encoding="utf-8"))["entries"]
    return entries


@pytest.fixture(scope="session")
def cddl():
    """A callable that makes a pycddl.Schema with the named rule as its root.

    pycddl 0.6.4 departs from RFC 8610 in five places, and the text it gets is changed to suit: it
    searches with a regexp instead of matching the whole text, it cannot check map keys against a
    control operator, it knows no range with a negative end, `.size` checks no type, and it applies
    a control operator inside an array to every entry (so the parts of the seal are validated one by
    one). In a choice between maps it may pass a map that none of them allows: ask for one of them.
    """
    text = CDDL.read_text(encoding="utf-8")
    text = re.sub(r'\.regexp "([^"]*)"', r'.regexp "^(?:\1)$"', text)
    text, keys = re.subn(r"0\*\d+ label =>", "* text =>", text)
    assert keys == 2
    text, parts = re.subn(r"bytes \.cbor (header|message)", "bytes", text)
    assert parts == 2
    text, ranges = re.subn(r"= (-\d+)\.\.(\d+)", r"= (int .ge \1) .and (int .le \2)", text)
    assert ranges == 1
    text = re.sub(r"(text|bytes) (\.size (?:\(.*?\)|\d+))", r"(\1 .and (\1 \2))", text)

    def schema(rule: str) -> pycddl.Schema:
        assert re.search(rf"^{rule} = ", text, re.MULTILINE), rule
        return pycddl.Schema(f"root-of-test = {rule}\n{text}")

    return schema
