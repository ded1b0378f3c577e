"""Ten boards at once, mpremote as the oracle, and what the doctor says."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from fieldassay import cli
from fieldassay.bench import doctor, many, ports
from fieldassay.errors import BenchError
from mpremote.transport_serial import SerialTransport

pytestmark = pytest.mark.needs("micropython")
GOOD = {
    "errors": {},
    "interpreter": "1.29.0",
    "spool": {"used": 0, "capacity": 100},
    "free_flash_bytes": 500_000,
    "clock": [1, "synced"],
    "battery_mv": 3900,
}


def test_ten_boards_at_once_and_one_that_is_gone(make_board):
    boards = [make_board(f"b{n}", unique_id=f"UNIT{n}") for n in range(10)]
    names = [board.port for board in boards]
    boards[3].unplug()

    def action(repl):
        repl.enter()
        data = random.Random(repl.port).randbytes(5000)
        repl.put("/data", data)
        same = repl.get("/data") == data
        return same, repl.eval_json("__import__('machine').unique_id()")

    outcomes = many.on_each(names, action)
    assert [outcome.port for outcome in outcomes] == names
    for number, outcome in enumerate(outcomes):
        if number == 3:
            assert outcome.error is not None and outcome.error.code.startswith("port_")
        else:
            assert outcome.value == (True, b"UNIT%d" % number)


def test_mpremote_sees_what_we_wrote_and_we_what_it_wrote(board, repl):
    ours, theirs = random.Random(1).randbytes(20_000), random.Random(2).randbytes(20_000)
    repl.put("/ours", ours)
    repl.close()
    oracle = SerialTransport(board.port, 115200)
    oracle.enter_raw_repl()
    assert oracle.fs_readfile("/ours") == ours
    assert oracle.fs_hashfile("/ours", "sha256") == hashlib.sha256(ours).digest()
    oracle.fs_mkdir("/deep")
    oracle.fs_writefile("/deep/theirs", theirs)
    listed = {(e.name, e.st_size) for e in oracle.fs_listdir("/") if e.name == "ours"}
    oracle.close()
    with type(repl)(board.port) as again:
        again.enter()
        assert again.get("/deep/theirs") == theirs
        assert again.files.tree()["/deep/theirs"] == (20_000, hashlib.sha256(theirs).digest())
        assert {(e.name, e.size_bytes) for e in again.listdir() if not e.is_folder} == listed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"errors": {"settings": {"what": "w", "do_next": "d"}}}, "settings_unusable"),
        ({"interpreter": "1.19.1"}, "base_firmware_old"),
        ({"spool": {"used": 100, "capacity": 100}}, "spool_full"),
        ({"free_flash_bytes": 9_000}, "flash_nearly_full"),
        ({"clock": [0, "unset"]}, "clock_unset"),
        ({"battery_mv": 3200}, "battery_low"),
    ],
)
def test_the_doctor_finds_each_thing(change, code):
    assert list(doctor.judge(GOOD)) == []
    assert [finding.code for finding in doctor.judge({**GOOD, **change})] == [code]


def test_the_doctor_at_the_command_line_tells_what_to_do(board, tmp_path, capsys):
    gone = str(tmp_path / "gone")
    assert cli.main(["unit", "doctor", "--json", "--port", board.port, "--port", gone]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    codes = [report["findings"][0]["code"] for report in told]
    assert codes == ["board_without_firmware", "port_missing"]


def test_a_port_is_never_guessed_among_several(monkeypatch):
    def found(*paths):
        return lambda: [ports.Port(path, "x", True, "") for path in paths]

    monkeypatch.setattr(many, "ports", found("/dev/a", "/dev/b"))
    assert many.chosen(None, every=True) == ["/dev/a", "/dev/b"]
    with pytest.raises(BenchError) as caught:
        many.chosen(None, every=False)
    assert caught.value.code == "port_ambiguous"
    monkeypatch.setattr(many, "ports", found())
    with pytest.raises(BenchError) as caught:
        many.chosen(None, every=True)
    assert caught.value.code == "port_missing"
    assert ports.boards_of(0x2E8A, 5) and not ports.boards_of(0x1234, 5)
