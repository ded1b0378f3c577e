"""Thousands of damaged files a reader: each gives a result or one typed error, never anything else.

The number of files is fixed (`FILES`; FIELDASSAY_FUZZ_FILES for a longer run), the seed too, so a
finding can be repeated. Files are valid ones of every kind, cut, spliced, repeated and rewritten
byte by byte, number by number and word by word. Library headers are signed again after the change,
or nothing behind the hash would ever be reached.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fieldassay import formats, library_encode
from fieldassay.errors import FormatError, LibraryError
from fieldassay.kernel.search import top_references
from fieldassay.library import Library
from fieldassay.library_encode import Grid, Reference
from fieldassay.library_file import PREFIX
from fieldassay.library_header import LibrarySubstance
from fieldassay.spectrum import Axis, Spectrum

FILES = int(os.environ.get("FIELDASSAY_FUZZ_FILES", "2000"))
NUMBERS = (
    b"0", b"-1", b"1e308", b"1e-320", b"1e400", b"nan", b"-inf", b"2147483648", b"9" * 40, b"",
    b"0.0000001", b"4294967295", b"1,5", b"1e", b"+", b"--1", b"1e9999", b"0x10", b"?",
)  # fmt: skip
INTEGERS = (0, 1, 2, 127, 128, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
TOKEN = re.compile(rb"[-+0-9.eE]+")


def damaged(random: np.random.Generator, data: bytes, others: list[bytes]) -> bytes:
    """A file with one to six changes of different kinds."""
    for _ in range(int(random.integers(1, 7))):
        at = int(random.integers(0, len(data) + 1))
        end = min(len(data), at + int(random.integers(1, 200)))
        kind = int(random.integers(0, 9))
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:at] + data[at:end] * int(random.integers(2, 9)) + data[end:]
        elif kind == 3:
            other = others[int(random.integers(len(others)))]
            cut = int(random.integers(0, len(other) + 1))
            data = data[:at] + other[cut : cut + int(random.integers(1, 400))] + data[end:]
        elif kind == 4:
            data = data[:at] + random.bytes(int(random.integers(1, 30))) + data[end:]
        elif kind == 5:
            size = int(random.choice([1, 2, 4, 8]))
            value = INTEGERS[int(random.integers(len(INTEGERS)))] % 256**size
            data = data[:at] + value.to_bytes(size, "little") + data[at + size :]
        elif kind == 6:
            tokens = list(TOKEN.finditer(data[at : at + 2000]))
            if tokens:
                token = tokens[int(random.integers(len(tokens)))]
                new = NUMBERS[int(random.integers(len(NUMBERS)))]
                data = data[: at + token.start()] + new + data[at + token.end() :]
        elif kind == 7:
            lines = data.splitlines(keepends=True)
            if len(lines) > 2:
                a, b = random.integers(0, len(lines), 2)
                lines[a], lines[b] = lines[b], lines[a]
                data = b"".join(lines)
        elif data:
            changed = bytearray(data)
            for place in random.integers(0, len(data), 4):
                changed[place] ^= 1 << int(random.integers(8))
            data = bytes(changed)
    return data


def corpus(name: str, data_dir: Path | None) -> list[bytes]:
    """Valid small files of a format: what we write, and real ones where they are."""
    axis = np.linspace(200.0, 1800.0, 40)
    spectrum = Spectrum(Axis(axis, "cm-1"), 100.0 + 50.0 * np.sin(axis / 30.0))
    write = formats.FORMATS[name].write
    found = [write(spectrum)] if write else []
    contract = importlib.import_module(f"test_{name if name != 'csv' else 'csv_format'}")
    for value in vars(contract).values():
        if isinstance(value, type) and getattr(value, "name", None) == name:
            found += value().samples()
            if data_dir is not None:
                real = value().real_files(data_dir)
                found += [p.read_bytes() for p in real if p.stat().st_size < 20_000][:60]
    assert len(found) >= 2
    return found


@pytest.mark.parametrize("name", formats.FORMATS)
def test_damaged_files_give_a_spectrum_or_one_typed_error(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The format's own `read`, without the net of `formats.read`."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    folder = Path(os.environ.get("FIELDASSAY_DATA", Path(__file__).parents[3] / "shared" / "data"))
    files = corpus(name, folder if folder.is_dir() else None)
    read = formats.FORMATS[name].read
    random = np.random.default_rng(20261124)
    counts = {"spectrum": 0, "error": 0}
    for number in range(FILES):
        data = damaged(random, files[int(random.integers(len(files)))], files)
        try:
            spectrum = read(data)
        except FormatError as error:
            assert error.code and error.what and error.do_next
            counts["error"] += 1
        except Exception as error:
            raise AssertionError(f"file {number} of seed 20261124: {error!r}\n{data!r}") from error
        else:
            assert np.all(np.isfinite(spectrum.intensity)), number
            assert np.all(np.diff(spectrum.axis.values) > 0), number
            counts["spectrum"] += 1
    # Both ends are reached, so neither everything nor nothing is refused.
    assert min(counts.values()) > FILES / 100, counts


@pytest.fixture(scope="module")
def small_library() -> bytes:
    """A library of three references on 60 columns."""
    axis = np.arange(300.0, 361.0)
    references = [
        Reference(
            substance=f"s{i % 2}",
            spectrum=Spectrum(Axis(axis, "cm-1"), 10.0 + np.sin(axis / (3 + i))),
            label=f"l{i}", file="f", sha256="0" * 64, instrument="i", laser_nm=785.0,
            source="s", licence="l",
        )
        for i in range(3)
    ]  # fmt: skip
    known = {
        f"s{i}": LibrarySubstance(f"s{i}", "name", None, None, "family", "card", False, False)
        for i in range(2)
    }
    return library_encode.encode_references(references, known, "title", {}, Grid(302, 358))


def signed(data: bytes, header: bytes) -> bytes:
    """The library with another header, its place, length and hash put right."""
    start = int.from_bytes(data[8:16], "little")
    prefix = data[:8] + start.to_bytes(8, "little") + len(header).to_bytes(8, "little") + bytes(8)
    return prefix + hashlib.sha256(header).digest() + data[PREFIX:start] + header


def values_in(node: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value of a JSON document."""
    yield path
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield from values_in(value, (*path, key))


ODD = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 2**64, 10**30, 0.5, 1e308, float("nan"),
    float("inf"), "", "x", "raw", "<f8", "|O", "\x00", "é" * 300, [], [[]], {}, {"a": 1}, [0, 0],
    [2**40, 2**40], "1" * 5000,
)  # fmt: skip

ODD_FLOATS = tuple(np.float32(x).tobytes() for x in (np.nan, np.inf, -np.inf, 3e38))


def changed_header(random: np.random.Generator, header: dict) -> bytes:
    """The header with one to three values replaced, moved, removed or copied."""
    header = json.loads(json.dumps(header))
    for _ in range(int(random.integers(1, 4))):
        paths = [path for path in values_in(header) if path]
        *way, key = paths[int(random.integers(len(paths)))]
        node = header
        for step in way:
            node = node[step]
        kind = int(random.integers(0, 4))
        if kind == 0 and isinstance(node, dict):
            del node[key]
        elif kind == 1 and isinstance(node, list):
            node.insert(key, json.loads(json.dumps(node[key])))
        elif kind == 2 and isinstance(node[key], int) and not isinstance(node[key], bool):
            node[key] += int(random.choice([-64, -4, -1, 1, 4, 64, 2**40]))
        else:
            node[key] = copy.deepcopy(ODD[int(random.integers(len(ODD)))])
    return json.dumps(header).encode()


def usable_or_error(data: bytes) -> bool:
    """True if it opened; then the kernel can search it, whatever is in its arrays."""
    try:
        library = Library.from_buffer(np.frombuffer(data, dtype=np.uint8), verify=False)
    except LibraryError as error:
        assert error.code and error.what and error.do_next
        return False
    query = np.ones((1, library.matrix.shape[1]), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        hits = top_references(library, query, np.zeros(1), (0, query.shape[1]), 1, 3)
    assert all(0 <= hit.row < len(library.entries) for hit in hits)
    return True


def fuzzed(count: int, make: Callable[[np.random.Generator], bytes]) -> int:
    """How many of `count` made files opened."""
    random = np.random.default_rng(20261124)
    opened = 0
    for number in range(count):
        data = make(random)
        try:
            opened += usable_or_error(data)
        except Exception as error:
            raise AssertionError(f"file {number} of seed 20261124: {error!r}\n{data!r}") from error
    return opened


def test_library_headers_with_any_value_are_opened_or_refused(small_library: bytes) -> None:
    start = int.from_bytes(small_library[8:16], "little")
    header = json.loads(small_library[start:])
    opened = fuzzed(FILES, lambda r: signed(small_library, changed_header(r, header)))
    assert FILES / 100 < opened < FILES * 0.9


def test_library_headers_with_any_bytes_are_opened_or_refused(small_library: bytes) -> None:
    start = int.from_bytes(small_library[8:16], "little")
    text = small_library[start:]
    opened = fuzzed(FILES, lambda r: signed(small_library, damaged(r, text, [text])))
    assert 0 < opened < FILES / 2


def test_library_arrays_with_any_numbers_can_be_searched(small_library: bytes) -> None:
    """NaN, infinities and impossible ranges in the arrays, opened without hashing them."""
    start = int.from_bytes(small_library[8:16], "little")

    def make(random: np.random.Generator) -> bytes:
        data = bytearray(small_library)
        for _ in range(int(random.integers(1, 40))):
            at = PREFIX + 4 * int(random.integers(0, (start - PREFIX) // 4))
            new = (*ODD_FLOATS, random.bytes(4))[int(random.integers(5))]
            data[at : at + 4] = new
        return bytes(data)

    assert fuzzed(FILES, make) > FILES / 4


def test_damaged_library_files_are_refused(small_library: bytes) -> None:
    """As a whole, hashes and all: nothing that was changed is opened."""
    random = np.random.default_rng(20261124)
    for _ in range(FILES):
        data = damaged(random, small_library, [small_library])
        if data == small_library:
            continue
        with pytest.raises(LibraryError):
            Library.from_buffer(np.frombuffer(data, dtype=np.uint8))
