"""The planes of a library matrix: small integer copies of its rows and what their bounds need.

Owns their names, shapes and building. Owns no search (`search` does) and no file (`library` does).
What each holds is in native/fa_search.h; docs/explanation/exact-search.md has the reasons. The same
matrix gives the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay._kernel import ffi, lib

Planes = Mapping[str, NDArray[Any]]
PREFIX = int(lib.FA_PREFIX)
LEVEL = int(lib.FA_LEVEL)
BIASES = int(lib.FA_BIASES)
GROUP = int(lib.FA_GROUP)
BOUNDS = int(lib.FA_BOUNDS)
NUMBERS = int(lib.FA_NUMBERS)
ENERGY_STEP = int(lib.FA_ENERGY_STEP)
ALIGN = 64
TYPES: dict[str, tuple[Any, str]] = {
    "basis": (np.float32, "float[]"),
    "prefix": (np.int8, "int8_t[]"),
    "full": (np.int8, "int8_t[]"),
    "bias": (np.int32, "int32_t[]"),
    "bounds": (np.float32, "float[]"),
    "energy": (np.float32, "float[]"),
    "numbers": (np.float64, "double[]"),
}


def shapes(rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    """Shape of each plane of a matrix of `rows` x `columns`."""
    padded_rows = -(-rows // GROUP) * GROUP
    padded = -(-columns // ALIGN) * ALIGN
    return {
        "basis": (PREFIX, padded),
        "prefix": (PREFIX // LEVEL * padded_rows // 16, LEVEL // 4, 16, 4),
        "full": (rows, padded),
        "bias": (BIASES, padded_rows),
        "bounds": (BOUNDS, padded_rows),
        "energy": (padded // ENERGY_STEP + 1, padded_rows),
        "numbers": (NUMBERS,),
    }


def build_planes(matrix: NDArray[np.float32], valid: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Planes of a matrix: name -> C-contiguous array that starts at a multiple of 64 bytes.

    Args:
        matrix: float32, shape (N, D), rows may be padded; columns outside `valid` count as 0.
        valid: Columns [first, last) of each row with data, int32, shape (N, 2).

    Raises:
        ValueError: The matrix is too large (over 65,536 columns) or the shapes do not fit.
    """
    planes = {
        name: _aligned(shape, TYPES[name][0]) for name, shape in shapes(*matrix.shape).items()
    }
    index, _keep = make_index(matrix, valid, planes)
    size = lib.fa_planes_scratch(*matrix.shape)
    scratch = ffi.new("char[]", size)
    if size == 0 or lib.fa_planes_build(index, scratch, size) != lib.FA_OK:
        raise ValueError(f"planes of a matrix of shape {matrix.shape} cannot be built")
    return planes


@cache
def fingerprint() -> str:
    """What tells the planes of this kernel from those of another: a hash of a few built here.

    Stored planes are used only under the fingerprint they were made with, so no change of what
    they hold can be forgotten.
    """
    rows, columns = 2 * GROUP + 3, 3 * ALIGN + 5
    cells = np.arange(rows * columns, dtype=np.int64)
    matrix = ((cells * 7919 % 1009 - 504) / 1024).astype(np.float32).reshape(rows, columns)
    matrix[5] = 0.0
    valid = np.array([(i % 7, columns - i % 5) for i in range(rows)], dtype=np.int32)
    total = hashlib.sha256()
    for name, plane in sorted(build_planes(matrix, valid).items()):
        total.update(f"{name} {plane.dtype.str} {plane.shape} ".encode() + plane.tobytes())
    return total.hexdigest()


def make_index(
    matrix: NDArray[np.float32], valid: NDArray[np.int32], planes: Planes
) -> tuple[Any, list[Any]]:
    """The kernel's `fa_index` of these arrays, and what must live as long; nothing is copied.

    Raises:
        ValueError: A type or a shape is wrong.
    """
    if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.strides[1] not in (0, 4):
        raise ValueError("the matrix must be float32, shape (N, D), with adjacent columns")
    if valid.dtype != np.int32 or valid.shape != (matrix.shape[0], 2):
        raise ValueError("valid must be int32, shape (N, 2)")
    rows, columns = matrix.shape
    stride = max(matrix.strides[0] // 4, columns)
    length = (rows - 1) * stride + columns if rows else 0
    flat = np.lib.stride_tricks.as_strided(matrix, (length,), (4,), writeable=False)
    index = ffi.new("fa_index *")
    keep = [ffi.from_buffer("float[]", flat), ffi.from_buffer("int32_t[]", valid)]
    index.matrix, index.matrix_length = keep[0], length
    index.rows, index.columns, index.stride = rows, columns, stride
    index.valid, index.valid_length = keep[1], valid.size
    for name, shape in shapes(rows, columns).items():
        plane = planes[name]
        if plane.dtype != TYPES[name][0] or plane.shape != shape:
            raise ValueError(f"plane {name!r} must be {TYPES[name][0].__name__}, shape {shape}")
        keep.append(ffi.from_buffer(TYPES[name][1], plane))
        setattr(index, name, keep[-1])
        setattr(index, f"{name}_length", plane.size)
    return index, keep


def _aligned(shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    raw = np.zeros(size + ALIGN, dtype=np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGN
    plane: NDArray[Any] = raw[start : start + size].view(kind).reshape(shape)
    return plane
