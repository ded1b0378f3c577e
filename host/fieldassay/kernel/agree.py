"""How well single references explain a measurement, and which axis suits them best.

Owns the calls of `native/fa_agree.h`, which says what bad input gives. Owns no hypotheses and no
priors (`explain`, `align`). The numpy twins are in tests/native/test_agree.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fieldassay._kernel import ffi, lib

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
_BEST = int(lib.FA_PATH_BEST)
_doubles = ffi.typeof("double[]")
_floats = ffi.typeof("float[]")
_numbers = ffi.typeof("int32_t[]")
_found = ffi.typeof("fa_agreement[]")
_view = ffi.from_buffer
AGREEMENT = np.dtype([("weight", "<f8"), ("agreement", "<f8"), ("power", "<f8"), ("fourth", "<f8")])


class Matrix:
    """Rows that references are taken from, and their columns with data: views, nothing is copied.

    Args:
        rows: float32, shape (N, D); rows may be padded.
        valid: Columns [first, last) of each row with data, int32, shape (N, 2).
    """

    def __init__(self, rows: Rows, valid: NDArray[np.int32]) -> None:
        if rows.dtype != np.float32 or rows.strides[1] != 4 or rows.strides[0] < 4 * rows.shape[1]:
            rows = np.ascontiguousarray(rows, dtype=np.float32)
        valid = np.ascontiguousarray(valid, dtype=np.int32)
        count, columns = rows.shape
        stride = rows.strides[0] // 4
        flat = np.lib.stride_tricks.as_strided(
            rows, ((count - 1) * stride + columns,), (4,), writeable=False
        )
        self._keep = (flat, valid)
        self.columns = columns
        self.arguments = (
            _view(_floats, flat), flat.size, count, columns, stride,
            _view(_numbers, valid), valid.size,
        )  # fmt: skip


def agree(
    matrix: Matrix,
    measured: tuple[Floats, Floats, Floats],
    window: tuple[int, int],
    hypotheses: tuple[NDArray[np.int32], NDArray[np.int32]],
    power: float,
    response_sd: float = 0.0,
    broadening_columns: float = 0.0,
    *,
    path: int = _BEST,
) -> NDArray[np.void]:
    """Agreement of references with a measurement, dtype `AGREEMENT`, in the order of `hypotheses`.

    Args:
        matrix: Where the references are.
        measured: Derivative, its threshold, and the derivative compressed with it, float64, (D,).
        window: Columns [lo, hi) of the references that are compared, where they have data.
        hypotheses: The row of each, and by how many columns its bands are measured too high.
        power: Of the compression.
        response_sd: Prior of the smooth difference in response; 0: none is fitted.
        broadening_columns: Standard deviation of the Gaussian that makes the references broader.
        path: For tests: which instructions (`FA_PATH_*`).

    Raises:
        ValueError: A size or number is out of range, or a shift leads outside the measurement.
    """
    rows, shifts = hypotheses
    out = np.empty(rows.size, AGREEMENT)
    half, taps = _taps(broadening_columns)
    work = np.empty(3 * matrix.columns + 2 * half)
    linear, threshold, compressed = measured
    size = min(linear.size, threshold.size, compressed.size)
    _check(
        lib.fa_agree(
            *matrix.arguments, _view(_doubles, linear), _view(_doubles, threshold),
            _view(_doubles, compressed), size, window[0], window[1], power, response_sd,
            _view(_doubles, taps), taps.size, half, _view(_numbers, rows),
            _view(_numbers, shifts), min(rows.size, shifts.size), _view(_found, out), out.size,
            _view(_doubles, work), work.size, path,
        )
    )  # fmt: skip
    return out


def moved(values: Floats, shift: float, stretch: float, *, path: int = _BEST) -> Floats:
    """`values` at i + shift + stretch (i - middle), shape (D,): linear between the columns."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty(values.size)
    _check(
        lib.fa_moved(
            _view(_doubles, values), values.size, values.size, shift, stretch,
            _view(_doubles, out), out.size, path,
        )
    )  # fmt: skip
    return out


def broadened(values: Floats, sigma_columns: float, *, path: int = _BEST) -> Floats:
    """Convolution with a Gaussian, shape (D,); 0 is taken beyond the ends."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    half, taps = _taps(sigma_columns)
    out, work = np.empty(values.size), np.empty(values.size + 2 * half)
    _check(
        lib.fa_even_kernel(
            _view(_doubles, values), values.size, values.size, _view(_doubles, taps), taps.size,
            half, _view(_doubles, out), out.size, _view(_doubles, work), work.size, path,
        )
    )  # fmt: skip
    return out


class AxisFound(NamedTuple):
    """See `align.AxisFit`."""

    shift: float
    stretch: float
    shift_error: float
    stretch_error: float
    witnesses: float


def axis(
    measured: Floats, reference: Floats, guess: float, prior: Mapping[str, float]
) -> AxisFound:
    """Shift and stretch that bring two compressed derivatives together best; see `align.axis`."""
    measured = np.ascontiguousarray(measured, dtype=np.float64)
    reference = np.ascontiguousarray(reference, dtype=np.float64)
    found: Any = ffi.new("fa_axis_found *")
    believed = ffi.new(
        "fa_axis_prior *",
        (
            prior["max_shift_cm1"], prior["penalty_per_cm1_squared"],
            prior["stretch_sd"], prior["stretch_penalty"],
        ),
    )  # fmt: skip
    work = np.empty(lib.fa_axis_work(reference.size))
    _check(
        lib.fa_axis(
            _view(_doubles, measured), measured.size, _view(_doubles, reference), reference.size,
            reference.size, guess, believed, found, _view(_doubles, work), work.size,
        )
    )  # fmt: skip
    return AxisFound(
        found.shift, found.stretch, found.shift_error, found.stretch_error, found.witnesses
    )


@lru_cache(maxsize=64)
def _taps(sigma_columns: float) -> tuple[int, Floats]:
    """Columns to each side, and the right half of a Gaussian of area 1, shape (half + 1,)."""
    if not sigma_columns > 0.0:
        return 0, np.ones(1)
    half = int(np.ceil(3.5 * sigma_columns))
    taps = np.exp(-0.5 * (np.arange(half + 1) / sigma_columns) ** 2)
    taps /= taps[0] + 2.0 * float(taps[1:].sum())
    taps.setflags(write=False)
    return half, taps


def _check(status: int) -> None:
    if status != lib.FA_OK:
        raise ValueError(f"the kernel refused its arguments ({status})")
