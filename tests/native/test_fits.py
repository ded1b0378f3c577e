"""Fits on the Gram matrix against plain numpy, every subset tried, and scipy's nnls."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from fieldassay._kernel import lib
from fieldassay.kernel import fits
from fieldassay.library import Library
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

PATHS = [p for p in (lib.FA_PATH_PLAIN, lib.FA_PATH_AVX2) if lib.fa_path(p)]


def solve_numpy(
    gram: np.ndarray, along: np.ndarray, groups: np.ndarray | None, ids: tuple[int, ...]
) -> fits.Subset | None:
    """The set `ids` by the definition, or None if it does not count."""
    if groups is not None and len({int(groups[i]) for i in ids}) < len(ids):
        return None
    at = np.array(ids)
    scale = 1 / np.sqrt(np.diag(gram)[at])
    unit = gram[np.ix_(at, at)] * np.outer(scale, scale)
    if np.linalg.det(unit) < 1e-6:
        return None
    weights = np.linalg.solve(unit, along[at] * scale)
    if weights.min() <= 0.0:
        return None
    explained = float(weights @ (along[at] * scale))
    return fits.Subset(ids, tuple((weights * scale).tolist()), explained)


def best_subsets_numpy(
    gram: np.ndarray, along: np.ndarray, groups: np.ndarray | None, size: int, keep: int
) -> list[fits.Subset]:
    every = (solve_numpy(gram, along, groups, ids) for ids in combinations(range(along.size), size))
    return sorted((s for s in every if s), key=lambda s: (-s.explained, s.ids))[:keep]


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows (K, 60) float32, a measurement and groups: alike or not, of any size, some negative."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 40))
    alike = draw(st.sampled_from([0.0, 0.5, 0.95]))
    rows = alike * rng.normal(size=(1, 60)) + (1 - alike) * rng.normal(size=(count, 60))
    rows *= 10.0 ** rng.integers(-3, 4, (count, 1))
    used = np.where(rng.random(count) < 0.15, rng.random(count), 0.0)
    noise = draw(st.sampled_from([0.05, 1.0]))
    measured = used @ rows + noise * rng.normal(size=60)
    groups = None
    if draw(st.booleans()):
        groups = rng.integers(0, max(2, count // 2), count).astype(np.int32)
    return rows.astype(np.float32), measured, groups


def same(ours: list[fits.Subset], oracle: list[fits.Subset]) -> None:
    assert [s.ids for s in ours] == [s.ids for s in oracle]
    assert [s.explained for s in ours] == pytest.approx([s.explained for s in oracle], rel=1e-8)
    for a, b in zip(ours, oracle, strict=True):
        assert a.weights == pytest.approx(b.weights, rel=1e-6)


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 3), st.integers(1, 9))
def test_the_best_sets_are_those_of_trying_all(problem: tuple, size: int, keep: int) -> None:
    rows, measured, groups = problem
    gram, along = fits.gram(rows, (0, 60)), fits.along(rows, measured, (0, 60))
    oracle = best_subsets_numpy(gram, along, groups, size, keep)
    found = [fits.best_subsets(gram, along, groups, size, keep, path=path) for path in PATHS]
    same(found[0], oracle)
    assert all(other == found[0] for other in found)  # to the last bit


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 20), st.integers(21, 60), st.booleans())
def test_gram_and_along_are_weighted_inner_products(
    problem: tuple, lo: int, hi: int, weighted: bool
) -> None:
    rows, measured, _ = problem
    weights = np.random.default_rng(1).random(60) if weighted else None
    w = np.ones(60) if weights is None else weights
    part, m = rows[:, lo:hi].astype(float), measured[lo:hi]
    expected, size = (part * w[lo:hi]) @ part.T, np.linalg.norm(part, axis=1)
    gram = fits.gram(rows, (lo, hi), weights)
    along = fits.along(rows, measured, (lo, hi), weights)
    assert np.all(np.abs(gram - expected) <= 1e-13 * np.outer(size, size))
    assert np.array_equal(gram, gram.T)
    assert np.all(np.abs(along - (part * w[lo:hi]) @ m) <= 1e-13 * size * np.linalg.norm(m))
    for path in PATHS:
        assert np.array_equal(fits.gram(rows, (lo, hi), weights, path=path), gram)
        assert np.array_equal(fits.along(rows, measured, (lo, hi), weights, path=path), along)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_sparse_fits_are_valid_ordered_and_exhaustive_up_to_three(problem: tuple) -> None:
    rows, measured, groups = problem
    gram, along = fits.gram(rows, (0, 60)), fits.along(rows, measured, (0, 60))
    sizes = fits.sparse_nonnegative(gram, along, groups, 5, keep=6)
    assert sizes == fits.sparse_nonnegative(gram, along, groups, 5, keep=6, path=PATHS[0])
    for size in (1, 2, 3):
        assert sizes[size - 1] == fits.best_subsets(gram, along, groups, size, 6)
    for size, found in enumerate(sizes, 1):
        assert found == sorted(found, key=lambda s: (-s.explained, s.ids))
        assert len({s.ids for s in found}) == len(found)
        for subset in found:
            assert len(subset.ids) == size
            oracle = solve_numpy(gram, along, groups, subset.ids)
            assert oracle is not None
            same([subset], [oracle])


def test_a_mixture_of_five_is_found() -> None:
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(20):
        rows = np.abs(rng.normal(size=(200, 300))).astype(np.float32)
        rows -= rows.mean(axis=1, keepdims=True)
        true = np.sort(rng.choice(200, 5, replace=False))
        measured = rng.uniform(0.1, 1.0, 5) @ rows[true] + 0.02 * rng.normal(size=300)
        gram, along = fits.gram(rows, (0, 300)), fits.along(rows, measured, (0, 300))
        found += fits.sparse_nonnegative(gram, along, None, 5)[4][0].ids == tuple(true)
    assert found == 20


@settings(max_examples=200, deadline=None)
@given(problems())
def test_nonnegative_weights_are_those_of_scipy(problem: tuple) -> None:
    rows, measured, _ = problem
    basis = rows.astype(float)
    gram, along = basis @ basis.T, basis @ measured
    weights = fits.nonnegative(gram, along)
    expected, distance = nnls(basis.T, measured)
    size = np.linalg.norm(measured)
    assert np.all(weights >= 0.0)
    assert np.linalg.norm(weights @ basis - measured) <= distance + 1e-10 * size
    strength = np.linalg.norm(basis, axis=1)
    assert np.all(np.abs(weights - expected) * strength <= 1e-10 * size)


def test_twins_in_one_group_never_pair_and_twins_apart_are_too_alike() -> None:
    row = np.array([[1, 2, -1, 0], [1, 2, -1, 0], [0, 1, 0, 1]], dtype=np.float32)
    measured = 2 * row[0].astype(float) + row[2]
    gram, along = fits.gram(row, (0, 4)), fits.along(row, measured, (0, 4))
    pairs = fits.best_subsets(gram, along, None, 2, 9)
    assert [p.ids for p in pairs] == [(0, 2), (1, 2)]  # equal: lower ids first
    assert pairs[0].weights == pytest.approx((2.0, 1.0))
    assert pairs[0].explained == pytest.approx(measured @ measured)
    assert fits.best_subsets(gram, along, None, 3, 9) == []
    groups = np.array([7, 8, 7], dtype=np.int32)
    assert [p.ids for p in fits.best_subsets(gram, along, groups, 2, 9)] == [(1, 2)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0])
@pytest.mark.parametrize("where", ["diagonal", "along", "pair"])
def test_a_bad_reference_is_in_no_set(bad: float, where: str) -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(12, 60))
    gram, along = rows @ rows.T, rows @ rows[:6].sum(axis=0)
    if where == "diagonal":
        gram[3, 3] = bad
    elif where == "along":
        along[3] = bad
    else:
        gram[3, 5] = gram[5, 3] = bad
    for size in (1, 2, 3):
        found = fits.best_subsets(gram, along, None, size, 999)
        assert found and all(np.isfinite(s.explained) for s in found)
        holding = [s.ids for s in found if 3 in s.ids]
        if where == "diagonal" or not np.isfinite(bad):
            wanted = [i for i in holding if where != "pair" or 5 in i]
            assert wanted == []
    if not np.isfinite(bad):
        assert np.all(np.isnan(fits.nonnegative(gram, along)))


def test_edges_and_refusals() -> None:
    empty = np.zeros((0, 0)), np.zeros(0)
    assert fits.best_subsets(*empty, None, 2, 3) == []
    assert fits.sparse_nonnegative(*empty, None, 3) == [[], [], []]
    assert fits.nonnegative(*empty).shape == (0,)
    one = np.eye(2), np.array([-1.0, 2.0])
    assert fits.best_subsets(*one, None, 1, 5) == [fits.Subset((1,), (2.0,), 4.0)]
    assert fits.best_subsets(*one, None, 2, 5) == []
    assert fits.nonnegative(*one).tolist() == [0.0, 2.0]
    assert fits.nonnegative(np.zeros((2, 2)), np.zeros(2)).tolist() == [0.0, 0.0]
    rows = np.ones((2, 4), dtype=np.float32)
    assert fits.gram(rows, (2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    for wrong in [(3, 2), (0, 5)]:
        with pytest.raises(ValueError, match="refused"):
            fits.gram(rows, wrong)
    with pytest.raises(ValueError, match="refused"):
        fits.gram(rows, (0, 4), np.ones(3))
    for size in (0, 4):
        with pytest.raises(ValueError, match="refused"):
            fits.best_subsets(*one, None, size, 5)
    with pytest.raises(ValueError, match="refused"):
        fits.best_subsets(np.eye(2), np.ones(3), None, 2, 5)
    with pytest.raises(ValueError, match="refused"):
        fits.best_subsets(*one, np.zeros(1, dtype=np.int32), 2, 5)
    with pytest.raises(ValueError, match="refused"):
        fits.sparse_nonnegative(*one, None, 6)


def test_padded_rows_are_not_copied_and_other_types_are_taken() -> None:
    block = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    rows = block[:, :13]
    expected = rows.astype(float) @ rows.astype(float).T
    assert fits.gram(rows, (0, 13)) == pytest.approx(expected)
    assert fits.gram(rows.astype(float), (0, 13)) == pytest.approx(expected)
    assert fits.gram(rows[::-1], (0, 13)) == pytest.approx(expected[::-1, ::-1])


def test_real_references_with_their_substances_as_groups(library_path: Path) -> None:
    library = Library.open(library_path)
    rng = np.random.default_rng(8)
    full = [e for e in library.entries if e.first <= 150 and e.last >= 1350]
    chosen = sorted(rng.choice(len(full), min(60, len(full)), replace=False))
    entries = [full[i] for i in chosen]
    rows = library.linear[[e.row for e in entries]]
    names = sorted({e.substance for e in entries})
    groups = np.array([names.index(e.substance) for e in entries], dtype=np.int32)
    unit = rows / np.linalg.norm(rows[:, 150:1350], axis=1, keepdims=True)
    for _ in range(3):
        parts = rng.choice(len(entries), 3, replace=False)
        measured = rng.uniform(0.2, 1, 3) @ unit[parts] + rng.normal(0, 0.003, rows.shape[1])
        gram, along = fits.gram(unit, (150, 1350)), fits.along(unit, measured, (150, 1350))
        for size in (2, 3):
            oracle = best_subsets_numpy(gram, along, groups, size, 5)
            same(fits.best_subsets(gram, along, groups, size, 5), oracle)
