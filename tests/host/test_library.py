"""The library file, its build from the pinned wheel, and `fieldassay library`."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fieldassay import library_build, library_sources, substances
from fieldassay.commands import library as command
from fieldassay.errors import FieldassayError, LibraryError
from fieldassay.library import Library
from hypothesis import given, settings
from hypothesis import strategies as st

DEFAULT = library_sources.default()


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    status = command.run(parser.parse_args([str(a) for a in arguments]))
    return status, capsys.readouterr().out


def test_default_library_holds_the_whole_reference_set(library: Library) -> None:
    assert len(library.entries) == 80
    assert len(library.substances) == 76
    references = {r for info in substances.load().values() for r in info.references}
    assert {entry.label for entry in library.entries} == references
    assert {entry.substance for entry in library.entries} == set(library.substances)
    several = [e.label for e in library.entries if e.substance == "2-butanone"]
    assert several == ["2-Butanone", "Methyl Ethyl Ketone"]


def test_every_entry_says_where_it_comes_from(library: Library) -> None:
    for entry in library.entries:
        assert entry.instrument == "WP-01990"
        assert entry.laser_nm == pytest.approx(784.9, abs=0.1)
        assert (entry.licence, entry.source) == ("MIT", "wp-enlighten 4.3.4")
        assert len(entry.sha256) == 64


def test_references_are_the_files_unchanged(library: Library, sources_dir: Path) -> None:
    """The raw matrix is the measurement itself: no response of any instrument is put into it."""
    for entry in library.entries:
        data = (sources_dir / entry.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        _, spectrum = library_build.read_reference(data, entry.file)
        at = np.searchsorted(library.grid_cm1, spectrum.axis.values[0])
        ours = library.raw[entry.row, at : at + len(spectrum)]
        assert np.allclose(ours, spectrum.intensity, rtol=1e-6)


def test_matrices_are_aligned_read_only_views(library: Library) -> None:
    for matrix in (library.raw, library.linear, library.matrix):
        assert matrix.dtype == np.float32
        assert matrix.ctypes.data % 64 == 0
        assert matrix.strides[0] % 64 == 0
        assert not matrix.flags.writeable
        assert not matrix.flags.owndata


def test_same_inputs_same_bytes(library_path: Path, sources_dir: Path, tmp_path: Path) -> None:
    built = library_build.build(tmp_path / "again.falib", sources_dir, offline=True)
    assert built.changed
    assert built.path.read_bytes() == library_path.read_bytes()


def test_second_build_does_nothing(sources_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.falib"
    first = library_build.build(output, sources_dir, offline=True)
    stamp = output.stat().st_mtime_ns
    second = library_build.build(output, sources_dir, offline=True)
    assert (first.changed, second.changed) == (True, False)
    assert output.stat().st_mtime_ns == stamp
    assert second.library.hash == first.library.hash


def test_damaged_library_is_built_again(sources_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.falib"
    good = library_build.build(output, sources_dir, offline=True).library.hash
    output.write_bytes(output.read_bytes()[:-1])
    again = library_build.build(output, sources_dir, offline=True)
    assert (again.changed, again.library.hash) == (True, good)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(library_path: Path, position: int, bit: int) -> None:
    data = bytearray(library_path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(LibraryError):
        Library.from_buffer(np.frombuffer(bytes(data), dtype=np.uint8))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: b"", "library_damaged"),
        (lambda d: d[:47], "library_damaged"),
        (lambda d: d[:5000], "library_damaged"),
        (lambda d: b"PK" + d[2:], "library_damaged"),
        (lambda d: d[:7] + b"\x01" + d[8:], "library_other_version"),
    ],
)
def test_bad_files_give_a_typed_error(library_path: Path, change: object, code: str) -> None:
    with pytest.raises(LibraryError) as caught:
        Library.from_buffer(np.frombuffer(change(library_path.read_bytes()), dtype=np.uint8))
    assert caught.value.code == code


def test_missing_library_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(LibraryError) as caught:
        Library.open(tmp_path / "no.falib")
    assert caught.value.code == "library_missing"
    assert "fieldassay library build" in caught.value.do_next


def test_offline_without_sources(tmp_path: Path) -> None:
    with pytest.raises(LibraryError) as caught:
        library_build.build(tmp_path / "a.falib", tmp_path / "none", offline=True)
    assert caught.value.code == "reference_missing_offline"
    assert not (tmp_path / "a.falib").exists()


def test_another_wheel_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    wheel = tmp_path / "wp_enlighten-4.3.4-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(DEFAULT.files[0].replace("*", "acetone"), "forged")
    with pytest.raises(LibraryError) as caught:
        library_build.build(tmp_path / "a.falib", tmp_path / "sources", wheel=wheel)
    assert caught.value.code == "reference_hash_wrong"
    assert not (tmp_path / "sources").exists()


def test_changed_sources_are_not_used(sources_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "sources"
    copy.mkdir()
    for path in sources_dir.glob("*.csv"):
        (copy / path.name).write_bytes(path.read_bytes())
    assert library_build.sources_complete(copy)
    (copy / "acetone.csv").write_bytes((copy / "benzene.csv").read_bytes())
    assert not library_build.sources_complete(copy)
    with pytest.raises(LibraryError) as caught:
        library_build.build(tmp_path / "a.falib", copy, offline=True)
    assert caught.value.code == "reference_missing_offline"


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("ERROR: Could not find a version", "reference_fetch_failed"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES ... mismatch", "reference_hash_wrong"),
    ],
)
def test_pip_failures_are_typed(
    stderr: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "python"
    pip.write_text(f"#!/bin/sh\necho '{stderr}' >&2\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(LibraryError) as caught:
        library_build.fetch(tmp_path)
    assert caught.value.code == code


def test_pip_is_asked_for_the_pinned_hash_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "python"
    pip.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/args\ncp {tmp_path}/wp-enlighten.txt {tmp_path}/seen\n'
        f": > {tmp_path}/w.whl\n"
    )
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    assert library_build.fetch(tmp_path) == tmp_path / "w.whl"
    arguments = (tmp_path / "args").read_text()
    assert "--require-hashes" in arguments
    assert "--no-deps" in arguments
    assert (
        tmp_path / "seen"
    ).read_text().strip() == f"wp-enlighten==4.3.4 --hash=sha256:{DEFAULT.wheel_sha256}"


def test_a_reference_nobody_knows_is_refused(sources_dir: Path) -> None:
    files = {"Stranger.csv": (sources_dir / "acetone.csv").read_bytes()}
    with pytest.raises(LibraryError) as caught:
        library_build.convert(files, DEFAULT, substances.load(), {})
    assert caught.value.code == "reference_unknown"


@pytest.mark.parametrize(
    "data", [b"", b"a,b\n", b"Wavenumber,Processed\n", b"Wavenumber,Processed\nx,y\n"]
)
def test_an_unreadable_reference_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(FieldassayError):
        library_build.read_reference(data, "x.csv")


def test_command_build_show_and_check(
    capsys: pytest.CaptureFixture[str], library_path: Path, sources_dir: Path, home: Path
) -> None:
    folder = home / "sources" / library_build.SOURCE_FOLDER
    folder.mkdir(parents=True)
    for path in sources_dir.glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    status, out = run(capsys, "build", "--offline", "--json")
    facts = json.loads(out)
    assert (status, facts["changed"], facts["references"]) == (0, True, 80)
    assert Path(facts["path"]) == home / "libraries" / "raman-785.falib"
    status, out = run(capsys, "build", "--offline")
    assert (status, "up to date" in out) == (0, True)
    status, out = run(capsys, "show", "--json")
    shown = json.loads(out)
    assert (status, len(shown["substances"]), shown["library"]) == (0, 76, facts["library"])
    status, out = run(capsys, "check", library_path, "--json")
    assert (status, json.loads(out)["problems"]) == (0, [])
    status, out = run(capsys, "show")
    assert "acetaminophen" in out


def test_a_home_that_cannot_be_written_is_told_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(_scratch: Path) -> Path:
        raise AssertionError("fetched although there is no place for it")

    monkeypatch.setattr(library_build, "fetch", fetched)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LibraryError) as caught:
        library_build.build(tmp_path / "file" / "lib" / "x.falib", tmp_path / "sources")
    assert caught.value.code == "library_not_writable"


def test_without_leaves_substances_out_and_says_so(library_path: Path) -> None:
    full = Library.open(library_path)
    less = full.without({"acetone", "urea"})
    assert {e.substance for e in full.entries} - {e.substance for e in less.entries} == {
        "acetone",
        "urea",
    }
    assert (
        [e.row for e in less.entries]
        == list(range(len(less.entries)))
        == list(range(len(less.matrix)))
    )
    assert less.hash.endswith("-without:acetone,urea")
    for entry in less.entries:
        twin = next(e for e in full.entries if e.file == entry.file)
        np.testing.assert_array_equal(less.linear[entry.row], full.linear[twin.row])
