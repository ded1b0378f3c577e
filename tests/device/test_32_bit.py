"""Pure modules of the firmware on a 32-bit MicroPython with float32: they answer as here.

CPython and the simulator's MicroPython have 64-bit integers and doubles; boards have 31-bit small
integers and float32. What is loaded is the firmware's own source, cut into functions to fit a heap
of 9 kB; histories of the interlock and the whole of SHA-512 and the messages do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldassay.bench.repl import Repl

from tests.microbit import SHARING, Microbit, Twins

pytestmark = pytest.mark.needs("qemu-system-arm", "microbit-micropython")
DEVICE = Path(__file__).resolve().parents[2] / "device"
WIRE_TYPES = "class WireError(Exception):\n pass\nclass TypedArray:\n pass\nclass Tag:\n pass"


@pytest.fixture
def twins(tool) -> Iterator[Twins]:
    with Microbit(tool("qemu-system-arm")) as board, Repl(board.port) as repl:
        repl.enter()
        yield Twins(repl)


def test_the_board_is_what_these_tests_are_for(twins):
    assert twins.repl.exec("print(1/3)").strip() == b"0.3333333"[:8]
    assert 8000 < twins.repl.eval_json("gc.mem_free()") < 10_000
    assert twins.repl.eval_json("16777217.0 == 16777216.0") is True, "float32"


def test_the_interlocks_table_and_clock_are_as_here(twins):
    """Every cell, and times about the wrap at 2^30. Histories do not fit beside the table."""
    twins.exec(SHARING)
    twins.load(DEVICE / "interlock.py", rows="_shared")
    for event in twins.here["TABLE"]:
        twins.same(f"[TABLE[{event!r}][state] for state in STATES]")
    ends = (0, 1, 2000, (1 << 29) - 1, 1 << 29, (1 << 30) - 1)
    for now in ends:
        for since in ends:
            twins.same(f"elapsed_ms({now}, {since})")


def test_buttons_and_waits_are_as_here(twins):
    twins.load(DEVICE / "buttons.py")
    twins.exec("b = Buttons()")
    for bits in (1, 1, 0, 0, 1, 1, 4, 4, 4, 4, 0, 2, 2):
        twins.same(f"b.feed({bits}, {(1 << 30) + 700 * bits})")
    twins.load(DEVICE / "backoff.py")
    for drawn in (0, 65535, 32768):
        twins.exec(f"w = Backoff(getrandbits=lambda n: {drawn})")
        assert twins.same("[w.next_ms() for _ in range(16)]")[-1] >= 15_000


def test_sums_of_frames_go_beyond_31_and_32_bits(twins):
    twins.load(DEVICE / "coadd.py")
    twins.exec(
        "from array import array\n"
        "total = array('I', [0, 2147483647, 4294901760, 1073741823])\n"
        "frame = array('H', [65535, 1, 65535, 65535])\n"
        "other = array('H', [0, 65535, 1, 65534])"
    )
    assert twins.same("add_plain(total, frame, 4, 65535, False)") == 3
    assert twins.same("list(total)") == [65535, 1 << 31, (1 << 32) - 1, 1_073_807_358]
    twins.same("peak_plain(frame, other, 4)")
    twins.exec("dark = array('I', [1, 2147483648, 4294967295, 9])")
    for frames, dark in ((1, 1), (65536, 7), (3, 65537)):
        twins.same(f"peak_of_sums(total, {frames}, dark, {dark}, 4)")
    twins.same("level(total, 4)")
    assert twins.same("noise_milli(frame, other, 4)") > 1 << 20
    for value in (0, 1, 2, 3, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 51, 65535**2 * 500_000):
        twins.same(f"_root({value})")


INTEGERS = [
    *(0, 23, 24, 255, 256, 65535, 65536, (1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31),
    *((1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
]


def test_integers_of_64_bits_are_written_and_read_as_here(twins):
    twins.exec(WIRE_TYPES)
    twins.load(DEVICE / "fieldassay_wire/cbor.py", {"head"})
    heads = [twins.same(f"head({major}, {n})") for n in INTEGERS for major in (0, 1)]
    twins.exec("def memoryview(data):\n return data")  # this board has none
    twins.load(DEVICE / "fieldassay_wire/cbor.py", {"Reader", "_check_text"})
    for n, data in zip([n for n in INTEGERS for _ in (0, 1)], heads, strict=True):
        assert twins.same(f"Reader({data!r}, 4, 9).item(0)") in (n, -1 - n)


def test_what_a_field_may_be_is_as_here(twins):
    twins.exec(WIRE_TYPES)
    path = DEVICE / "fieldassay_wire/rules.py"
    twins.exec("def Text(*_):\n pass\nvalid_name = None")  # NAME, a text of it, is not tried
    twins.load(path, {"Int", "_fail"})
    twins.exec(
        "def ok(rule, value):\n try:\n  rule.check('f', value)\n  return True\n"
        " except WireError:\n  return False"
    )
    for bits in (31, 32, 53, 64):
        for value in ((1 << bits) - 2, (1 << bits) - 1, 1 << bits, -1):
            twins.same(f"ok(Int(0, {(1 << bits) - 1}), {value})")


def test_roots_and_words_of_the_signatures_hash_are_as_here(twins):
    """Its whole does not fit: eighty 64-bit constants and as many words of a block."""
    twins.load(DEVICE / "sha512.py", {"_root", "_turn"})
    for prime in (2, 3, 5, 401, 409):
        twins.same(f"_root({prime} << 128, 2) & _M, _root({prime} << 192, 3) & _M")
    for n in (1, 8, 28, 41, 63):
        twins.same(f"_turn({0x428A2F98D728AE22}, {n})")


def test_the_officers_screens_are_as_here(twins):
    twins.load(DEVICE / "officer.py")
    twins.exec("o = Officer()\no.ready()")
    for act in ("press_next()", "press_ok()", "saved((1, 1 << 31), ())", "press_next()"):
        twins.exec(f"o.{act}")
        twins.same("o.screen, o.packaging, o.spot, o.answers()")
    twins.same("label((2147483648, 4294967295))")
