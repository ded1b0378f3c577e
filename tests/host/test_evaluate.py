"""`fieldassay evaluate`: its counts and intervals are right, and it can fail."""

from __future__ import annotations

import inspect
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay import evaluate
from fieldassay.cli import main
from fieldassay.errors import FieldassayError
from fieldassay.evaluate import distort, fetched, judge, page, plots, samples, shared_data, table
from fieldassay.evaluate.bench import Bench
from fieldassay.evaluate.experiments import families
from fieldassay.evaluate.setting import Setting, as_asked
from fieldassay.evaluate.stats import clopper_pearson
from fieldassay.library import Library
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [  # tabulated values of the exact interval, 95 %
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (116, 126, 0.8587, 0.9611),
    ],
)
def test_exact_intervals(count: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(count, n) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(1, 400), st.data())
def test_the_interval_holds_the_rate_and_mirrors(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    low, high = clopper_pearson(count, n)
    assert 0.0 <= low <= count / n <= high <= 1.0
    assert clopper_pearson(n - count, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_no_count_is_refused() -> None:
    with pytest.raises(ValueError, match="no count"):
        clopper_pearson(3, 2)


def test_targets() -> None:
    least = table.Target(0.9, 0.98)
    assert [least.reached(r) for r in (0.89, 0.9, 0.99)] == ["no", "at least", "aim"]
    most = table.Target(0.03, 0.0, at_most=True)
    assert [most.reached(r) for r in (0.04, 0.03, 0.0)] == ["no", "at least", "aim"]
    few, many, repeats = (
        table.Row("x", "t", "all", n, n, substances, target=least).as_dict()
        for n, substances in ((20, 20), (60, 60), (60, 20))
    )
    assert not few["proved"] and many["proved"] and not repeats["proved"]
    tuned = table.Row(
        "x", "t", "all", 60, 60, 60, target=least, tuned="thresholds were chosen here"
    )
    assert not tuned.as_dict()["proved"]
    assert table.Row("x", "t", "all", target=least, absent="no data").reached == "not run"


def said(kind: str, *ids: str) -> dict[str, Any]:
    return {
        "verdict": kind,
        "substances": [{"id": i} for i in ids],
        "reasons": [{"code": "look_alikes"}],
        "candidates": [],
    }


def test_outcomes() -> None:
    truth = {"acetone"}
    assert judge.outcome(said("match", "acetone"), truth) == "right match"
    assert judge.outcome(said("match", "urea"), truth) == "wrong match"
    assert judge.outcome(said("mixture", "acetone", "urea"), truth) == "mixture with a false part"
    assert judge.outcome(said("inconclusive", "urea"), truth) == "inconclusive: look_alikes"
    assert not judge.named(said("inconclusive", "urea")) and not judge.named(said("class", "x"))
    assert judge.wrong_match(said("match", "urea"), ())
    assert judge.kind({"error": "range_too_small"}) == "error"


@dataclass
class Parrot:
    """An identification that always says the same."""

    words: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.words


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


@pytest.fixture(scope="module")
def shared(library: Library, data_dir: Path) -> list[samples.Sample]:
    return shared_data.load(data_dir, library)


def test_truth_of_the_public_spectra(shared: list[samples.Sample], library: Library) -> None:
    assert len(shared) == 60 + 25 + 107  # two of 27 are there twice
    assert {s.kind for s in shared} == {"library", "unknown", "mixture", "uncounted"}
    by_name = {(s.set, s.name): s for s in shared}
    assert by_name["WP-01977", "isopropanol.csv"].truth == {"isopropanol"}
    assert by_name["WP-01977", "sunflower oil.csv"].kind == "unknown"
    assert by_name["legacy_2024", "fructose.csv"].note
    assert all(s.truth <= set(library.substances) for s in shared)
    assert all(s.note for s in shared if s.kind == "uncounted")
    named_unknown = {s.substance for s in shared if s.kind == "unknown"}
    assert {"naphthalene", "sulfur", "ammonium nitrate", "sodium perchlorate"} <= named_unknown


def test_one_that_always_says_acetone_fails(
    shared: list[samples.Sample], library_path: Path
) -> None:
    parrot = Parrot({**said("match", "acetone"), "algorithm": "parrot/1", "quality": {}})
    with Bench(library_path, 1, method=lambda *_: parrot) as bench:
        document = evaluate.evaluate(Setting(shared, bench), ["library", "unknown", "lasers"])
    targeted = [r for r in document["rows"] if r["at_least"] is not None and r["group"] == "all"]
    assert len(targeted) >= 4
    assert {r["reached"] for r in targeted} == {"no"}
    assert document["algorithm"] == "parrot/1"


def test_the_real_one_on_a_few(shared: list[samples.Sample], library_path: Path) -> None:
    few = [s for s in shared if s.set == "WP-01977"][::10]
    with Bench(library_path) as bench:
        document = evaluate.evaluate(Setting(few, bench), ["library"])
        again = evaluate.evaluate(Setting(few, bench), ["library"])
    assert document == again
    pooled = next(r for r in document["rows"] if r["group"] == "all")
    assert pooled["n"] >= 4 and pooled["count"] >= 1
    text = table.text_table(document["rows"])
    assert "95 % interval" in text and len(text.splitlines()) == len(document["rows"]) + 1


def test_processes_answer_in_order(shared: list[samples.Sample], library_path: Path) -> None:
    few = [s for s in shared if s.set == "WP-00341"][:10]
    with Bench(library_path, 1) as one, Bench(library_path, 2) as two:
        assert Setting(few, one).ask(few, "") == Setting(few, two).ask(few, "")


def test_no_question_is_asked_twice(shared: list[samples.Sample], library_path: Path) -> None:
    asked = []

    def method(*_: object) -> Parrot:
        asked.append(1)
        return Parrot(said("inconclusive"))

    few = shared[:5]
    with Bench(library_path, 1, method=method) as bench:
        setting = Setting(few, bench)
        assert len(setting.ask([*few, *few[:2]], "")) == 7
        questions = [replace(as_asked(s), without=frozenset({"acetone"})) for s in few]
        assert len(bench.ask(questions)) == 5
        setting.ask(few, "")
    assert len(asked) == 10


def test_counts_of_the_second_instrument_are_raw_minus_dark(
    shared: list[samples.Sample], data_dir: Path
) -> None:
    sample = next(s for s in shared if (s.set, s.name) == ("WP-01977", "acetone.csv"))
    native = shared_data.counts(data_dir, sample)
    assert native is not None and native.x.size == native.y.size >= 1900
    assert native.electrons_per_count == pytest.approx(1.9 * 5)  # its header: gain, averaged scans
    legacy = next(s for s in shared if s.set == "legacy_2024")
    assert shared_data.counts(data_dir, legacy) is None


def test_data_that_are_not_there(library: Library, tmp_path: Path) -> None:
    with pytest.raises(FieldassayError) as caught:
        shared_data.load(tmp_path, library)
    assert caught.value.code == "evaluation_data_missing"
    with pytest.raises(FieldassayError) as caught:
        evaluate.choose(["library", "luck"])
    assert caught.value.code == "experiment_unknown"


SPECTRUM = "Raman shift (cm-1),Intensity\n" + "\n".join(f"{x},{x % 7}" for x in range(300, 900))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,substance\na.csv,acetone\n", "no column 'file'"),
        ("file,substance\n", "lists no file"),
        ("file,substance\na.csv,\n", "line 2"),
        ("file,substance,role\na.csv,acetone,trained\n", "role"),
        ("file,substance,in_library\na.csv,acetone,perhaps\n", "in_library"),
        ("file,substance,in_library\na.csv,moon dust,yes\n", "does not have"),
        ("file,substance,in_library\na.csv,Propanone,no\n", "the library has acetone"),
        ("file,substance,laser_nm\na.csv,acetone,red\n", "laser_nm"),
        ("file,substance\nb.csv,acetone\n", "cannot be read"),
    ],
)
def test_manifests_that_are_wrong(tmp_path: Path, library: Library, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(SPECTRUM)
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(FieldassayError) as caught:
        samples.read_manifest(tmp_path / "m.csv", library)
    assert caught.value.code == "manifest_not_usable"
    assert words in caught.value.what


def test_a_manifest(tmp_path: Path, library: Library) -> None:
    (tmp_path / "a.csv").write_text(SPECTRUM)
    (tmp_path / "m.csv").write_text(
        "file,substance,in_library,instrument,laser_nm,set,role\n"
        "a.csv,67-64-1,auto,unit 7,785,ours,held_out\n"
        "a.csv,moon dust,,,,,\n"
        "a.csv,acetone; Toluene,yes,unit 7,532,ours,tuned\n"
        "a.csv,glucose,uncounted,,,,\n"
    )
    found = samples.read_manifest(tmp_path / "m.csv", library)
    assert [s.kind for s in found] == ["library", "unknown", "mixture", "uncounted"]
    assert [sorted(s.truth) for s in found] == [
        ["acetone"], [], ["acetone", "toluene"], ["glucose"],
    ]  # fmt: skip
    assert found[0].instrument == "unit 7" and found[0].laser_nm == 785.0
    assert (found[2].role, found[1].role) == ("tuned", "held_out")


AXIS = np.arange(250.0, 2000.0, 2.0)


def bands(position_cm1: float, height: float) -> np.ndarray:
    return height * np.exp(-(((AXIS - position_cm1) / 6.0) ** 2))


@pytest.mark.parametrize("snr", [3.0, 30.0])
def test_noise_added_has_the_stated_size(snr: float) -> None:
    y = bands(900.0, 5000.0) + 100.0
    noisy = distort.with_snr(AXIS, y, snr, np.random.default_rng(1))
    assert np.std(noisy - y) == pytest.approx(5000.0 / snr, rel=0.08)
    again = distort.with_snr(AXIS, y, snr, np.random.default_rng(1))
    assert np.array_equal(noisy, again)


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0])
def test_a_scaled_measurement_is_as_noisy_as_a_fainter_one(scale: float) -> None:
    """Over many measurements: read noise, and the shot noise of the signal that is left."""
    rng = np.random.default_rng(3)
    electrons, read = 2.0, 5.0
    signal = 10.0 + 4000.0 * np.exp(-(((AXIS - 1100.0) / 200.0) ** 2))
    made = []
    for _ in range(150):
        measured = signal + rng.normal(0, 1.0, AXIS.size) * np.sqrt(read**2 + signal / electrons)
        made.append(distort.add([(distort.Counts(AXIS, measured, electrons), scale)], rng))
    variance = np.var(np.array(made), axis=0)
    for where in (signal < 20.0, signal > 3500.0):
        wanted = read**2 + scale * signal[where].mean() / electrons
        assert variance[where].mean() == pytest.approx(wanted, rel=0.08)
    assert np.mean(made) == pytest.approx(scale * signal.mean(), rel=0.01)


def test_nothing_is_scaled_up() -> None:
    rng = np.random.default_rng(0)
    part = distort.Counts(AXIS, bands(900.0, 1000.0), 2.0)
    for scale in (0.0, 1.01):
        with pytest.raises(ValueError, match="at most 1"):
            distort.add([(part, scale)], rng)


@given(st.floats(1e2, 1e7), st.floats(1e2, 1e7), st.sampled_from([1.0, 4.0, 10.0, 20.0]))
def test_scales_give_the_ratio(first: float, second: float, ratio: float) -> None:
    one, two = distort.scales(first, second, ratio)
    assert max(one, two) == 1.0 and min(one, two) > 0.0
    assert one * first / (two * second) == pytest.approx(ratio)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_share_of_a_cover(share: float) -> None:
    sample = distort.Counts(AXIS, bands(700.0, 20_000.0), 1e9)
    rng = np.random.default_rng(5)
    y = distort.behind(sample, bands(1400.0, 1.0) + 0.1, 0.6, share, rng)
    seen = AXIS < 1000.0
    own, cover = (distort.band_area(AXIS, np.where(where, y, 0.0)) for where in (seen, ~seen))
    assert cover / (own + cover) == pytest.approx(share, abs=0.03)
    assert y[seen].max() == pytest.approx(0.36 * 20_000, rel=0.02)


def test_quick_mixtures_of_real_counts(
    shared: list[samples.Sample], library_path: Path, data_dir: Path
) -> None:
    few = [s for s in shared if s.set == "WP-00341"]
    with Bench(library_path) as bench:
        setting = Setting(few, bench, data_dir, quick=True)
        document = evaluate.evaluate(setting, ["mixtures"])
        without = evaluate.evaluate(Setting(few, bench), ["mixtures"])
    rows = [r for r in document["rows"] if r["group"] == "all" and "1:1 of bands" in r["test"]]
    assert rows[0]["n"] == 4 and rows[0]["count"] >= 2
    assert {r["reached"] for r in without["rows"]} == {"not run"}
    assert all(r["absent"] for r in without["rows"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Calcite", "calcium-carbonate"),
        ("C Ca O3", "calcium-carbonate"),
        ("Aragonite", ""),  # another form of calcium carbonate: counted by itself
        ("Polyethylene, high density", "polyethylene"),
        ("High Density Polyethylene", "polyethylene"),
        ("Polyethylene, 25% chlorinated", ""),
        ("polystyrene (2)", "polystyrene"),
        ("d-(+)-lactose monohydrate", "lactose"),
        ("Parrafine", ""),  # hydrocarbons, as mineral oil is
        ("Quartz", None),
        ("Nylon 6,6", None),
        ("palmitic acid", None),
    ],
)
def test_what_fetched_names_mean(library: Library, name: str, meant: str | None) -> None:
    assert fetched.meaning(name, samples.Names(library)) == meant


def test_spectra_of_other_makers(library: Library, data_dir: Path) -> None:
    found = shared_data.load_makers(data_dir, library)
    assert {s.substance for s in found if s.kind == "library"} == {
        "acetonitrile", "calcium-carbonate", "polystyrene", "silicon",
    }  # fmt: skip
    assert {s.laser_nm for s in found if s.kind == "library"} <= {532.0, 633.0, 785.0, None}
    assert {s.role for s in found} == {"held_out"}
    assert len({s.instrument for s in found}) >= 8


def test_nothing_fetched_is_said(shared: list[samples.Sample], library_path: Path) -> None:
    with Bench(library_path) as bench:
        rows = evaluate.evaluate(Setting(shared[:8], bench, quick=True), ["unknown"])["rows"]
    absent = [r for r in rows if r["absent"]]
    assert absent and {r["reached"] for r in absent} == {"not run"}
    assert all(r["rate"] is None for r in absent)


def test_families_named() -> None:
    def case(verdict: str, family: str, own: set[str]) -> families.Case:
        words = {**said(verdict), "family": {"id": family} if family else None}
        return families.Case("x", "y", "z", frozenset(own), words)

    slug = case("class", "para-substituted-benzene", {"para substituted benzene"})
    assert slug.right and families.plain("para-substituted benzene") in slug.families
    right = case("class", "ester", {"ester", "aromatic"})
    assert right.right and not right.false_alarm
    wrong = case("class", "ketone", {"ester"})
    assert wrong.false_alarm and not wrong.right
    other = case("match", "ester", {"ester"})
    assert not other.right and not other.false_alarm


def test_families_of_the_library(library: Library) -> None:
    groups = families.members(library)
    assert {"alcohol", "ester"} <= set(groups)
    assert all(len(own) >= 4 and own <= set(library.substances) for own in groups.values())


@pytest.fixture(scope="module")
def document(shared: list[samples.Sample], library_path: Path, data_dir: Path) -> dict[str, Any]:
    """Everything, on very little."""
    few = [s for s in shared if s.set in ("WP-00341", "WP-00193 (532 nm)")]
    with Bench(library_path) as bench:
        return evaluate.evaluate(Setting(few, bench, data_dir, quick=True))


def test_every_experiment_gives_rows_and_its_words(document: dict[str, Any]) -> None:
    assert {r["experiment"] for r in document["rows"]} == set(evaluate.EXPERIMENTS)
    assert set(document["experiments"]) == set(evaluate.EXPERIMENTS)
    assert all(len(words) > 80 for words in document["experiments"].values())
    for row in document["rows"]:
        assert row["absent"] or row["n"] >= row["count"] >= 0, row
        assert row["at_least"] is None or row["reached"] in ("aim", "at least", "no", "not run")


def test_the_page_is_made_from_the_file_alone(document: dict[str, Any], tmp_path: Path) -> None:
    read_back = json.loads(json.dumps(document, ensure_ascii=False))
    text = page.render(read_back)
    assert text == page.render(document)
    assert "Quick run" in text
    for name in document["experiments"]:
        assert f"## {name.capitalize()}" in text
    widths = {line.count("|") - line.count("\\|") for line in text.splitlines() if line[:1] == "|"}
    assert widths == {len(page.COLUMNS) + 1}
    written = plots.draw(read_back["figures"], tmp_path)
    shown = set(re.findall(r"images/([\w-]+\.svg)", text))
    assert shown == set(written) and len(written) >= 5
    again = plots.draw(read_back["figures"], tmp_path / "again")
    for name in again:
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_page_in_docs_has_the_form_of_the_code(root: Path) -> None:
    """Its numbers need the data; its form does not."""
    text = (root / "docs" / "explanation" / "measured-accuracy.md").read_text(encoding="utf-8")
    assert text.startswith(page.HEAD)
    assert "Quick run" not in text
    for name, run in evaluate.EXPERIMENTS.items():
        about = inspect.getdoc(sys.modules[run.__module__]) or ""
        assert f"## {name.capitalize()}\n\n{about}\n\n| " in text, f"make the page again: {name}"
    for picture in re.findall(r"images/([\w-]+\.svg)", text):
        assert (root / "docs" / "images" / picture).exists()


def test_an_old_result_is_shown_again(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evaluate.json"
    path.write_text(json.dumps(document))
    assert main(["evaluate", "--from", str(path)]) == 0
    assert "QUICK" in capsys.readouterr().out
    path.write_text("{}")
    assert main(["evaluate", "--from", str(path)]) == 1
    assert "evaluation_unreadable" in capsys.readouterr().err
