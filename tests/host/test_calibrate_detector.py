"""Response, linearity, dark current and hot pixels: found back where they are known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fieldassay import formats
from fieldassay.calibrate import detector, intensity
from fieldassay.calibrate.detector import Exposed
from fieldassay.errors import CalibrationError
from fieldassay_sim import detector as simulated
from fieldassay_sim.optics import Instrument

Floats = np.ndarray
FRAMES = 16
SENSOR = Instrument(seed=5, pixels=1024, cosmic_per_s=0.0, dark_e_per_s=400.0)
FULL = simulated.FULL_SCALE_COUNTS


def frames(
    exposure_us: int, degc: float, electrons_per_s: Floats | float = 0.0, sensor=SENSOR
) -> Floats:
    fixed = simulated.pattern(sensor)
    light = np.broadcast_to(np.asarray(electrons_per_s, dtype=float), (sensor.pixels,))
    taken = [
        simulated.expose(sensor, fixed, light * exposure_us / 1e6, exposure_us / 1e6, degc, n)
        for n in range(FRAMES)
    ]
    return np.mean(taken, axis=0)


def dark_series(*degrees: float) -> list[Exposed]:
    return [
        Exposed(us, frames(us, degc), degc)
        for degc in degrees
        for us in (10_000, 1_000_000, 3_000_000)
    ]


def test_dark_current_doubling_and_hot_pixels_of_a_known_sensor() -> None:
    found = detector.fit_dark(dark_series(25.0, 35.0))
    assert found.doubling_degc is not None
    assert found.doubling_error is not None
    assert abs(found.doubling_degc - 7.0) < max(0.3, 4 * found.doubling_error)
    assert abs(found.offset_counts - SENSOR.bias_counts) < 1.5
    assert abs(found.counts_per_s - 100.0) < 5.0  # 400 e/s at 4 e per count
    fixed = simulated.pattern(SENSOR)
    assert found.hot_pixels == tuple(np.flatnonzero(fixed.dark > 10.0))
    assert len(found.hot_pixels) == SENSOR.hot_pixels


def test_one_temperature_says_nothing_of_a_doubling() -> None:
    found = detector.fit_dark(dark_series(25.0))
    assert found.doubling_degc is None
    assert len(found.hot_pixels) == SENSOR.hot_pixels


def test_darks_that_cannot_be_are_refused() -> None:
    good = dark_series(25.0, 35.0)
    with pytest.raises(CalibrationError, match="10 times"):
        detector.fit_dark([one for one in good if one.exposure_us > 100_000])
    falling = [replace(one, counts=60_000.0 - one.counts) for one in dark_series(25.0)]
    with pytest.raises(CalibrationError, match="falls with the exposure"):
        detector.fit_dark(falling)
    swapped = [replace(one, degc=60.0 - one.degc) for one in good if one.degc is not None]
    with pytest.raises(CalibrationError, match="does not double"):
        detector.fit_dark(swapped)
    bright = [replace(one, counts=one.counts.copy()) for one in dark_series(25.0)]
    for one in bright:
        one.counts[300:306] += one.exposure_us / 100.0
    with pytest.raises(CalibrationError, match="side by side"):
        detector.fit_dark(bright)


TRUE_FACTORS = (1.0, 6e-7, 4e-12)  # 4 % at 50,000 counts and a little more


def lamp_series(factors: tuple[float, ...], exposures_ms: tuple[int, ...]) -> list[Exposed]:
    """A broad lamp on a sensor whose counts c obey c * (factors) = light."""
    light = 4.0 * 60_000.0 / 0.1 * (0.3 + 0.7 * np.sin(np.linspace(0.2, 2.9, SENSOR.pixels)))
    x = np.linspace(0.0, 70_000.0, 4000)
    true = x * np.polynomial.polynomial.polyval(x, np.array(factors))
    series = []
    for ms in exposures_ms:
        linear = frames(ms * 1000, 25.0, light) - SENSOR.bias_counts
        counts = np.interp(linear, true, x) + SENSOR.bias_counts
        series.append(Exposed(ms * 1000, np.where(linear > 55_000, FULL, counts), 25.0))
    return series


EXPOSURES_MS = (2, 5, 10, 20, 30, 45, 60, 75, 85)


@pytest.mark.parametrize("factors", [TRUE_FACTORS, (1.0,), (1.0, -1e-6)])
def test_a_known_curve_is_found_back(factors: tuple[float, ...]) -> None:
    series = lamp_series(factors, EXPOSURES_MS)
    found = detector.fit_linearity(series, SENSOR.bias_counts, FULL)
    assert found.factors[0] == 1.0
    x = np.linspace(2000.0, found.top, 50)
    ours = np.polynomial.polynomial.polyval(x, np.array(found.factors))
    true = np.polynomial.polynomial.polyval(x, np.array(factors))
    off = ours / true
    assert np.ptp(off) < max(0.002, 5 * found.error)  # a common factor is no nonlinearity
    assert found.misfit < 0.005


def test_series_that_cannot_be_are_refused() -> None:
    short = lamp_series(TRUE_FACTORS, (2, 5, 10, 15, 20))
    with pytest.raises(CalibrationError, match="does not reach"):
        detector.fit_linearity(short, SENSOR.bias_counts, FULL)
    good = lamp_series(TRUE_FACTORS, EXPOSURES_MS)
    with pytest.raises(CalibrationError, match="5 different"):
        detector.fit_linearity(good[:4], SENSOR.bias_counts, FULL)
    unsteady = [
        replace(one, counts=900.0 + (one.counts - 900.0) * (1.0 + 0.05 * (n % 2)))
        for n, one in enumerate(good)
    ]
    with pytest.raises(CalibrationError, match="unsteady"):
        detector.fit_linearity(unsteady, SENSOR.bias_counts, FULL)
    with pytest.raises(CalibrationError, match="saturated"):
        detector.fit_linearity(
            [replace(one, counts=np.full(1024, FULL)) for one in good], 900.0, FULL
        )


SHIFT = np.linspace(150.0, 3200.0, 1024)


def test_the_response_of_a_known_unit_is_found_back() -> None:
    known = intensity.certificate("srm2241")
    true = np.exp(-(((np.arange(1024) - 350.0) / 600.0) ** 2))
    light = np.nan_to_num(known.intensity(SHIFT)) * true
    noisy = 20_000.0 * light + np.random.default_rng(3).normal(0.0, 40.0, 1024)
    found = intensity.fit(noisy, SHIFT, 784.9, known)
    at = np.arange(found.low, found.high + 1)
    ours, right = found.at(at), true[at]
    assert np.abs(ours / right / np.mean(ours / right) - 1.0).max() < 0.02
    assert np.isnan(found.at(np.array([0.0, found.high + 1.0]))).all()
    assert len(found.coefficients) <= 8
    assert len(found.id) <= 64
    assert found.error < 0.02


def test_a_response_that_cannot_be_is_refused() -> None:
    known = intensity.certificate("srm2241")
    light = 20_000.0 * np.nan_to_num(known.intensity(SHIFT))
    with pytest.raises(CalibrationError, match="785 nm, not 532"):
        intensity.fit(light, SHIFT, 532.0, known)
    with pytest.raises(CalibrationError, match="covers"):
        intensity.fit(light, SHIFT + 2500.0, 785.0, known)
    with pytest.raises(CalibrationError, match="no light"):
        intensity.fit(-light, SHIFT, 785.0, known)
    ragged = light * (1.0 + 0.4 * np.sign(np.sin(np.arange(1024) / 4.0)))
    with pytest.raises(CalibrationError, match="smooth"):
        intensity.fit(ragged, SHIFT, 785.0, known)
    with pytest.raises(CalibrationError, match="no certified"):
        intensity.certificate("srm9999")


def test_each_certificate_peaks_at_one() -> None:
    """As NIST normalises them; a mistyped coefficient shows here."""
    for known in intensity.certificates().values():
        values = known.intensity(np.linspace(*known.range_cm1, 1000))
        assert abs(float(values.max()) - 1.0) < 0.005, known.name
        assert float(values.min()) > 0.0
        assert np.isnan(known.intensity(np.array([known.range_cm1[0] - 1.0]))).all()


def real(name: str) -> formats.Spectrum:
    root = Path(os.environ.get("FIELDASSAY_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = root / "calibration" / "charisma" / name
    if not path.exists():
        pytest.skip("no real spectra")
    return formats.read(path.read_bytes(), path.name)


@pytest.mark.parametrize(
    ("name", "glass"),
    [
        ("ICV_BW785/NISTSRM2241_BW785_100x_25sx5.txt", "srm2241"),
        ("FNMT-B_BW785/NIST_785nm_100%_2500msx3_1.txt", "srm2241"),
        ("FMNT-M_BW532/NIST532_Probe_3000msx8_1.txt", "srm2242a"),
        ("ICV_BW532/NISTSRM2242aC_BW532_100x_800msx10.txt", "srm2242a"),
        ("FMNT-M_Ho785/NIST785_Lens_80000x5_2.txt", "srm2241"),
    ],
)
def test_real_glasses_are_fitted(name: str, glass: str) -> None:
    spectrum, known = real(name), intensity.certificate(glass)
    found = intensity.fit(spectrum.intensity, spectrum.axis.values, known.laser_nm, known)
    assert found.misfit < 0.04
    assert found.error < 0.012
