"""`fieldassay record` and `unit` beside a store: what they print, and that tampering is named."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import answers, cli, formats, identify
from fieldassay.frame import Frame
from fieldassay.hazards.cards import load_cards
from fieldassay.library import Library
from fieldassay.store import Store
from fieldassay.units import UnitRegistry
from fieldassay_wire import cbor, mac0, messages

VERDICT = {
    "verdict": "match",
    "substances": [{"id": "acetone", "name": "Acetone", "inchikey": None, "share": 1.0}],
    "reasons": [{"code": "good_match", "text": "It fits."}],
    "do_next": "File the record.",
    "library": "sha256:00",
    "algorithm": "test",
}


@pytest.fixture
def filled(home: Path, measurement: Any) -> Path:
    unit = UnitRegistry(home / "units.json").add("unit-1")
    with Store.open(home / "evidence.db") as store:
        for seq in (1, 2):
            message = measurement(seq=seq, pixels=256)
            sealed = mac0.seal("measurement", unit.key, "unit-1", message)
            fields = messages.parse("measurement", cbor.encode(message))
            store.add_measurement(sealed, Frame.from_message(sealed, fields), 1_790_000_000_000)
        store.add_verdict("unit-1-1-1", json.dumps(VERDICT), 1_790_000_000_500)
    return home


def test_list_shows_newest_first(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["record", "list"]) == 0
    two, one = capsys.readouterr().out.splitlines()
    assert two.startswith("unit-1-1-2 ") and "not identified yet" in two
    assert one.startswith("unit-1-1-1 ") and "match" in one and one.endswith("Acetone")
    assert cli.main(["record", "list", "--json", "--limit", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["record"] == "unit-1-1-2"


def test_show_says_everything_about_one(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["record", "show", "unit-1-1-1"]) == 0
    out = capsys.readouterr().out
    assert "seal      ok" in out and "match Acetone" in out and "presumptive" in out
    assert cli.main(["record", "show", "--json", "unit-1-1-1"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["seal"], shown["verdicts"][0]["verdict"]) == ("ok", "match")
    assert cli.main(["record", "show", "unit-1-1-9"]) == 1
    assert capsys.readouterr().err.startswith("record_missing: ")


def test_export_gives_the_very_bytes_and_readable_spectra(filled: Path, tmp_path: Path) -> None:
    with Store.open_read_only(filled / "evidence.db") as store:
        sealed = store.record("unit-1-1-1").sealed
    out = tmp_path / "x.cose"
    assert cli.main(["record", "export", "unit-1-1-1", "--out", str(out)]) == 0
    assert out.read_bytes() == sealed
    spectra = []
    for name in ("csv", "jcamp"):
        out = tmp_path / f"x.{name}"
        arguments = ["record", "export", "unit-1-1-1", "--format", name, "--out", str(out)]
        assert cli.main(arguments) == 0
        spectra.append(formats.read(out.read_bytes(), out.name))
    assert spectra[0].axis.unit == spectra[1].axis.unit == "cm-1"
    assert np.array_equal(spectra[0].axis.values, spectra[1].axis.values)
    assert np.array_equal(spectra[0].intensity, spectra[1].intensity)


def test_export_that_cannot_be_written_says_so(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["record", "export", "unit-1-1-1", "--out", "/nowhere/x"]) == 1
    assert capsys.readouterr().err.startswith("export_not_written: ")


def _tamper(home: Path, statement: str, *values: object) -> None:
    """What a hand with file access and without our triggers could do."""
    db = sqlite3.connect(home / "evidence.db")
    for (trigger,) in db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    ).fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute(statement, values)
    db.commit()
    db.close()


def test_verify_accepts_what_was_not_touched(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["record", "verify"]) == 0
    assert capsys.readouterr().out == "2 records checked, 0 failed\n"
    UnitRegistry(filled / "units.json").remove("unit-1", 1)
    assert cli.main(["record", "verify", "unit-1-1-1"]) == 0  # its key is kept


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (
            "UPDATE measurement SET sealed = CAST(sealed || x'00' AS BLOB) WHERE seq = 2",
            "record_hash_wrong",
        ),
        ("UPDATE measurement SET sha256 = randomblob(32) WHERE seq = 2", "record_hash_wrong"),
        ("UPDATE measurement SET seq = 7 WHERE seq = 2", "record_misfiled"),
        ("UPDATE measurement SET unit = 'unit-2' WHERE seq = 2", "unit_unknown"),
    ],
)
def test_verify_names_what_was_changed(
    filled: Path, capsys: pytest.CaptureFixture[str], statement: str, code: str
) -> None:
    _tamper(filled, statement)
    assert cli.main(["record", "verify"]) == 1
    out = capsys.readouterr().out
    assert f"unit-1-1-2: {code}: " in out
    assert out.endswith("2 records checked, 1 failed\n")


def test_verify_finds_bytes_changed_together_with_their_hash(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    with Store.open_read_only(filled / "evidence.db") as store:
        forged = bytearray(store.record("unit-1-1-2").sealed)
    forged[len(forged) // 2] ^= 1
    _tamper(
        filled,
        "UPDATE measurement SET sealed = ?, sha256 = ? WHERE seq = 2",
        bytes(forged),
        hashlib.sha256(forged).digest(),
    )
    assert cli.main(["record", "verify"]) == 1
    assert "unit-1-1-2: bad_mac: " in capsys.readouterr().out


def test_verify_goes_on_after_a_record_that_is_not_there(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ["unit-1-1-9", "", "\udcff", "../x", "unit-1-1-1 ", "ä"]
    assert cli.main(["record", "verify", *odd, "unit-1-1-1"]) == 1
    out = capsys.readouterr().out
    assert out.count(": record_missing: ") == len(odd)
    assert out.endswith("7 records checked, 6 failed\n")


def test_a_reader_that_stops_reading_ends_it_quietly(filled: Path) -> None:
    """`fieldassay record list | true`: nothing is read, and the output fits the pipe's buffer."""
    reading, writing = os.pipe()
    os.close(reading)
    program = "import sys; from fieldassay.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "record", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_without_a_store_the_error_says_what_to_do(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["record", "list"]) == 1
    assert capsys.readouterr().err.startswith("store_missing: ")


def test_units_are_added_listed_and_removed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "settings.json"
    assert cli.main(["unit", "add", "unit-1", "--settings-out", str(out)]) == 0
    key = UnitRegistry(home / "units.json").get("unit-1").key
    settings = json.loads(out.read_text())
    assert settings["key"] == key.hex()
    assert out.stat().st_mode & 0o777 == 0o600
    assert key.hex() not in capsys.readouterr().out
    assert cli.main(["unit", "add", "unit-2", "--settings-out", str(out)]) == 1
    assert cli.main(["unit", "add", "unit-1"]) == 1
    assert cli.main(["unit", "remove", "unit-1"]) == 0
    assert cli.main(["unit", "list", "--json"]) == 0
    assert key.hex() not in capsys.readouterr().out
    assert cli.main(["unit", "list"]) == 0
    assert capsys.readouterr().out == "unit-1  removed\n"


@pytest.mark.needs("micropython")
def test_the_settings_file_is_what_the_unit_accepts(home: Path, tmp_path: Path, root: Path) -> None:
    import subprocess
    import sys

    out = tmp_path / "settings.json"
    assert cli.main(["unit", "add", "unit-1", "--settings-out", str(out)]) == 0
    code = f"import settings; print(settings.load({str(out)!r})['unit'])"
    env = {"MICROPYPATH": str(root / "device")}
    micropython = Path(sys.executable).with_name("micropython")
    done = subprocess.run(
        [micropython, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "unit-1", done.stdout + done.stderr


def test_replay_repeats_verdicts_and_names_what_differs(
    home: Path, measurement: Any, library_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three records: one honest, one whose stored verdict was altered, one by another program."""
    unit = UnitRegistry(home / "units.json").add("unit-1")
    library, cards = Library.open(library_path), load_cards()
    with Store.open(home / "evidence.db") as store:
        for seq in (1, 2, 3):
            message = measurement(seq=seq, pixels=1024)
            sealed = mac0.seal("measurement", unit.key, "unit-1", message)
            fields = messages.parse("measurement", cbor.encode(message))
            frame = Frame.from_message(sealed, fields)
            store.add_measurement(sealed, frame, 1_790_000_000_000)
            found = identify.identify_frame(frame, library)[1]
            body = answers.body(found, cards.get(found.hazard_card))
            if seq == 2:
                body = {**body, "do_next": "Nothing to worry about."}
            if seq == 3:
                body = {**body, "algorithm": "older"}
            store.add_verdict(f"unit-1-1-{seq}", json.dumps(body), 1_790_000_000_500)
    words = ["record", "replay", "--library", str(library_path)]
    assert cli.main([*words, "unit-1-1-1"]) == 0
    assert capsys.readouterr().out.startswith("1 verdicts repeated, 0 differ")
    for extra in ([], ["--other-machine"]):
        assert cli.main([*words, *extra]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("unit-1-1-2: do_next: 'Nothing to worry about.' stored")
        assert lines[1].startswith("unit-1-1-3: made with older")
        assert lines[2].startswith("1 verdicts repeated, 1 differ, 1 by another")


def test_a_drifted_unit_is_named_in_the_list(
    home: Path, measurement: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five matches at +5 cm-1 on one unit, five near 0 on the other; doubts do not count."""
    registry = UnitRegistry(home / "units.json")
    assert cli.main(["unit", "list"]) == 0  # before there is any record
    with Store.open(home / "evidence.db") as store:
        for unit, shift in (("far", 5.0), ("near", 0.2)):
            key = registry.add(unit).key
            for seq in range(1, 8):
                message = measurement(unit=unit, seq=seq, pixels=64)
                sealed = mac0.seal("measurement", key, unit, message)
                fields = messages.parse("measurement", cbor.encode(message))
                store.add_measurement(sealed, Frame.from_message(sealed, fields), seq * 1000)
                doubt = seq > 5
                body = {
                    **VERDICT,
                    "verdict": "inconclusive" if doubt else "match",
                    "quality": {"axis_shift_cm1": -9.0 if doubt else shift + 0.1 * (seq % 3)},
                }
                store.add_verdict(f"{unit}-1-{seq}", json.dumps(body), seq * 1000)
    assert cli.main(["unit", "list"]) == 0
    far, near = capsys.readouterr().out.splitlines()
    assert "axis +5.1 cm-1 over 5 matches" in far and "DRIFTED" in far
    assert "axis +0.3 cm-1 over 5 matches" in near and "DRIFTED" not in near
    assert cli.main(["unit", "list", "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["axis"]["drifted"] for line in shown] == [True, False]
