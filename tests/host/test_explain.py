"""The fit under every explanation, held to scipy's, and what a stated resolution does to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fieldassay import identify
from fieldassay.explain import Scene, nonnegative_weights
from fieldassay.library import Library
from fieldassay.prepared import prepare
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
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


def scene_of(values: np.ndarray, library: Library, resolution: str) -> Scene:
    spectrum = Spectrum(Axis(library.grid_cm1, "cm-1"), values, meta={"resolution": resolution})
    axis = identify.THRESHOLDS.axis
    return Scene(prepare(spectrum, library, axis), library, 400)


def test_a_stated_resolution_is_believed_only_where_it_helps(library_path: Path) -> None:
    """Lines blurred by 4 cm-1: the difference costs less where file and reference state it."""
    plain = Library.open(library_path)
    row = next(e.row for e in plain.entries if e.substance == "paracetamol"
               or e.substance == "acetaminophen")  # fmt: skip
    entries = tuple(replace(e, resolution_cm1=6.0) for e in plain.entries)
    told = replace(plain, entries=entries)
    blurred = gaussian_filter1d(plain.raw[row].astype(float), 4.0)
    width = np.hypot(6.0, 4.0 * 2.3548)
    assert scene_of(blurred, told, f"{width:.3f} cm-1").told_width_cm1(row) == pytest.approx(
        4.0, abs=0.01
    )
    score = {
        name: scene_of(blurred, library, said).singles(48)[0]
        for name, library, said in (
            ("untold", plain, f"{width:.3f}"), ("told", told, f"{width:.3f} cm-1"),
            ("wrong", told, "2"), ("no number", told, "high"), ("no width", told, "65536"),
        )
    }  # fmt: skip
    assert {e.rows[0] for e in score.values()} == {row}
    assert score["told"].broadening_cm1 == pytest.approx(4.0, abs=0.01)
    assert score["told"].score > score["untold"].score + 0.005
    for name in ("wrong", "no number", "no width"):
        assert score[name].score == score["untold"].score, name
    assert scene_of(blurred, plain, "8").told_width_cm1(row) == 0.0
    assert scene_of(blurred, told, "2").told_width_cm1(row) < 0.0
    assert scene_of(blurred, told, "50").told_width_cm1(row) == 5.0
