"""`fieldassay identify`: files in, documented lines and exit status out, real library."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import formats, library_build, substances
from fieldassay.commands import identify as command
from fieldassay.config import Home
from fieldassay.errors import FormatError, LibraryError
from fieldassay.formats import csv, jcamp_write
from fieldassay.hazards.cards import load_cards
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum
from fieldassay.verdict import VERDICT_KINDS

KEYS = [
    "file", "verdict", "substances", "candidates", "quality", "reasons", "do_next", "hazard_card",
    "library", "algorithm", "notes", "family", "alternatives",
]  # fmt: skip
CLI = [sys.executable, "-c", "import sys; from fieldassay.cli import main; sys.exit(main())"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    status = command.run(parser.parse_args([str(a) for a in arguments]))
    return status, capsys.readouterr().out


def lines_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="module")
def acetone(sources_dir: Path) -> Spectrum:
    path = sources_dir / f"{substances.load()['acetone'].references[0]}.csv"
    return formats.read(path.read_bytes(), path.name)


@pytest.fixture
def folder(tmp_path: Path, acetone: Spectrum) -> Path:
    """The same real spectrum in each format, one broken file and one that is no spectrum."""
    inside = tmp_path / "spectra"
    (inside / "deep").mkdir(parents=True)
    (inside / "a.csv").write_bytes(csv.write(acetone))
    (inside / "b.jdx").write_bytes(jcamp_write.write(acetone))
    (inside / "deep" / "c.CSV").write_bytes(csv.write(acetone).replace(b",", b";"))
    (inside / "d.spc").write_bytes(b"\x00\x4b" + bytes(100))
    (inside / "notes.md").write_text("not looked at")
    return inside


def test_json_is_the_documented_contract(
    capsys: pytest.CaptureFixture[str], folder: Path, library_path: Path
) -> None:
    status, output = run(capsys, "--json", "--library", library_path, folder)
    found = lines_of(output)
    assert [Path(line["file"]).name for line in found] == ["a.csv", "b.jdx", "d.spc", "c.CSV"]
    assert status == 1  # d.spc
    library = Library.open(library_path)
    for line in found:
        if line["file"].endswith(".spc"):
            assert list(line) == ["file", "error"]
            assert list(line["error"]) == ["code", "what", "do_next"]
            assert line["error"]["code"] == "file_truncated"
            continue
        assert list(line) == KEYS
        assert line["verdict"] == "match" and line["verdict"] in VERDICT_KINDS
        assert list(line["substances"][0]) == ["id", "name", "inchikey", "share", "share_interval"]
        assert line["substances"][0]["id"] == "acetone"
        assert line["substances"][0]["inchikey"] == "CSCPPACGZOOCGX-UHFFFAOYSA-N"
        assert 1 <= len(line["candidates"]) <= 10
        scores = [each["score"] for each in line["candidates"]]
        assert scores == sorted(scores, reverse=True) and all(0 <= s <= 1 for s in scores)
        assert {"snr", "axis_shift_cm1"} <= set(line["quality"])
        assert all(set(reason) == {"code", "text"} for reason in line["reasons"])
        assert line["library"] == library.hash and line["library"].startswith("sha256:")
        assert line["algorithm"] and line["do_next"] and line["notes"] == []
        assert line["hazard_card"] == "flammable-solvent"
    # The same numbers in another file give the same result, bit for bit.
    first = {**found[0], "file": ""}
    assert {**found[1], "file": ""} == first and {**found[3], "file": ""} == first


def test_people_read_verdict_reason_hazard_and_that_it_is_presumptive(
    capsys: pytest.CaptureFixture[str], folder: Path, library_path: Path
) -> None:
    status, output = run(capsys, "--library", library_path, folder / "a.csv", "no-such.csv")
    assert status == 1
    card = load_cards().get("flammable-solvent")
    for part in ("MATCH  Acetone", card.headline, "do next:", "why:", "[file_missing]"):
        assert part in output
    assert output.rstrip().endswith("confirm in a laboratory.")
    assert "safe" not in output.lower() and "clear" not in output.lower()
    status, _ = run(capsys, "--library", library_path, folder / "a.csv")
    assert status == 0


def test_a_wavelength_axis_needs_the_laser(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, acetone: Spectrum, library_path: Path
) -> None:
    nm = 1e7 / (1e7 / 785.0 - acetone.axis.values)
    plain = Spectrum(Axis(nm, "nm"), acetone.intensity)
    told = Spectrum(Axis(nm, "nm"), acetone.intensity, meta={"excitation_nm": "785"})
    (tmp_path / "nm.csv").write_bytes(csv.write(plain))
    (tmp_path / "told.jdx").write_bytes(jcamp_write.write(told))
    pixels = Spectrum(Axis(np.arange(acetone.axis.values.size), "px"), acetone.intensity)
    (tmp_path / "px.csv").write_bytes(csv.write(pixels))
    (tmp_path / "cm.csv").write_bytes(csv.write(acetone))

    def outcome(*arguments: str | Path) -> list[str]:
        found = lines_of(run(capsys, "--json", "--library", library_path, *arguments)[1])
        return [f["error"]["code"] if "error" in f else f["substances"][0]["id"] for f in found]

    files = [tmp_path / name for name in ("nm.csv", "told.jdx", "px.csv", "cm.csv")]
    assert outcome(*files) == ["excitation_unknown", "acetone", "axis_in_pixels", "acetone"]
    assert outcome("--excitation-nm", "785", *files) == [
        "acetone", "acetone", "axis_in_pixels", "acetone",
    ]  # fmt: skip
    # A wrong wavelength is refused where the file knows better and does nothing to a cm-1 axis.
    assert outcome("--excitation-nm", "532", *files)[1:] == [
        "excitation_conflict", "axis_in_pixels", "acetone",
    ]  # fmt: skip
    assert outcome("--excitation-nm", "20000", files[0]) == ["excitation_out_of_range"]


def test_what_is_not_raman_is_refused(
    tmp_path: Path, acetone: Spectrum, library_path: Path
) -> None:
    library = Library.open(library_path)
    infrared = Spectrum(acetone.axis, acetone.intensity, meta={"technique": "infrared"})
    path = tmp_path / "ir.jdx"
    path.write_bytes(jcamp_write.write(infrared))
    with pytest.raises(FormatError) as error:
        command.identify_file(path, library)
    assert error.value.code == "not_raman"


def test_guesses_are_told(tmp_path: Path, acetone: Spectrum, library_path: Path) -> None:
    path = tmp_path / "bare.txt"
    rows = zip(acetone.axis.values.tolist(), acetone.intensity.tolist(), strict=True)
    path.write_text("\n".join(f"{x} {y}" for x, y in rows))
    spectrum, found = command.identify_file(path, Library.open(library_path))
    assert found.verdict.substances[0].id == "acetone"
    assert command.notes(spectrum) == [
        "The file does not name its axis; it was taken as Raman shift in cm-1."
    ]


def test_what_is_no_readable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(path: Path) -> str:
        with pytest.raises(FormatError) as error:
            command.read_bytes(path)
        return error.value.code

    os.mkfifo(tmp_path / "pipe.csv")
    assert code(tmp_path / "pipe.csv") == "not_a_file"
    assert code(Path(os.devnull)) == "not_a_file"
    assert code(tmp_path / "missing") == "file_missing"
    assert code(tmp_path / ("x" * 300)) == "file_unreadable"
    assert code(Path("a\0b")) == "file_unreadable"
    (tmp_path / "sub").mkdir()
    assert code(tmp_path / "sub") == "folder_empty"
    (tmp_path / "big.csv").write_bytes(b"1,2\n" * 10)
    monkeypatch.setattr(formats, "MAX_BYTES", 10)
    assert code(tmp_path / "big.csv") == "file_too_large"


def test_what_a_folder_or_name_hides_is_told_and_the_rest_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path, library_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "only" / "named.csv").mkdir(parents=True)
    (folder / "gone.csv").symlink_to("nowhere")
    locked = folder / "locked.csv"
    locked.write_bytes(b"1,2\n")
    real = os.stat

    def refuse(path: Any, *args: Any, **more: Any) -> os.stat_result:  # root may read everything
        if Path(path).name == locked.name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "stat", refuse)
    status, output = run(
        capsys, "--json", "--library", library_path, "x" * 300, locked, tmp_path / "only", folder
    )
    found = [(Path(f["file"]).name, f.get("error", {}).get("code")) for f in lines_of(output)]
    assert status == 1
    assert found == [
        ("x" * 300, "file_unreadable"), ("locked.csv", "file_unreadable"), ("only", "folder_empty"),
        ("a.csv", None), ("b.jdx", None), ("d.spc", "file_truncated"), ("c.CSV", None),
        ("gone.csv", "file_missing"), ("locked.csv", "file_unreadable"),
    ]  # fmt: skip


def test_a_name_in_another_encoding_is_shown(folder: Path, library_path: Path) -> None:
    name = os.fsencode(folder) + b"/\xff.csv"
    Path(os.fsdecode(name)).write_bytes((folder / "a.csv").read_bytes())
    for option, shown in (("--json", b"/\\udcff.csv"), ("--excitation-nm=785", b"/\\udcff.csv")):
        done = subprocess.run(
            [*CLI, "identify", "--library", str(library_path), option, name],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout


def test_a_missing_library_is_built_once_and_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    folder: Path, library_path: Path,
) -> None:  # fmt: skip
    built: list[Path] = []

    def build(where: Home, **_: Any) -> None:
        built.append(where.library)
        where.library.parent.mkdir(parents=True)
        where.library.write_bytes(library_path.read_bytes())

    monkeypatch.setattr(library_build, "ensure_library", build)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    for _ in range(2):
        assert command.run(parser.parse_args(["--json", str(folder / "a.csv")])) == 0
    captured = capsys.readouterr()
    assert built == [home / "libraries" / "raman-785.falib"]
    assert captured.err.count("built now, once") == 1
    assert len(lines_of(captured.out)) == 2


def test_a_named_library_that_is_missing_is_an_error(tmp_path: Path, folder: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args(["--library", str(tmp_path / "none"), str(folder / "a.csv")])
    with pytest.raises(LibraryError):
        command.run(arguments)


def test_progress_goes_to_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    folder: Path, library_path: Path,
) -> None:  # fmt: skip
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    many = [folder / "a.csv"] * command.PROGRESS_FROM
    run(capsys, "--json", "--library", library_path, *many)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(capsys, "--json", "--library", library_path, *many)
    assert f"\r{len(many)}/{len(many)}" in terminal.getvalue()


def test_a_closed_pipe_ends_quietly(folder: Path, library_path: Path) -> None:
    """`fieldassay identify … | head -1`, as its own process."""
    many = [str(folder / "a.csv")] * 40
    with subprocess.Popen(
        [*CLI, "identify", "--json", "--library", str(library_path), *many],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["verdict"] == "match"
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert "Traceback" not in errors
    assert process.returncode == 1


def test_real_spectra_of_other_instruments(data_dir: Path, library_path: Path) -> None:
    """Every file of four other instruments gives a result; matches name, others show strictest."""
    library = Library.open(library_path)
    cards = load_cards()
    done = 0
    for path in command.expand([data_dir / "raman-multi-instrument" / "spectra"]):
        spectrum, found = command.identify_file(path, library)
        shown = found.as_dict()
        assert shown["verdict"] in VERDICT_KINDS
        ids = [substance["id"] for substance in shown["substances"]]
        assert found.hazard_card == cards.for_identification(found.verdict.kind, ids).id
        headline = command.human(path, spectrum, found, cards)[1]
        if found.verdict.kind in ("match", "mixture"):
            assert ids and found.verdict.substances[0].name in headline
        else:
            family = f"  {found.verdict.family.name}" if found.verdict.family else ""
            assert headline.strip() == command.WORDS[found.verdict.kind] + family  # no substance
            assert found.hazard_card == "default-strictest"
        done += 1
    assert done == 107
