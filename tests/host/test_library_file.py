"""The library container: what is written comes back; no bytes do worse than a typed error."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import library_encode, library_file
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import build_planes
from fieldassay.library import Library
from fieldassay.library_encode import Grid, Reference
from fieldassay.library_header import LibrarySubstance
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import given, settings
from hypothesis import strategies as st

ACETONE = LibrarySubstance("acetone", "Acetone", None, None, "ketone", "irritant", False, False)
GRID = Grid(300, 420)


def spectrum(seed: int, first: float = 250.0, last: float = 500.0) -> Spectrum:
    x = np.arange(first, last, 0.7)
    rng = np.random.default_rng(seed)
    y = 1000.0 * np.exp(-(((x - 340 - seed % 40) / 5.0) ** 2)) + rng.normal(0, 1, x.size)
    return Spectrum(Axis(x, "cm-1"), y)


def reference(seed: int, **more: Any) -> Reference:
    fields = {
        "substance": "acetone", "spectrum": spectrum(seed), "label": f"s{seed}", "file": "f",
        "sha256": f"{seed:064x}", "instrument": "i", "laser_nm": 785.0, "source": "s",
        "licence": "l",
    }  # fmt: skip
    return Reference(**{**fields, **more})


def made(count: int = 3, **more: Any) -> bytes:
    references = (reference(seed, **more) for seed in range(count))
    return library_encode.encode_references(references, {"acetone": ACETONE}, "t", {"n": 1}, GRID)


def opened(data: bytes) -> Library:
    return Library.from_buffer(np.frombuffer(data, np.uint8))


def test_every_field_comes_back() -> None:
    facts = {
        "form": "hydrochloride", "resolution_cm1": 8.5, "agency": "lab", "date": "2026-01",
        "prepared": "powder", "intensity_corrected": True, "axis_uncertainty_cm1": 1.5,
        "averaged": 4, "flags": ("narrow_range",), "laser_nm": None,
    }  # fmt: skip
    library = opened(made(2, **facts))
    for seed, entry in enumerate(library.entries):
        assert {name: getattr(entry, name) for name in facts} == facts
        assert (entry.row, entry.label, entry.sha256) == (seed, f"s{seed}", f"{seed:064x}")
        assert tuple(library.valid[seed]) == (entry.first, entry.last) == (9, 112)
    assert library.substances == {"acetone": ACETONE}
    assert np.array_equal(library.grid_cm1, GRID.values)
    assert (library.title, dict(library.build)) == ("t", {"n": 1})


def test_more_rows_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are made in blocks; each is where its entry says and the same as alone."""
    whole = made(9)
    monkeypatch.setattr(library_encode, "BLOCK_ROWS", 4)
    count = 9
    assert made(count) == whole
    library = opened(whole)
    assert len(library.entries) == count
    for row in (0, 3, 4, count - 1):
        raw, linear, compared, *_ = library_encode.reference_row(spectrum(row), GRID.values)
        assert np.array_equal(library.raw[row], raw.astype(np.float32))
        assert np.array_equal(library.linear[row], linear.astype(np.float32))
        assert np.array_equal(library.matrix[row], compared.astype(np.float32))


def test_blocks_may_be_kept_elsewhere() -> None:
    shapes = []

    def allocate(shape: tuple[int, int]) -> np.ndarray:
        shapes.append(shape)
        return np.empty(shape, dtype=np.float32)

    file = io.BytesIO()
    one = [reference(seed) for seed in range(3)]
    count = library_encode.write_references(
        file, one, {"acetone": ACETONE}, "t", {"n": 1}, GRID, allocate
    )
    assert (count, file.getvalue()) == (3, made(3))
    assert shapes


def test_planes_are_what_the_kernel_makes_of_the_matrix() -> None:
    library = opened(made(5))
    again = build_planes(library.matrix, library.valid)
    planes = library.planes["matrix"]
    assert set(planes) == set(again)
    for name, plane in again.items():
        assert np.array_equal(planes[name], plane)
        assert planes[name].flags.c_contiguous and not planes[name].flags.owndata
    assert library.without({"urea"}).planes == {}


def test_planes_of_another_kernel_are_not_used() -> None:
    data = made(5)
    header = header_of(data)[1]
    place(header, "planes/matrix/numbers").update(dtype="<i8")
    assert opened(with_header(data, header)).planes == {}


def test_planes_with_another_fingerprint_are_not_used() -> None:
    data = made(5)
    for other in ("0" * 64, None, 5):
        assert opened(with_header(data, {**header_of(data)[1], "planes": other})).planes == {}


def test_an_empty_library_is_refused() -> None:
    with pytest.raises(LibraryError) as caught:
        made(0)
    assert caught.value.code == "library_empty"


def test_a_reference_of_an_undescribed_substance_is_refused() -> None:
    with pytest.raises(LibraryError) as caught:
        made(1, substance="phlogiston")
    assert caught.value.code == "reference_unknown"


BUILD = """
import sys; sys.path.insert(0, sys.argv[1])
from test_library_file import made
import hashlib; print(hashlib.sha256(made(5)).hexdigest())
"""


def test_the_same_bytes_in_every_process() -> None:
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", BUILD, str(Path(__file__).parent)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert run("1") == run("2") == hashlib.sha256(made(5)).hexdigest()


def header_of(data: bytes) -> tuple[int, dict[str, Any]]:
    start = int.from_bytes(data[8:16], "little")
    return start, json.loads(data[start:])


def with_header(data: bytes, header: object) -> bytes:
    """The same arrays under another header with a right hash, as an attacker would write it."""
    start, _ = header_of(data)
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    numbers = b"".join(n.to_bytes(8, "little") for n in (start, len(text), 0))
    prefix = library_file.MAGIC + numbers + hashlib.sha256(text).digest()
    return prefix + data[library_file.PREFIX : start] + text


def refused(data: bytes) -> str:
    with pytest.raises(LibraryError) as caught:
        opened(data)
    return caught.value.code


def test_the_forger_of_these_tests_can_forge() -> None:
    assert opened(with_header(made(), header_of(made())[1])).title == "t"


def place(header: dict, name: str) -> dict:
    return next(p for p in header["arrays"] if p["name"] == name)


HOSTILE: list[Callable[[dict], object]] = [
    lambda h: h.clear(),
    lambda h: h.update(arrays=[]),
    lambda h: h.update(arrays={}),
    lambda h: h.update(arrays=[[]]),
    lambda h: h["arrays"].pop(),
    lambda h: h["arrays"].append(h["arrays"][0]),
    lambda h: place(h, "raw").update(dtype="|O"),
    lambda h: place(h, "raw").update(dtype=["<f4"]),
    lambda h: place(h, "raw").update(dtype=">f4"),
    lambda h: place(h, "raw").update(dtype="<f8"),
    lambda h: place(h, "raw").update(name="linear"),
    lambda h: place(h, "raw").update(name=None),
    lambda h: place(h, "raw").update(name="stranger"),
    lambda h: place(h, "raw").update(name="planes/none/x"),
    lambda h: place(h, "raw").update(shape=[-1, 121]),
    lambda h: place(h, "raw").update(shape=[2**62, 2**62]),
    lambda h: place(h, "raw").update(shape=[1e300, 4]),
    lambda h: place(h, "raw").update(shape=[]),
    lambda h: place(h, "raw").update(shape=[3] * 40),
    lambda h: place(h, "raw").update(shape=[True, 121]),
    lambda h: place(h, "raw").update(shape=[3, 0]),
    lambda h: place(h, "raw").update(stride=0),
    lambda h: place(h, "raw").update(stride=2**63),
    lambda h: place(h, "raw").update(stride=3),
    lambda h: place(h, "raw").update(offset=0),
    lambda h: place(h, "raw").update(offset=-64),
    lambda h: place(h, "linear").update(offset=64),
    lambda h: place(h, "raw").update(bytes=10**18),
    lambda h: place(h, "raw").update(sha256="00"),
    lambda h: place(h, "planes/matrix/full").update(name="planes/raw"),
    lambda h: place(h, "valid").update(shape=[6]),
    lambda h: place(h, "valid").update(dtype="<f4"),
    lambda h: place(h, "valid").update(shape=[24], stride=1, dtype="|u1"),
    lambda h: h["grid"].update(columns=10**15),
    lambda h: h["grid"].update(columns=-1),
    lambda h: h["grid"].update(columns=float("inf")),
    lambda h: h["grid"].update(step_cm1=0),
    lambda h: h["grid"].update(step_cm1=float("nan")),
    lambda h: h["grid"].update(first_cm1="302"),
    lambda h: h["grid"].update(first_cm1=None),
    lambda h: h["entries"].pop("label"),
    lambda h: h["entries"]["label"].pop(),
    lambda h: h["entries"].update(label=[1, 2, 3]),
    lambda h: h["entries"].update(profile=[0, 0, 7]),
    lambda h: h["entries"].update(profile=[0, 0, -1]),
    lambda h: h["entries"].update(profile=[0, 0, True]),
    lambda h: h["profiles"][0].pop("form"),
    lambda h: h["profiles"][0].update(surprise=1),
    lambda h: h["profiles"][0].update(laser_nm="785"),
    lambda h: h["profiles"][0].update(laser_nm=10**400),
    lambda h: h["profiles"][0].update(laser_nm=-1),
    lambda h: h["profiles"][0].update(averaged=0),
    lambda h: h["profiles"][0].update(flags="text"),
    lambda h: h["profiles"][0].update(flags=[1]),
    lambda h: h["profiles"][0].update(intensity_corrected=1),
    lambda h: h["profiles"][0].update(source=None),
    lambda h: h["substances"].append({}),
    lambda h: h["substances"].append([]),
    lambda h: h["substances"][0].update(id=3),
    lambda h: h["substances"][0].update(packaging="no"),
    lambda h: h["substances"][0].update(families=[[]]),
    lambda h: h["substances"][0].update(surprise=1),
    lambda h: h.update(title=None),
    lambda h: h.update(recipe=5),
    lambda h: h.update(build=3),
    lambda h: h.update(title="\ud800"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_header_is_a_typed_error(number: int) -> None:
    data = made()
    header = copy.deepcopy(header_of(data)[1])
    HOSTILE[number](header)
    assert refused(with_header(data, header)) == "library_damaged"


def test_a_library_of_computed_spectra_is_refused() -> None:
    """Computed spectra are never references and never raise an alert."""
    data = made()
    header = copy.deepcopy(header_of(data)[1])
    header["profiles"][0].update(flags=["computed"])
    assert refused(with_header(data, header)) == "library_computed"


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"arrays":1}'])
def test_a_header_that_is_none_is_a_typed_error(text: bytes) -> None:
    assert refused(with_header(made(), text)) == "library_damaged"


def test_a_range_outside_the_grid_is_refused() -> None:
    """The kernel trusts `valid`, so opening does not."""
    good = made(1)
    start, header = header_of(good)
    at = place(header, "valid")["offset"]
    for pair in ((-1, 5), (5, 4), (0, 122), (2**31 - 1, 2**31 - 1)):
        data = bytearray(good)
        data[at : at + 8] = np.array(pair, dtype="<i4").tobytes()
        changed = copy.deepcopy(header)
        valid = place(changed, "valid")
        part = bytes(data[at : at + valid["bytes"]])
        valid["sha256"] = hashlib.sha256(part).hexdigest()
        assert refused(with_header(bytes(data), changed)) == "library_damaged"
    assert start > at


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_anywhere_in_the_header(data: st.DataObject) -> None:
    """One value of a good header replaced by anything: it opens, or the error is typed."""
    good = made()
    header = copy.deepcopy(header_of(good)[1])
    at: Any = header
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and at[key] and data.draw(st.integers(0, 4)):
            at = at[key]
            continue
        at[key] = data.draw(JSON)
        break
    try:
        opened(with_header(good, header))
    except LibraryError as error:
        assert error.code == "library_damaged"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_body_is_a_typed_error(body: bytes, start: int, length: int) -> None:
    numbers = start.to_bytes(8, "little") + length.to_bytes(8, "little") + bytes(8)
    digest = hashlib.sha256(body).digest()
    assert refused(library_file.MAGIC + numbers + digest + body) == "library_damaged"


def test_arrays_of_every_shape_come_back() -> None:
    arrays = {
        "a": np.arange(5, dtype="<i4"),
        "b": np.arange(6, dtype="|i1").reshape(2, 3),
        "c": np.arange(80, dtype="<f4").reshape(4, 20),
        "d": np.arange(24, dtype="<f8").reshape(2, 3, 4),
        "e": np.zeros(0, dtype="<u2"),
    }
    file = io.BytesIO()
    writer = library_file.Writer(file)
    for name, array in arrays.items():
        writer.add(name, array.dtype.str, array.shape, [array], padded=name == "c")
    writer.finish({})
    content = library_file.read(np.frombuffer(file.getvalue(), np.uint8))
    for name, array in arrays.items():
        back = content.arrays[name]
        assert np.array_equal(back, array) and back.dtype == array.dtype
        assert not back.flags.writeable
        assert back.size == 0 or not back.flags.owndata


def test_without_verifying_only_the_arrays_are_not_hashed() -> None:
    data = bytearray(made())
    data[library_file.PREFIX] ^= 1
    assert refused(bytes(data)) == "library_damaged"
    changed = np.frombuffer(bytes(data), np.uint8)
    assert Library.from_buffer(changed, verify=False).hash == opened(made()).hash
    data[-1] ^= 1
    with pytest.raises(LibraryError):
        Library.from_buffer(np.frombuffer(bytes(data), np.uint8), verify=False)
