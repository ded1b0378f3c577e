"""Axis hypotheses and the kernel on the real library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fieldassay.kernel.search import shifted, top_references, top_references_numpy
from fieldassay.library import Library
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


def test_shift_moves_bands_back() -> None:
    """A band measured 3 too high lies where it belongs in the row for +3."""
    values = np.zeros(100)
    values[53] = 1.0
    rows = shifted(values, np.array([0.0, 3.0, -2.5]))
    assert rows.dtype == np.float32
    assert [int(np.argmax(row)) for row in rows[:2]] == [53, 50]
    assert rows[2][55] == rows[2][56] == 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 79), st.integers(0, 2**32 - 1), st.floats(0, 0.03))
def test_kernel_and_numpy_agree_on_the_real_library(
    library: Library, row: int, seed: int, sigma: float
) -> None:
    rng = np.random.default_rng(seed)
    values = library.matrix[row].astype(float) + rng.normal(0, sigma, library.grid_cm1.size)
    shifts = np.array([0.0, -1.0, 1.0, 2.5])
    arguments = (shifted(values, shifts), 0.002 * shifts**2, (30, 1960), 400, 10)
    ours = top_references(library, *arguments)
    oracle = top_references_numpy(library, *arguments)
    assert [(h.row, h.variant) for h in ours] == [(h.row, h.variant) for h in oracle]
    assert [h.score for h in ours] == pytest.approx([h.score for h in oracle], abs=1e-12)


def test_every_reference_finds_itself_first(library: Library) -> None:
    for entry in library.entries:
        query = library.matrix[entry.row][None]
        best = top_references(library, query, np.zeros(1), (0, library.grid_cm1.size), 400, 1)[0]
        assert (best.row, best.variant) == (entry.row, 0)
        assert best.score == pytest.approx(1.0, abs=1e-6)
