"""Importing an agency's own files: nothing vanishes, everything says where it is from."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay.commands import identify as identify_command
from fieldassay.commands import library as command
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_import import parse_mapping

X = np.arange(250.0, 1900.0, 2.0)


def values(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bands = rng.uniform(350, 1750, 8)
    y = sum(rng.uniform(0.3, 1) * 5000 * np.exp(-(((X - b) / 7.0) ** 2)) for b in bands)
    return np.asarray(y + 300 + rng.normal(0, 5, X.size))


def csv_file(path: Path, seed: int) -> Path:
    rows = "\n".join(f"{a:.2f},{b:.3f}" for a, b in zip(X, values(seed), strict=True))
    path.write_text(f"Raman shift (cm-1),Intensity\n{rows}\n")
    return path


def block(title: str, seed: int, *labels: str, data_type: str = "RAMAN SPECTRUM") -> str:
    pairs = "\n".join(f"{a:.2f}, {b:.3f}" for a, b in zip(X, values(seed), strict=True))
    more = "".join(f"##{label}\n" for label in labels)
    return (
        f"##TITLE={title}\n##JCAMP-DX=4.24\n##DATA TYPE={data_type}\n{more}##XUNITS=1/CM\n"
        f"##YUNITS=ARBITRARY UNITS\n##NPOINTS={X.size}\n##XYPOINTS=(XY..XY)\n{pairs}\n##END=\n"
    )


def library_file(path: Path) -> Path:
    """A library in the manner of agencies: one file, one LINK block, a block a substance."""
    blocks = (
        block("Cocaine HCl", 1, "CAS REGISTRY NO=53-21-4", "NAMES=cocaine hydrochloride"),
        block("Fentanyl", 2, "CAS REGISTRY NO=437-38-7", "RESOLUTION=4", "MOLFORM=C22 H28 N2 O"),
        block("Sample 4711", 3, "NAMES=methamphetamine"),
        block("Novelamine", 4, "CAS REGISTRY NO=68-12-2", "$EXCITATION WAVELENGTH=532"),
        block("Acetone", 5, "CAS REGISTRY NO=108-88-3"),
        block("Sugar", 6, data_type="INFRARED SPECTRUM"),
        block("Fentanyl", 2),
    )
    head = (
        "##TITLE=Agency library\n##JCAMP-DX=4.24\n##DATA TYPE=LINK\n##BLOCKS=8\n"
        "##ORIGIN=Forensic institute\n##OWNER=Institute, for police use\n##LONGDATE=2024/05/06\n"
        "##SPECTROMETER/DATA SYSTEM=Handheld 785\n##$LASER WAVELENGTH=785 nm\n"
    )
    path.write_text(head + "".join(blocks) + "##END=\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    status = command.run(parser.parse_args([str(a) for a in arguments]))
    return status, capsys.readouterr().out


def imported(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    status, out = run(capsys, "import", *arguments, "--json")
    return status, json.loads(out)


def test_a_library_of_many_spectra_in_one_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "agency.falib"
    status, facts = imported(capsys, library_file(tmp_path / "lib.jdx"), "--output", output)
    assert status == 1
    assert [(row["block"], row["code"]) for row in facts["refused"]] == [
        ("Acetone", "substance_conflict"),
        ("Sugar", "not_raman"),
        ("Fentanyl", "reference_duplicate"),
    ]
    rows = {row["substance"]: row for row in facts["accepted"]}
    assert set(rows) == {"cocaine", "fentanyl", "methamphetamine", "novelamine"}
    assert (rows["cocaine"]["form"], rows["cocaine"]["identified_by"]) == ("hydrochloride", "name")
    assert rows["fentanyl"]["identified_by"] == "cas"
    assert facts["not_in_catalogue"] == ["novelamine"]
    library = Library.open(output)
    assert library.hash == facts["library"] and len(library.entries) == facts["references"] == 4
    unknown = library.substances["novelamine"]
    assert (unknown.family, unknown.hazard_card) == ("unknown", "default-strictest")
    assert library.substances["fentanyl"].families == ("fentanyl", "opioid")
    for entry in library.entries:
        assert (entry.agency, entry.licence) == ("Forensic institute", "Institute, for police use")
        assert (entry.instrument, entry.date) == ("Handheld 785", "2024-05-06")
    assert [e.laser_nm for e in library.entries] == [785.0, 785.0, 785.0, 532.0]
    assert [e.resolution_cm1 for e in library.entries] == [None, 4.0, None, None]


def test_an_imported_substance_is_identified(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "agency.falib"
    imported(capsys, library_file(tmp_path / "lib.jdx"), "--output", output)
    measured = csv_file(tmp_path / "measured.csv", 2)
    _, found = identify_command.identify_file(measured, Library.open(output))
    assert [s.id for s in found.verdict.substances] == ["fentanyl"]


def test_a_folder_with_everything_in_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "spectra"
    (folder / "more").mkdir(parents=True)
    csv_file(folder / "ethyl_acetate.csv", 1)
    csv_file(folder / "more" / "Acetone-2.csv", 2)
    (folder / "broken.jdx").write_bytes(b"##TITLE=x\n##XYDATA")
    (folder / "empty.csv").write_bytes(b"")
    (folder / "notes.md").write_text("for people")
    status, facts = imported(capsys, folder, "--output", tmp_path / "x.falib", "--licence", "own")
    accepted = {row["file"]: row["substance"] for row in facts["accepted"]}
    assert status == 1
    assert accepted == {"ethyl_acetate.csv": "ethyl-acetate", "more/Acetone-2.csv": "acetone"}
    assert {row["file"] for row in facts["refused"]} == {"broken.jdx", "empty.csv"}
    assert facts["ignored"] == ["notes.md"]
    data = (tmp_path / "x.falib").read_bytes()
    assert str(tmp_path).encode() not in data, "a path of this machine is in the library"


def test_the_mapping_counts_more_than_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    csv_file(tmp_path / "a1.csv", 1)
    csv_file(tmp_path / "a2.csv", 2)
    mapping = tmp_path / "m.csv"
    mapping.write_text(
        "file,substance,cas,form,laser_nm,licence\na1.csv,heroin,,free base,1064,closed\n"
        "a2.csv,,67-64-1,,,\nno.csv,acetone,,,,\n"
    )
    status, facts = imported(
        capsys, tmp_path / "a1.csv", tmp_path / "a2.csv", "--output", tmp_path / "x.falib",
        "--mapping", mapping, "--licence", "open", "--excitation-nm", "785",
    )  # fmt: skip
    assert [(r["file"], r["code"]) for r in facts["refused"]] == [("no.csv", "mapping_row_unused")]
    first, second = Library.open(tmp_path / "x.falib").entries
    assert status == 1
    assert (first.substance, first.form, first.laser_nm, first.licence) == (
        "heroin", "free base", 1064.0, "closed",
    )  # fmt: skip
    assert (second.substance, second.laser_nm, second.licence) == ("acetone", 785.0, "open")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"name,cas\nx,1\n", b"file,surprise\na,b\n", b"file,file\na,b\n", b"file\n\xff\n",
        b"file,laser_nm\na,red\n", b"file,laser_nm\na,-5\n", b"file,cas\n,67-64-1\n",
        b"file,cas\na,b,c\n", b'file\n"a\n', b"file,cas\na,67-64-1\na,58-08-2\n",
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_a_typed_error(text: bytes) -> None:
    with pytest.raises(LibraryError) as caught:
        parse_mapping(text)
    assert caught.value.code == "mapping_not_usable"


def test_a_mapping_with_semicolons_is_read() -> None:
    rows = parse_mapping("file;block;substance\na.jdx;x, y;Ac\u00e9tone\n".encode())
    assert rows["a.jdx", "x, y"].substance == "Ac\u00e9tone"


def test_what_is_no_file_is_not_replaced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = csv_file(tmp_path / "acetone.csv", 1)
    for action in (["import", str(source), "--force"], ["build", "--offline"]):
        with pytest.raises(LibraryError) as caught:
            run(capsys, *action, "--output", pipe)
        assert caught.value.code == "library_not_writable" and pipe.is_fifo()


def test_a_file_that_is_no_library_is_not_built_over(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("three years", encoding="utf-8")
    with pytest.raises(LibraryError) as caught:
        run(capsys, "build", "--offline", "--output", thesis)
    assert caught.value.code == "library_exists" and thesis.read_text() == "three years"


def test_what_is_doubtful_is_said_of_what_was_taken(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = tmp_path / "lib.jdx"
    source.write_text(block("Azeton", 1, "CAS REGISTRY NO=58-08-3"), encoding="utf-8")
    _, out = run(capsys, "import", source, "--output", tmp_path / "a.falib")
    assert "noted    lib.jdx Azeton (azeton): cas_invalid" in out


def test_same_files_same_library(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = library_file(tmp_path / "lib.jdx")
    hashes = []
    for name in ("a", "b"):
        _, facts = imported(capsys, source, "--output", tmp_path / f"{name}.falib")
        hashes.append(facts["library"])
    assert hashes[0] == hashes[1]


def test_many_files_are_kept_on_disk_and_give_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = library_file(tmp_path / "lib.jdx")
    _, plain = imported(capsys, source, "--output", tmp_path / "a.falib")
    monkeypatch.setattr("fieldassay.commands.library_import.IN_MEMORY_FILES", 0)
    _, scratch = imported(capsys, source, "--output", tmp_path / "b.falib")
    assert scratch["library"] == plain["library"]
    assert {p.name for p in tmp_path.iterdir()} == {"a.falib", "b.falib", "lib.jdx"}


def test_nothing_usable_makes_no_library(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    status, facts = imported(capsys, tmp_path / "x.csv", "--output", tmp_path / "x.falib")
    assert (status, facts["library"], len(facts["refused"])) == (1, None, 1)
    assert not list(tmp_path.glob("*.falib*"))


def test_names_that_are_no_files_are_listed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = csv_file(tmp_path / "acetone.csv", 1)
    strange = [tmp_path / "none.csv", tmp_path / ("x" * 300), tmp_path / "a\0b"]
    status, facts = imported(capsys, *strange, good, "--output", tmp_path / "x.falib")
    assert (status, facts["references"], len(facts["refused"])) == (1, 1, 3)


def test_a_full_disk_is_a_typed_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fieldassay.library_encode.write_references", full)
    path = csv_file(tmp_path / "acetone.csv", 1)
    with pytest.raises(LibraryError, match="No space left"):
        run(capsys, "import", path, "--output", tmp_path / "x.falib")
    assert not list(tmp_path.glob("*.falib*"))


def test_a_library_is_not_replaced_unasked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.falib").write_bytes(b"mine")
    path = csv_file(tmp_path / "acetone.csv", 1)
    with pytest.raises(LibraryError) as caught:
        run(capsys, "import", path, "--output", tmp_path / "x.falib")
    assert caught.value.code == "library_exists"
    (tmp_path / "folder").mkdir()
    with pytest.raises(LibraryError) as caught:
        run(capsys, "import", path, "--output", tmp_path / "folder", "--force")
    assert caught.value.code == "library_exists"
    status, out = run(capsys, "import", path, "--output", tmp_path / "x.falib", "--force")
    assert (status, "1 references of 1 substances, 0 refused" in out) == (0, True)


def test_a_wider_range_is_kept_if_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = csv_file(tmp_path / "acetone.csv", 1)
    output = tmp_path / "x.falib"
    run(capsys, "import", path, "--output", output, "--range", "250", "1890")
    assert Library.open(output).grid_cm1[[0, -1]].tolist() == [250.0, 1890.0]
    with pytest.raises(LibraryError) as caught:
        run(capsys, "import", path, "--output", tmp_path / "y", "--range", "500", "400")
    assert caught.value.code == "range_not_usable"


def test_real_spectra_of_another_instrument_are_imported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path
) -> None:
    folder = data_dir / "raman-785-second-instrument" / "WP-01977_2025"
    status, facts = imported(capsys, folder, "--output", tmp_path / "x.falib")
    assert (status, facts["references"], facts["refused"]) == (0, 60, [])
    assert set(facts["not_in_catalogue"]) == {"metamizol-mg", "sunflower-oil"}


def test_real_jcamp_files_are_all_accounted_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path
) -> None:
    folder = data_dir / "formats" / "jcamp"
    _, facts = imported(capsys, folder, "--output", tmp_path / "x.falib")
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    told = {row["file"] for row in (*facts["accepted"], *facts["refused"])}
    assert told | set(facts["ignored"]) == files
    assert all(row["code"] and row["what"] and row["do_next"] for row in facts["refused"])
    assert "tannic-acid" in {row["substance"] for row in facts["accepted"]}


def test_show_and_coverage_of_an_imported_library(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "agency.falib"
    imported(capsys, library_file(tmp_path / "lib.jdx"), "--output", output)
    _, out = run(capsys, "show", output, "--json")
    shown = json.loads(out)
    assert shown["licences"] == {"Institute, for police use": 4}
    fentanyl = next(row for row in shown["substances"] if row["id"] == "fentanyl")
    assert (fentanyl["families"], len(fentanyl["references"])) == (["fentanyl", "opioid"], 1)
    _, out = run(capsys, "coverage", output, "--json")
    found = json.loads(out)
    scheduled = found["groups"]["scheduled"]
    assert (scheduled["with_reference"], scheduled["of"]) == (3, 172)
    assert len(scheduled["missing"]) == 169
    assert found["families"]["fentanyl"] == {"with_reference": 1, "of": 17}
    states = {c["verification"] for gap in scheduled["missing"] for c in gap["claims"]}
    assert states == {"unverified"}
    _, out = run(capsys, "coverage", output)
    for line in out.splitlines():
        if "UN 19" in line:
            assert "unverified" in line, "a claim is shown as a fact"
    _, out = run(capsys, "show", output)
    assert "Institute, for police use (4)" in out and "Cocaine HCl [hydrochloride]" in out
