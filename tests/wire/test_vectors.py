"""Golden vectors: kept for ever, reproduced and read by CPython and by MicroPython."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cbor2
import pycddl
import pytest
from fieldassay_wire import WireError, cbor, mac0, messages

VECTORS = Path(__file__).parent / "vectors"


def test_every_vector_is_pinned_and_unchanged():
    sums = dict(
        reversed(line.split("  ")) for line in (VECTORS / "SHA256SUMS").read_text().splitlines()
    )
    assert sums.keys() == {path.name for path in VECTORS.glob("*.json")}
    for name, digest in sums.items():
        assert hashlib.sha256((VECTORS / name).read_bytes()).hexdigest() == digest, name


def test_every_kind_and_command_has_one(vectors):
    assert {v["kind"] for v in vectors.values()} == set(messages.KINDS)
    commands = {v["message"]["command"] for v in vectors.values() if v["kind"] == "command"}
    assert commands == set(messages.COMMANDS)


def test_the_encoder_reproduces_them(vectors):
    for name, v in vectors.items():
        messages.check(v["kind"], v["message"])
        assert mac0.seal(v["kind"], v["key"], v["kid"], v["message"]) == v["sealed"], name


def test_the_decoder_reads_them(vectors):
    for name, v in vectors.items():
        assert mac0.peek(v["sealed"]) == (v["kind"], v["kid"].encode()), name
        kind, _, payload = mac0.open_sealed(v["sealed"], v["key"])
        message = messages.parse(kind, payload)
        assert message == v["message"], name
        assert cbor.encode(message) == payload, name


def cddl_rules(kind, command):
    if kind != "command":
        return [f"{kind}-message"]
    known = messages.COMMANDS if command not in messages.COMMANDS else [command]
    return [name.replace("_", "-") for name in known]


def test_the_cddl_describes_them(vectors, cddl):
    for v in vectors.values():
        header, unprotected, payload, tag = cbor2.loads(v["sealed"]).value
        assert (unprotected, len(tag)) == ({}, 32)
        cddl("header").validate_cbor(header)
        for rule in cddl_rules(v["kind"], v["message"].get("command")):
            cddl(rule).validate_cbor(payload)


def test_the_cddl_refuses_the_faulty_ones(rejected, cddl):
    # Sizes of two arrays and the count of saturated pixels are beyond CDDL.
    faulty = [e for e in rejected if e["at"] == "parse"]
    beyond = [e for e in faulty if e["code"] == "size_mismatch" or "5 of 4 pixels" in e["note"]]
    assert len(beyond) == 2
    for entry in faulty:
        if entry not in beyond:
            payload = cbor2.loads(bytes.fromhex(entry["hex"])).value[2]
            kind = entry["note"].split(":")[0]
            for rule in cddl_rules(kind, cbor2.loads(payload).get("command")):
                with pytest.raises(pycddl.ValidationError):
                    cddl(rule).validate_cbor(payload)
                    pytest.fail(entry["note"])


def test_unknown_fields_are_kept(vectors):
    v = vectors["measurement-3"]
    _, _, payload = mac0.open_sealed(v["sealed"], v["key"])
    message = messages.parse("measurement", payload)
    assert message["zz"][5] == {"a": {"b": []}}
    assert message["calibration"]["lamp"] == "Ne"
    assert message["flags"] == ["a_flag_of_tomorrow"]


def _refuse(entry, key):
    data = bytes.fromhex(entry["hex"])
    if entry["at"] == "decode":
        cbor.decode(data)
    else:
        kind, _, payload = mac0.open_sealed(data, key)
        assert entry["at"] == "parse", "opened what must not open"
        messages.parse(kind, payload)


def test_rejected_bytes_are_rejected_with_their_code(rejected, vectors):
    assert len(rejected) >= 50
    key = vectors["command-1"]["key"]
    for entry in rejected:
        with pytest.raises(WireError) as caught:
            _refuse(entry, key)
        assert caught.value.code == entry["code"], entry["note"]


ON_MICROPYTHON = """
import json, os, sys
from binascii import unhexlify
from fieldassay_wire import WireError, cbor, mac0, messages

def plain(value):
    if isinstance(value, dict):
        if len(value) == 1 and "$bytes" in value:
            return unhexlify(value["$bytes"])
        if len(value) == 1 and "$array" in value:
            tag, data = value["$array"]
            return cbor.TypedArray(tag, unhexlify(data))
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value

folder = sys.argv[1]
read = refused = 0
for name in sorted(os.listdir(folder)):
    if not name.endswith(".json"):
        continue
    with open(folder + "/" + name) as f:
        v = json.load(f)
    key = unhexlify(v["key"])
    if name.startswith("rejected"):
        for e in v["entries"]:
            data = unhexlify(e["hex"])
            try:
                if e["at"] == "decode":
                    cbor.decode(data)
                else:
                    kind, kid, payload = mac0.open_sealed(data, key)
                    assert e["at"] == "parse", e["note"]
                    messages.parse(kind, payload)
            except WireError as error:
                assert error.code == e["code"], (e["note"], error.code)
                refused += 1
            else:
                raise AssertionError("accepted: " + e["note"])
        continue
    sealed, expected = unhexlify(v["sealed"]), plain(v["message"])
    assert mac0.seal(v["kind"], key, v["kid"], expected) == sealed, name
    kind, kid, payload = mac0.open_sealed(sealed, key)
    assert (kind, bytes(kid)) == (v["kind"], v["kid"].encode())
    message = messages.parse(kind, payload)
    assert message == expected, name
    assert cbor.encode(message) == bytes(payload), name
    read += 1
print(read, refused)
"""


@pytest.mark.needs("micropython")
def test_micropython_agrees(micropython, vectors, rejected):
    done = micropython(ON_MICROPYTHON, VECTORS, heap="1M")
    assert done.stdout.split() == [str(len(vectors)), str(len(rejected))]
