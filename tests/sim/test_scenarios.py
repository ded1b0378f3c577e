"""Scenario files: what ships is complete and works; what is wrong is a typed error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fieldassay_sim.bench import Bench
from fieldassay_sim.detector import expose, pattern
from fieldassay_sim.errors import ScenarioError
from fieldassay_sim.optics import laser_light
from fieldassay_sim.references import References
from fieldassay_sim.scenario import load, parse, shipped
from fieldassay_sim.scenario_checks import check_condition

SAMPLE = '[samples.a]\nreference = "acetone"\n'


def problem(text: str) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        parse('title = "t"\n' + text, Path("broken.toml"))
    assert "broken.toml" in caught.value.what
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("sead = 1", "scenario_unknown_key", "sead"),
        ("[instrument]\nwidht_cm1 = 8", "scenario_unknown_key", "widht_cm1"),
        ("[condition]\nlids = 'open'", "scenario_unknown_key", "lids"),
        ("[settings.lasers]\npower_uw = 1", "scenario_unknown_key", "lasers"),
        (SAMPLE + "colour = 'red'", "scenario_unknown_key", "colour"),
        ("[samples.a]\nfluorescence = { rate = 3 }", "scenario_unknown_key", "rate"),
        ("[fleet]\nunits = 2\nvary = { seed = 2 }", "scenario_unknown_key", "seed"),
        ("[[steps]]\ntitle = 's'\nlid_open = 3", "scenario_unknown_key", "lid_open"),
        ("[[steps]]\ntitle = 's'\nset = { led = 'open' }", "scenario_unknown_key", "led"),
        ("seed = 'one'", "scenario_wrong_type", "seed"),
        ("[instrument]\nhot_pixels = 2.5", "scenario_wrong_type", "hot_pixels"),
        ("[settings.laser]\npower_uw = 'much'", "scenario_wrong_type", "laser"),
        ("[samples.a]\nbands = [[700, 1]]", "scenario_wrong_type", "bands"),
        ("[samples.a]\nbands = [[700, 1, 0]]", "scenario_wrong_type", "bands"),
        ("samples = { a = 3 }", "scenario_wrong_type", "samples.a"),
        ("[[steps]]\ntitle = 's'\naccept = ['maybe']\nwhy = ''", "scenario_wrong_type", "accept"),
        ("[[steps]]\ntitle = 's'\npress_before = ['push']", "scenario_wrong_type", "press_before"),
        ("[instrument]\ntilt = 3", "scenario_out_of_range", "tilt"),
        ("[condition]\nclock = 'late'", "scenario_out_of_range", "late"),
        ("[[steps]]\ntitle = 's'\npackaging = 'wool'", "scenario_out_of_range", "wool"),
        ("[[steps]]\nsample = ''", "scenario_missing_key", "title"),
        ("[fleet]\nprefix = 'x'", "scenario_missing_key", "units"),
        ("[[steps]]\ntitle = 's'\naccept = ['match']", "scenario_missing_key", "why"),
        ("[[steps]]\ntitle = 's'\nsample = 'b'", "scenario_sample_unknown", "'b'"),
        ("[condition]\nsample = 'b'", "scenario_sample_unknown", "'b'"),
        ("[samples.a]\nmixture = [{ sample = 'b', weight = 1 }]", "scenario_sample_unknown", "'b'"),
        ("[samples.a]\nmixture = []", "scenario_sample_source", "samples.a"),
        ("[samples.a]\nstrength = 1", "scenario_sample_source", "0 sources"),
        (SAMPLE + "file = 'x.csv'", "scenario_sample_source", "2 sources"),
        (SAMPLE + "rate_per_ms = 3", "scenario_sample_source", "rate_per_ms"),
        (
            SAMPLE + "[samples.b]\nmixture = [{ sample = 'a', weight = 1 }]\n"
            "[samples.c]\nmixture = [{ sample = 'b', weight = 1 }]",
            "scenario_cycle",
            "'b'",
        ),
        ("[samples", "scenario_not_toml", "TOML"),
    ],
)
def test_what_is_wrong_is_named(text, code, named):
    error = problem(text)
    assert error.code == code
    assert named in error.what
    assert error.do_next


def test_an_unknown_key_names_the_allowed_ones():
    assert "width_cm1" in problem("[instrument]\nwidht_cm1 = 8").do_next


def test_a_missing_file_names_the_shipped_ones():
    with pytest.raises(ScenarioError) as caught:
        load("nowhere.toml")
    assert "demo" in caught.value.do_next


def test_running_changes_are_checked_like_files():
    check_condition({"lid": "open", "battery_mv": 3500}, {})
    with pytest.raises(ScenarioError):
        check_condition({"lid": "ajar"}, {})
    with pytest.raises(ScenarioError):
        check_condition({"sample": "gold"}, {"a": {}})


def test_the_four_scenarios_ship():
    assert {path.stem for path in shipped()} == {"default", "demo", "faults", "fleet"}


@pytest.mark.parametrize("name", ["default", "demo", "faults", "fleet"])
def test_shipped_scenarios_load_and_every_sample_can_be_made(name, sources_dir):
    bench = Bench(load(name), References(sources_dir))
    for sample in bench.samples.values():
        raman = sample.raman()
        assert np.all(np.isfinite(raman))
        assert raman.max() > 0 or sample.fluorescence.rate_per_ms > 0


def test_the_demo_covers_what_it_must():
    steps = load("demo").steps
    assert len(steps) >= 14
    assert all("truth" in step and step["accept"] and step["why"] for step in steps)
    truths = [truth for step in steps for truth in step["truth"]]
    table_ii = ["acetone", "diethyl-ether", "2-butanone", "toluene"]
    for substance in [*table_ii, "caffeine", "lactose", "acetaminophen", "ibuprofen"]:
        assert substance in truths
    assert any(len(step["truth"]) == 2 for step in steps)
    assert any(step.get("packaging") == "pe_bag" for step in steps)
    assert any(step.get("set", {}).get("lid") == "open" for step in steps)
    assert any("lid_opens_after_fire_ms" in step for step in steps)


def test_truths_are_substances_of_the_host_or_of_no_library(root):
    import tomllib

    catalogue = tomllib.loads((root / "host/fieldassay/substances.toml").read_text("utf-8"))
    known = {substance["id"] for substance in catalogue["substance"]}
    for name in ("demo", "fleet", "faults"):
        for step in load(name).steps:
            assert set(step.get("truth", ())) <= known


def test_the_default_tray_has_twelve_samples():
    assert len(load("default").samples) == 12


def frame_of(bench, sample_id, packaging="none", exposure_s=0.3):
    instrument = bench.instrument(0)
    package = bench.packages[packaging]
    light = laser_light(instrument, bench.samples[sample_id], package, 0.0, 25.0)
    return expose(instrument, pattern(instrument), light * 100 * exposure_s, exposure_s, 25.0, 1)


def test_the_saturating_sample_saturates_at_the_shortest_exposure_and_no_other_does(sources_dir):
    bench = Bench(load("demo"), References(sources_dir))
    for sample_id in bench.samples:
        full = np.sum(frame_of(bench, sample_id, exposure_s=0.001) == 65535)
        assert (full > 100) == (sample_id == "dye"), sample_id


def test_mixtures_weigh_by_mass(make_bench):
    bench = make_bench(
        'title = "t"\n[samples.a]\nreference = "acetone"\n[samples.b]\nreference = "toluene"\n'
        "[samples.c]\nmixture = [{ sample = 'a', weight = 3 }, { sample = 'b', weight = 1 }]\n"
    )
    a, b, c = (bench.samples[name].raman() for name in "abc")
    assert c == pytest.approx(0.75 * a + 0.25 * b)


def test_a_file_beside_the_scenario_is_a_sample(make_bench, tmp_path):
    axis = np.arange(400.0, 1500.0)
    values = 100 * np.exp(-(((axis - 900) / 8) ** 2))
    lines = "\n".join(f"{x},{y}" for x, y in zip(axis, values, strict=True))
    (tmp_path / "mine.csv").write_text(lines, encoding="utf-8")
    bench = make_bench('title = "t"\n[samples.mine]\nfile = "mine.csv"\n')
    assert abs(np.argmax(bench.samples["mine"].raman()) + 100 - 900) <= 1


def test_a_fleet_differs_within_its_spread_and_repeats_with_its_seed(sources_dir):
    bench = Bench(load("fleet"), References(sources_dir))
    assert bench.names() == [f"sim-{n}" for n in range(1, 6)]
    fleet = [bench.instrument(n) for n in range(5)]
    assert fleet == [bench.instrument(n) for n in range(5)]
    assert len({unit.offset_cm1 for unit in fleet}) == 5
    assert len({unit.seed for unit in fleet}) == 5
    assert all(abs(unit.offset_cm1 - fleet[0].offset_cm1) <= 3.0 for unit in fleet)
    assert bench.instrument(2, seed=5) != bench.instrument(2)
    warm = [bench.condition(n).detector_mdegc for n in range(5)]
    assert warm[0] == 25_000
    assert len(set(warm)) == 5
