"""The model of sample and instrument behaves as physics does: laws, not particular numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fieldassay_sim.detector import FULL_SCALE_COUNTS, expose, pattern
from fieldassay_sim.optics import Instrument, ambient_light, laser_light
from fieldassay_sim.references import References
from fieldassay_sim.samples import Fluorescence, package
from hypothesis import given, settings
from hypothesis import strategies as st

QUIET = Instrument(prnu=0.0, hot_pixels=0, cosmic_per_s=0.0, dark_e_per_s=0.0)


def frames(instrument, electrons, count, exposure_s=0.1, degc=25.0):
    fixed = pattern(instrument)
    flat = np.full(instrument.pixels, float(electrons))
    return np.array(
        [expose(instrument, fixed, flat, exposure_s, degc, n) for n in range(count)], dtype=float
    )


def position(curve, axis):
    top = curve > curve.max() / 2
    return float(np.average(axis[top], weights=curve[top]))


def test_same_seed_and_frame_number_give_the_same_counts(one_band, no_package):
    light = laser_light(Instrument(seed=5), one_band, no_package, 0.0, 25.0) * 30
    first, again = (
        expose(Instrument(seed=5), pattern(Instrument(seed=5)), light, 0.3, 25.0, 9) for _ in "12"
    )
    other = expose(Instrument(seed=6), pattern(Instrument(seed=6)), light, 0.3, 25.0, 9)
    later = expose(Instrument(seed=5), pattern(Instrument(seed=5)), light, 0.3, 25.0, 10)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, later)


def test_shot_noise_variance_grows_with_the_signal_and_starts_at_the_read_noise():
    levels = np.array([0.0, 4e3, 4e4, 1.6e5])
    variances_e2 = [
        np.var(frames(QUIET, level, 24), axis=0, ddof=1).mean() * QUIET.gain_e_per_count**2
        for level in levels
    ]
    rounding_e2 = QUIET.gain_e_per_count**2 / 12
    expected = levels + QUIET.read_noise_e**2 + rounding_e2
    assert variances_e2 == pytest.approx(expected, rel=0.05)


@given(level=st.floats(100, 1e5), exposure_s=st.floats(0.01, 0.5))
@settings(max_examples=25, deadline=None)
def test_doubling_the_exposure_doubles_the_counts_over_the_bias(level, exposure_s):
    instrument = replace(QUIET, dark_e_per_s=150.0)
    short = frames(instrument, level, 1, exposure_s)[0] - instrument.bias_counts
    long = frames(instrument, 2 * level, 1, 2 * exposure_s)[0] - instrument.bias_counts
    error = 6 * np.sqrt((2 * level + 1000) / instrument.pixels) / instrument.gain_e_per_count
    assert abs(long.mean() - 2 * short.mean()) < error + 0.5


@given(electrons=st.floats(0, 1e13))
@settings(max_examples=40, deadline=None)
def test_counts_are_always_within_the_converter_and_full_pixels_say_so(electrons):
    counts = frames(QUIET, electrons, 1)[0]
    assert counts.min() >= 0
    assert counts.max() <= FULL_SCALE_COUNTS
    if electrons > 1.1 * QUIET.full_well_e:
        assert np.all(counts == FULL_SCALE_COUNTS)
    if electrons < 0.8 * QUIET.full_well_e:
        assert not np.any(counts == FULL_SCALE_COUNTS)


def test_dark_current_doubles_every_seven_degrees_and_hot_pixels_stand_out():
    instrument = Instrument(dark_e_per_s=2000.0, cosmic_per_s=0.0, hot_pixels=5)
    cold, warm = (
        (frames(instrument, 0.0, 4, 1.0, degc) - instrument.bias_counts).mean(axis=0)
        for degc in (25.0, 32.0)
    )
    assert np.median(warm) / np.median(cold) == pytest.approx(2.0, rel=0.05)
    assert np.sum(cold > 10 * np.median(cold)) == 5


def test_fixed_pattern_stays_and_cosmic_rays_come():
    instrument = replace(QUIET, prnu=0.01)
    first = frames(instrument, 1e5, 30).mean(axis=0)
    fixed = np.corrcoef(first, pattern(instrument).gain)[0, 1]
    assert fixed > 0.9
    rainy = replace(QUIET, cosmic_per_s=40.0)
    hits = np.sum(frames(rainy, 0.0, 10, 1.0) > QUIET.bias_counts + 300)
    assert hits > 100
    assert np.sum(frames(QUIET, 0.0, 10, 1.0) > QUIET.bias_counts + 300) == 0


@pytest.mark.parametrize("offset_cm1", [-6.0, 0.0, 4.0])
def test_a_calibration_offset_moves_bands_by_that_much(one_band, no_package, offset_cm1):
    instrument = replace(QUIET, offset_cm1=offset_cm1, drift_cm1_per_degc=0.0, tilt=0.0)
    bands_only = replace(one_band, fluorescence=Fluorescence())
    curve = laser_light(instrument, bands_only, no_package, 0.0, 25.0)
    assert position(curve, instrument.shift_cm1()) == pytest.approx(1000.0 + offset_cm1, abs=0.3)


def test_temperature_drifts_bands(one_band, no_package):
    instrument = replace(QUIET, offset_cm1=0.0, drift_cm1_per_degc=0.1)
    bands_only = replace(one_band, fluorescence=Fluorescence())
    axis = instrument.shift_cm1()
    at = [
        position(laser_light(instrument, bands_only, no_package, 0.0, degc), axis)
        for degc in (25.0, 45.0)
    ]
    assert at[1] - at[0] == pytest.approx(2.0, abs=0.3)


def test_a_wider_instrument_keeps_the_area_and_lowers_the_band(one_band, no_package):
    bands_only = replace(one_band, fluorescence=Fluorescence())
    sharp, wide = (
        laser_light(replace(QUIET, width_cm1=w, tilt=0.0), bands_only, no_package, 0.0, 25.0)
        for w in (8.0, 24.0)
    )
    assert wide.max() < 0.6 * sharp.max()
    assert wide.sum() == pytest.approx(sharp.sum(), rel=0.01)


def test_fluorescence_bleaches_to_its_floor_and_bands_do_not(one_band, no_package):
    glowing = replace(
        one_band, fluorescence=Fluorescence(rate_per_ms=50.0, bleach_j=1.0, floor=0.3)
    )
    axis = QUIET.shift_cm1()
    beside = np.argmin(np.abs(axis - 1300.0))
    on = np.argmin(np.abs(axis - 1000.0 - QUIET.offset_cm1))
    fresh, used = (laser_light(QUIET, glowing, no_package, dose, 25.0) for dose in (0.0, 100.0))
    assert used[beside] / fresh[beside] == pytest.approx(0.3, rel=0.03)
    band = [curve[on] - curve[beside] for curve in (fresh, used)]
    assert band[1] == pytest.approx(band[0], rel=0.15)


def test_room_light_scales_with_its_level_and_needs_no_laser():
    assert np.allclose(ambient_light(QUIET, 2.0), 2.0 * ambient_light(QUIET, 1.0))
    assert ambient_light(QUIET, 1.0).min() > 0


def test_a_polyethylene_bag_adds_polyethylene_bands_and_dims_the_sample(
    sources_dir, one_band, no_package
):
    bag = package("pe_bag", References(sources_dir))
    bands_only = replace(one_band, fluorescence=Fluorescence())
    bare, bagged = (laser_light(QUIET, bands_only, p, 0.0, 25.0) for p in (no_package, bag))
    axis = QUIET.shift_cm1() - QUIET.offset_cm1
    gap = np.abs(axis - 1235.0) < 15.0  # polyethylene has no band here
    for pe_band_cm1 in (1063.0, 1130.0, 1296.0, 1440.0):
        near = np.abs(axis - pe_band_cm1) < 8.0
        assert bagged[near].max() > bare[near].max() + 20
        assert bagged[near].max() - bare[near].max() > 4 * (bagged - bare)[gap].max()
    on = np.argmax(bare)
    assert bagged[on] < 0.9 * bare[on]


def test_glass_adds_a_broad_band_and_no_line(sources_dir, no_package):
    glass = package("glass", References(sources_dir))
    curve = laser_light(QUIET, None, glass, 0.0, 25.0)
    axis = QUIET.shift_cm1()
    assert position(curve, axis) == pytest.approx(1380.0, abs=40.0)
    assert np.ptp(axis[curve > curve.max() / 2]) > 300
    assert laser_light(QUIET, None, no_package, 0.0, 25.0).max() == 0


def test_a_converter_that_bends_loses_most_at_the_top():
    bent = replace(QUIET, nonlinearity=0.06)
    light = 200_000.0
    true = np.mean(frames(QUIET, light, 20)) - QUIET.bias_counts
    said = np.mean(frames(bent, light, 20)) - QUIET.bias_counts
    assert said / true == pytest.approx(1.0 - 0.06 * true / FULL_SCALE_COUNTS, abs=2e-4)
    weak = np.mean(frames(bent, light / 100.0, 20)) / np.mean(frames(QUIET, light / 100.0, 20))
    assert weak == pytest.approx(1.0, abs=2e-3)


def test_a_dark_sample_that_heats_grows_brighter_with_its_dose():
    calm = Fluorescence(rate_per_ms=20.0)
    dark = Fluorescence(rate_per_ms=20.0, rise_per_j=8.0, rise_from_j=0.05)
    assert np.array_equal(dark.curve(0.05), calm.curve(0.05))
    assert dark.curve(0.175).max() == pytest.approx(2.0 * calm.curve(0.0).max())
