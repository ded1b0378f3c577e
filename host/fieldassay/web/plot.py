"""What the plot of a record needs: scaled curves with few digits, bands as a table. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BANDS = 15
MIN_PROMINENCE = 0.03  # of the highest band; lower ones are lost in the line width of the plot
REFERENCES = 4  # more lines than this cannot be told apart


def _digits(values: Floats, scale: float) -> list[float | None]:
    """Four significant figures of full scale: finer than any screen, a third of the bytes.

    Where there is no value (the reference ends) there is None.
    """
    return [round(v, 4) if math.isfinite(v) else None for v in (values / scale).tolist()]


def prominences(values: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Maxima and how far each stands out: its height over the higher of the two valleys beside it.

    A valley ends at the next higher value or at the end; a flat top counts once, in its middle. A
    test holds this to scipy.signal.find_peaks, whose import would cost a third of the host's start.

    Args:
        values: A curve, length N, finite.

    Returns:
        Indices of the maxima, increasing, and their prominences in the unit of `values`.
    """
    steps = np.flatnonzero(np.diff(values))
    first, last = np.append(0, steps + 1), np.append(steps, values.size - 1)
    height = values[first]
    inner = np.flatnonzero((height[1:-1] > height[:-2]) & (height[1:-1] > height[2:])) + 1
    peaks = (first[inner] + last[inner]) // 2
    rise = np.empty(peaks.size)
    for k, peak in enumerate(peaks):
        higher = np.flatnonzero(values > values[peak])
        after = np.searchsorted(higher, peak)
        left = higher[after - 1] + 1 if after else 0
        right = higher[after] if after < higher.size else values.size
        rise[k] = values[peak] - max(values[left : peak + 1].min(), values[peak:right].min())
    return peaks, rise


def bands(axis_cm1: Floats, measured: Floats, fit: Floats) -> list[dict[str, float | None]]:
    """The strongest bands of the measured curve, in the order of the axis.

    Args:
        axis_cm1: Positions in cm-1, length N, increasing.
        measured: Measured curve, length N.
        fit: Best explanation on the same axis and scale, length N; NaN where there is none.

    Returns:
        Up to 15 of `{"cm1", "measured_percent", "fit_percent"}`, percent of the highest value.
    """
    top = float(measured.max(initial=0.0))
    if top <= 0:
        return []
    peaks, rise = prominences(measured)
    peaks, rise = peaks[rise >= MIN_PROMINENCE * top], rise[rise >= MIN_PROMINENCE * top]
    strongest = np.sort(peaks[np.argsort(rise)[::-1][:BANDS]])
    return [
        {
            "cm1": round(float(axis_cm1[i]), 1),
            "measured_percent": round(100 * float(measured[i]) / top),
            "fit_percent": round(100 * float(fit[i]) / top) if math.isfinite(fit[i]) else None,
        }
        for i in strongest
    ]


def plot_json(overlay: Mapping[str, Any]) -> dict[str, Any]:
    """The overlay of `identify.overlay`, scaled to the highest measured value, with its bands.

    Args:
        overlay: Equal-length lists `axis_cm1`, `measured`, `fit` (empty if nothing explains it);
            `references`: name and values.
    """
    axis = np.asarray(overlay["axis_cm1"], dtype=np.float64)
    measured = np.asarray(overlay["measured"], dtype=np.float64)
    fit = np.asarray(overlay["fit"], dtype=np.float64)
    top = float(np.abs(measured).max(initial=0.0)) or 1.0
    return {
        "axis_cm1": [round(float(x), 2) for x in axis],
        "measured": _digits(measured, top),
        "fit": _digits(fit, top) if fit.size else [],
        "references": [
            {
                "name": reference["name"],
                "values": _digits(np.asarray(reference["values"], dtype=np.float64), top),
            }
            for reference in list(overlay["references"])[:REFERENCES]
        ],
        "bands": bands(axis, measured, fit if fit.size else np.full_like(measured, np.nan)),
    }
