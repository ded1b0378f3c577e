"""`fieldassay library add`: real spectra measured several times, with what goes wrong."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import identify, library_check, library_gates
from fieldassay.commands import library as command
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


def spectrum_of(library: Library, label: str) -> Spectrum:
    entry = next(e for e in library.entries if e.label == label)
    return library_check.spectrum_of(library, entry)


def write(
    path: Path, spectrum: Spectrum, rng: np.random.Generator, snr: float = 100.0,
    shift_cm1: float = 0.0, scale: float = 1.0, cut: float = 1.0,
) -> Path:  # fmt: skip
    """A measurement as a CSV file: with noise, another exposure, an axis error, a full detector."""
    x = np.arange(spectrum.axis.values[0] + 4, spectrum.axis.values[-1] - 4, 2.0)
    y = np.interp(x - shift_cm1, spectrum.axis.values, spectrum.intensity)
    height = float(np.ptp(y))
    y = scale * (y + rng.normal(0.0, height / snr, y.size))
    y = np.minimum(y, float(y.min()) + cut * float(np.ptp(y)))
    rows = "\n".join(f"{a:.2f},{b:.3f}" for a, b in zip(x, y, strict=True))
    path.write_text(f"Raman shift (cm-1),counts\n{rows}\n")
    return path


def add(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["add", *map(str, arguments)]))


def test_good_measurements_are_averaged_and_the_others_are_named(
    library: Library, library_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    caffeine = spectrum_of(library, "caffeine")
    good = [
        write(tmp_path / f"good{n}.csv", caffeine, rng, scale=scale)
        for n, scale in enumerate((1.0, 0.4, 2.0, 1.3))
    ]
    copy = tmp_path / "copy.csv"
    copy.write_bytes(good[0].read_bytes())
    bad = {
        "copy.csv": copy,
        "other.csv": write(tmp_path / "other.csv", spectrum_of(library, "urea"), rng),
        "drifted.csv": write(tmp_path / "drifted.csv", caffeine, rng, shift_cm1=2.5),
        "full.csv": write(tmp_path / "full.csv", caffeine, rng, cut=0.6),
        "weak.csv": write(tmp_path / "weak.csv", caffeine, rng, snr=8.0),
    }
    output = tmp_path / "more.falib"
    before = library_path.read_bytes()
    arguments = (*good, *bad.values(), "--substance", "58-08-2", "--library", library_path,
                 "--output", output, "--batch", "B 17", "--source", "a pharmacy")  # fmt: skip
    assert add(*arguments, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    said = {one["name"]: one["refused"] for one in facts["measurements"]}
    assert {name for name, refused in said.items() if not refused} == {p.name for p in good}
    words = {"copy.csv": "same measurement", "other.csv": "agrees", "drifted.csv": "axis",
             "full.csv": "saturated", "weak.csv": "signal-to-noise"}  # fmt: skip
    for name, word in words.items():
        assert word in said[name], (name, said[name])

    new = Library.open(output)
    assert library_path.read_bytes() == before
    assert new.build["parent"] == library.hash != new.hash == facts["library"]
    assert new.build["added"][0]["batch"] == "B 17"
    entry = new.entries[-1]
    assert (entry.substance, entry.averaged, entry.source) == ("caffeine", 4, "own measurement")
    assert "B 17" in entry.prepared and "a pharmacy" in entry.prepared
    count = len(library.entries)
    for name in ("raw", "linear", "matrix"):
        assert np.array_equal(getattr(new, name)[:count], getattr(library, name))
    assert new.entries[:count] == library.entries
    assert set(new.planes) == {"matrix"}
    # The mean has less noise than one of them, and it serves: caffeine is still caffeine.
    quiet = library_gates.signal_to_noise
    one = np.loadtxt(good[0], delimiter=",", skiprows=1)[:, 1]
    row = new.raw[-1, entry.first : entry.last].astype(np.float64)
    assert quiet(row) > 1.5 * quiet(one)
    found = identify.identify(caffeine, new)
    assert (found.verdict.kind, found.verdict.substances[0].id) == ("match", "caffeine")


def test_the_mean_is_the_spectrum(library: Library, tmp_path: Path) -> None:
    """Without parent; the reference agrees with the clean spectrum better than its parts do."""
    rng = np.random.default_rng(4)
    clean = spectrum_of(library, "Ibuprofen")
    files = [write(tmp_path / f"{n}.csv", clean, rng, snr=50.0, scale=n + 1) for n in range(6)]
    output = tmp_path / "own.falib"
    assert add(*files, "--substance", "ibuprofen", "--output", output, "--agency", "we") == 0
    new = Library.open(output)
    assert "parent" not in new.build and len(new.entries) == 1
    reference = next(e for e in library.entries if e.label == "Ibuprofen")
    columns = slice(new.entries[0].first, new.entries[0].last)
    a = new.linear[0, columns].astype(np.float64)
    b = library.linear[reference.row, columns].astype(np.float64)
    assert float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b)) > 0.995


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_are_refused_and_nothing_is_written(
    library: Library, tmp_path: Path, count: int
) -> None:
    rng = np.random.default_rng(4)
    clean = spectrum_of(library, "urea")
    files = [write(tmp_path / f"{n}.csv", clean, rng) for n in range(count)]
    files.append(write(tmp_path / "bad.csv", clean, rng, cut=0.5))
    with pytest.raises(LibraryError) as caught:
        add(*files, "--substance", "urea", "--output", tmp_path / "x.falib")
    assert caught.value.code == "too_few_measurements"
    assert "bad.csv: saturated" in caught.value.what
    assert not list(tmp_path.glob("x.falib*"))


@pytest.mark.parametrize("said", ["acetone", "diethyl carbonate"])
def test_a_material_that_is_something_else_is_refused_unless_forced(
    library: Library, library_path: Path, tmp_path: Path, said: str
) -> None:
    """Toluene under the name of a substance with references, and of one without."""
    rng = np.random.default_rng(6)
    files = [write(tmp_path / f"{n}.csv", spectrum_of(library, "toluene"), rng) for n in range(3)]
    output = tmp_path / "x.falib"
    arguments: tuple[Any, ...] = (*files, "--substance", said, "--library", library_path,
                                  "--output", output)  # fmt: skip
    with pytest.raises(LibraryError) as caught:
        add(*arguments)
    assert caught.value.code == "reference_contradicts" and "Toluene" in caught.value.what
    assert not output.exists()
    assert add(*arguments, "--force", "for a test") == 0
    new = Library.open(output)
    assert new.build["added"][0]["forced"] == "for a test"
    assert "contradicts" in new.entries[-1].flags
    with pytest.raises(LibraryError) as caught:
        add(*arguments, "--force", "again")
    assert caught.value.code == "library_exists"


def test_additions_add_up(library: Library, library_path: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    first, second = tmp_path / "1.falib", tmp_path / "2.falib"
    for parent, output, label in ((library_path, first, "urea"), (first, second, "melamine")):
        files = [write(tmp_path / f"{label}{n}.csv", spectrum_of(library, label), rng)
                 for n in range(3)]  # fmt: skip
        assert add(*files, "--substance", label, "--library", parent, "--output", output) == 0
    new = Library.open(second)
    assert new.build["parent"] == Library.open(first).hash
    assert [one["substance"] for one in new.build["added"]] == ["urea", "melamine"]
    assert len(new.entries) == len(library.entries) + 2
    assert [f for f in library_check.check(new).findings if "measured" in f.what] == []


def test_measurements_on_different_axes_meet(library: Library) -> None:
    from fieldassay.library_add import Measurement, average

    rng = np.random.default_rng(12)
    clean = spectrum_of(library, "glycine")
    several = []
    for number, step in enumerate((1.7, 2.0, 2.3)):
        x = np.arange(320.0 + 5 * number, 2250.0, step)
        y = np.interp(x, clean.axis.values, clean.intensity)
        y = y + rng.normal(0.0, float(np.ptp(y)) / 100.0, y.size)
        several.append(Measurement(str(number), "", Spectrum(Axis(x, "cm-1"), y)))
    averaged = average(several, library.grid_cm1)
    assert len(averaged.used) == 3
    x = averaged.spectrum.axis.values
    assert x[0] >= 330.0 and len(averaged.spectrum) > 800
