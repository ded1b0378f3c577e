"""Cosmic rays across frames: hits go, real bands stay whatever the sample does, twins agree."""

from __future__ import annotations

import importlib.util
from array import array
from pathlib import Path

import numpy as np
import pytest

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
cosmic = fixture.device_module("cosmic")

PIXELS = 1024
GAIN_ME, READ_ME, BIAS = 4000, 12000, 900
READ2 = cosmic.noise_counts2(READ_ME, GAIN_ME)


def spectrum(rng, width_px, scale=25000.0):
    """Expected counts: bands of one width (full width at half height) on a broad background."""
    x = np.arange(PIXELS)
    light = 3000.0 * np.exp(-(((x - 500.0) / 400.0) ** 2))
    for centre in rng.uniform(20, PIXELS - 20, 12):
        height = scale * rng.uniform(0.02, 1.0)
        light = light + height * np.exp(-4.0 * np.log(2.0) * ((x - centre) / width_px) ** 2)
    return light


def frame_of(rng, light):
    electrons = rng.poisson(light * GAIN_ME / 1000) + rng.normal(0.0, READ_ME / 1000, PIXELS)
    counts = electrons * 1000 / GAIN_ME + BIAS
    return np.clip(np.rint(counts), 0, 65535).astype(np.int64)


def add_up(exposures):
    """(sum as the unit makes it, pixels replaced)."""
    total = array("I", [int(v) for v in exposures[0]])
    replaced = 0
    for taken, values in enumerate(exposures[1:], start=1):
        frame = array("H", [int(v) for v in values])
        replaced += cosmic.reject_plain(total, frame, PIXELS, taken, GAIN_ME, READ2)
        for i in range(PIXELS):
            total[i] += frame[i]
    return np.array(total, dtype=np.int64), replaced


@pytest.mark.parametrize("width_px", [5.0, 6.0, 12.0])
@pytest.mark.parametrize("change", [-0.3, -0.05, 0.0, 0.05, 0.3])
def test_a_sample_that_fades_or_grows_between_frames_loses_nothing(width_px, change):
    """Every band changes by up to 30 % from the first frame to the last.

    Noise alone may look like a hit once in a few million readings; that moves one reading by little
    more than six standard deviations and no band.
    """
    rng = np.random.default_rng(int(width_px * 10 + change * 100 + 50))
    alarms = 0
    for _ in range(20):
        light = spectrum(rng, width_px)
        steps = np.linspace(1.0, 1.0 + change, 5)
        exposures = [frame_of(rng, light * step) for step in steps]
        total, replaced = add_up(exposures)
        alarms += replaced
        if not replaced:
            assert np.array_equal(total, np.sum(exposures, axis=0))
    assert alarms <= 1  # of 81,920 readings


@pytest.mark.parametrize("shift_px", [0.2, 0.5])
def test_an_axis_that_drifts_between_frames_loses_nothing(shift_px):
    rng = np.random.default_rng(8)
    x = np.arange(PIXELS)
    light = spectrum(rng, 6.0)
    exposures = [frame_of(rng, np.interp(x - k * shift_px, x, light)) for k in range(4)]
    total, replaced = add_up(exposures)
    assert replaced == 0
    assert np.array_equal(total, np.sum(exposures, axis=0))


@pytest.mark.parametrize("frames", [2, 5, 12])
def test_hits_in_any_frame_go_and_the_rest_stays(frames):
    """Muons of one to three pixels; the sum is then as near the truth as without them."""
    rng = np.random.default_rng(frames)
    placed = found = 0
    worst = []
    for _ in range(10):
        light = spectrum(rng, 6.0)
        clean = [frame_of(rng, light) for _ in range(frames)]
        hit = [values.copy() for values in clean]
        touched = set()
        for at in rng.choice(np.arange(10, PIXELS - 10, 25), 4, replace=False):
            which = int(rng.integers(frames))
            size = float(rng.uniform(2500.0, 12000.0))
            shares = ((1.0,), (0.75, 0.25), (0.5, 0.5), (0.7, 0.2, 0.1))[int(rng.integers(4))]
            for k, share in enumerate(shares):
                hit[which][at + k] = min(65535, hit[which][at + k] + int(size * share))
                touched.add(int(at + k))
            placed += 1
        total, replaced = add_up(hit)
        found += replaced > 0
        off = np.abs(total / frames - np.mean(clean, axis=0))
        sigma = np.sqrt(np.mean(clean, axis=0) * 1000 / GAIN_ME + READ2)
        worst.append(float((off / sigma).max()))
        untouched = np.setdiff1d(np.arange(PIXELS), sorted(touched))
        near = np.array([i for i in untouched if min(abs(i - t) for t in touched) > 1])
        assert np.array_equal(total[near], np.sum(clean, axis=0)[near])
    assert placed == 40
    assert found == 10
    assert np.median(worst) < 4.0  # a hit of 2,500 counts would be 20 and more
    assert max(worst) < 12.0  # the weak tail of a hit, below six standard deviations of a frame


def test_a_saturated_hit_does_not_saturate_the_sum():
    rng = np.random.default_rng(2)
    exposures = [frame_of(rng, spectrum(rng, 6.0, 3000.0)) for _ in range(2)]
    exposures[1][400] = 65535
    total, replaced = add_up(exposures)
    assert replaced == 1
    assert total[400] == 2 * exposures[0][400]


@pytest.mark.needs("micropython")
def test_viper_and_plain_agree_on_micropython(micropython):
    script = """
import random
from array import array
import cosmic
random.seed(11)
assert cosmic.reject is not cosmic.reject_plain, "viper is not in use"
rejected = 0
for n in (5, 64, 2048):
    for gain, read_me in ((4000, 12000), (100, 900), (60000, 3000)):
        read2 = cosmic.noise_counts2(read_me, gain)
        for taken in (1, 2, 40, 1000):
            level = random.randrange(200, 60000)
            t1 = array("I", [level * taken + random.randrange(taken) for _ in range(n)])
            f1 = array("H", [min(65535, level + random.randrange(40)) for _ in range(n)])
            for _ in range(n // 5):
                k = random.randrange(n)
                if random.random() < 0.5:
                    f1[k] = random.getrandbits(16)
                else:
                    t1[k] = random.getrandbits(16) * taken
            t2 = array("I", t1); f2 = array("H", f1)
            a = cosmic.reject(t1, f1, n, taken, gain, read2)
            b = cosmic.reject_plain(t2, f2, n, taken, gain, read2)
            assert a == b and t1 == t2 and f1 == f2, (n, gain, taken, a, b)
            rejected += a
assert rejected > 1000, rejected
print("same")
"""
    assert micropython(script).stdout.strip() == "same"
