"""Provisioning on a virtual board: written, verified, never half; wiped; the label is readable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fieldassay import cli, label, provision
from fieldassay.bench.repl import Repl
from fieldassay.errors import FieldassayError, UnitError
from fieldassay.units import UnitRegistry
from fieldassay_sim.virtual_board import VirtualBoard
from fieldassay_wire import keys

pytestmark = pytest.mark.needs("micropython")


@pytest.fixture
def main(home: Path):
    def call(*words: str) -> int:
        return cli.main(list(words))

    assert call("authority", "init", "--broker", "broker.example") == 0
    return call


def on_board(board: VirtualBoard) -> dict:
    with Repl(board.port) as repl:
        repl.enter()
        return json.loads(repl.get("/settings.json"))


def test_provision_rotate_retire(main, home, tmp_path, capfd):
    with VirtualBoard(tmp_path / "flash") as board:
        words = ["--port", board.port, "--broker", "broker.example"]
        label_file = tmp_path / "label.svg"
        assert main("unit", "provision", "a", *words, "--label", str(label_file)) == 0
        first = on_board(board)
        registry = UnitRegistry(home / "units.json")
        key = registry.get("a").key
        assert first["unit"] == "a" and first["key"] == key.hex()
        assert first["broker"]["tls"] and first["broker"]["port"] == 8883
        assert keys.fingerprint(key) in label_file.read_text()
        assert main("unit", "provision", "b", *words) == 1  # another identity
        assert on_board(board) == first
        assert main("unit", "rotate", "a", "--port", board.port) == 0
        second = on_board(board)
        assert registry.get("a").key.hex() == second["key"] != first["key"]
        assert second["broker"]["cert_der_hex"] != first["broker"]["cert_der_hex"]
        assert [old.key.hex() for old in registry.get("a").old] == [first["key"]]
        with Repl(board.port) as repl:
            repl.enter()
            repl.exec("import os\nos.mkdir('/spool')")
            repl.put("/spool/00000001-00000001-aa.rec", b"measured")
        assert main("unit", "retire", "a", "--port", board.port) == 1
        assert on_board(board) == second
        assert main("unit", "retire", "a", "--port", board.port, "--force", "--yes") == 0
        with Repl(board.port) as repl:
            repl.enter()
            names = {entry.name for entry in repl.listdir("/")}
        assert not names & {"settings.json", "spool", "trust.json", "calibration.json"}
        assert registry.get("a").revoked_ms is not None
    said = capfd.readouterr()
    for secret in (first["key"], second["key"], first["broker"]["key_der_hex"]):
        assert secret not in said.out + said.err
        assert secret not in label_file.read_text()


def test_a_lost_unit_is_revoked_without_it(main, home):
    UnitRegistry(home / "units.json").add("a")
    assert main("unit", "retire", "a", "--lost") == 0
    assert UnitRegistry(home / "units.json").get("a").revoked_ms is not None


def test_a_cut_at_every_flash_operation_leaves_old_or_new_settings(tmp_path):
    old, new = ({"unit": "a", "key": letter * 64, "pad": "x" * 3000} for letter in "12")
    flash = tmp_path / "flash"
    with VirtualBoard(flash, blocks=32) as board, Repl(board.port) as repl:
        repl.enter()
        provision.write(repl, old, None)
    image = flash.read_bytes()
    found = set()
    cuts = 0
    while True:
        flash.write_bytes(image)
        finished = True
        cutting = VirtualBoard(flash, blocks=32)
        cutting.cut_at_flash_op = cuts + 1
        with cutting as board:
            try:
                with Repl(board.port) as repl:
                    repl.enter()
                    provision.write(repl, new, None)
            except FieldassayError:
                finished = False
        with VirtualBoard(flash, blocks=32) as board:
            there = on_board(board)
        assert there in (old, new)
        found.add(there["key"][0])
        if finished:
            assert there == new
            break
        cuts += 1
    assert cuts >= 5
    assert "1" in found


@pytest.mark.parametrize("name", ["a", "officer-7", "a" * 32])
@pytest.mark.parametrize("form", label.FORMS)
def test_a_label_is_drawn_in_every_form(name, form):
    data = label.draw(name, "12ab-34cd", form)
    assert data[:4] in (b"<svg", b"\x89PNG", b"%PDF")


def test_a_board_of_another_name_is_not_wiped():
    with pytest.raises(UnitError) as caught:
        provision.check_identity({"unit": "b"}, "a", replace=False)
    assert caught.value.code == "unit_has_other_identity"
