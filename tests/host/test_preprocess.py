"""Preprocessing steps: a contract every step meets, and what each method promises."""

from __future__ import annotations

import numpy as np
import pytest
from fieldassay.errors import FormatError
from fieldassay.preprocess import baseline, despike, noise, normalize, recipe, smooth, spline
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline


def bands(x: np.ndarray, *centres: float, fwhm: float = 10.0) -> np.ndarray:
    return sum((np.exp(-4 * np.log(2) * ((x - c) / fwhm) ** 2) for c in centres), np.zeros(x.size))


def spectrum(values: np.ndarray, sigma: float = 1.0) -> Spectrum:
    x = np.arange(300.0, 300.0 + values.size)
    return Spectrum(Axis(x, "cm-1"), values, "counts", np.full(values.size, sigma))


@pytest.mark.parametrize("name", sorted(recipe.STEPS))
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_step_contract(name: str, seed: int) -> None:
    """Same shape and axis, finite, input untouched, one more step, same result twice."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(16, 400))
    before = spectrum(rng.normal(0, 10.0 ** rng.integers(-3, 6), n))
    copy = before.intensity.copy()
    after = recipe.STEPS[name](before)
    again = recipe.STEPS[name](before)
    assert after.axis is before.axis
    assert np.array_equal(before.intensity, copy)
    assert len(after.steps) == len(before.steps) + 1
    assert np.array_equal(after.intensity, again.intensity)


@pytest.mark.parametrize("name", ["despike", "baseline", "derivative"])
def test_linear_steps_scale_with_the_signal(name: str) -> None:
    x = np.arange(600.0)
    values = bands(x, 150, 400) * 500 + 20
    one, ten = spectrum(values, 1.0), spectrum(values * 10, 10.0)
    scaled = recipe.STEPS[name](ten).intensity
    assert scaled == pytest.approx(recipe.STEPS[name](one).intensity * 10, rel=1e-6, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 500))
def test_noise_estimate_is_right_within_a_quarter(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    x = np.arange(2000.0)
    values = bands(x, *rng.uniform(0, 2000, 15)) * 100 * sigma + rng.normal(0, sigma, x.size)
    assert noise.estimate(values) == pytest.approx(sigma, rel=0.25)


@pytest.mark.parametrize("points", [1, 3, 5, 7])
def test_smoothed_noise_is_seen_through(points: int) -> None:
    """What counts is the noise of the derivative: predicted from a smoothed file within 40 %."""
    kernel = smooth.derivative_kernel(3.0)
    predicted, found = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        white = np.convolve(rng.normal(0, 5.0, 2100), np.ones(points) / points, "valid")[:2000]
        x = np.arange(2000.0)
        values = white + 3000 * bands(x, 600.0, 650.0, 1100.0) + 0.001 * (x - 900) ** 2
        sigma, reach = noise.correlated(values, 1.0)
        predicted.append(smooth.derivative_noise(np.full(1, sigma), np.full(1, reach), 3.0)[0])
        found.append(np.std(np.convolve(white, kernel, "valid")))
    assert np.median(predicted) == pytest.approx(np.median(found), rel=0.4)
    if points > 1:  # the plain estimate is not even half
        plain = noise.estimate(values) * np.sqrt(np.sum(kernel**2))
        assert plain < 0.5 * np.median(found)


def test_a_signal_without_noise_is_not_taken_for_smoothed_noise() -> None:
    x = np.arange(2000.0)
    values = 3000 * bands(x, 600.0, 1100.0, fwhm=40.0) + 1e-3 * (x - 900) ** 2
    assert noise.correlated(values, 1.0)[1] == 1.0
    assert noise.correlated(values[:100], 1.0)[1] == 1.0
    assert noise.correlated(np.zeros(2000), 1.0) == (0.0, 1.0)


def test_noise_told_is_never_trusted_below_what_is_seen() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 10.0, 1000)
    assert np.median(noise.of(spectrum(values, 0.1))) == pytest.approx(10, rel=0.15)
    assert np.median(noise.of(spectrum(values, 30.0))) == 30.0


def test_despike_removes_cosmic_rays_and_leaves_bands() -> None:
    rng = np.random.default_rng(2)
    x = np.arange(1024.0)
    clean = bands(x, 200, 500, 505, 800, fwhm=4.0) * 2000 + rng.normal(0, 5, x.size)
    dirty = clean.copy()
    hits = [90, 350, 700, 950]
    dirty[hits] += [900, 4000, 300, 20000]
    fixed, count = despike.narrow_spikes(dirty, np.full(x.size, 5.0))
    assert count == len(hits)
    assert np.max(np.abs(fixed - clean)) < 40
    untouched, none = despike.narrow_spikes(clean, np.full(x.size, 5.0))
    assert none == 0
    assert np.array_equal(untouched, clean)


def test_asls_follows_the_background_under_bands() -> None:
    x = np.arange(1500.0)
    background = 5000 * np.exp(-(((x - 700) / 900) ** 2))
    found = baseline.asls(background + bands(x, 300, 600, 640, 1200) * 3000)
    assert np.max(np.abs(found - background)[20:-20]) < 120


def test_derivative_of_a_ramp_is_its_slope_and_of_a_constant_is_nothing() -> None:
    x = np.arange(200.0)
    assert smooth.gaussian_derivative(3.0 * x + 7, 3.0)[15:-15] == pytest.approx(3.0)
    assert smooth.gaussian_derivative(np.full(200, 1e6), 3.0) == pytest.approx(0, abs=1e-6)


def test_derivative_noise_is_what_it_says() -> None:
    rng = np.random.default_rng(3)
    derived = smooth.gaussian_derivative(rng.normal(0, 2.0, 200_000), 3.0)[20:-20]
    told = smooth.derivative_noise(np.full(1, 2.0), np.ones(1), 3.0)[0]
    assert np.std(derived) == pytest.approx(told, rel=0.02)


def test_compression_keeps_signs_and_drops_noise() -> None:
    values = np.array([-8.0, -0.5, 0.0, 0.5, 8.0, 27.0])
    out = normalize.compress(values, np.full(6, 1.0), 1 / 3)
    assert out == pytest.approx([-(7 ** (1 / 3)), 0, 0, 0, 7 ** (1 / 3), 26 ** (1 / 3)])


def test_a_recipe_change_changes_its_description() -> None:
    changed = recipe.Recipe("raman-derivative/1", (), (("derivative", {"sigma_cm1": 4.0}),), ())
    assert changed.describe() != recipe.RAMAN.describe()
    assert "sigma_cm1=3" in recipe.RAMAN.describe()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_spline_is_that_of_scipy(seed: int) -> None:
    """Up to rounding: a compiler may fuse multiplication and addition in theirs."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 300))
    x = 200.0 + np.cumsum(rng.uniform(0.05, 5.0, n))
    y = rng.normal(0.0, 10.0 ** rng.integers(-3, 6), n)
    at = np.sort(np.concatenate([x, rng.uniform(x[0], x[-1], 50)]))
    expected = CubicSpline(x, y)(at)
    assert spline.cubic(x, y, at) == pytest.approx(expected, abs=1e-12 * np.abs(expected).max())


def test_grid_keeps_band_positions() -> None:
    x = np.linspace(310, 1900, 700)
    measured = Spectrum(Axis(x, "cm-1"), bands(x, 1001.3, fwhm=12))
    grid = np.arange(302.0, 2304.0)
    out = recipe.on_grid(measured, grid)
    assert out.axis.values[0] == 310.0
    assert abs(out.axis.values[int(np.argmax(out.intensity))] - 1001.3) <= 0.5


@pytest.mark.parametrize(
    ("axis", "code"),
    [
        (Axis(np.arange(5.0), "nm"), "axis_not_wavenumber"),
        (Axis(np.arange(5.0), "cm-1"), "range_too_small"),
    ],
)
def test_grid_refuses(axis: Axis, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        recipe.on_grid(Spectrum(axis, np.zeros(5)), np.arange(302.0, 2304.0))
    assert caught.value.code == code
