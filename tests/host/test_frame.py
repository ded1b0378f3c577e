"""From the counts of a frame to an identification, without broker, store or unit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fieldassay.calibration import raman_shift_cm1, wavelengths_nm
from fieldassay.frame import Frame
from fieldassay.identify import identify_frame
from fieldassay.library import Library
from fieldassay.preprocess import baseline

COEFFICIENTS = ("803.0", "0.118", "-4e-6")
PIXELS = 1400


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


def frame(library: Library, label: str, electrons: float, **changes: object) -> Frame:
    """Counts of a unit with Poisson and read noise: a reference on the unit's own pixels."""
    rng = np.random.default_rng(6)
    entry = next(e for e in library.entries if e.label == label)
    raw = library.raw[entry.row].astype(float)
    bands = np.maximum(raw - baseline.asls(raw), 0.0)
    nm = wavelengths_nm(tuple(float(c) for c in COEFFICIENTS), PIXELS)
    shape = np.interp(raman_shift_cm1(nm, 785.0), library.grid_cm1, bands, left=0, right=0)
    signal = shape / shape.max() * electrons + 0.3 * electrons

    def summed(n: int, light: np.ndarray | float) -> np.ndarray:
        each = rng.poisson(light, (n, PIXELS)) + rng.normal(0, 8, (n, PIXELS))
        return np.round((each / 2.5 + 500).sum(axis=0)).astype("<u4")

    message = {
        "unit": "u1", "boot": 1, "seq": 2, "time_ms": 0, "clock": "unset", "exposure_us": 500_000,
        "frames": 4, "dark_frames": 2, "full_scale_counts": 65535, "saturated_pixels": 0,
        "raw": SimpleNamespace(tag=70, data=summed(4, signal).tobytes()),
        "dark": SimpleNamespace(tag=70, data=summed(2, 0.0).tobytes()),
        "flags": [], "gain_me_per_count": 2500, "read_noise_me": 8000, "excitation_pm": 785_000,
        "calibration": {"id": "c", "date": "2026-01-01", "coefficients_nm": list(COEFFICIENTS)},
        "answers": {"packaging": "", "sample": ""},
    }  # fmt: skip
    return Frame.from_message(b"", {**message, **changes})


@pytest.mark.parametrize("label", ["acetone", "caffeine", "acetaminophen", "urea", "Ibuprofen"])
def test_counts_become_a_match(library: Library, label: str) -> None:
    spectrum, result = identify_frame(frame(library, label, 40_000), library)
    assert result.verdict.kind == "match"
    assert result.verdict.substances[0].name.lower() == label.lower()
    assert spectrum.noise is not None
    assert result.quality.snr > 50


def test_little_light_is_low_signal(library: Library) -> None:
    _, result = identify_frame(frame(library, "caffeine", 20), library)
    assert result.verdict.reasons[0].code == "low_signal"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"flags": ["saturated"]}, "saturated"), ({"flags": ["interrupted"]}, "interrupted")],
)
def test_what_the_unit_says_counts(library: Library, changes: dict, code: str) -> None:
    _, result = identify_frame(frame(library, "caffeine", 40_000, **changes), library)
    assert (result.verdict.kind, result.verdict.reasons[0].code) == ("inconclusive", code)


def test_one_full_pixel_alone_may_be_a_cosmic_ray(library: Library) -> None:
    _, result = identify_frame(frame(library, "caffeine", 40_000, saturated_pixels=1), library)
    assert result.verdict.kind == "match"
    assert not result.quality.saturated
