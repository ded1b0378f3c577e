"""The raw prompt, against real MicroPython behind a PTY: code, interrupts, resets, lost cables."""

from __future__ import annotations

import os
import pty
import tty

import pytest
from fieldassay.bench import raw
from fieldassay.bench.raw import RawRepl
from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError

pytestmark = pytest.mark.needs("micropython")
LOOPS = {
    "sleeping": "import time\nwhile True:\n time.sleep(1)",
    "busy": "while True:\n pass",
    "printing": "while True:\n print('x' * 100)",
}
STUBBORN = """
import time
while True:
    try:
        time.sleep_ms(50)
    except KeyboardInterrupt:
        print("no")
"""


def code_of(call, *args, **options):
    with pytest.raises(BenchError) as caught:
        call(*args, **options)
    return caught.value.code


def test_code_runs_and_its_output_comes_back(repl):
    assert repl.exec("print('a\\x00b\\xff')") == "a\x00bÿ\n".encode()
    assert repl.exec("") == b""
    assert repl.eval_json("{'a': [1, None, -2.5, True], 'b': b'\\x00\\xff'}") == {
        "a": [1, None, -2.5, True],
        "b": b"\x00\xff",
    }


def test_raw_paste_carries_code_longer_than_its_window(repl):
    text = "".join(chr(33 + n % 90) for n in range(20_000))
    assert repl.exec(f"print({text!r})").decode() == text + "\n"
    assert repl._pasting


def test_output_is_passed_on_while_the_code_runs(repl):
    pieces: list[bytes] = []
    code = "import time\nfor n in range(5):\n print(n)\n time.sleep_ms(60)"
    whole = repl.exec(code, on_output=pieces.append)
    assert b"".join(pieces) == whole == b"0\n1\n2\n3\n4\n"
    assert len(pieces) > 1


def test_an_exception_on_the_board_is_told_with_its_trace(repl):
    with pytest.raises(BenchError) as caught:
        repl.exec("print('before')\n1/0")
    assert caught.value.code == "board_raised"
    assert "ZeroDivisionError" in caught.value.what and "line 2" in caught.value.trace
    assert code_of(repl.exec, "x y z") == "board_raised"
    assert repl.exec("print(1)") == b"1\n"


def test_code_that_does_not_fit_into_the_heap_is_told(make_board):
    with Repl(make_board(heap="48K").port) as client:
        client.enter()
        with pytest.raises(BenchError) as caught:
            client.exec("x = [" + "12345678," * 9000 + "]")
        assert caught.value.code == "board_raised" and "MemoryError" in caught.value.trace
        assert client.exec("print(2)") == b"2\n"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_running_program_is_interrupted(repl, loop):
    repl.exec("kept = 7")
    repl.start(LOOPS[loop])
    repl.enter()
    assert repl.exec("print(kept)") == b"7\n"


def test_silent_code_is_interrupted_after_its_time(repl):
    assert code_of(repl.exec, LOOPS["sleeping"], timeout_s=0.3) == "board_timeout"
    repl.enter()
    assert repl.exec("print(3)") == b"3\n"


def test_a_main_that_never_ends_is_interrupted_and_its_state_is_there(repl, board):
    repl.put("/main.py", b"import time\nn = 0\nwhile True:\n    time.sleep_ms(5)\n    n += 1\n")
    repl.hard_reset()
    repl.enter()
    assert repl.eval_json("n") >= 0
    assert board.starts == 2


def test_a_program_that_will_not_stop_is_an_error_that_helps(repl, monkeypatch):
    monkeypatch.setattr(raw, "ENTER_TRIES", 3)
    repl.put("/main.py", STUBBORN.encode())
    repl.hard_reset()
    with pytest.raises(BenchError) as caught:
        repl.enter()
    assert caught.value.code == "board_will_not_stop" and "reset button" in caught.value.do_next


def test_a_soft_reset_clears_the_memory_and_runs_boot_but_not_main(repl, board):
    repl.put("/boot.py", b"boots = 1\n")
    repl.put("/main.py", b"mains = 1\n")
    repl.exec("kept = 7")
    repl.soft_reset()
    assert repl.eval_json("('kept' in globals(), 'boots' in globals(), 'mains' in globals())") == (
        False,
        True,
        False,
    )
    repl.hard_reset()
    repl.enter()
    assert repl.eval_json("'mains' in globals()") is True
    assert board.starts == 3


def test_many_resets_and_interrupts_lose_nothing(repl, board):
    for n in range(12):
        repl.start(LOOPS["busy" if n % 2 else "sleeping"])
        repl.enter(soft_reset=n % 3 == 0)
        assert repl.exec(f"print({n})") == b"%d\n" % n
    assert board.starts == 5


def test_a_pulled_cable_is_told_and_the_board_runs_on(make_board, tmp_path):
    board = make_board(link=tmp_path / "tty")
    with Repl(board.port) as client:
        client.enter()
        client.exec("kept = 7")
        board.unplug()
        assert code_of(client.exec, "print(1)") == "board_disconnected"
    assert code_of(Repl, str(tmp_path / "tty")) in ("port_missing", "port_unusable")
    board.plug()
    with Repl(board.port) as client:
        client.enter()
        assert client.exec("print(kept)") == b"7\n"


def test_a_port_is_held_by_one_program(repl, board):
    assert code_of(RawRepl, board.port) == "port_busy"


def test_ports_that_are_none(tmp_path):
    assert code_of(RawRepl, str(tmp_path / "nothing")) == "port_missing"
    plain = tmp_path / "plain"
    plain.write_text("no port")
    assert code_of(RawRepl, str(plain)) == "port_unusable"


def test_a_port_with_nobody_behind_it_is_silent(monkeypatch):
    monkeypatch.setattr(raw, "ENTER_TRIES", 2)
    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs)
        with Repl(os.ttyname(theirs)) as client:
            assert code_of(client.enter) == "board_silent"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_board_that_lost_power_is_gone_until_it_has_power_again(repl, board):
    board.cut_power()
    assert code_of(repl.exec, "print(1)") == "board_disconnected"
    board.power_on()
    with Repl(board.port) as client:
        client.enter()
        assert client.exec("print(1)") == b"1\n"


def test_the_heap_is_the_size_that_was_asked_for(make_board):
    free = {}
    for heap in ("64K", "192K"):
        with Repl(make_board(heap, heap=heap).port) as client:
            client.enter()
            free[heap] = client.eval_json("__import__('gc').mem_free()")
    assert 20_000 < free["64K"] < 65_536 < free["192K"] < 196_608
