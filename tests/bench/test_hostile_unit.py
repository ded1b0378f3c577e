"""A unit that was tampered with: what it says breaks no tool, fills no memory, moves no cursor."""

from __future__ import annotations

from typing import Any

import pytest
from fieldassay import cli, provision
from fieldassay.bench import raw
from fieldassay.bench.repl import Repl
from fieldassay.bench.service import Service
from fieldassay.errors import BenchError, UnitError

pytestmark = pytest.mark.needs("micropython")


def test_endless_output_is_cut_off(repl: Repl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "OUTPUT_MAX", 100_000)
    with pytest.raises(BenchError) as caught:
        repl.exec("while True: print('x' * 1000)")
    assert caught.value.code == "board_confused"
    repl.enter()
    assert repl.exec("print(1)").strip() == b"1"


@pytest.mark.parametrize("said", ["[" * 20000, "(" * 500, "-" * 20000 + "1", "\x1b[2J", "9" * 5000])
def test_no_value_breaks_the_host(repl: Repl, said: str) -> None:
    repl.exec(
        f"class Evil:\n def __repr__(self): return {said[:1]!r} * {len(said) - 1} + {said[-1]!r}"
    )
    with pytest.raises(BenchError) as caught:
        repl.eval_json("Evil()")
    assert caught.value.code in ("board_confused", "board_raised")


@pytest.mark.parametrize(
    "line",
    [
        "'[' * 100000",
        "'[1]'",
        "'7'",
        "''",
        '\'{"error": "no"}\'',
        "'{\"entries\": 7}'",
        "'{\"entries\": [1]}'",
        "'{}'",
    ],
)
def test_no_log_breaks_the_host(repl: Repl, line: str) -> None:
    repl.mkdir("/a")
    repl.put("/a/service.py", f"def log(n):\n print({line})\n".encode())
    with pytest.raises(BenchError) as caught:
        Service(repl).log(3)
    assert caught.value.code in ("board_confused", "unit_refused")


@pytest.mark.parametrize("arrays", ["7", "[['raw', 4, 4]]", "[['raw', 'x', 4]]", "[[1, -9, 4, 4]]"])
def test_no_measurement_breaks_the_host(repl: Repl, arrays: str) -> None:
    repl.mkdir("/a")
    answer = '{"arrays": ' + arrays.replace("'", '"') + "}"
    repl.put(
        "/a/service.py", f"def measure(a, b, c):\n print({answer!r})\n print('@@@')\n".encode()
    )
    with pytest.raises(BenchError) as caught:
        Service(repl).measure(light=False, exposure_us=10, frames=1)
    assert caught.value.code == "board_confused"


@pytest.mark.parametrize(
    "content",
    [b"[" * 50000, b"7", b'{"unit": 7, "broker": {}}', b'{"unit": "a", "broker": []}', b"\xff\xfe"],
)
def test_no_settings_break_the_host(repl: Repl, content: bytes) -> None:
    repl.put("/settings.json", content)
    with pytest.raises(UnitError) as caught:
        provision.read(repl)
    assert caught.value.code == "unit_settings_damaged"


def test_what_a_unit_says_moves_no_cursor(
    make_board: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    board = make_board("evil")
    evil = "\x1b[2J\x1b]0;title\x07\rall is well\x9b1m\u202e"
    with Repl(board.port) as repl:
        repl.enter()
        repl.mkdir("/a")
        text = f"def log(n):\n raise ValueError({evil!r})\n"
        repl.put("/a/service.py", text.encode())
    assert cli.main(["unit", "logs", "--port", board.port]) == 1
    said = capfd.readouterr().err
    assert "all is well" in said
    assert not [c for c in said if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize(
    "port", ["; touch gone", "$(touch gone)", "-x", "/dev/null", "socket://x:1"]
)
def test_a_port_is_a_name_and_no_command(port: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError):
        Repl(port)
    assert not (tmp_path / "gone").exists()
