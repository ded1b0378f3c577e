"""The pruned search: always the answer of plain numpy, whatever it skips on whichever path."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fieldassay.kernel import planes as faplanes
from fieldassay.kernel import search
from fieldassay.kernel.search import Index, Work
from hypothesis import given, settings
from hypothesis import strategies as st

PATHS = [
    name for name in ("portable", "avx2", "avx512vnni", "neon", "sdot") if search.use_path(name)
]
search.use_path("")


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    assert search.use_path(request.param)
    yield request.param
    search.use_path("")


def lane_dots(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Inner products summed as the kernel sums: LANES running sums, then the lanes in order."""
    products = rows.astype(np.float64) * query.astype(np.float64)
    lanes = np.zeros((rows.shape[0], search.LANES))
    for start in range(0, rows.shape[1], search.LANES):
        part = products[:, start : start + search.LANES]
        lanes[:, : part.shape[1]] += part
    total = np.zeros(rows.shape[0])
    for lane in lanes.T:
        total = total + lane
    return total


def masked(rows: np.ndarray, valid: np.ndarray) -> np.ndarray:
    out = np.zeros_like(rows)
    for row, (first, last) in enumerate(valid):
        out[row, first:last] = rows[row, first:last]
    return out


def expected_products(rows: np.ndarray, query: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    scores = lane_dots(rows, query)
    usable = np.flatnonzero(np.isfinite(scores))
    order = usable[np.argsort(-scores[usable], kind="stable")][:k]
    return order.tolist(), scores[order].tolist()


def expected_cosines(
    rows: np.ndarray,
    valid: np.ndarray,
    queries: np.ndarray,
    penalty: np.ndarray,
    window: tuple[int, int],
    min_columns: int,
    k: int,
) -> list[tuple[int, int, float]]:
    """The definition, row by row, with the kernel's order of sums (aligned to the first column)."""
    found = []
    for row, (first, last) in enumerate(valid.tolist()):
        lo, hi = max(first, window[0]), min(last, window[1])
        if hi <= lo or hi - lo < min_columns:
            continue
        x = rows[row : row + 1, lo:hi]
        energy = lane_dots(x, x[0])[0]
        best = None
        for variant, query in enumerate(queries[:, lo:hi]):
            both = energy * lane_dots(query[None], query)[0]
            if not np.isfinite(both) or both <= 0.0:
                continue
            ranking = lane_dots(x, query)[0] / np.sqrt(both) - penalty[variant]
            if best is None or ranking > best[0]:
                best = (ranking, variant)
        if best is not None:
            found.append((best[0], row, best[1]))
    found.sort(key=lambda hit: (-hit[0], hit[1]))
    return [(row, variant, ranking + penalty[variant]) for ranking, row, variant in found[:k]]


def spectra(n: int, columns: int, seed: int, classes: int = 60) -> np.ndarray:
    """Class spectra of Lorentzian bands, shifted, with baseline and noise; centred unit rows."""
    rng = np.random.default_rng(seed)
    x = np.arange(columns)
    pure = np.zeros((classes, columns))
    for spectrum in pure:
        for centre in rng.uniform(0, columns, rng.integers(8, 41)):
            spectrum += rng.gamma(0.7) / (1.0 + ((x - centre) / rng.uniform(2, 9)) ** 2)
        spectrum /= spectrum.max()
    t = np.linspace(-1, 1, columns)
    drift = 0.06 * rng.normal(size=(n, 4)) @ np.stack([t**0, t, t**2, t**3])
    rows = pure[rng.integers(0, classes, n)] + drift + 0.01 * rng.normal(size=(n, columns))
    shifts = rng.integers(-2, 3, n)
    rows = np.array([np.roll(row, shift) for row, shift in zip(rows, shifts, strict=True)])
    return unit(rows)


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def questions(rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, rows.shape[0], (2, n))
    mixed = rows[i] + rng.uniform(0, 0.3, (n, 1)) * rows[j]
    return unit(mixed + 0.02 / 10 * rng.normal(size=(n, rows.shape[1])))


def as_lists(hits: np.ndarray) -> tuple[list[int], list[float]]:
    return hits["row"].tolist(), hits["score"].tolist()


@pytest.mark.parametrize(("n", "columns"), [(500, 1024), (2500, 333), (70, 100), (64, 65), (3, 16)])
def test_products_are_exact_on_every_query(n: int, columns: int, path: str) -> None:
    rows = spectra(n, columns, seed=n)
    rng = np.random.default_rng(1)
    noise = unit(rng.normal(size=(20, columns)))
    asked = np.concatenate([questions(rows, 40, 2), noise, rows[:3], -rows[:3], 1e-30 * rows[:2]])
    asked = asked.astype(np.float32)
    index = Index(rows)
    hits, counts = index.nearest_many(asked, 10)
    assert counts.tolist() == [min(10, n)] * len(asked)
    for number, query in enumerate(asked):
        expected = expected_products(rows, query, 10)
        assert as_lists(index.nearest(query, 10)) == expected
        assert as_lists(hits[number, : counts[number]]) == expected
        assert set(hits["variant"][number, : counts[number]]) == {number}


def test_it_prunes(path: str) -> None:
    """Exactness is worth nothing if every row is read: most queries score few rows exactly."""
    rows = spectra(3000, 512, seed=4)
    index, work, scored = Index(rows), Work(), []
    for query in questions(rows, 50, 5):
        index.nearest(query, 10, work)
        assert not work.plain
        scored.append(work.exact_rows)
    assert np.median(scored) < 300  # a tenth


def test_noise_falls_through_to_the_full_codes(path: str) -> None:
    """Where the prefix sees nothing, the full codes still spare most exact scores."""
    rows = spectra(3000, 512, seed=4)
    noise = unit(np.random.default_rng(6).normal(size=(20, 512)))
    index, work = Index(rows), Work()
    for query in noise:
        found = index.nearest(query, 10, work)
        assert as_lists(found) == expected_products(rows, query, 10)
        assert work.exact_rows < 1500


def test_equal_rows_and_near_ties_are_ordered_by_row(path: str) -> None:
    rng = np.random.default_rng(7)
    base = unit(rng.normal(size=(1, 200)))
    rows = np.repeat(base, 300, axis=0)
    rows[100:200] = np.nextafter(rows[100:200], np.float32(1))  # differ in the last bit
    rows[rng.permutation(300)[:60]] *= np.float32(1 + 2**-23)
    for query in (base[0], unit(rng.normal(size=(1, 200)))[0]):
        for k in (1, 10, 150, 299, 300, 400):
            assert as_lists(Index(rows).nearest(query, k)) == expected_products(rows, query, k)


def test_a_larger_k_than_rows_gives_every_row() -> None:
    rows = spectra(100, 64, seed=8)
    assert sorted(Index(rows).nearest(rows[0], 1000)["row"].tolist()) == list(range(100))


def cosine_case(n: int, columns: int, variants: int, seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    rows = spectra(n, columns, seed) * rng.uniform(0.1, 30, (n, 1)).astype(np.float32)
    valid = np.tile(np.array([0, columns], np.int32), (n, 1))
    valid[::3] = np.sort(rng.integers(0, columns + 1, (len(valid[::3]), 2)), axis=1)
    source = np.roll(rows[rng.integers(n)], 2) + 0.01 * rng.normal(size=columns)
    shifts = np.linspace(-6, 6, variants)
    return rows, valid, search.shifted(source, shifts), 0.002 * shifts**2


@pytest.mark.parametrize("window", [(0, 700), (33, 612), (100, 101), (5, 20), (300, 450)])
@pytest.mark.parametrize("k", [1, 10, 400])
def test_masked_variants_are_those_of_the_definition(window: tuple, k: int, path: str) -> None:
    rows, valid, queries, penalty = cosine_case(450, 700, 9, seed=3)
    work = Work()
    ours = Index(rows, valid).search(queries, penalty, window, 12, k, work)
    assert ours.tolist() == expected_cosines(rows, valid, queries, penalty, window, 12, k)
    assert work.plain == (k == 400)


@st.composite
def problems(draw: st.DrawFn) -> tuple:
    columns = draw(st.integers(1, 200))
    n = draw(st.integers(1, 150))
    variants = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["few values", "scales", "few directions", "tiny", "huge"]))
    if kind == "few values":
        rows = rng.integers(-1, 2, (n, columns)).astype(float)
        queries = rng.integers(-1, 2, (variants, columns)).astype(float)
    elif kind == "scales":
        rows = rng.normal(0, 1, (n, columns)) * 10.0 ** rng.integers(-30, 30, (n, 1))
        queries = rng.normal(0, 1, (variants, columns)) * 10.0 ** rng.integers(-30, 30)
    elif kind == "few directions":
        rows = rng.normal(size=(n, 2)) @ rng.normal(size=(2, columns))
        queries = rng.normal(size=(variants, 2)) @ rng.normal(size=(2, columns))
    else:
        size = 1e-44 if kind == "tiny" else 3e38
        rows = rng.uniform(-size, size, (n, columns))
        queries = rng.uniform(-size, size, (variants, columns))
    rows[rng.integers(0, n, n // 3)] = rows[0]
    for bad in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0]), max_size=3)):
        rows[rng.integers(n), rng.integers(columns)] = bad
    if draw(st.integers(0, 5)) == 0:
        queries[rng.integers(variants), rng.integers(columns)] = np.nan
    lo = draw(st.integers(0, columns - 1))
    hi = draw(st.integers(lo + 1, columns))
    valid = np.tile(np.array([0, columns], np.int32), (n, 1))
    if draw(st.booleans()):
        valid[:] = np.sort(rng.integers(0, columns + 1, (n, 2)), axis=1)
    penalty = rng.normal(0, 0.1, variants) * draw(st.sampled_from([0.0, 1.0, 1e5]))
    with np.errstate(over="ignore"):
        rows, queries = rows.astype(np.float32), queries.astype(np.float32)
    return (
        rows,
        valid,
        queries,
        penalty,
        (lo, hi),
        draw(st.integers(0, 9)),
        draw(st.integers(1, n + 2)),
    )


@pytest.mark.parametrize("name", PATHS)
@settings(max_examples=150, deadline=None)
@given(problems())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_input_gives_the_answer_of_numpy(name: str, problem: tuple) -> None:
    rows, valid, queries, penalty, window, min_columns, k = problem
    search.use_path(name)
    try:
        index = Index(rows, valid)
        ours = index.search(queries, penalty, window, min_columns, k)
        products = [as_lists(index.nearest(query, k)) for query in queries]
    finally:
        search.use_path("")
    assert ours.tolist() == expected_cosines(rows, valid, queries, penalty, window, min_columns, k)
    for query, found in zip(queries, products, strict=True):
        assert found == ranged_products(rows, valid, query, k)


def ranged_products(
    rows: np.ndarray, valid: np.ndarray, query: np.ndarray, k: int
) -> tuple[list[int], list[float]]:
    """The definition for rows with valid columns of their own."""
    found = []
    for row, (first, last) in enumerate(valid.tolist()):
        if last > first:
            score = lane_dots(rows[row : row + 1, first:last], query[first:last])[0]
            if np.isfinite(score):
                found.append((-score, row))
    found.sort()
    return [row for _, row in found[:k]], [-score for score, _ in found[:k]]


@pytest.mark.parametrize("shape", [(1, 1), (5, 64), (200, 130), (65, 1024)])
def test_planes_are_what_the_header_says(shape: tuple[int, int], path: str) -> None:
    """Against float64 numpy: each stored number is what it stands for, rounded the safe way."""
    rng = np.random.default_rng(9)
    n, columns = shape
    rows = (spectra(n, columns, 1) if columns > 1 else np.ones(shape, np.float32)) * np.float32(7)
    valid = np.sort(rng.integers(0, columns + 1, (n, 2)), axis=1).astype(np.int32)
    valid[::2] = [0, columns]
    planes = faplanes.build_planes(rows, valid)
    inside = masked(rows, valid).astype(np.float64)
    norm = np.linalg.norm(inside, axis=1)
    alive = norm > 0
    x = np.zeros((n, planes["full"].shape[1]))
    x[alive, :columns] = inside[alive] / norm[alive, None]
    basis = planes["basis"].astype(np.float64)
    *levels, full_scale, full_error, stored_norm = planes["bounds"][:, :n][:, alive]
    x, n_alive = x[alive], int(alive.sum())
    gram = basis @ basis.T
    spanned = np.diag(gram) > 0.5
    assert (
        np.linalg.norm(gram[np.ix_(spanned, spanned)] - np.eye(spanned.sum()), 2)
        <= planes["numbers"][0]
    )
    assert not basis[~spanned].any()
    z = x @ basis.T
    full = planes["full"][alive].astype(np.float64)
    tiny = 1e-7  # of the unit row's own rounding to float, which the slack accounts for
    sums = []
    for level, part in enumerate(np.split(planes["prefix"], len(basis) // faplanes.LEVEL)):
        codes = part.transpose(0, 2, 1, 3).reshape(-1, faplanes.LEVEL)[:n][alive].astype(float)
        scale, error, rest = levels[3 * level : 3 * level + 3]
        so_far = slice(0, (level + 1) * faplanes.LEVEL)
        own = z[:, level * faplanes.LEVEL : so_far.stop]
        assert (np.linalg.norm(own - scale[:, None] * codes, axis=1) <= error + tiny).all()
        assert (np.linalg.norm(x - z[:, so_far] @ basis[so_far], axis=1) <= rest).all()
        assert (error <= 0.04).all() and abs(codes).max(initial=0) <= 127
        sums.append(codes.sum(axis=1))
    sums.append(full.sum(axis=1))
    assert (np.linalg.norm(x - full_scale[:, None] * full, axis=1) <= full_error + tiny).all()
    assert (full_error <= full_scale * 0.51 * columns**0.5 + tiny).all()
    assert (stored_norm >= norm[alive]).all() and (stored_norm <= norm[alive] * 1.000002).all()
    bias = planes["bias"][:, :n][:, alive]
    assert (bias == -128 * np.stack(sums)).all()
    steps = np.concatenate([np.zeros((n_alive, 1)), np.cumsum(x**2, axis=1)[:, 15::16]], axis=1)
    assert (abs(planes["energy"][:, :n][:, alive].T - steps) <= 3e-7).all()
    assert abs(full).max(initial=0) <= 127


def test_planes_have_the_same_bytes_on_every_path() -> None:
    rows = spectra(300, 200, seed=11)
    valid = np.tile(np.array([0, 200], np.int32), (300, 1))
    built = []
    for name in PATHS:
        search.use_path(name)
        built.append({k: v.tobytes() for k, v in faplanes.build_planes(rows, valid).items()})
    search.use_path("")
    assert all(one == built[0] for one in built)
    assert all(v.ctypes.data % 64 == 0 for v in faplanes.build_planes(rows, valid).values())


def test_every_path_does_the_same_work() -> None:
    """Integer sums and bounds are the same, so even what is skipped is the same."""
    rows = spectra(900, 300, seed=12)
    index, done = Index(rows), []
    for name in PATHS:
        search.use_path(name)
        work, each = Work(), []
        for query in questions(rows, 20, 13):
            index.nearest(query, 10, work)
            each.append((work.int8_rows, work.exact_rows))
        done.append(each)
    search.use_path("")
    assert all(one == done[0] for one in done)


def test_unusable_values_have_defined_results(path: str) -> None:
    rows = spectra(200, 90, seed=14)
    rows[3, 5], rows[4, 6], rows[5] = np.nan, np.inf, 0.0
    index = Index(rows)
    query = questions(rows[10:], 1, 15)[0]
    with np.errstate(invalid="ignore"):
        assert as_lists(index.nearest(query, 200)) == expected_products(rows, query, 200)
    for bad in (np.nan, np.inf):
        assert index.nearest(np.full(90, bad, np.float32), 5).size == 0
        assert index.search(np.full((1, 90), bad, np.float32), np.zeros(1), (0, 90), 1, 5).size == 0
    assert index.nearest(np.zeros(90, np.float32), 3)["row"].tolist() == [0, 1, 2]
    assert index.search(np.zeros((2, 90), np.float32), np.zeros(2), (0, 90), 1, 5).size == 0
    empty = Index(np.empty((0, 90), np.float32))
    assert empty.nearest(query, 5).size == 0


def test_what_does_not_fit_is_refused() -> None:
    rows = spectra(70, 40, seed=16)
    index = Index(rows)
    query = rows[0]
    for bad in (query[:39], np.tile(query, (2, 1)), query.astype(np.float64)):
        with pytest.raises(ValueError):
            index.nearest(bad, 5)
    for window, k in [((5, 5), 3), ((0, 41), 3), ((0, 40), 0)]:
        with pytest.raises(ValueError, match="refused"):
            index.search(rows[:2], np.zeros(2), window, 1, k)
    with pytest.raises(ValueError, match="refused"):
        index.search(rows[:2], np.zeros(1), (0, 40), 1, 3)
    with pytest.raises(ValueError, match="shape"):
        Index(rows, planes={**index.planes, "full": index.planes["full"][:-1]})
    with pytest.raises(ValueError, match="shape"):
        Index(rows[:65], planes=index.planes)
    assert not search.use_path("no such processor")


def test_rows_may_be_padded_and_read_only() -> None:
    wide = np.zeros((130, 96), np.float32)
    wide[:, :90] = spectra(130, 90, seed=17)
    rows = wide[:, :90]
    rows.setflags(write=False)
    query = questions(rows, 1, 18)[0]
    assert as_lists(Index(rows).nearest(query, 7)) == expected_products(rows, query, 7)
