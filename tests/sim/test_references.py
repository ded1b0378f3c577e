"""References: reading, background removal, names; on real library files where they are present."""

from __future__ import annotations

import numpy as np
import pytest
from fieldassay_sim.errors import SpectrumError
from fieldassay_sim.references import References, asymmetric_baseline, parse_csv, read_file
from fieldassay_sim.samples import from_bands, on_grid


def synthetic(background=0.0, exposure=None):
    axis = np.arange(300.0, 1800.0)
    bands = sum(
        h * np.exp(-(((axis - p) / 6.0) ** 2)) for p, h in ((620, 900), (1001, 3000), (1602, 700))
    )
    values = bands + background * np.exp(-(((axis - 900) / 700.0) ** 2)) + 50
    header = [f"Integration Time,{exposure}", "Label,test", ""] if exposure else []
    rows = [f"{i},{x:.2f},{y:.3f}" for i, (x, y) in enumerate(zip(axis, values, strict=True))]
    return "\n".join([*header, "Pixel,Wavenumber,Processed", *rows]), bands, axis


@pytest.mark.parametrize("background", [0.0, 2000.0, 20000.0])
def test_bands_survive_and_background_goes(background):
    text, bands, axis = synthetic(background, exposure=1000)
    reference = parse_csv(text, "x")
    got = np.interp(axis, reference.axis_cm1, reference.rate_per_ms) * 1000
    assert got.max() == pytest.approx(bands.max(), rel=0.1)
    flat = bands < 1.0
    assert np.median(got[flat]) < 0.01 * (background + bands.max())


def test_exposure_turns_counts_into_a_rate():
    fast, slow = (parse_csv(synthetic(0.0, ms)[0], "x").rate_per_ms.max() for ms in (500, 2000))
    assert fast == pytest.approx(4 * slow)


def test_two_bare_columns_are_enough_and_get_a_middling_rate():
    _, bands, axis = synthetic()
    text = "\n".join(f"{x},{y}" for x, y in zip(axis, bands, strict=True))
    assert parse_csv(text, "x").rate_per_ms.max() == pytest.approx(20.0)


@pytest.mark.parametrize("text", ["", "a,b\nc,d\n", "1,2\n2,3\n", "Wavenumber,Processed\n1,nan\n"])
def test_junk_is_a_typed_error(text):
    with pytest.raises(SpectrumError) as caught:
        parse_csv(text, "junk")
    assert caught.value.code == "reference_not_readable"
    assert "junk" in caught.value.what


def test_a_flat_file_is_no_substance():
    text = "\n".join(f"{x},5" for x in range(300, 900))
    with pytest.raises(SpectrumError, match="no band"):
        parse_csv(text, "flat")


def test_missing_folder_says_what_to_type(tmp_path):
    with pytest.raises(SpectrumError) as caught:
        References(tmp_path / "nowhere").get("acetone")
    assert caught.value.code == "no_references"
    assert "fieldassay library build" in caught.value.do_next


def test_missing_file_names_the_path(tmp_path):
    with pytest.raises(SpectrumError, match=r"gone\.csv"):
        read_file(tmp_path / "gone.csv")


def test_names_ignore_case_and_unknown_ones_suggest(sources_dir):
    references = References(sources_dir)
    assert references.get("ACETONE").name == references.get("acetone").name
    with pytest.raises(SpectrumError) as caught:
        references.get("acetonium")
    assert "acetone" in caught.value.what


def test_every_reference_of_the_library_is_usable(sources_dir):
    references = References(sources_dir)
    assert len(references.names()) == 80
    for name in references.names():
        curve = on_grid(references.get(name))
        assert np.all(np.isfinite(curve)), name
        assert curve.min() >= 0, name
        # Substances with a flat half remain; a background left in would fill the spectrum.
        assert np.median(curve) < 0.2 * curve.max(), name


def test_strong_scatterers_stay_stronger_than_weak_ones(sources_dir):
    references = References(sources_dir)
    rate = {n: references.get(n).rate_per_ms.max() for n in ("toluene", "acetone", "lactose")}
    assert rate["toluene"] > 2 * rate["acetone"] > 4 * rate["lactose"]


def test_baseline_lies_under_the_bands():
    axis = np.linspace(0, 1, 800)
    true = 100 + 50 * axis
    values = true + 400 * np.exp(-(((axis - 0.5) / 0.01) ** 2))
    assert asymmetric_baseline(values) == pytest.approx(true, abs=4.0)


def test_bands_become_a_curve_with_the_asked_maximum():
    from fieldassay_sim.samples import Band

    curve = from_bands((Band(700.0, 1.0, 5.0), Band(1500.0, 0.5, 5.0)), 30.0)
    assert curve.max() == pytest.approx(30.0)
    assert curve[1400] == pytest.approx(15.0, rel=0.05)
