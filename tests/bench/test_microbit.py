"""The older prompt without raw-paste, on a board without hashlib, rename or folders."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from fieldassay.bench.repl import Repl
from fieldassay.bench.transfer import Written
from fieldassay.errors import BenchError

from tests.microbit import Microbit

pytestmark = pytest.mark.needs("qemu-system-arm", "microbit-micropython")


@pytest.fixture
def repl(tool) -> Iterator[Repl]:
    with Microbit(tool("qemu-system-arm")) as board, Repl(board.port) as client:
        client.enter()
        yield client


def test_code_runs_from_the_first_line_on_and_errors_are_told(repl):
    assert repl.exec("print(6*7)") == b"42\r\n"
    with pytest.raises(BenchError) as caught:
        repl.exec("1/0")
    assert caught.value.code == "board_raised" and "ZeroDivisionError" in caught.value.trace
    long = "x = 0\n" + "x += 1\n" * 90
    assert repl.exec(long + "print(x)") == b"90\r\n"


def test_code_that_runs_on_is_stopped(repl):
    with pytest.raises(BenchError) as caught:
        repl.exec("while True:\n pass", timeout_s=0.3)
    assert caught.value.code == "board_timeout"
    repl.enter()
    assert repl.eval_json("[1, 'a', b'\\x00', None]") == [1, "a", b"\0", None]


def test_files_are_written_in_place_and_verified_by_reading_back(repl):
    data = random.Random(3).randbytes(3000)
    assert repl.put("f", data) == Written("f", 3000, "read back", atomic=False)
    assert repl.get("f") == data
    assert [(e.name, e.size_bytes) for e in repl.listdir()] == [("f", 3000)]
    repl.remove("f")
    assert repl.listdir() == [] and repl.files.free_bytes() is None


def test_a_file_larger_than_the_flash_is_told_and_leaves_nothing(repl):
    with pytest.raises(BenchError) as caught:
        repl.put("f", bytes(60_000))
    assert caught.value.code == "flash_full"
    assert repl.listdir() == []
    repl.put("f", b"fits")
    assert repl.get("f") == b"fits"


def test_code_that_lost_a_part_on_the_line_is_sent_again(repl, monkeypatch):
    """Three pieces of what is to be written are dropped, as a busy board drops them."""
    write, left = repl._write, [3]

    def lossy(data):
        if data.count(b"\\x") > 3 and left[0]:
            left[0] -= 1
            return
        write(data)

    monkeypatch.setattr(repl, "_write", lossy)
    data = random.Random(4).randbytes(500)
    repl.put("f", data)
    assert left == [0]
    assert repl.get("f") == data
