"""Removal of cosmic-ray spikes on the native pixel axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def narrow_spikes(
    values: Floats, noise: Floats, height_sigma: float = 8.0, sharpness: float = 5.0
) -> tuple[Floats, int]:
    """Replace features that are narrower than any band an instrument can show.

    A real band is at least three pixels wide at half height, so two pixels from its top a quarter
    of it is left. A point is a spike if it stands `height_sigma` above the larger of its neighbours
    two and three pixels away on both sides, and `sharpness` times higher above the local floor than
    they do. It is replaced by the line between them, with its direct neighbours.

    Args:
        values: Shape (N,), native pixels.
        noise: Standard deviation of each point, shape (N,).
        height_sigma: Least height in noise units.
        sharpness: Least ratio of the height to the height two pixels away.

    Returns:
        The cleaned values and the number of spikes.
    """
    n = values.size
    if n < 15:
        return values.copy(), 0
    clean = values.copy()
    padded = np.pad(values, 7, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 15)
    floor = np.percentile(windows, 25, axis=1)
    above = values - floor
    spikes = 0
    for i in np.flatnonzero(above > height_sigma * np.maximum(noise, 1e-12)):
        if i < 3 or i > n - 4 or values[i] < values[i - 1] or values[i] < values[i + 1]:
            continue
        shoulder = max(above[i - 2], above[i + 2], above[i - 3], above[i + 3], 0.0)
        if above[i] - shoulder > height_sigma * noise[i] and above[i] > sharpness * shoulder:
            clean[i - 1 : i + 2] = np.interp(
                np.arange(i - 1, i + 2), [i - 2, i + 2], [clean[i - 2], values[i + 2]]
            )
            spikes += 1
    return clean, spikes
