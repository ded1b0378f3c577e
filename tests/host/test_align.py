"""Axis, line width and response between instruments: known differences are found again."""

from __future__ import annotations

import numpy as np
import pytest
from fieldassay import align
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = 2002
CENTRED = np.arange(COLUMNS) - 0.5 * (COLUMNS - 1)
PRIOR = {
    "max_shift_cm1": 10.0, "penalty_per_cm1_squared": 0.0003,
    "stretch_sd": 0.0008, "stretch_penalty": 0.003,
}  # fmt: skip


def bands(shift: float = 0.0, stretch: float = 0.0, seed: int = 1, count: int = 14) -> np.ndarray:
    """Derivatives of Gaussian bands of 7 cm-1, where an axis error puts them."""
    rng = np.random.default_rng(seed)
    total = np.zeros(COLUMNS)
    for centre, height in zip(
        rng.uniform(-900, 900, count), rng.uniform(0.3, 1, count), strict=True
    ):
        x = CENTRED - (centre + shift + stretch * centre)
        total += -height * x * np.exp(-0.5 * (x / 4.2) ** 2)
    return np.cbrt(np.where(np.abs(total) > 0.01, total, 0.0))


@settings(max_examples=40, deadline=None)
@given(shift=st.floats(-1.4, 1.4), stretch=st.floats(-0.0015, 0.0015), seed=st.integers(0, 1000))
def test_a_known_axis_error_is_found(shift: float, stretch: float, seed: int) -> None:
    found = align.axis(bands(shift, stretch, seed), bands(seed=seed), 0.0, PRIOR)
    # The prior takes some of a large stretch; what counts is where bands end up.
    at = np.linspace(-800, 800, 9)
    left = (shift + stretch * at) - (found.shift_cm1 + found.stretch * at)
    assert np.abs(left).mean() < 0.45
    assert np.abs(left).mean() < 0.2 + 0.6 * np.abs(shift + stretch * at).mean()
    assert found.witnesses > 3


def test_the_guess_is_added_and_the_prior_bounds_it() -> None:
    measured = bands(1.0)
    found = align.axis(measured, bands(), 5.0, PRIOR)
    assert found.shift_cm1 == pytest.approx(6.0, abs=0.3)
    assert align.axis(measured, bands(), 9.5, PRIOR).shift_cm1 <= 10.1


def test_one_band_has_one_witness_and_nothing_has_none() -> None:
    one = bands(0.4, seed=3, count=1)
    assert align.axis(one, bands(seed=3, count=1), 0.0, PRIOR).witnesses < 2.1
    nothing = np.zeros(COLUMNS)
    assert align.axis(one, nothing, 2.0, PRIOR).witnesses == 0.0
    assert align.axis(nothing, one, 2.0, PRIOR).witnesses == 0.0


def test_moved_reads_where_the_band_was_measured() -> None:
    assert np.abs(
        align.moved(bands(3.0, 0.001), 3.0, 0.001) - bands()
    ).mean() < 0.02  # fmt: skip


def test_broadening_adds_squares_and_keeps_the_area() -> None:
    x = np.arange(200) - 100.0
    narrow = np.exp(-0.5 * (x / 3.0) ** 2)
    wide = align.broadened(narrow, 4.0)
    assert wide.sum() == pytest.approx(narrow.sum(), rel=1e-3)
    assert np.sqrt(np.sum(wide * x**2) / wide.sum()) == pytest.approx(5.0, abs=0.05)
    assert align.broadened(narrow, 0.0) is narrow


def test_a_smooth_response_is_found_and_held_by_the_prior() -> None:
    place = np.linspace(-1, 1, COLUMNS)
    powers = align.powers(place)
    model = bands()
    factor = 1.0 + 0.2 * place - 0.1 * place**2
    found = align.response(model * factor, model, powers, sd=0.15)
    assert found / found.mean() == pytest.approx(factor / factor.mean(), abs=0.02)
    strange = np.roll(model, 300)  # nothing in common: no factor may pretend otherwise
    assert np.ptp(align.response(strange, model, powers, sd=0.15)) < 0.6
    assert np.all(align.response(-model, model, powers, sd=0.15) == 1.0)
    assert np.all(align.response(model, 0 * model, powers, sd=0.15) == 1.0)
