"""`fieldassay library transfer`: simulated daughters whose difference is known, and real ones."""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import (
    align,
    library_adapt,
    library_faults,
    library_transfer,
    library_transfer_check,
)
from fieldassay.commands import library as command
from fieldassay.errors import LibraryError
from fieldassay.evaluate import shared_data
from fieldassay.identify import identify
from fieldassay.library import Library
from fieldassay.library_encode import encode_references
from fieldassay.library_transfer import Standard
from fieldassay.spectrum import Axis, Spectrum

SHIFT_CM1, STRETCH, WIDTH_CM1, RESPONSE = 3.2, 0.0009, 3.0, (0.4, -0.3)
NAMES = ("acetaminophen", "caffeine", "sucrose", "2-butanone", "ketoprofen", "urea", "glycine",
         "sodium-sulfate", "sodium-bicarbonate", "ethanol", "toluene")  # fmt: skip


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


def daughter(library: Library, substance: str, rng: np.random.Generator) -> Spectrum:
    """What a unit with another axis, broader lines and another response measures."""
    entry = next(e for e in library.entries if e.substance == substance)
    spectrum = library_faults.spectrum_of(library, entry)
    x, y = spectrum.axis.values, spectrum.intensity
    y = align.broadened(np.pad(y, 20, mode="edge"), WIDTH_CM1)[20:-20]
    centre = 0.5 * (library.grid_cm1[0] + library.grid_cm1[-1])
    t = (x - centre) / (0.5 * (library.grid_cm1[-1] - library.grid_cm1[0]))
    y = y * np.exp(RESPONSE[0] * t + RESPONSE[1] * t**2)
    y = y + rng.normal(0.0, float(np.ptp(y)) / 300.0, y.size)
    return Spectrum(Axis(x + SHIFT_CM1 + STRETCH * (x - centre), "cm-1"), y)


@pytest.fixture(scope="module")
def standards(library: Library) -> list[Standard]:
    rng = np.random.default_rng(21)
    return [Standard(f"{name}.csv", name, daughter(library, name, rng)) for name in NAMES]


def rebuilt(library: Library, found: library_transfer.Transfer) -> Library:
    references = library_adapt.adapted(library, found, "daughter")
    data = encode_references(references, library.substances, "test", {})
    return Library.from_buffer(np.frombuffer(data, np.uint8))


def transfer(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["transfer", *map(str, arguments)]))


def write(folder: Path, spectra: dict[str, Spectrum]) -> Path:
    folder.mkdir()
    for name, spectrum in spectra.items():
        rows = "\n".join(
            f"{x:.3f},{y:.4f}"
            for x, y in zip(spectrum.axis.values, spectrum.intensity, strict=True)
        )
        (folder / f"{name}.csv").write_text(f"Raman shift (cm-1),counts\n{rows}\n")
    return folder


def test_what_was_put_in_is_found(library: Library, standards: list[Standard]) -> None:
    made = [s for s in standards if s.substance in NAMES[:5]]
    found = library_transfer.estimate(library, made)
    assert found.shift_cm1 == pytest.approx(SHIFT_CM1, abs=0.3)
    assert found.stretch == pytest.approx(STRETCH, abs=0.0003)
    assert found.broadening_cm1 == pytest.approx(WIDTH_CM1, abs=1.0)
    for value, error, put_in in zip(found.response, found.response_error, RESPONSE, strict=True):
        assert value == pytest.approx(put_in, abs=max(3 * error, 0.1))
    assert 0.0 < found.shift_error_cm1 < 0.3 and 0.0 < found.stretch_error < 0.0004
    assert all(one.used for one in found.read)


def test_held_out_substances_gain(library: Library, standards: list[Standard]) -> None:
    """A salt of few bands is in doubt at 3 cm-1; on the adapted library it is named."""
    found = library_transfer.estimate(library, standards[:5])
    adapted = rebuilt(library, found)
    tried = library_transfer_check.check(library, adapted, standards[5:])
    assert len(tried) == 6 and not any(one.failed for one in tried)
    assert all(one.after > one.before for one in tried)
    for one in standards:
        if one.substance == "sodium-sulfate":
            assert identify(one.spectrum, library).verdict.kind == "inconclusive"
            verdict = identify(one.spectrum, adapted).verdict
            assert (verdict.kind, verdict.substances[0].id) == ("match", one.substance)


def test_a_held_out_standard_that_is_no_longer_named_counts_against_it(
    library: Library, standards: list[Standard]
) -> None:
    """A salt as the parent measures it: the axis of the daughter must not have moved back."""
    adapted = rebuilt(library, library_transfer.estimate(library, standards[:5]))
    entry = next(e for e in library.entries if e.substance == "calcium-carbonate")
    own = Standard("old.csv", "calcium-carbonate", library_faults.spectrum_of(library, entry))
    (tried,) = library_transfer_check.check(library, adapted, [own])
    assert tried.verdict == "inconclusive" and tried.failed == "no longer named"


def test_the_response_is_no_part_of_the_references(
    library: Library, standards: list[Standard]
) -> None:
    """References are only moved: with line widths left alone, their values are the parent's."""
    found = replace(library_transfer.estimate(library, standards[:5]), broadening_cm1=0.0)
    assert abs(found.response[0]) > 0.2
    adapted = rebuilt(library, found)
    centre = 0.5 * (library.grid_cm1[0] + library.grid_cm1[-1])
    for entry in adapted.entries[:10]:
        own = library_faults.spectrum_of(library, library.entries[entry.row])
        at = own.axis.values + found.shift_cm1 + found.stretch * (own.axis.values - centre)
        columns = slice(entry.first, entry.last)
        expected = np.interp(adapted.grid_cm1[columns], at, own.intensity)
        assert np.allclose(
            adapted.raw[entry.row, columns], expected, atol=0.02 * float(np.ptp(own.intensity))
        )
        assert "transferred" in entry.flags and library.hash in entry.prepared


def test_the_correction_of_a_measurement_undoes_the_response(library: Library) -> None:
    x = np.linspace(200.0, 2500.0, 500)
    t = np.clip((2 * x - 302.0 - 2303.0) / (2303.0 - 302.0), -1.0, 1.0)
    y = 50.0 * np.exp(0.4 * t - 0.3 * t**2)
    spectrum = Spectrum(Axis(x, "cm-1"), y, noise=0.01 * y)
    flat = library_adapt.corrected(spectrum, (0.4, -0.3), 302.0, 2303.0)
    assert np.allclose(flat.intensity, 50.0)
    assert flat.noise is not None and np.allclose(flat.noise, 0.5)
    assert flat.steps[-1].name == "transfer_response/1"


def test_the_command_writes_a_new_library_that_says_where_it_is_from(
    library: Library, library_path: Path, standards: list[Standard], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = write(tmp_path / "standards", {s.substance: s.spectrum for s in standards})
    output = tmp_path / "daughter.falib"
    arguments = ("--parent", library_path, "--standards", folder, "--daughter-unit", "unit-9",
                 "--output", output)  # fmt: skip
    assert transfer(*arguments, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    new = Library.open(output)
    assert new.hash == facts["library"] and new.build["parent"] == library.hash
    kept = new.build["transfer"]
    assert kept["daughter"] == "unit-9" and len(kept["response"]) == 2
    assert {one["substance"] for one in kept["read"]}.isdisjoint(
        one["substance"] for one in kept["checked"]
    )
    assert len(new.entries) == len(library.entries)
    assert not list(tmp_path.glob("*.tmp"))
    with pytest.raises(LibraryError) as caught:
        transfer(*arguments)
    assert caught.value.code == "library_exists"


def test_a_standard_that_is_something_else_stops_the_transfer(
    library_path: Path, standards: list[Standard], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    spectra = {s.substance: s.spectrum for s in standards}
    spectra["sodium-sulfate"] = spectra["ethanol"]
    folder = write(tmp_path / "standards", spectra)
    output = tmp_path / "x.falib"
    status = transfer("--parent", library_path, "--standards", folder, "--daughter-unit", "u",
                      "--output", output)  # fmt: skip
    out = capsys.readouterr().out
    assert status == 1 and not list(tmp_path.glob("x.falib*"))
    (line,) = [line for line in out.splitlines() if "FAILED" in line]
    assert "sodium-sulfate" in line and "ethanol" in line


def test_a_wrong_standard_among_those_that_make_the_transfer_is_left_out(
    library: Library, standards: list[Standard]
) -> None:
    mixed_up = replace(standards[2], spectrum=standards[6].spectrum)
    found = library_transfer.estimate(library, [*standards[:2], mixed_up, *standards[3:5]])
    assert [one.substance for one in found.read if not one.used] == ["sucrose"]
    assert found.shift_cm1 == pytest.approx(SHIFT_CM1, abs=0.3)


def test_too_few_standards_are_refused(
    library: Library, library_path: Path, standards: list[Standard], tmp_path: Path
) -> None:
    with pytest.raises(LibraryError) as caught:
        library_transfer.estimate(library, standards[:2])
    assert caught.value.code == "too_few_standards"
    folder = write(tmp_path / "few", {s.substance: s.spectrum for s in standards[:4]})
    with pytest.raises(LibraryError) as caught:
        transfer("--parent", library_path, "--standards", folder, "--daughter-unit", "u",
                 "--output", tmp_path / "x.falib")  # fmt: skip
    assert caught.value.code == "too_few_standards"
    with pytest.raises(LibraryError) as caught:
        library_transfer.estimate(library, [replace(standards[0], substance="nobody")])
    assert caught.value.code == "standard_unknown"


@pytest.mark.parametrize("unit", ["WP-00340", "WP-00341", "WP-00391", "WP-01977"])
def test_real_daughters(
    library: Library, library_path: Path, data_dir: Path, tmp_path: Path, unit: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The library's own unit is the parent; three to five standards make the transfer."""
    files, rows = [], []
    folder = ("raman-785-second-instrument/WP-01977_2025" if unit == "WP-01977"
              else "raman-multi-instrument/spectra")  # fmt: skip
    for sample in shared_data.load(data_dir, library):
        if sample.instrument == unit and sample.kind == "library":
            files.append(data_dir / folder / sample.name)
            rows.append((sample.name, next(iter(sample.truth))))
    mapping = tmp_path / "names.csv"
    with mapping.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "substance"), *rows])
    arguments: tuple[Any, ...] = (
        "--parent", library_path, "--standards", *files, "--mapping", mapping,
        "--daughter-unit", unit, "--output", tmp_path / "x.falib", "--json",
    )  # fmt: skip
    assert transfer(*arguments) == 0
    facts = json.loads(capsys.readouterr().out)
    checked = facts["checked"]
    assert len(checked) >= 8
    assert not any(one["failed"] for one in checked)
    before = np.mean([one["before"] for one in checked])
    assert np.mean([one["after"] for one in checked]) >= before - 0.002
    assert abs(facts["transfer"]["shift_cm1"]) < 4.0
