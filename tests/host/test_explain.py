"""The fit under every explanation, held to scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from fieldassay.explain import nonnegative_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.integers(1, 5),
    alike=st.sampled_from([1.0, 0.1, 1e-3]),
    noise=st.sampled_from([0.0, 0.1, 10.0]),
)
def test_weights_are_those_of_scipy(seed: int, columns: int, alike: float, noise: float) -> None:
    """Columns from unlike to nearly the same, sums with negative parts, up to pure noise."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(60, 1))
    basis = (1 - alike) * common + alike * rng.normal(size=(60, columns))
    basis *= 10.0 ** rng.integers(-3, 4, columns)
    measured = basis @ rng.normal(size=columns) + noise * rng.normal(size=60)
    expected, distance = nnls(basis, measured)
    weights = nonnegative_weights(basis, measured)
    assert weights.shape == (columns,) and np.all(weights >= 0.0)
    size = float(np.linalg.norm(measured))
    # The least distance is what defines them: not more than scipy's, whatever the rounding.
    assert np.linalg.norm(basis @ weights - measured) <= distance + 1e-9 * size
    if alike > 0.01:
        strength = np.linalg.norm(basis, axis=0)
        assert weights * strength == pytest.approx(expected * strength, abs=1e-6 * size)


def test_the_edges_of_fitting() -> None:
    column = np.array([1.0, -2.0, 3.0])
    twice = np.stack([column, column], axis=1)
    assert twice @ nonnegative_weights(twice, 3 * column) == pytest.approx(3 * column)
    assert not nonnegative_weights(twice, -column).any()
    assert not nonnegative_weights(np.zeros((3, 1)), column).any()
    assert not nonnegative_weights(np.zeros((3, 2)), column).any()
    assert not nonnegative_weights(np.zeros((0, 2)), np.zeros(0)).any()
    assert nonnegative_weights(np.zeros((3, 0)), column).shape == (0,)
