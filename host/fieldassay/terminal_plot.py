"""Curves as text: braille dots on a terminal that shows them, asterisks elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BRAILLE = 0x2800
# Dot numbers of a braille cell, by row and column; fixed by Unicode.
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
LABEL = 11


def curve(
    axis_cm1: Sequence[float],
    values: Sequence[float],
    span: tuple[float, float],
    width: int = 100,
    height: int = 8,
    braille: bool = True,
) -> list[str]:
    """One curve as `height` lines and an axis line below.

    Each column of dots shows the lowest to the highest value that falls into it, so that no narrow
    band is lost.

    Args:
        axis_cm1: Positions, increasing, shape (N,).
        values: Shape (N,); NaN draws nothing.
        span: Values of the lowest and the highest dot; what lies beyond is cut off.
        width: Characters a line, the label of the height included; at least 40.
        height: Lines, at least 2.
        braille: False: plain ASCII.
    """
    x, y = np.asarray(axis_cm1, dtype=np.float64), np.asarray(values, dtype=np.float64)
    columns, rows = max(width, 40) - LABEL, max(height, 2)
    across, down = (2, 4) if braille else (1, 1)
    lit = _dots(x, y, span, columns * across, rows * down)
    lines = []
    for row in range(rows):
        label = span[1] if row == 0 else span[0] if row == rows - 1 else None
        text = " " * (LABEL - 1) if label is None else f"{label:>{LABEL - 1}.4g}"
        cells = lit[row * down : (row + 1) * down]
        lines.append(f"{text} {_line(cells, braille)}".rstrip())
    left, right = f"{x[0]:.0f}", f"{x[-1]:.0f} cm-1"
    lines.append(" " * LABEL + left + right.rjust(columns - len(left)))
    return lines


def _dots(
    x: Floats, y: Floats, span: tuple[float, float], wide: int, high: int
) -> NDArray[np.bool_]:
    lit = np.zeros((high, wide), dtype=np.bool_)
    scale = (high - 1) / max(span[1] - span[0], 1e-300)
    place = np.minimum(((x - x[0]) / max(x[-1] - x[0], 1e-300) * wide).astype(int), wide - 1)
    level = np.clip(np.rint((y - span[0]) * scale), 0, high - 1)
    before: tuple[int, int] | None = None
    for column in range(wide):
        here = level[(place == column) & np.isfinite(level)]
        if here.size == 0:
            continue
        low, top = int(here.min()), int(here.max())
        if before is not None:  # close the gap to the column before, so that steep flanks show
            low, top = min(low, before[1] + 1), max(top, before[0] - 1)
        lit[high - 1 - top : high - low, column] = True
        before = int(here.min()), int(here.max())
    return lit


def _line(cells: NDArray[np.bool_], braille: bool) -> str:
    if not braille:
        return "".join("*" if on else " " for on in cells[0])
    blocks = cells.reshape(4, -1, 2).transpose(1, 0, 2)
    text = "".join(chr(BRAILLE + int(DOTS[block].sum())) for block in blocks)
    return text.replace(chr(BRAILLE), " ")  # a blank cell is wider than a space in some fonts
