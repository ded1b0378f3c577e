"""Files on a board: whole or not at all, whatever happens in the middle."""

from __future__ import annotations

import hashlib
import random

import pytest
from fieldassay.bench import transfer
from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError
from littlefs import LittleFS

pytestmark = pytest.mark.needs("micropython")


def blob(size, seed=1):
    return random.Random(seed).randbytes(size)


def names(repl, path="/"):
    return [entry.name for entry in repl.listdir(path)]


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 60_000])
def test_what_was_put_is_got(repl, size):
    data = blob(size)
    done = repl.put("/file", data)
    assert done == transfer.Written("/file", size, "sha256", atomic=True)
    assert repl.get("/file") == data
    assert repl.files.sha256("/file") == hashlib.sha256(data).digest()
    assert names(repl) == ["file"]


def test_progress_goes_up_to_the_whole(repl):
    seen = []
    repl.put("/file", blob(3000), lambda done, total: seen.append((done, total)))
    assert seen == [(1024, 3000), (2048, 3000), (3000, 3000)]


def test_names_with_quotes_and_spaces_are_names(repl):
    name = '/it\'s "odd" \\ ü'
    repl.put(name, b"x")
    assert repl.get(name) == b"x" and repl.files.exists(name)
    repl.remove(name)
    assert not repl.files.exists(name)
    repl.remove(name)


def test_a_file_that_is_not_there_is_told(repl):
    for call in (repl.get, repl.files.get):
        with pytest.raises(BenchError) as caught:
            call("/nothing")
        assert caught.value.code == "board_file_missing" and "/nothing" in caught.value.what


def test_a_sync_writes_only_what_changed_and_removes_what_is_too_much(repl):
    first = {"main.py": b"print(1)", "lib/a.py": blob(2000), "lib/deep/b.py": b""}
    done = repl.files.sync(first, "/a")
    assert set(done.written) == {"/a/main.py", "/a/lib/a.py", "/a/lib/deep/b.py"}
    repl.put("/a/lib/old.py", b"old")
    second = {**first, "main.py": b"print(2)"}
    done = repl.files.sync(second, "/a")
    assert done.written == ("/a/main.py",) and done.removed == ("/a/lib/old.py",)
    assert len(done.unchanged) == 2
    tree = repl.files.tree("/a")
    wanted = {f"/a/{k}": (len(v), hashlib.sha256(v).digest()) for k, v in second.items()}
    assert tree == wanted
    repl.remove("/a")
    assert names(repl) == []


def test_a_full_flash_is_told_and_leaves_nothing_of_the_new_file(make_board):
    with Repl(make_board(blocks=24).port) as client:
        client.enter()
        client.put("/old", blob(30_000))
        for size in (70_000, 66_000):
            with pytest.raises(BenchError) as caught:
                client.put("/old", blob(size, 2))
            assert caught.value.code == "flash_full" and "bytes are free" in caught.value.what
            assert names(client) == ["old"] and client.get("/old") == blob(30_000)
        client.put("/other", blob(10_000))


@pytest.mark.parametrize("after_bytes", [1024, 20_480, 49_152])
def test_a_cable_pulled_in_the_middle_leaves_the_old_file(make_board, tmp_path, after_bytes):
    board = make_board(link=tmp_path / "tty")
    with Repl(board.port) as client:
        client.enter()
        client.put("/file", b"old")

        def pull(done, _total):
            if done == after_bytes:
                board.unplug()

        with pytest.raises(BenchError) as caught:
            client.put("/file", blob(50_000), pull)
        assert caught.value.code == "board_disconnected"
    board.plug()
    with Repl(board.port) as client:
        client.enter()
        assert client.get("/file") == b"old"
        client.put("/file", blob(50_000))
        assert client.get("/file") == blob(50_000) and names(client) == ["file"]


def test_power_lost_at_any_flash_operation_leaves_one_file_or_the_other(make_board, tmp_path):
    """The power goes at every second program or erase of a put, until one is through uncut."""
    old, new = blob(1500, 1), blob(1500, 2)
    board = make_board(link=tmp_path / "tty", blocks=16)
    with Repl(board.port) as client:
        client.enter()
        client.put("/file", old)
    cuts, held = 0, old
    while held == old:
        board.cut_power()
        board.cut_at_flash_op = 2 * cuts + 1
        board.power_on()
        with Repl(board.port) as client:
            client.enter()
            try:
                client.put("/file", new)
            except BenchError as error:
                assert error.code == "board_disconnected" and not board.powered
                cuts += 1
        board.cut_power()
        board.cut_at_flash_op = None
        board.power_on()
        with Repl(board.port) as client:
            client.enter()
            held = client.get("/file")
            assert held in (old, new)
            assert set(names(client)) <= {"file", "file.new"}
    assert cuts >= 5


def test_the_flash_is_a_littlefs_that_others_read(repl, board):
    repl.put("/a.bin", blob(5000))
    data = board.flash.read_bytes()
    image = LittleFS(block_size=4096, block_count=len(data) // 4096, mount=False)
    image.context.buffer = bytearray(data)
    image.mount()
    with image.open("/a.bin", "rb") as file:
        assert file.read() == blob(5000)


def test_a_flash_that_corrupts_is_noticed(repl):
    """The board's own write is bent: the hash of what the flash holds then differs."""
    repl.put("/file", b"old")
    repl.exec(
        "import builtins\n_open = open\nclass Bad:\n def __init__(s, f): s.f = f\n"
        " def write(s, b): return s.f.write(b'?' + b[1:])\n def close(s): s.f.close()\n"
        "builtins.open = lambda p, m='r': Bad(_open(p, m)) if m == 'wb' else _open(p, m)"
    )
    with pytest.raises(BenchError) as caught:
        repl.put("/file", b"new file")
    assert caught.value.code == "file_mismatch"
    repl.exec("builtins.open = _open")
    assert repl.get("/file") == b"old" and names(repl) == ["file"]
