"""Calibration: peaks, lamps without a guess, standards, and other makers' instruments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fieldassay import cli
from fieldassay.calibrate import assign, peaks
from fieldassay.calibrate.axis import Lines, fit_axis
from fieldassay.calibrate.lamps import lamp, lamps
from fieldassay.calibrate.solve import Measured, objections, solve
from fieldassay.calibrate.standards import find_bands, standard, standards
from fieldassay.errors import CalibrationError
from fieldassay.evaluate import calibration_accuracy
from hypothesis import given, settings
from hypothesis import strategies as st

Floats = np.ndarray
TRUE_NM = (800.5, 8.66e-2, -2.4e-6, -1.0e-10)
PIXELS = 2048


def wavelengths() -> Floats:
    return np.polynomial.polynomial.polyval(np.arange(PIXELS, dtype=float), np.array(TRUE_NM))


def drawn(centres_px: Floats, heights: Floats, width_px: float, seed: int = 1) -> Floats:
    """Lines averaged over pixels by 41-fold sampling, with noise."""
    fine = np.arange(PIXELS)[:, None] + np.linspace(-0.5, 0.5, 41)[None, :]
    out = np.full(PIXELS, 500.0)
    for centre, height in zip(centres_px, heights, strict=True):
        out += height * np.exp(-4 * np.log(2) * ((fine - centre) / width_px) ** 2).mean(axis=1)
    return out + np.random.default_rng(seed).normal(0.0, 3.0, PIXELS)


def neon_spectrum(width_px: float = 3.0, seed: int = 1) -> Floats:
    nm, lines = wavelengths(), lamp("neon")
    inside = (lines.nm > nm[0]) & (lines.nm < nm[-1])
    centres = np.interp(lines.nm[inside], nm, np.arange(PIXELS))
    return drawn(centres, 20.0 * lines.strength[inside], width_px, seed)


def standard_spectrum(name: str, laser_nm: float, width_px: float = 4.0) -> Floats:
    one = standard(name)
    nm = 1.0 / (1.0 / laser_nm - one.shift_cm1 / 1e7)
    inside = (nm > wavelengths()[5]) & (nm < wavelengths()[-5])
    centres = np.interp(nm[inside], wavelengths(), np.arange(PIXELS))
    return drawn(centres, 1000.0 * one.strength[inside], width_px, 2)


@given(st.floats(-0.5, 0.5), st.floats(1.2, 8.0))
@settings(max_examples=25, deadline=None)
def test_a_line_is_found_to_a_hundredth_of_a_pixel(offset: float, width_px: float) -> None:
    peak = peaks.fit(drawn(np.array([900 + offset]), np.array([20000.0]), width_px), 900.0)
    assert peak is not None
    assert abs(peak.at_px - 900 - offset) < 0.01
    assert abs(peak.at_px - 900 - offset) < 6 * peak.error_px + 1e-3
    assert abs(peak.width_px - width_px) < 0.05 * width_px


def test_the_stated_uncertainty_is_the_scatter() -> None:
    found = [
        peaks.fit(drawn(np.array([900.3]), np.array([60.0]), 4.0, seed), 900.0)
        for seed in range(60)
    ]
    at = np.array([p.at_px for p in found if p is not None])
    stated = np.median([p.error_px for p in found if p is not None])
    assert 0.6 < float(np.std(at)) / stated < 1.6


def test_a_cut_off_top_is_no_line() -> None:
    values = np.minimum(drawn(np.array([900.0]), np.array([20000.0]), 4.0), 9000.0)
    assert peaks.find(values) == []


def test_neon_is_recognised_without_a_guess_in_either_direction() -> None:
    for turned in (False, True):
        values = neon_spectrum()[::-1] if turned else neon_spectrum()
        found = assign.blind(peaks.find(values), lamp("neon"), PIXELS)
        nm = found.axis.wavelength_nm(np.arange(PIXELS, dtype=float))
        true = wavelengths()[::-1] if turned else wavelengths()
        low, high = found.axis.span()
        inside = slice(int(low), int(high))
        assert np.abs(nm - true)[inside].max() < 0.03


def test_peaks_that_are_no_lamp_are_refused() -> None:
    centres = np.random.default_rng(3).uniform(20, PIXELS - 20, 25)
    values = drawn(centres, np.full(25, 5000.0), 3.0)
    with pytest.raises(CalibrationError) as caught:
        assign.blind(peaks.find(values), lamp("neon"), PIXELS)
    assert caught.value.code in ("calibration_ambiguous", "calibration_too_few_lines")


def solved_with(offset_px: float = 3.0, laser_nm: float = 785.0, nominal_nm: float = 784.6):  # type: ignore[no-untyped-def]
    at = np.arange(PIXELS, dtype=float)
    neon = Measured("neon", at, neon_spectrum(), "neon")
    polystyrene = Measured("polystyrene", at, standard_spectrum("polystyrene", laser_nm), "ps")

    def guess(positions: Floats) -> Floats:
        return np.polynomial.polynomial.polyval(positions + offset_px, np.array(TRUE_NM))

    return solve([neon], [polystyrene], nominal_nm, guess)


def test_axis_and_laser_are_recovered_from_a_wrong_guess() -> None:
    solved = solved_with()
    axis = solved.axis
    assert axis.laser_nm == pytest.approx(785.0, abs=0.01)
    inside = np.arange(*axis.span())
    true = 1e7 / 785.0 - 1e7 / np.interp(inside, np.arange(PIXELS), wavelengths())
    off = axis.shift_cm1(inside) - true
    assert float(np.sqrt(np.mean(off**2))) < 0.15
    assert np.mean(np.abs(off) < 3 * axis.error_cm1(inside)) > 0.95
    assert objections(solved, np.arange(PIXELS, dtype=float)) == []


def test_uncertainty_grows_where_no_lines_are() -> None:
    axis = solved_with().axis
    low, high = axis.span()
    middle = float(axis.error_cm1(np.array([(low + high) / 2]))[0])
    assert float(axis.error_cm1(np.array([high + 900.0]))[0]) > 5 * middle


def test_the_order_is_not_chosen_by_the_fit() -> None:
    rng = np.random.default_rng(5)
    at = np.sort(rng.uniform(0, 2000, 14))
    nm = 800 + 0.09 * at - 4e-6 * at**2 + rng.normal(0, 0.01, at.size)
    axis = fit_axis(Lines(at, np.full(14, 0.05), nm, np.full(14, 1e-4)))
    assert axis.order == 2


def test_a_fit_that_is_too_poor_is_refused_with_reasons() -> None:
    solved = solved_with()
    rng = np.random.default_rng(6)
    lines = solved.axis.lamp
    bad = Lines(
        lines.at, lines.error, lines.known + rng.normal(0, 0.2, lines.at.size), lines.known_error
    )
    axis = fit_axis(bad, solved.axis.bands, 785.0)
    worse = type(solved)(axis, solved.bands, solved.lamp_width_px, solved.score, False)
    assert any("left out" in reason for reason in objections(worse, np.arange(2048.0)))


def test_a_standard_that_is_not_there_is_said_so() -> None:
    shift = 1e7 / 785.0 - 1e7 / wavelengths()
    values = np.random.default_rng(1).normal(500, 3, PIXELS)
    with pytest.raises(CalibrationError) as caught:
        find_bands(values, shift, standard("polystyrene"))
    assert caught.value.code == "standard_not_seen"


def test_tables_are_ordered_and_sourced() -> None:
    for one in lamps().values():
        assert np.all(np.diff(one.nm) > 0), one.name
        assert np.all(one.error_nm > 0)
    for each in standards().values():
        assert np.all(np.diff(each.shift_cm1) > 0), each.name
        assert each.source


def test_the_tables_agree_with_the_shared_ones(data_dir: Path) -> None:
    import csv

    folder = data_dir / "calibration" / "tables"
    text = (folder / "neon_lines_cwa_table5.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    neon = lamp("neon")
    for row in rows:
        assert np.min(np.abs(neon.nm - float(row["wavelength_nm"]))) < 1e-6
    names = {
        "Naphthalene": "naphthalene", "Sulfur": "sulfur", "Polystyrene": "polystyrene",
        "1,4 bis (2-Methylstryryl) Benzene": "bis-methylstyryl-benzene",
        "50/50 Toluene/Acetonitrile": "toluene-acetonitrile", "Benzonitrile": "benzonitrile",
        "4-Acetamidophenol (Tylenol)": "acetaminophen", "Cyclohexane": "cyclohexane",
    }  # fmt: skip
    table = json.loads((folder / "ASTM-E1840-96_wasatch.json").read_text(encoding="utf-8"))
    for compound, lines in table["Compounds"].items():
        ours = standard(names[compound]).shift_cm1
        assert sorted(map(float, lines)) == pytest.approx(sorted(ours)), compound


def test_a_pixel_axis_is_found_from_neon_alone(data_dir: Path) -> None:
    found = calibration_accuracy.open_raman(data_dir)
    nm = found.axis.wavelength_nm(np.array([0.0, 2047.0]))
    assert 540 < nm[0] < 550
    assert 654 < nm[1] < 662
    assert found.axis.rms_nm < 0.02
    assert found.score - found.runner_up > 3


def test_another_standard_lies_right_on_a_calibrated_instrument(data_dir: Path, root: Path) -> None:
    by_name = {one.name: one for one in calibration_accuracy.INSTRUMENTS}
    worst = {"B&W Tek 785, x20": 0.6, "B&W Tek 532, probe": 0.7, "Horiba 633": 0.8}
    for name, most_cm1 in worst.items():
        found = calibration_accuracy.evaluate(by_name[name], "polystyrene", data_dir)
        assert found.solved is not None
        assert found.refusal == ()
        assert found.off_cm1.size >= 10
        assert found.rms_cm1() < most_cm1, name
        row = calibration_accuracy.table([found]).splitlines()[2]
        page = root / "docs" / "explanation" / "calibration-accuracy.md"
        assert row in page.read_text(encoding="utf-8")


def test_a_stitched_axis_is_refused(data_dir: Path) -> None:
    by_name = {one.name: one for one in calibration_accuracy.INSTRUMENTS}
    found = calibration_accuracy.evaluate(by_name["Horiba 785, OP01"], "polystyrene", data_dir)
    assert found.refusal


def _csv(path: Path, values: Floats) -> str:
    rows = "".join(f"{i},{v:.3f}\n" for i, v in enumerate(values))
    path.write_text("Pixels #,Intensity\n" + rows, encoding="utf-8")
    return str(path)


def test_the_command_writes_what_a_unit_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "calibration.json"
    neon = _csv(tmp_path / "neon.csv", neon_spectrum())
    sample = _csv(tmp_path / "ps.csv", standard_spectrum("polystyrene", 785.0))
    common = ["unit", "calibrate", "unit-1", "--home", str(tmp_path / "home"), "--lamp"]
    arguments = [*common, f"neon={neon}", "--standard", f"polystyrene={sample}"]
    arguments += ["--laser-nm", "784.7", "--guess-nm", "799,968", "--out", str(out)]
    assert cli.main(arguments) == 0, capsys.readouterr().err
    document = json.loads(out.read_text(encoding="utf-8"))
    coefficients = np.array([float(c) for c in document["coefficients_nm"]])
    assert abs(document["excitation_pm"] - 785_000) < 20
    pixels = np.arange(200, 1900, dtype=float)
    nm = np.polynomial.polynomial.polyval(pixels, coefficients)
    assert np.abs(nm - wavelengths()[200:1900]).max() < 0.02
    checks = tmp_path / "home" / "checks"
    assert {p.suffix for p in checks.iterdir()} == {".json", ".pdf"}
    flat = _csv(tmp_path / "flat.csv", np.random.default_rng(1).normal(500, 3, PIXELS))
    refused = [*common, f"neon={flat}", "--standard", f"polystyrene={sample}"]
    other = tmp_path / "other.json"
    assert cli.main([*refused, "--out", str(other)]) == 1
    assert not other.exists()
