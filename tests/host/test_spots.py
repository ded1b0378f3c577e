"""Several spots of one sample on real spectra: even, uneven, partly unknown, noisy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fieldassay import cli, formats, spots
from fieldassay.errors import FormatError
from fieldassay.identify import Context, identify
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum

SECOND = "raman-785-second-instrument/WP-01977_2025"


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    return data_dir / SECOND


def read(folder: Path, name: str) -> Spectrum:
    path = folder / f"{name}.csv"
    return formats.read(path.read_bytes(), path.name)


def ids(found: spots.Combined) -> set[str]:
    return {s.id for s in found.whole.verdict.substances}


def test_one_spot_is_that_spot(folder: Path, library: Library) -> None:
    urea = read(folder, "urea")
    assert spots.combine([urea], library).whole == identify(urea, library)


def test_an_even_sample_is_a_match(folder: Path, library: Library) -> None:
    acetone = read(folder, "acetone")
    found = spots.combine([acetone, acetone, acetone], library)
    assert (found.whole.verdict.kind, ids(found)) == ("match", {"acetone"})
    assert found.whole.verdict.reasons[0].code == "spots_combined"
    assert "3 of 3" in found.whole.verdict.reasons[0].text
    assert "spots_differ" not in {r.code for r in found.whole.verdict.reasons}


def test_an_uneven_sample_is_a_mixture_and_says_so(folder: Path, library: Library) -> None:
    found = spots.combine([read(folder, n) for n in ("acetone", "urea", "acetone")], library)
    assert (found.whole.verdict.kind, ids(found)) == ("mixture", {"acetone", "urea"})
    codes = [r.code for r in found.whole.verdict.reasons]
    assert "spots_differ" in codes
    assert len(codes) == len(set(codes))
    shares = {s.id: s.share for s in found.whole.verdict.substances}
    assert shares["acetone"] == pytest.approx(2 / 3, abs=0.02)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_an_unknown_spot_keeps_the_strictest_card(folder: Path, library: Library) -> None:
    without = library.without({"urea"})
    found = spots.combine([read(folder, "acetone"), read(folder, "urea")], without)
    assert "acetone" in ids(found)
    assert found.spots[1].verdict.kind in ("out_of_library", "class")
    assert "spot_unexplained" in {r.code for r in found.whole.verdict.reasons}
    assert found.whole.hazard_card == "default-strictest"
    assert "laboratory" in found.whole.verdict.do_next


def test_many_weak_spots_tell_what_one_cannot(folder: Path, library: Library) -> None:
    """White noise on sixteen spots: none is good enough alone, the mean is."""
    rng = np.random.default_rng(5)
    clean = read(folder, "acetone")
    fingerprint = clean.intensity[clean.axis.values < 2300.0]
    sigma = float(np.ptp(fingerprint)) / 6.0
    weak = [
        replace(clean, intensity=clean.intensity + rng.normal(0, sigma, len(clean)), noise=None)
        for _ in range(16)
    ]
    found = spots.combine(weak, library)
    assert all(spot.verdict.kind == "inconclusive" for spot in found.spots)
    assert found.mean is not None
    typical = float(np.median([spot.quality.snr for spot in found.spots]))
    assert found.mean.quality.snr > 2.0 * typical  # 4 times, less what the maximum of noise adds
    assert found.mean.candidates[0].id == "acetone"


def test_the_mean_is_over_the_common_range_with_its_noise() -> None:
    a = Spectrum(Axis(np.arange(0.0, 100.0), "cm-1"), np.full(100, 2.0), noise=np.full(100, 3.0))
    b = Spectrum(Axis(np.arange(50.0, 150.0), "cm-1"), np.full(100, 4.0), noise=np.full(100, 4.0))
    mean = spots.average([a, b])
    assert mean is not None
    assert (mean.axis.values[0], mean.axis.values[-1]) == (50.0, 99.0)
    np.testing.assert_allclose(mean.intensity, 3.0)
    assert mean.noise is not None
    np.testing.assert_allclose(mean.noise, 2.5)
    far = Spectrum(Axis(np.arange(500.0, 600.0), "cm-1"), np.zeros(100))
    assert spots.average([a, far]) is None


def test_a_saturated_spot_is_not_averaged(folder: Path, library: Library) -> None:
    acetone = read(folder, "acetone")
    contexts = [Context(), Context(saturated=True)]
    assert spots.combine([acetone, acetone], library, contexts).mean is None


def test_no_spot_is_an_error(library: Library) -> None:
    with pytest.raises(FormatError) as caught:
        spots.combine([], library)
    assert caught.value.code == "no_spots"


def test_the_command_gives_one_object(
    folder: Path, library_path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("nothing here")
    files = [str(folder / "acetone.csv"), str(folder / "urea.csv"), str(bad)]
    words = ["identify", "--spots", "--json", "--library", str(library_path), *files]
    assert cli.main(words) == 1  # one file could not be read, the others were combined
    error, whole = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert error["error"]["code"] == "no_columns"
    assert whole["verdict"] == "mixture"
    assert [spot["substances"] for spot in whole["spots"]] == [["acetone"], ["urea"]]
    assert list(whole)[-1] == "spots"
    assert cli.main(["identify", "--spots", "--library", str(library_path), *files[:2]]) == 0
    text = capsys.readouterr().out
    assert "acetone.csv: match acetone" in text
