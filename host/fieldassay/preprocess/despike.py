"""Removal of cosmic-ray spikes on the native pixel axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import signal

Floats = NDArray[np.float64]


def narrow_spikes(
    values: Floats, noise: Floats, height_sigma: float = 8.0, sharpness: float = 5.0
) -> tuple[Floats, int]:
    """Replace features that are narrower than any band an instrument can show.

    A real band is at least three pixels wide at half height, so two pixels from its top a quarter
    of it is left. A point is a spike if it stands `height_sigma` above the larger of its neighbours
    two and three pixels away on both sides, and `sharpness` times higher above the local floor than
    they do. The local floor is the lower quartile of the 15 points around it. A spike is replaced,
    with its direct neighbours, by the line between the points two away.

    Args:
        values: Shape (N,), native pixels.
        noise: Standard deviation of each point, shape (N,).
        height_sigma: Least height in noise units.
        sharpness: Least ratio of the height to the height two pixels away.

    Returns:
        The cleaned values and the number of spikes.
    """
    return signal.despike(values, noise, height_sigma, sharpness)
