"""The C kernel against its numpy twin: same ranking, same scores, whatever the input."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fieldassay.kernel.search import top_references, top_references_numpy
from fieldassay.library import MATRICES, Library
from fieldassay.library_file import Writer
from fieldassay.library_header import columns_of
from hypothesis import given, settings
from hypothesis import strategies as st


def make_library(rows: np.ndarray, valid: list[tuple[int, int]]) -> Library:
    entries = [
        {
            "substance": "a", "label": str(i), "file": "", "sha256": "", "instrument": "",
            "laser_nm": 785.0, "source": "", "licence": "", "first": first, "last": last,
        }
        for i, (first, last) in enumerate(valid)
    ]  # fmt: skip
    header = {
        "title": "test", "recipe": "test", "entries": entries, "substances": [], "build": {},
        "grid": {"first_cm1": 0, "step_cm1": 1, "columns": rows.shape[1]},
    }  # fmt: skip
    matrix = rows.astype(np.float32)
    file = io.BytesIO()
    writer = Writer(file)
    for name in MATRICES:
        writer.add(name, "<f4", matrix.shape, [matrix], padded=True)
    writer.add("valid", "<i4", (len(valid), 2), [np.array(valid, dtype="<i4")])
    table, profiles = columns_of(entries)
    writer.finish({**header, "entries": table, "profiles": profiles})
    return Library.from_buffer(np.frombuffer(file.getvalue(), dtype=np.uint8))


@st.composite
def problems(draw: st.DrawFn) -> tuple:
    columns = draw(st.integers(2, 70))
    n = draw(st.integers(1, 12))
    variants = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):  # few distinct values: ties and zero rows are common
        rows = rng.integers(-1, 2, (n, columns)).astype(float)
        queries = rng.integers(-1, 2, (variants, columns)).astype(float)
    else:
        rows = rng.normal(0, 10.0 ** rng.integers(-6, 6), (n, columns))
        queries = rng.normal(0, 1, (variants, columns))
    if n > 1 and draw(st.booleans()):
        rows[-1] = rows[0]
    for bad in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 1e38]), max_size=3)):
        rows[rng.integers(n), rng.integers(columns)] = bad
    if draw(st.integers(0, 5)) == 0:
        queries[rng.integers(variants), rng.integers(columns)] = np.nan
    lo = draw(st.integers(0, columns - 1))
    hi = draw(st.integers(lo + 1, columns))
    valid = [tuple(sorted(rng.integers(0, columns + 1, 2).tolist())) for _ in range(n)]
    penalty = np.abs(rng.normal(0, 0.1, variants)) * draw(st.sampled_from([0.0, 1.0]))
    k = draw(st.integers(1, n + 2))
    return rows, valid, queries.astype(np.float32), penalty, (lo, hi), draw(st.integers(0, 9)), k


@settings(max_examples=400, deadline=None)
@given(problems())
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide by zero")
def test_same_ranking_and_scores_as_numpy(problem: tuple) -> None:
    rows, valid, *rest = problem
    library = make_library(rows, valid)
    ours, oracle = top_references(library, *rest), top_references_numpy(library, *rest)
    assert [(h.row, h.variant) for h in ours] == [(h.row, h.variant) for h in oracle]
    assert [h.score for h in ours] == pytest.approx([h.score for h in oracle], abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_are_cosines(seed: int) -> None:
    """Against the plain definition in numpy, not the twin."""
    rng = np.random.default_rng(seed)
    rows, query = rng.normal(size=(20, 300)), rng.normal(size=300).astype(np.float32)
    library = make_library(rows, [(0, 300)] * 20)
    part = library.matrix[:, 40:260].astype(float)
    q = query[40:260].astype(float)
    expected = part @ q / np.linalg.norm(part, axis=1) / np.linalg.norm(q)
    hits = top_references(library, query[None], np.zeros(1), (40, 260), 1, 20)
    assert [h.row for h in hits] == np.argsort(-expected).tolist()
    assert [h.score for h in hits] == pytest.approx(np.sort(expected)[::-1], abs=1e-12)


def test_equal_rows_are_ordered_by_row_number() -> None:
    rows = np.tile(np.sin(np.arange(50.0)), (9, 1))
    library = make_library(rows, [(0, 50)] * 9)
    query = np.cos(np.arange(50.0)).astype(np.float32)[None]
    assert [h.row for h in top_references(library, query, np.zeros(1), (0, 50), 1, 4)] == [
        0, 1, 2, 3,
    ]  # fmt: skip


def test_bad_window_is_an_error_not_a_crash() -> None:
    library = make_library(np.ones((2, 10)), [(0, 10)] * 2)
    with pytest.raises(ValueError, match="refused"):
        top_references(library, np.ones((1, 10), np.float32), np.zeros(1), (5, 99), 1, 2)


def test_queries_of_another_width_are_refused() -> None:
    library = make_library(np.ones((2, 10)), [(0, 10)] * 2)
    with pytest.raises(ValueError, match="refused"):
        top_references(library, np.ones((1, 9), np.float32), np.zeros(1), (0, 9), 1, 2)
