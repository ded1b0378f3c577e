"""Linearity, dark at another temperature and bad pixels, against detectors whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from fieldassay.errors import FrameError
from fieldassay.frame import Calibration, Exposure, Frame
from fieldassay.pixels import GAP_PIXELS, signal_of

PIXELS = 400
OFFSET, GAIN_E, READ_E, FULL = 900.0, 4.0, 12.0, 65535
LOSS = 0.06  # of the light at full scale: what the true curve below takes away
PLAIN = Calibration("c1", "2026-01-01", (800.0, 0.1))
KNOWN = replace(PLAIN, offset_counts=OFFSET, doubling_degc=7.0)


def bent(counts: np.ndarray) -> np.ndarray:
    """What the converter says of so many true counts above the offset: it loses at the top."""
    return counts * (1.0 - LOSS * counts / FULL)


def unbend() -> tuple[float, ...]:
    """The calibration a technician would make: factors fitted to readings against the truth."""
    true = np.linspace(50.0, 64000.0, 60)
    said = bent(true)
    return tuple(np.polynomial.polynomial.polyfit(said, true / said, 3))


def frame(
    raw: np.ndarray,
    dark: np.ndarray,
    calibration: Calibration = KNOWN,
    frames: int = 1,
    dark_frames: int = 1,
    warmer_mdegc: int | None = 0,
) -> Frame:
    return Frame(
        unit="u1", boot=1, seq=1, time_ms=0, clock="synced",
        exposure=Exposure(500_000, frames, dark_frames, FULL, 0, 4000, 12_000),
        raw=np.rint(raw).astype(np.uint32), dark=np.rint(dark).astype(np.uint32),
        flags=(), excitation_pm=785_000, calibration=calibration,
        detector_mdegc=25_000,
        dark_mdegc=None if warmer_mdegc is None else 25_000 - warmer_mdegc,
        answers=MappingProxyType({}), sha256=bytes(32), message=MappingProxyType({}),
    )  # fmt: skip


def band(height: float) -> np.ndarray:
    return height * np.exp(-(((np.arange(PIXELS) - 200.0) / 6.0) ** 2))


def test_nothing_known_is_the_plain_difference() -> None:
    raw = 2 * (OFFSET + band(5000.0))
    given = frame(raw, np.full(PIXELS, 3 * OFFSET), PLAIN, frames=2, dark_frames=3)
    signal = signal_of(given)
    assert np.array_equal(signal.counts, given.raw / 2 - given.dark / 3)
    assert [step.name for step in signal.steps] == ["dark_subtracted/1"]


def test_linearity_restores_the_ratio_of_a_strong_and_a_weak_band() -> None:
    true = band(60000.0) + np.roll(band(6000.0), 100)
    raw = OFFSET + bent(true)
    plain = signal_of(frame(raw, np.full(PIXELS, OFFSET)))
    known = replace(KNOWN, linearity=unbend())
    linear = signal_of(frame(raw, np.full(PIXELS, OFFSET), known))
    wrong = plain.counts[200] / plain.counts[300] / 10.0 - 1.0
    right = linear.counts[200] / linear.counts[300] / 10.0 - 1.0
    assert wrong < -0.04
    assert abs(right) < 0.001
    assert linear.steps[1].name == "linearized/1"


def test_linearizing_the_mean_is_as_good_as_linearizing_each_frame() -> None:
    """Frames that differ by shot noise and by 10 % of bleaching: far less than the noise."""
    rng = np.random.default_rng(3)
    heights = np.linspace(50000.0, 45000.0, 8)
    each = [bent(rng.poisson(band(h) * GAIN_E) / GAIN_E) for h in heights]
    factors = unbend()
    by_mean = np.polynomial.polynomial.polyval(np.mean(each, axis=0), (0.0, *factors))
    by_frame = np.mean([np.polynomial.polynomial.polyval(e, (0.0, *factors)) for e in each], axis=0)
    noise = np.sqrt(45000.0 / GAIN_E / 8)
    assert np.abs(by_mean - by_frame).max() < 0.1 * noise


def test_a_dark_taken_colder_is_scaled_to_the_temperature_of_the_light() -> None:
    current = np.linspace(200.0, 2000.0, PIXELS)  # counts of dark current at the light's 25 degrees
    raw = OFFSET + current + band(3000.0)
    for colder_degc in (-4.0, 2.0, 5.0):
        dark = OFFSET + current / 2.0 ** (colder_degc / 7.0)
        signal = signal_of(frame(raw, dark, warmer_mdegc=round(colder_degc * 1000)))
        assert np.abs(signal.counts - band(3000.0)).max() < 1.5
        unscaled = signal_of(frame(raw, dark, warmer_mdegc=None))
        assert np.abs(unscaled.counts - band(3000.0)).max() > 200.0


def test_the_noise_counts_the_dark_current_where_the_offset_is_known() -> None:
    rng = np.random.default_rng(7)
    current_e, light_e, frames = 8000.0, 2000.0, 3

    def summed(electrons: float) -> np.ndarray:
        each = rng.poisson(electrons, (frames, PIXELS)) + rng.normal(0, READ_E, (frames, PIXELS))
        return (each / GAIN_E + OFFSET).sum(axis=0)

    signals, told, silent = [], [], []
    for _ in range(150):
        raw, dark = summed(current_e + light_e), summed(current_e)
        found = signal_of(frame(raw, dark, frames=frames, dark_frames=frames))
        signals.append(found.counts)
        told.append(found.noise)
        silent.append(signal_of(frame(raw, dark, PLAIN, frames, frames)).noise)
    scatter = np.mean(np.std(signals, axis=0))
    assert np.mean(told) == pytest.approx(scatter, rel=0.03)
    assert np.mean(silent) < 0.5 * scatter


def test_bad_pixels_are_bridged_and_make_no_band() -> None:
    dark = np.full(PIXELS, OFFSET)
    raw = OFFSET + band(8000.0)
    dark[50] += 0.2 * FULL  # hot in this dark frame, by itself
    raw[50] += 0.21 * FULL
    raw[[120, 121, 195]] = OFFSET + 30000.0  # listed: they say what they like
    known = replace(KNOWN, hot_pixels=(120, 121, 195))
    signal = signal_of(frame(raw, dark, known))
    assert np.abs(signal.counts[[50, 120, 121]]).max() < 1.0
    assert signal.steps[-1].parameters["pixels"] == 4
    flank = band(8000.0)[195]
    assert abs(signal.counts[195] - flank) < 2.0 * signal.noise[195]
    assert signal.noise[195] > 3.0 * signal.noise[190]
    others = np.setdiff1d(np.arange(PIXELS), [50, 120, 121, 195])
    assert np.abs(signal.counts - band(8000.0))[others].max() <= 1.0


def test_a_lamp_line_in_the_dark_is_no_row_of_bad_pixels() -> None:
    line = band(30000.0)
    signal = signal_of(frame(OFFSET + line + 100.0, OFFSET + line))
    assert [step.name for step in signal.steps] == ["dark_subtracted/1"]
    assert np.abs(signal.counts - 100.0).max() <= 1.0


@pytest.mark.parametrize(
    "calibration",
    [
        replace(KNOWN, linearity=(1.0, -1e-4)),  # falls again from 5,000 counts on
        replace(KNOWN, hot_pixels=tuple(range(10, 11 + GAP_PIXELS))),
    ],
)
def test_a_calibration_that_cannot_be_right_is_refused(calibration: Calibration) -> None:
    given = frame(OFFSET + band(40000.0), np.full(PIXELS, OFFSET), calibration)
    with pytest.raises(FrameError) as caught:
        signal_of(given)
    assert caught.value.code == "calibration_not_usable"
    assert caught.value.do_next
