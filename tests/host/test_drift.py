"""A unit whose calibration has drifted is told from one that measured a strange sample."""

from __future__ import annotations

import pytest
from fieldassay.drift import of_unit
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 4.0


def test_a_drifted_unit_and_since_when() -> None:
    history = [(float(t), 0.3) for t in range(5)] + [(5.0 + t, 5.5 + 0.1 * t) for t in range(6)]
    found = of_unit(history, LIMIT)
    assert found.drifted and found.records == 8
    assert found.shift_cm1 == pytest.approx(5.65, abs=0.2)
    assert found.since_s == 5.0
    assert of_unit(list(reversed(history)), LIMIT) == found


def test_one_strange_sample_is_no_drift() -> None:
    assert not of_unit([(0.0, 0.1), (1.0, -0.2), (2.0, 9.0)], LIMIT).drifted
    assert not of_unit([(0.0, 9.0), (1.0, 9.0)], LIMIT).drifted  # two records are too few
    assert not of_unit([], LIMIT).drifted


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(-3.9, 3.9)), max_size=20))
def test_shifts_within_the_limit_never_count(history: list[tuple[float, float]]) -> None:
    found = of_unit(history, LIMIT)
    assert not found.drifted and found.since_s is None


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(-9, -5.5)), min_size=8, max_size=20))
def test_a_unit_that_reads_too_low_is_found_too(history: list[tuple[float, float]]) -> None:
    found = of_unit(history, 2.0)
    assert found.drifted and found.shift_cm1 < 0
