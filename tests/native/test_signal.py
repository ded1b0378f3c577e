"""The steps of preprocessing in C against numpy and scipy, on made-up and on real spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fieldassay import library as falib
from fieldassay._kernel import lib
from fieldassay.kernel import signal
from fieldassay.preprocess import smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.linalg import solveh_banded
from scipy.signal import savgol_filter

PATHS = [p for p in (lib.FA_PATH_PLAIN, lib.FA_PATH_AVX2) if lib.fa_path(p)]
BAD = [np.nan, np.inf, -np.inf]
seeds = st.integers(0, 2**32 - 1)


def spectrum(rng: np.random.Generator, n: int) -> np.ndarray:
    """Bands on a broad background, with noise and now and then a spike."""
    x = np.arange(n)
    values = 1000 * np.exp(-(((x - rng.uniform(0, n)) / (n + 1)) ** 2))
    for centre in rng.uniform(0, n, 8):
        values += rng.gamma(1) * 300 * np.exp(-(((x - centre) / rng.uniform(1.5, 12)) ** 2))
    values += rng.normal(0, 5, n)
    values[rng.random(n) < 0.01] += rng.choice([300, 3000])
    return values * 10.0 ** rng.integers(-3, 4)


# -- asymmetric least squares -------------------------------------------------------------------


def asls_scipy(
    values: np.ndarray, smoothness: float, asymmetry: float, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """The baseline and its last weights, by scipy's banded Cholesky."""
    n = values.size
    diagonal = np.full(n, 6.0)
    diagonal[[0, -1]], diagonal[[1, -2]] = 1.0, 5.0
    first = np.full(n, -4.0)
    first[[1, -1]] = -2.0
    bands = np.zeros((3, n))
    bands[0, 2:] = smoothness
    bands[1, 1:] = smoothness * first[1:]
    weights = used = np.ones(n)
    baseline = values
    for _ in range(iterations):
        used = weights
        bands[2] = smoothness * diagonal + weights
        baseline = solveh_banded(bands, weights * values, check_finite=False)
        weights = np.where(values > baseline, asymmetry, 1.0 - asymmetry)
    return baseline, used


def asls_long_double(values: np.ndarray, smoothness: float, weights: np.ndarray) -> np.ndarray:
    """One solution at these weights in numpy's longest numbers, by plain LDL'."""
    n = values.size
    wide = np.longdouble
    c, w = wide(smoothness), weights.astype(wide)
    a = c * np.array([1, 5, *[6] * (n - 4), 5, 1], dtype=wide) + w
    b = c * np.array([-2, *[-4] * (n - 3), -2, 0], dtype=wide)
    d, l1, l2, z = a.copy(), b.copy(), np.full(n, c), w * values.astype(wide)
    for i in range(n):
        if i > 0:
            d[i] -= l1[i - 1] ** 2 * d[i - 1]
            z[i] -= l1[i - 1] * z[i - 1]
        if i > 1:
            d[i] -= l2[i - 2] ** 2 * d[i - 2]
            z[i] -= l2[i - 2] * z[i - 2]
        l1[i] = ((b[i] - (l1[i - 1] * c if i > 0 else 0)) if i + 1 < n else 0) / d[i]
        l2[i] = c / d[i] if i + 2 < n else 0
    for i in range(n - 1, -1, -1):
        z[i] /= d[i]
        z[i] -= l1[i] * z[i + 1] if i + 1 < n else 0
        z[i] -= l2[i] * z[i + 2] if i + 2 < n else 0
    return z.astype(float)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(5, 700), st.sampled_from([0.0, 1.0, 1e3, 1e5]), st.integers(0, 14))
def test_the_baseline_is_that_of_scipy(seed: int, n: int, smoothness: float, rounds: int) -> None:
    values = spectrum(np.random.default_rng(seed), n)
    expected, _ = asls_scipy(values, smoothness, 0.002, rounds)
    found = [signal.asls(values, smoothness, 0.002, rounds, path=path) for path in PATHS]
    assert np.max(np.abs(found[0] - expected)) <= 1e-8 * np.max(np.abs(values))
    assert all(np.array_equal(other, found[0]) for other in found)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(200, 1200), st.sampled_from([1e6, 1e8]))
def test_where_scipy_rounds_the_baseline_still_holds(seed: int, n: int, smoothness: float) -> None:
    """At 1e6 scipy is off by some 1e-7 of the values: ours is held to longer numbers instead."""
    values = spectrum(np.random.default_rng(seed), n)
    before = signal.asls(values, smoothness, 0.01, 7)
    exact = asls_long_double(values, smoothness, np.where(values > before, 0.01, 0.99))
    tolerance = {1e6: 1e-9, 1e8: 1e-6}[smoothness]
    assert np.max(np.abs(signal.asls(values, smoothness, 0.01, 8) - exact)) <= tolerance * np.max(
        np.abs(values)
    )


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 90), st.integers(1, 19))
def test_a_batch_is_its_spectra_one_by_one(seed: int, n: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([spectrum(rng, n) for _ in range(count)])
    if count > 2:
        values[1, rng.integers(n)] = np.nan  # stays in its own lane
    for path in PATHS:
        both, spread = signal.asls_with_spread(values, 1e4, 0.01, 9, path=path)
        assert np.array_equal(both, signal.asls(values, 1e4, 0.01, 9, path=path), equal_nan=True)
        for row, one, own in zip(values, both, spread, strict=True):
            alone, alone_spread = signal.asls_with_spread(row, 1e4, 0.01, 9)
            assert np.array_equal(one, alone, equal_nan=True)
            assert np.array_equal(own, alone_spread, equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(5, 120), st.sampled_from([1.0, 1e3, 1e5]))
def test_the_spread_is_the_diagonal_of_the_inverse(seed: int, n: int, smoothness: float) -> None:
    values = spectrum(np.random.default_rng(seed), n)
    baseline, spread = signal.asls_with_spread(values, smoothness, 0.01, 6)
    _, weights = asls_scipy(values, smoothness, 0.01, 6)
    bend = np.diff(np.eye(n), 2, axis=0)
    inverse = np.linalg.inv(np.diag(weights) + smoothness * bend.T @ bend)
    assert spread == pytest.approx(np.diag(inverse), rel=1e-6)
    assert np.array_equal(baseline, signal.asls(values, smoothness, 0.01, 6))


def test_the_edges_of_baselines() -> None:
    assert signal.asls(np.array([3.0, 1.0, 2.0, 9.0]), 1e6, 0.002, 12).tolist() == [1.0] * 4
    assert signal.asls(np.zeros((0, 7)), 1e6, 0.002, 12).shape == (0, 7)
    line = 3.0 + 2.0 * np.arange(50)
    assert signal.asls(line, 1e6, 0.002, 12) == pytest.approx(line, rel=1e-12)
    for bad in BAD:
        values = line.copy()
        values[20] = bad
        assert np.all(~np.isfinite(signal.asls(values, 1e6, 0.002, 12)))
    for smoothness, asymmetry in [(-1.0, 0.1), (1e13, 0.1), (np.nan, 0.1), (1e6, 0.0), (1e6, 1.0)]:
        with pytest.raises(ValueError, match="refused"):
            signal.asls(line, smoothness, asymmetry, 12)
    with pytest.raises(ValueError, match="refused"):
        signal.asls(np.zeros(0), 1e6, 0.002, 12)


# -- spline ---------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(2, 300), st.booleans())
def test_the_spline_is_that_of_scipy(seed: int, n: int, rising: bool) -> None:
    rng = np.random.default_rng(seed)
    x = 200.0 + np.cumsum(rng.uniform(0.05, 5.0, n))
    y = rng.normal(0.0, 10.0 ** rng.integers(-3, 6), n)
    at = np.concatenate([x, rng.uniform(x[0] - 1, x[-1] + 1, 50)])
    if rising:
        at.sort()
    expected = CubicSpline(x, y)(at)
    assert signal.spline(x, y, at) == pytest.approx(expected, abs=1e-11 * np.abs(expected).max())


def test_the_edges_of_splines() -> None:
    x, y = np.arange(6.0), np.arange(6.0) ** 2
    assert signal.spline(x, y, np.zeros(0)).shape == (0,)
    assert np.isnan(signal.spline(x, y, np.array([np.nan, 2.0]))).tolist() == [True, False]
    for bad in BAD:
        broken = y.copy()
        broken[3] = bad
        assert not np.isfinite(signal.spline(x, broken, np.array([0.5]))).any()
    for wrong in ([0, 1, 1, 2, 3, 4], [0, 1, np.nan, 2, 3, 4], [5, 4, 3, 2, 1, 0]):
        with pytest.raises(ValueError, match="refused"):
            signal.spline(np.array(wrong, dtype=float), y, x)
    with pytest.raises(ValueError, match="refused"):
        signal.spline(x[:1], y[:1], x)


# -- derivatives ----------------------------------------------------------------------------------


def gaussian_derivative_numpy(values: np.ndarray, sigma: float) -> np.ndarray:
    kernel = smooth.derivative_kernel(sigma)
    padded = np.pad(values, kernel.size // 2, mode="reflect", reflect_type="odd")
    return np.convolve(padded, kernel[::-1], mode="valid")


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(2, 600), st.sampled_from([1.0, 3.0, 7.5]))
def test_derivatives_are_convolutions(seed: int, n: int, sigma: float) -> None:
    values = spectrum(np.random.default_rng(seed), n)
    size = 1e-12 * np.max(np.abs(values)) * (1 + 100 / n)  # short ones go on far beyond their size
    expected = gaussian_derivative_numpy(values, sigma)
    assert np.max(np.abs(smooth.gaussian_derivative(values, sigma) - expected)) <= size
    both = expected - gaussian_derivative_numpy(values, 30.0)
    assert np.max(np.abs(smooth.band_derivative(values, sigma, 30.0) - both)) <= 10 * size
    taps = np.random.default_rng(seed).normal(size=9)
    found = [signal.odd_kernel(values, taps, path=path) for path in PATHS]
    assert all(np.array_equal(other, found[0]) for other in found)


def test_the_edges_of_derivatives() -> None:
    taps = np.array([0.5, 0.25])
    assert signal.odd_kernel(np.array([4.0]), taps).tolist() == [0.0]
    assert signal.odd_kernel(np.full(40, 7.0), taps).tolist() == [0.0] * 40
    assert signal.odd_kernel(np.arange(40.0), np.zeros(0)).tolist() == [0.0] * 40
    values = np.zeros(60)
    values[30] = np.nan
    assert np.flatnonzero(np.isnan(signal.odd_kernel(values, taps))).tolist() == [28, 29, 31, 32]
    with pytest.raises(ValueError, match="refused"):
        signal.odd_kernel(np.zeros(0), taps)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(0, 12), st.integers(0, 6), st.integers(0, 2), st.integers(0, 300))
def test_savitzky_golay_is_that_of_scipy(
    seed: int, half: int, order: int, derivative: int, more: int
) -> None:
    window = 2 * half + 1
    order = min(order, window - 1)
    values = spectrum(np.random.default_rng(seed), window + more)
    expected = savgol_filter(values, window, order, deriv=derivative, delta=0.7)
    found = [signal.savgol(values, window, order, derivative, 0.7, path=p) for p in PATHS]
    size = np.max(np.abs(values)) * (1 if derivative == 0 else 50)
    assert np.max(np.abs(found[0] - expected)) <= 1e-10 * size
    assert all(np.array_equal(other, found[0]) for other in found)


@pytest.mark.parametrize(("window", "order", "n"), [(4, 2, 9), (5, 5, 9), (11, 2, 9), (-1, 0, 9)])
def test_savitzky_golay_refuses(window: int, order: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"refused|no Savitzky"):
        signal.savgol(np.zeros(n), window, order)


# -- spikes ---------------------------------------------------------------------------------------


def despike_numpy(
    values: np.ndarray, noise: np.ndarray, height_sigma: float, sharpness: float
) -> tuple[np.ndarray, int]:
    n = values.size
    if n < 15:
        return values.copy(), 0
    clean = values.copy()
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 7, mode="edge"), 15)
    above = values - np.percentile(windows, 25, axis=1)
    spikes = 0
    for i in np.flatnonzero(above > height_sigma * np.maximum(noise, 1e-12)):
        if i < 3 or i > n - 4 or values[i] < values[i - 1] or values[i] < values[i + 1]:
            continue
        shoulder = max(above[i - 2], above[i + 2], above[i - 3], above[i + 3], 0.0)
        if above[i] - shoulder > height_sigma * noise[i] and above[i] > sharpness * shoulder:
            clean[i - 1 : i + 2] = np.interp(
                np.arange(i - 1, i + 2), [i - 2, i + 2], [clean[i - 2], values[i + 2]]
            )
            spikes += 1
    return clean, spikes


@settings(max_examples=200, deadline=None)
@given(seeds, st.integers(0, 400), st.sampled_from([0.0, 1.0, 8.0]), st.booleans(), st.booleans())
@pytest.mark.filterwarnings("ignore:invalid value")
def test_spikes_are_those_of_numpy_to_the_last_bit(
    seed: int, n: int, height: float, coarse: bool, broken: bool
) -> None:
    rng = np.random.default_rng(seed)
    values = spectrum(rng, n)
    noise = np.full(n, 5.0 * 10.0 ** rng.integers(-3, 3))
    if coarse and n:  # ties
        values = np.round(values / (np.std(values) + 1e-9))
        noise = np.round(noise)
    if broken and n:
        values[rng.integers(n, size=2)] = np.nan
        noise[rng.integers(n)] = np.nan
    expected, count = despike_numpy(values, noise, height, 3.0)
    clean, spikes = signal.despike(values, noise, height, 3.0)
    assert spikes == count
    assert np.array_equal(clean, expected, equal_nan=True)


# -- compression and axis hypotheses --------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(0, 200), st.sampled_from([1 / 3, 0.5, 1.0]))
def test_compression_is_a_threshold_and_a_power(seed: int, n: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n) * 10.0 ** rng.uniform(-300, 300, n)
    threshold = np.abs(values) * rng.choice([0.0, 0.5, 2.0], n)
    expected = np.sign(values) * np.maximum(np.abs(values) - threshold, 0.0) ** power
    found = [signal.compress(values, threshold, power, path=path) for path in PATHS]
    assert np.all(np.abs(found[0] - expected) <= 1e-13 * np.abs(expected))
    assert all(np.array_equal(other, found[0]) for other in found)


def test_the_cube_root_is_right_to_two_ulp_over_all_sizes() -> None:
    x = 2.0 ** np.linspace(-1074, 1023.999, 200_001)
    expected = np.cbrt(x)
    found = signal.compress(x, np.zeros(x.size), 1 / 3)
    assert np.max(np.abs(found - expected) / np.spacing(expected)) <= 2.0
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7976931348623157e308])
    out = signal.compress(odd, np.zeros(7), 1 / 3)
    assert np.array_equal(out, np.cbrt(odd), equal_nan=True)
    with pytest.raises(ValueError, match="thresholds"):
        signal.compress(odd, np.zeros(3), 1 / 3)
    with pytest.raises(ValueError, match="refused"):
        signal.compress(odd, np.zeros(7), 0.0)


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(1, 80))
def test_shifted_rows_are_interpolated(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values = spectrum(rng, n)
    shifts = np.concatenate([rng.uniform(-9, 9, 5), np.arange(-2, 2.1, 0.25), [n, -n, 999.0, -1e5]])
    columns = np.arange(n, dtype=float)
    expected = np.array([np.interp(columns + s, columns, values) for s in shifts])
    found = [signal.shifted(values, shifts, path=path) for path in PATHS]
    size = np.abs(values).max()
    assert np.max(np.abs(found[0] - expected)) <= 1e-7 * size
    assert all(np.array_equal(other, found[0]) for other in found)


def test_the_edges_of_shifting() -> None:
    assert signal.shifted(np.arange(4.0), np.zeros(0)).shape == (0, 4)
    values = np.arange(6.0)
    values[3] = np.nan
    rows = signal.shifted(values, np.array([0.5]))
    assert np.flatnonzero(np.isnan(rows[0])).tolist() == [2, 3]
    for wrong in (np.nan, np.inf, 1e7):
        with pytest.raises(ValueError, match="refused"):
            signal.shifted(values, np.array([wrong]))


def test_inputs_are_left_alone_and_other_layouts_are_taken() -> None:
    block = np.random.default_rng(1).normal(size=(40, 3))
    values = block[:, 1]  # strided
    plain = values.copy()
    assert np.array_equal(signal.asls(values, 1e3, 0.1, 5), signal.asls(plain, 1e3, 0.1, 5))
    whole = np.arange(40)
    assert np.array_equal(
        signal.odd_kernel(whole, np.ones(3)), signal.odd_kernel(whole.astype(float), np.ones(3))
    )
    before = block.copy()
    signal.savgol(values, 5, 2)
    signal.despike(values, np.ones(40), 1.0, 1.0)
    assert np.array_equal(block, before)


# -- real spectra ---------------------------------------------------------------------------------


def test_real_references_go_the_same_way_through_c_and_numpy(library_path: Path) -> None:
    library = falib.Library.open(library_path)
    rng = np.random.default_rng(5)
    for row in rng.choice(len(library.entries), 12, replace=False):
        entry = library.entries[row]
        values = library.raw[entry.row, entry.first : entry.last].astype(float)
        size = np.max(np.abs(values))
        expected, _ = asls_scipy(values, 1e5, 0.01, 12)
        assert np.max(np.abs(signal.asls(values, 1e5, 0.01, 12) - expected)) <= 1e-8 * size
        noise = np.full(values.size, 1.4826 * np.median(np.abs(np.diff(values, 2))) / 6**0.5)
        clean, spikes = despike_numpy(values, noise, 8.0, 5.0)
        found, count = signal.despike(values, noise, 8.0, 5.0)
        assert count == spikes and np.array_equal(found, clean)
        bands = gaussian_derivative_numpy(values, 3.0) - gaussian_derivative_numpy(values, 30.0)
        assert np.max(np.abs(smooth.band_derivative(values, 3.0, 30.0) - bands)) <= 1e-11 * size
