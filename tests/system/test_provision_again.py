"""Provisioning again: after failed writes, on another board; hardware file, firmware keys."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from fieldassay import cli, provision
from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError
from fieldassay.units import UnitRegistry
from fieldassay_sim.virtual_board import VirtualBoard

pytestmark = pytest.mark.needs("micropython")
HARDWARE = {
    "excitation_pm": 785000,
    "gain_me_per_count": 25000,
    "read_noise_me": 50000,
    "laser": {
        "power_codes": [[5000, 900], [50000, 2100], [100000, 3400]],
        "photodiode_zero": 400,
        "photodiode_uw": 150000,
        "ntc_ohm": 10000,
        "ntc_beta": 3950,
        "ntc_series_ohm": 10000,
    },
}


def provisioned(board: VirtualBoard, *words: str) -> int:
    common = ["--port", board.port, "--broker", "broker.example", "--without-tls"]
    return cli.main(["unit", "provision", "a", *common, *words])


def files(board: VirtualBoard) -> dict[str, bytes]:
    with Repl(board.port) as repl:
        repl.enter()
        found = {
            e.name: repl.get("/" + e.name) for e in repl.listdir("/") if e.name[-5:] == ".json"
        }
        if "spool" in {entry.name for entry in repl.listdir("/")}:
            found["boot"] = repl.get("/spool/boot")
        return found


def test_hardware_and_keys_are_written_and_their_lack_is_said(home: Path, tmp_path, capsys):
    key = "ab" * 31 + "01"
    given = tmp_path / "hw.json"
    given.write_text(json.dumps(HARDWARE))
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**HARDWARE, "read_noise_me": -1}))
    with VirtualBoard(tmp_path / "flash") as board:
        assert provisioned(board, "--hardware", str(wrong)) == 1
        assert provisioned(board, "--firmware-key", "not a key") == 1
        assert "settings.json" not in files(board)
        assert not UnitRegistry(home / "units.json").all()
        capsys.readouterr()
        assert provisioned(board, "--hardware", str(given)) == 0
        assert "will refuse every update" in capsys.readouterr().out
        assert json.loads(files(board)["hardware.json"]) == HARDWARE
        assert "trust.json" not in files(board)
        (home / "release-keys.json").write_text(json.dumps({"firmware_keys": [key]}))
        assert provisioned(board) == 0
        assert "Firmware keys it trusts: 1." in capsys.readouterr().out
        there = files(board)
        assert json.loads(there["trust.json"]) == {"firmware_keys": [key]}
        assert json.loads(there["hardware.json"]) == HARDWARE


def test_a_failed_write_and_a_lost_flash_can_be_made_good(home: Path, tmp_path, monkeypatch):
    registry = UnitRegistry(home / "units.json")
    with VirtualBoard(tmp_path / "one") as board:
        assert provisioned(board) == 0
        first = registry.get("a").key
        with Repl(board.port) as repl:
            repl.enter()
            repl.put("/settings.json", b'{"unit": ')
        assert provisioned(board) == 1  # damaged, and nobody said --replace
        real = provision.write

        def fails(*args: object, **named: object) -> None:
            raise BenchError("board_disconnected", "Gone.", "Again.")

        monkeypatch.setattr(provision, "write", fails)
        assert provisioned(board, "--replace") == 1
        assert registry.get("a").key == first
        coming = registry.get("a").coming
        monkeypatch.setattr(provision, "write", real)
        assert provisioned(board, "--replace") == 0
        assert registry.get("a").key == coming
        assert [old.key for old in registry.get("a").old] == [first]
        assert json.loads(files(board)["settings.json"])["key"] == coming.hex()
    with VirtualBoard(tmp_path / "two") as board:
        assert provisioned(board) == 1  # the name has a unit
        assert not files(board)
        assert provisioned(board, "--replace") == 0
        # The host has no record of it, so any number above the first will do.
        assert int(files(board)["boot"]) >= provision.BOOTS_SKIPPED


def test_numbers_go_on_above_those_of_the_host(tmp_path):
    with VirtualBoard(tmp_path / "flash") as board, Repl(board.port) as repl:
        repl.enter()
        for there, newest, expected in (
            (None, 7, 1007),
            (b"5", 7, 1007),
            (b"8", 7, 8),
            (b"rubbish", 0, 1000),
        ):
            if there is not None:
                repl.put("/spool/boot", there)
            provision.go_on_after(repl, newest)
            assert int(repl.get("/spool/boot")) == expected


def test_measurements_are_destroyed_only_after_the_name_was_typed(
    home, tmp_path, monkeypatch, capsys
):
    with VirtualBoard(tmp_path / "flash") as board:
        assert provisioned(board) == 0
        with Repl(board.port) as repl:
            repl.enter()
            repl.mkdir("/spool")
            repl.put("/spool/00000001-00000001-aa.rec", b"measured")
        words = ["unit", "retire", "a", "--port", board.port, "--force"]
        for typed in ("", "b\n"):
            monkeypatch.setattr("sys.stdin", io.StringIO(typed))
            capsys.readouterr()
            assert cli.main(words) == 1
            said = capsys.readouterr()
            assert "1 measurements that no host has confirmed" in said.out
            assert "retire_not_confirmed" in said.err
            assert "settings.json" in {*files_without_boot(board)}
        assert UnitRegistry(home / "units.json").get("a").revoked_ms is None
        monkeypatch.setattr("sys.stdin", io.StringIO("a\n"))
        assert cli.main(words) == 0
        assert "settings.json" not in files_without_boot(board)
        assert UnitRegistry(home / "units.json").get("a").revoked_ms is not None


def files_without_boot(board: VirtualBoard) -> set[str]:
    with Repl(board.port) as repl:
        repl.enter()
        return {entry.name for entry in repl.listdir("/")}
