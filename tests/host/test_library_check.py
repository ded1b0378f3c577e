"""`fieldassay library check`: planted faults are found, good libraries stay clean.

The signal-to-noise that is said to tell two substances apart does so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fieldassay import formats, library_check, library_faults, library_pairs
from fieldassay.commands import library as command
from fieldassay.explain import Scene
from fieldassay.identify import THRESHOLDS
from fieldassay.library import Library
from fieldassay.library_encode import Reference, encode_references
from fieldassay.library_header import LibrarySubstance
from fieldassay.prepared import prepare
from fieldassay.preprocess import recipe
from fieldassay.spectrum import Axis, Spectrum
from fieldassay.substance_names import Finder, Names
from fieldassay.substances import load

SPACING_CM1 = library_pairs.SPACING_CM1


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


def reference(substance: str, spectrum: Spectrum, label: str, laser_nm: float = 785.0) -> Reference:
    return Reference(substance, spectrum, label, label, "", "unit", laser_nm, "test", "none")


def references_of(library: Library, substances: Sequence[str] = ()) -> list[Reference]:
    return [
        reference(e.substance, library_faults.spectrum_of(library, e), e.label)
        for e in library.entries
        if not substances or e.substance in substances
    ]


def made(references: Iterable[Reference], more: Sequence[str] = ()) -> Library:
    finder = Finder(load().values())
    extra = {
        name: LibrarySubstance(name, name, None, None, "unknown", "default-strictest", False, False)
        for name in more
    }
    data = encode_references(references, {**finder.substances, **extra}, "test", {})
    return Library.from_buffer(np.frombuffer(data, np.uint8))


def found(library: Library) -> dict[str, list[str]]:
    """Labels by code."""
    labels: dict[str, list[str]] = {}
    for finding in library_check.check(library).findings:
        labels.setdefault(finding.code, []).extend(library.entries[r].label for r in finding.rows)
    return labels


def changed(spectrum: Spectrum, values: np.ndarray) -> Spectrum:
    return Spectrum(spectrum.axis, values)


def test_the_default_library_is_sound_and_its_look_alikes_are_known(library: Library) -> None:
    checked = library_check.check(library)
    assert checked.findings == []
    pairs = {frozenset(pair.substances): pair for pair in checked.pairs}
    sulfate = pairs[frozenset({"benzene", "sodium-sulfate"})]
    assert sulfate.telling[0].at_cm1 == pytest.approx(992, abs=3)
    assert frozenset({"coconut-oil", "coconate-ester"}) in pairs
    scores = [pair.score for pair in checked.pairs]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= library_check.LEAST_SCORE


def test_every_planted_fault_is_found_and_nothing_else(library: Library) -> None:
    base = references_of(library)
    spectra = {r.label: r.spectrum for r in base}
    rng = np.random.default_rng(5)
    toluene, caffeine = spectra["toluene"], spectra["caffeine"]
    sucrose = spectra["sucrose"]
    top = float(sucrose.intensity.max())
    cut = np.minimum(sucrose.intensity, float(np.median(sucrose.intensity)) * 0.4 + 0.6 * top)
    short = (caffeine.axis.values > 900) & (caffeine.axis.values < 1200)
    fine = Axis(np.arange(310.0, 2290.0, 0.7), "cm-1")
    again = Spectrum(
        fine, 3.0 * np.interp(fine.values, toluene.axis.values, toluene.intensity) + 7.0
    )
    bad = [
        reference("sucrose", changed(sucrose, cut), "cut off"),
        reference("caffeine", Spectrum(Axis(caffeine.axis.values[short], "cm-1"),
                                       caffeine.intensity[short]), "short"),
        reference("caffeine", changed(caffeine, rng.normal(100.0, 5.0, len(caffeine))), "noise"),
        reference("caffeine", changed(caffeine, np.full(len(caffeine), 3.0)), "level"),
        reference("toluene", changed(toluene, np.zeros(len(toluene))), "zero"),
        reference("urea", spectra["urea"], "same again"),
        reference("toluene", again, "resampled"),
        reference("acetone", spectra["melamine"], "melamine as acetone"),
        reference("ethanol", changed(spectra["ethanol"], spectra["ethanol"].intensity
                                     + rng.normal(0, 30.0, len(spectra["ethanol"]))),
                  "of a green laser", 532.0),
    ]  # fmt: skip
    labels = found(made([*base, *bad]))
    assert labels.pop("saturated") == ["cut off"]
    assert labels.pop("range_too_small") == ["short"]
    assert labels.pop("no_bands") == ["noise"]
    assert sorted(labels.pop("all_equal")) == ["level", "zero"]
    assert sorted(labels.pop("duplicate")) == ["resampled", "same again", "toluene", "urea"]
    assert labels.pop("duplicate_of_other") == ["melamine", "melamine as acetone"]
    assert labels.pop("other_laser") == ["of a green laser"]
    # The acetone that is melamine is told by its spectrum, too.
    assert labels.pop("label_in_doubt") == ["melamine as acetone", "melamine"]
    assert labels == {}


def test_a_second_instrument_gives_neither_duplicates_nor_doubts(
    library: Library, data_dir: Path
) -> None:
    """60 substances measured again elsewhere: all good but those whose labels are known wrong."""
    finder = Finder(load().values())
    second = []
    for path in sorted((data_dir / "raman-785-second-instrument/WP-01977_2025").glob("*.csv")):
        spectrum = formats.read(path.read_bytes(), path.name)
        substance = finder.find(Names((path.stem,))).substance.id
        if substance in library.substances:
            second.append(reference(substance, spectrum, f"second {path.stem}"))
    assert len(second) > 50
    labels = found(made([*references_of(library), *second]))
    wrong = {name for code in labels for name in labels[code]}
    # Labelled glucose, it has none of the bands of crystalline glucose.
    assert {name for name in wrong if name.startswith("second")} <= {"second glucose"}
    assert not {"duplicate", "duplicate_of_other", "saturated", "no_bands"} & set(labels)


def test_a_label_that_is_wrong_in_real_data_is_found(library: Library, data_dir: Path) -> None:
    """The file "fructose" of one set has the bands of lactose."""
    path = data_dir / "raman-785-second-instrument/legacy_2024/fructose.csv"
    spectrum = formats.read(path.read_bytes(), path.name)
    labels = found(made([*references_of(library), reference("fructose", spectrum, "legacy")]))
    assert set(labels) == {"label_in_doubt"}
    assert labels["label_in_doubt"][0] == "legacy"
    assert labels["label_in_doubt"][1] == "lactose"


@pytest.mark.parametrize(
    "names",
    [
        ("benzene", "sodium-sulfate"),
        ("coconut-oil", "coconate-ester"),
        ("arginine", "alanine"),
        ("mineral-oil", "coconut-oil"),
    ],
)
def test_the_signal_to_noise_needed_is_the_one_that_tells_apart(
    library: Library, names: tuple[str, str]
) -> None:
    """Above it the decision ranks the right one first; at a fifth it does so by chance."""
    pair = next(p for p in library_check.check(library).pairs if set(p.substances) == set(names))
    assert _right(library, pair, 1.5 * pair.snr, 40) >= 38
    assert _right(library, pair, 0.2 * pair.snr, 40) <= 30


def _right(library: Library, pair: library_pairs.Pair, snr: float, times: int) -> int:
    """How often the first of a pair, measured with white noise, is ahead of the second."""
    rng = np.random.default_rng(11)
    raw = library_faults.spectrum_of(library, library.entries[pair.rows[0]])
    x = np.arange(raw.axis.values[0], raw.axis.values[-1], SPACING_CM1)
    y = np.interp(x, raw.axis.values, raw.intensity)
    height = float(np.max(raw.intensity - library_faults.baseline.asls(raw.intensity)))
    right = 0
    for _ in range(times):
        noisy = Spectrum(Axis(x, "cm-1"), y + rng.normal(0.0, height / snr, y.size))
        scene = Scene(prepare(noisy, library, THRESHOLDS.axis), library, 400)
        score = dict.fromkeys(pair.substances, 0.0)
        for e in scene.singles(48):
            substance = library.entries[e.rows[0]].substance
            if substance in score:
                score[substance] = max(score[substance], e.score)
        right += score[pair.substances[0]] > score[pair.substances[1]]
    return right


def test_smoothing_leaves_the_noise_that_the_formula_says() -> None:
    """The least signal-to-noise rests on it: 200 times white noise at points 2 cm-1 apart."""
    rng = np.random.default_rng(3)
    x = np.arange(300.0, 1300.0, SPACING_CM1)
    grid = np.arange(320.0, 1280.0)
    left = []
    for _ in range(200):
        on_grid = recipe.on_grid(Spectrum(Axis(x, "cm-1"), rng.normal(0.0, 1.0, x.size)), grid)
        left.append(library_pairs.smoothed(on_grid.intensity)[100:-100])
    assert float(np.std(left)) == pytest.approx(library_pairs.noise_factor(), rel=0.08)


def test_the_telling_band_is_where_one_was_put() -> None:
    """A substance and the same with one more band, moved by a unit's axis error."""
    x = np.arange(302.0, 2304.0)
    rng = np.random.default_rng(8)
    places, heights = rng.uniform(350, 1900, 14), rng.uniform(200, 1000, 14)

    def spectrum(extra: float, shift: float) -> Spectrum:
        y = 100.0 + rng.normal(0.0, 1.0, x.size)
        for place, height in [*zip(places, heights, strict=True), (1234.0, extra)]:
            y = y + height / (1.0 + ((x - place - shift) / 4.0) ** 2)
        return Spectrum(Axis(x, "cm-1"), y)

    pair = library_check.check(
        made(
            [
                reference("x1", spectrum(0.0, 0.0), "x1"),
                reference("x2", spectrum(200.0, 3.0), "x2"),
            ],
            ("x1", "x2"),
        )
    ).pairs[0]
    assert pair.score > THRESHOLDS.match["min_score"]
    here = 1234.0 if pair.substances[0] == "x1" else 1237.0
    assert pair.telling[0].at_cm1 == pytest.approx(here, abs=2.0)
    assert (pair.telling[0].difference > 0) == (pair.substances[0] == "x2")


def test_values_that_are_not_numbers_and_old_recipes_are_told(library: Library) -> None:
    matrix = library.matrix.copy()
    matrix[5, 100] = np.nan
    valid = library.valid.copy()
    entries = tuple(
        replace(e, first=1990, last=1990) if e.row == 7 else
        replace(e, substance="nobody") if e.row == 9 else e for e in library.entries
    )  # fmt: skip
    checked = library_check.check(
        replace(library, matrix=matrix, valid=valid, entries=entries, recipe="old/0")
    )
    rows = {finding.code: finding.rows for finding in checked.findings}
    assert rows == {
        "other_recipe": (), "not_finite": (5,), "empty": (7,), "substance_missing": (9,),
    }  # fmt: skip


def test_the_command_prints_and_its_status_tells(
    library: Library, library_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)

    def run(*arguments: object) -> tuple[int, str]:
        status = command.run(parser.parse_args(["check", *map(str, arguments)]))
        return status, capsys.readouterr().out

    status, out = run(library_path, "--limit", 1)
    assert status == 0 and "Linseed oil" in out and "more (--limit 0" in out
    twice = [*references_of(library), *references_of(library, ["urea"])]
    finder = Finder(load().values())
    path = tmp_path / "twice.falib"
    path.write_bytes(encode_references(twice, finder.substances, "twice", {}))
    status, out = run(path)
    assert status == 1 and "broken duplicate" in out
    status, out = run(path, "--json")
    facts = json.loads(out)
    assert status == 1 and len(facts["problems"]) == 1
    assert facts["pairs"][0]["snr_needed"] > 0 and facts["findings"][0]["code"] == "duplicate"
