"""The codec: one encoding per value, any bytes give a value or a WireError, cbor2 agrees."""

from __future__ import annotations

import array
import tracemalloc

import cbor2
import numpy as np
import pytest
from fieldassay_wire import WireError, cbor
from fieldassay_wire.cbor import ITEM_SIZE, MAX_DEPTH, Tag, TypedArray
from hypothesis import example, given, settings
from hypothesis import strategies as st

U64 = (1 << 64) - 1
texts = st.text(max_size=30)
typed = st.sampled_from(sorted(ITEM_SIZE)).flatmap(
    lambda tag: st.binary(max_size=5).map(lambda b: TypedArray(tag, b * ITEM_SIZE[tag]))
)
plain_leaves = (
    st.integers(-1 - U64, U64) | st.booleans() | st.none() | texts | st.binary(max_size=300)
)
leaves = plain_leaves | typed


def nested(leaf, keys):
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(keys, inner, max_size=5)
            | st.builds(Tag, st.integers(0, 63) | st.integers(88, U64), inner)
        ),
        max_leaves=20,
    )


values = nested(leaves, texts | st.integers(-1 - U64, U64))


def to_cbor2(value):
    """The same value as cbor2 writes it."""
    if isinstance(value, TypedArray):
        return cbor2.CBORTag(value.tag, bytes(value.data))
    if isinstance(value, Tag):
        return cbor2.CBORTag(value.number, to_cbor2(value.value))
    if isinstance(value, dict):
        return {key: to_cbor2(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_cbor2(item) for item in value]
    return value


@settings(deadline=None)
@given(values)
def test_round_trip(value):
    data = cbor.encode(value)
    assert cbor.decode(data) == value
    assert cbor.encode(cbor.decode(data)) == data


# cbor2 sorts keys by length first (RFC 7049), which is the same order for text keys alone. It turns
# some tags into objects of its own, so tags are compared in the direction ours -> cbor2 only.
@settings(deadline=None)
@given(nested(plain_leaves, texts))
def test_cbor2_writes_the_same_bytes(value):
    assert cbor2.dumps(to_cbor2(value), canonical=True) == cbor.encode(value)


untagged = st.recursive(
    plain_leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(untagged)
def test_cbor2_reads_ours_and_we_read_cbor2(value):
    assert cbor2.loads(cbor.encode(value)) == value
    assert cbor.decode(cbor2.dumps(value, canonical=True)) == value


@settings(deadline=None)
@given(typed)
def test_cbor2_reads_typed_arrays(value):
    read = cbor2.loads(cbor.encode(value))
    assert (read.tag, read.value) == (value.tag, bytes(value.data))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=64))
@example(b"\x81" * 3000)
@example(b"\xa1\x61a" * 3000)
@example(b"\xc0" * 3000)
@example(b"\xd8\x46\x5a\xff\xff\xff\xff")
def test_any_bytes_give_a_value_or_a_wire_error(data):
    try:
        value = cbor.decode(data)
    except WireError as error:
        assert error.code and error.what and error.do_next
        return
    assert cbor.encode(value) == data


@settings(max_examples=300, deadline=None)
@given(values, st.data())
def test_mutated_encodings(value, data):
    changed = bytearray(cbor.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        cut = data.draw(st.integers(0, 3))
        changed[at : at + cut] = data.draw(st.binary(max_size=3))
    test_any_bytes_give_a_value_or_a_wire_error.hypothesis.inner_test(bytes(changed))


@settings(deadline=None)
@given(values)
def test_every_truncation_is_refused(value):
    data = cbor.encode(value)
    for end in range(len(data)):
        with pytest.raises(WireError):
            cbor.decode(data[:end])


def test_limits_hold_exactly():
    deepest = b"\x81" * MAX_DEPTH + b"\x00"
    assert cbor.encode(cbor.decode(deepest)) == deepest
    for refused in (b"\x81" + deepest, b"\xc1" + deepest):
        with pytest.raises(WireError, match="deeper than 16"):
            cbor.decode(refused)
    assert len(cbor.decode(cbor.encode([0] * 4095))) == 4095
    with pytest.raises(WireError) as caught:
        cbor.decode(cbor.encode([0] * 4096))
    assert caught.value.code == "too_many_items"
    with pytest.raises(WireError) as caught:
        cbor.decode(cbor.encode(dict.fromkeys(range(10), 0)), max_items=20)
    assert caught.value.code == "too_many_items"
    value: list = []
    value.append(value)
    with pytest.raises(WireError) as caught:
        cbor.encode(value)
    assert caught.value.code == "too_deep"


def test_a_depth_beyond_the_stack_is_a_wire_error():
    with pytest.raises(WireError) as caught:
        cbor.decode(b"\x81" * 100_000 + b"\x00", max_depth=1 << 30)
    assert caught.value.code == "too_deep"


def test_memory_stays_bounded_by_the_input():
    bombs = [
        b"\x9b" + b"\xff" * 8,
        b"\x9a\x00\xff\xff\xff",
        b"\x5a\x7f\xff\xff\xff",
        b"\xbb" + b"\x7f" * 8,
    ]
    tracemalloc.start()
    for bomb in bombs:
        with pytest.raises(WireError):
            cbor.decode(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        {1.0: 0},
        {b"a": 0},
        {True: 0},
        {None: 0},
        object(),
        {1, 2},
        U64 + 1,
        -2 - U64,
        "\ud800",
        {"\ud800": 0},
    ],
    ids=repr,
)
def test_what_has_no_encoding(value):
    with pytest.raises(WireError):
        cbor.encode(value)


def test_map_keys_in_bytewise_order():
    keys = ["aa", "b", -1, 100, 10, "", -100, 24]
    data = cbor.encode(dict.fromkeys(keys, 0))
    encoded = sorted(cbor.encode(key) for key in keys)
    assert data == b"\xa8" + b"".join(key + b"\x00" for key in encoded)


def test_typed_arrays_are_views_of_the_input():
    numbers = np.arange(2048, dtype="<u4")
    data = cbor.encode({"raw": TypedArray(TypedArray.U32, numbers)})
    raw = cbor.decode(data)["raw"]
    read = np.frombuffer(raw.data, dtype="<u4")
    assert np.array_equal(read, numbers)
    assert np.shares_memory(read, np.frombuffer(data, dtype=np.uint8))
    assert len(raw) == 2048


def test_encoding_passes_big_buffers_through():
    numbers = array.array("I", range(1000))
    chunks = list(cbor.encode_chunks([TypedArray(TypedArray.U32, numbers), bytes(300), b"small"]))
    views = [np.frombuffer(c, dtype=np.uint8) for c in chunks if len(c) == 4000]
    assert np.shares_memory(views[0], np.frombuffer(numbers, dtype=np.uint32))
    assert b"".join(chunks) == cbor.encode(cbor.decode(b"".join(chunks)))


@pytest.mark.parametrize("data", [array.array("H", [1]), np.zeros(2, "<u8"), b"abc"])
def test_typed_array_of_the_wrong_width(data):
    with pytest.raises(WireError) as caught:
        TypedArray(TypedArray.U32, data)
    assert caught.value.code == "bad_typed_array"


FUZZ = """
import random, sys
from binascii import unhexlify
from fieldassay_wire import WireError, cbor
random.seed(int(sys.argv[1]))
seeds = [unhexlify(line.strip()) for line in sys.stdin]
accepted = 0
for n in range(int(sys.argv[2])):
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data))
        heads = (0, 1, 23, 24, 27, 31, 0x5F, 0x81, 0x9B, 0xBF, 0xF7, 0xFF)
        data[at] = random.choice(heads + (random.getrandbits(8),) * 4)
    if random.random() < 0.2:
        data = data[: random.randrange(len(data))]
    try:
        value = cbor.decode(data)
    except WireError:
        continue
    accepted += 1
    assert cbor.encode(value) == bytes(data), bytes(data)
print("accepted", accepted)
"""


@pytest.mark.needs("micropython")
def test_micropython_survives_the_same_abuse(micropython, vectors):
    from fieldassay_wire import mac0

    payloads = [mac0.open_sealed(v["sealed"], v["key"])[2].hex() for v in vectors.values()]
    done = micropython(FUZZ, 7, 3000, stdin="\n".join(payloads) + "\n")
    assert int(done.stdout.split()[1]) > 100


@pytest.mark.needs("micropython")
def test_a_value_that_does_not_fit_in_the_heap_is_the_typed_error(micropython):
    script = """
from fieldassay_wire import cbor
from fieldassay_wire.errors import WireError

data = b"\\x99\\x07\\xd0" + b"\\x83\\x19\\x01\\x00\\x19\\x01\\x01\\x19\\x01\\x02" * 2000
try:
    print(len(cbor.decode(data, max_items=100000)))
except WireError as error:
    print(error.code)
"""
    assert micropython(script, heap="160K").stdout.split() == ["too_many_items"]
    assert micropython(script, heap="2M").stdout.split() == ["2000"]
