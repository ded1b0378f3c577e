"""Agreement of single references and the axis fit in C against plain numpy, on every path."""

from __future__ import annotations

import numpy as np
import pytest
from fieldassay._kernel import lib
from fieldassay.align import powers, response
from fieldassay.kernel import agree
from hypothesis import given, settings
from hypothesis import strategies as st

PATHS = [p for p in (lib.FA_PATH_PLAIN, lib.FA_PATH_AVX2) if lib.fa_path(p)]
PRIOR = {
    "max_shift_cm1": 10.0, "penalty_per_cm1_squared": 0.0003,
    "stretch_sd": 0.0008, "stretch_penalty": 0.003,
}  # fmt: skip
LAGS, SEGMENT, FINE, STRETCHES = (
    lib.FA_AXIS_LAGS, lib.FA_AXIS_SEGMENT, lib.FA_AXIS_FINE, lib.FA_AXIS_STRETCHES
)  # fmt: skip


def spectrum(rng: np.random.Generator, columns: int) -> np.ndarray:
    """Slopes of some bands with a little noise."""
    x = np.arange(columns)
    total = 0.02 * rng.normal(size=columns)
    for centre in rng.uniform(0, columns, 9):
        off = (x - centre) / 4.0
        total -= rng.uniform(0.2, 1.0) * off * np.exp(-0.5 * off**2)
    return total


def compressed(values: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.cbrt(np.maximum(np.abs(values) - threshold, 0.0))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    columns=st.integers(40, 500),
    width=st.sampled_from([0.0, 0.7, 2.5, 5.0]),
    sd=st.sampled_from([0.0, 0.15]),
)
def test_agreement_is_that_of_numpy(seed: int, columns: int, width: float, sd: float) -> None:
    rng = np.random.default_rng(seed)
    rows = np.zeros((5, columns + 3), dtype=np.float32)[:, :columns]
    for row in rows:
        row[:] = spectrum(rng, columns)
    valid = np.array([(i, columns - 2 * i) for i in range(5)], dtype=np.int32)
    linear = rows[2].astype(float) + 0.3 * spectrum(rng, columns)
    threshold = rng.uniform(0.0, 0.1, columns)
    measured = (linear, threshold, compressed(linear, threshold))
    window = (6, columns - 6)
    chosen = np.array([2, 0, 4, 2], dtype=np.int32)
    shifts = np.array([0, 3, -6, 1], dtype=np.int32)
    found = [
        agree.agree(
            agree.Matrix(rows, valid), measured, window, (chosen, shifts), 1 / 3, sd, width, path=p
        )
        for p in PATHS
    ]
    assert len({one.tobytes() for one in found}) == 1
    for one, row, shift in zip(found[0], chosen, shifts, strict=True):
        lo, hi = max(window[0], valid[row, 0]), min(window[1], valid[row, 1])
        basis = rows[row].astype(float)
        if width > 0.0:
            half = int(np.ceil(3.5 * width))
            kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / width) ** 2)
            padded = np.convolve(basis, kernel / kernel.sum(), mode="full")
            basis = padded[half : half + columns]
        basis = basis[lo:hi]
        y, t, a = (part[lo + shift : hi + shift] for part in measured)
        weight = max(float(basis @ y) / float(basis @ basis), 0.0)
        b = compressed(weight * basis, t)
        if sd > 0.0:
            place = (np.arange(columns) - 0.5 * (columns - 1)) * (2.0 / columns)
            b = b * response(a, b, powers(place)[:, lo:hi], sd)
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
        assert one["weight"] == pytest.approx(weight, rel=1e-9, abs=1e-12)
        assert one["agreement"] == pytest.approx(a @ b / norm if norm > 0 else 0.0, abs=1e-9)
        assert one["power"] == pytest.approx(b @ b, rel=1e-8, abs=1e-12)
        assert one["fourth"] == pytest.approx(b**2 @ b**2, rel=1e-8, abs=1e-12)


def test_a_shift_out_of_the_measurement_is_refused() -> None:
    rows = np.ones((2, 50), dtype=np.float32)
    matrix = agree.Matrix(rows, np.array([(0, 50), (0, 50)], dtype=np.int32))
    measured = (np.ones(50), np.zeros(50), np.ones(50))
    row, off = np.zeros(1, dtype=np.int32), np.array([5], dtype=np.int32)
    assert agree.agree(matrix, measured, (5, 45), (row, off), 1 / 3)["agreement"] == 1.0
    with pytest.raises(ValueError, match="refused"):
        agree.agree(matrix, measured, (5, 46), (row, off), 1 / 3)
    with pytest.raises(ValueError, match="refused"):
        agree.agree(matrix, measured, (5, 45), (row + 2, off), 1 / 3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    columns=st.integers(2, 600),
    shift=st.floats(-12, 12),
    stretch=st.floats(-0.01, 0.01),
)
def test_moved_is_interpolation(seed: int, columns: int, shift: float, stretch: float) -> None:
    values = np.random.default_rng(seed).normal(size=columns)
    grid = np.arange(columns, dtype=float)
    wanted = np.interp(grid + shift + stretch * (grid - 0.5 * (columns - 1)), grid, values)
    assert agree.moved(values, shift, stretch) == pytest.approx(wanted, abs=1e-11)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    columns=st.integers(3, 900),
    guess=st.floats(-9, 9),
    off=st.floats(-3, 3),
)
def test_the_axis_fit_is_that_of_numpy(seed: int, columns: int, guess: float, off: float) -> None:
    rng = np.random.default_rng(seed)
    reference = np.cbrt(spectrum(rng, columns))
    reference[: columns // 7] = 0.0
    measured = agree.moved(reference, -off, 0.0005) + 0.1 * rng.normal(size=columns)
    found = agree.axis(measured, reference, guess, PRIOR)
    total, said, shifts, stretches = axis_numpy(measured, reference, guess)
    # Between two pairs that are as good as each other, rounding may choose.
    best = float(total.max())
    i = int(np.argmin(np.abs(guess + shifts - found.shift)))
    assert total[i, int(np.argmin(np.abs(stretches - found.stretch)))] >= best - 1e-9
    without = (total[:, :, None] - said).reshape(total.size, -1)
    ordered = np.sort(without, axis=0)
    if np.all(ordered[-1] - ordered[-2] > 1e-9):
        at, n = np.argmax(without, axis=0), without.shape[1]
        for error, of in (
            (found.shift_error, shifts[at // STRETCHES]),
            (found.stretch_error, stretches[at % STRETCHES]),
        ):
            assert error == pytest.approx(np.sqrt((n - 1) / n * np.sum((of - of.mean()) ** 2)))


def axis_numpy(
    measured: np.ndarray, reference: np.ndarray, guess: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Score of every pair of shift and stretch, what each segment says, and the pairs."""
    used = np.flatnonzero(reference)
    first, last = int(used[0]), int(used[-1]) + 1
    starts = np.arange(0, last - first, SEGMENT)
    padded = np.pad(measured, LAGS)
    own = reference[first:last]
    table = np.array(
        [
            np.add.reduceat(padded[first + lag : last + lag] * own, starts)
            for lag in range(2 * LAGS + 1)
        ]
    )
    middle = np.minimum(starts + SEGMENT // 2, last - first - 1)
    place = first + middle - 0.5 * (reference.size - 1)
    shifts = np.arange(-(LAGS - 1) * FINE, (LAGS - 1) * FINE + 1) / FINE
    widest = 3.0 * PRIOR["stretch_sd"]
    stretches = np.linspace(-widest, widest, STRETCHES)
    local = np.clip(shifts[:, None, None] + stretches[None, :, None] * place, -LAGS, LAGS)
    nearest = np.clip(np.rint(local).astype(int), 1 - LAGS, LAGS - 1)
    rest = local - nearest
    segment = np.arange(starts.size)
    left, mid, right = (table[nearest + LAGS + step, segment] for step in (-1, 0, 1))
    said = mid + 0.5 * rest * (right - left) + 0.5 * rest**2 * (right - 2.0 * mid + left)
    said /= np.linalg.norm(own) * np.linalg.norm(measured[first:last])
    tried = guess + shifts
    toll = (
        PRIOR["penalty_per_cm1_squared"] * tried[:, None] ** 2
        + PRIOR["stretch_penalty"] * (stretches / PRIOR["stretch_sd"]) ** 2
        + np.where(np.abs(tried) > PRIOR["max_shift_cm1"] + 1e-9, 1e3, 0.0)[:, None]
    )
    return said.sum(axis=2) - toll, said, shifts, stretches
