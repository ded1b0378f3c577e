"""Pixels to wavenumbers, dark subtraction and noise, and the frame they come from."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from fieldassay.calibration import raman_shift_cm1, spectrum_of, to_wavenumber
from fieldassay.errors import FormatError, FrameError
from fieldassay.frame import Frame
from fieldassay.spectrum import Axis, Spectrum
from fieldassay_wire import cbor
from hypothesis import given
from hypothesis import strategies as st

PIXELS = 256


def message(**changes: object) -> dict:
    rng = np.random.default_rng(1)
    raw = rng.poisson(4000, PIXELS).astype("<u4")
    base = {
        "v": 1, "unit": "u1", "boot": 3, "seq": 9, "time_ms": 1_700_000_000_000, "clock": "synced",
        "uptime_ms": 5, "exposure_us": 500_000, "frames": 4, "dark_frames": 2,
        "raw": cbor.TypedArray(70, raw.tobytes()),
        "dark": cbor.TypedArray(70, np.full(PIXELS, 600, "<u4").tobytes()),
        "full_scale_counts": 65535, "saturated_pixels": 0, "flags": ["clock_unset"],
        "gain_me_per_count": 2500, "read_noise_me": 8000, "excitation_pm": 785_000,
        "laser_set_uw": 1, "laser_uw": 1, "laser_mdegc": 1, "detector_mdegc": 1,
        "calibration": {"id": "c1", "date": "2026-01-01", "coefficients_nm": ["805", "0.55"]},
        "selftest": {"ok": True, "checks": {}}, "firmware": {"version": "1", "sha256": b""},
        "answers": {"packaging": "polyethylene", "sample": ""}, "series": 0, "spot": 0,
        "battery_mv": 1, "a_later_field": [1],
    }  # fmt: skip
    return {**base, **changes}


def test_frame_is_typed_frozen_and_does_not_copy() -> None:
    content = message()
    frame = Frame.from_message(b"sealed bytes", content)
    assert frame.record_id == "u1-3-9"
    assert frame.sha256 == hashlib.sha256(b"sealed bytes").digest()
    assert frame.flags == ("clock_unset",)
    assert frame.answers["packaging"] == "polyethylene"
    assert frame.message["a_later_field"] == [1]
    assert not frame.raw.flags.writeable
    assert not frame.raw.flags.owndata
    assert np.shares_memory(frame.raw, np.frombuffer(content["raw"].data, "<u4"))


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 0},
        {"dark_frames": 0},
        {"gain_me_per_count": 0},
        {"raw": cbor.TypedArray(70, bytes(4 * 17))},
        {"raw": [1, 2]},
        {"raw": cbor.TypedArray(69, bytes(2 * PIXELS))},
        {"calibration": {"id": "c", "date": "d", "coefficients_nm": ["soon"]}},
        {"calibration": {"id": "c", "date": "d", "coefficients_nm": []}},
        {"answers": None},
    ],
)
def test_inconsistent_frames_are_refused(changes: dict) -> None:
    with pytest.raises(FrameError) as caught:
        Frame.from_message(b"", message(**changes))
    assert caught.value.code == "frame_inconsistent"


def test_a_missing_field_is_refused() -> None:
    content = message()
    del content["exposure_us"]
    with pytest.raises(FrameError):
        Frame.from_message(b"", content)


def test_spectrum_is_dark_subtracted_mean_on_wavenumbers() -> None:
    frame = Frame.from_message(b"", message())
    spectrum = spectrum_of(frame)
    assert spectrum.axis.unit == "cm-1"
    assert spectrum.axis.values[0] == pytest.approx(1e7 / 785 - 1e7 / 805)
    assert spectrum.intensity == pytest.approx(frame.raw / 4 - 300)
    assert [s.name for s in spectrum.steps] == ["dark_subtracted/1", "to_wavenumber/1"]
    assert spectrum.meta["excitation_nm"] == "785"


def test_noise_is_what_repeated_measurements_scatter() -> None:
    """Simulated electrons: shot noise, read noise, co-adding; told noise against true scatter."""
    rng = np.random.default_rng(4)
    gain, read, frames, darks, mean_e = 2.5, 8.0, 4, 2, 3000.0

    def summed(n: int, electrons: float) -> np.ndarray:
        each = rng.poisson(electrons, (n, PIXELS)) + rng.normal(0, read, (n, PIXELS))
        return np.round((each / gain + 1000).sum(axis=0)).astype("<u4")

    signals, told = [], []
    for _ in range(200):
        content = message(
            raw=cbor.TypedArray(70, summed(frames, mean_e).tobytes()),
            dark=cbor.TypedArray(70, summed(darks, 0.0).tobytes()),
        )
        spectrum = spectrum_of(Frame.from_message(b"", content))
        signals.append(spectrum.intensity)
        told.append(spectrum.noise)
    assert np.mean(told) == pytest.approx(np.mean(np.std(signals, axis=0)), rel=0.03)


def test_a_calibration_that_runs_backwards_is_refused() -> None:
    calibration = {"id": "c1", "date": "2026-01-01", "coefficients_nm": ["900", "-0.5"]}
    frame = Frame.from_message(b"", message(calibration=calibration))
    with pytest.raises(FrameError) as caught:
        spectrum_of(frame)
    assert caught.value.code == "calibration_not_usable"


def test_silicon_is_where_it_belongs() -> None:
    assert raman_shift_cm1(np.array([818.5]), 785.0)[0] == pytest.approx(521, abs=1.5)


@given(st.floats(400, 1100))
def test_zero_shift_is_the_laser_line(excitation_nm: float) -> None:
    assert raman_shift_cm1(np.array([excitation_nm]), excitation_nm)[0] == pytest.approx(
        0, abs=1e-6
    )


def test_to_wavenumber_leaves_wavenumbers_alone() -> None:
    spectrum = Spectrum(Axis(np.arange(3.0), "cm-1"), np.zeros(3))
    assert to_wavenumber(spectrum, None) is spectrum


@pytest.mark.parametrize(
    ("unit", "excitation_nm", "code"),
    [
        ("px", 785.0, "axis_in_pixels"),
        ("nm", None, "excitation_unknown"),
        ("nm", 0.785, "excitation_out_of_range"),
        ("nm", float("nan"), "excitation_out_of_range"),
    ],
)
def test_to_wavenumber_refuses(unit: str, excitation_nm: float | None, code: str) -> None:
    spectrum = Spectrum(Axis(np.arange(800.0, 803.0), unit), np.zeros(3))
    with pytest.raises(FormatError) as caught:
        to_wavenumber(spectrum, excitation_nm)
    assert caught.value.code == code
