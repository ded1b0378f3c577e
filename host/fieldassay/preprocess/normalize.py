"""Scaling of intensities: unit norm and compression of strong bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def unit(values: Floats) -> Floats:
    """Divide by the Euclidean norm; all zeros stay zeros."""
    norm = float(np.linalg.norm(values))
    return values / norm if norm > 0 else values.copy()


def compress(values: Floats, threshold: Floats, power: float = 0.5) -> Floats:
    """Soft threshold, then sign(x) |x|^power, shape (N,).

    The threshold keeps noise from being lifted; the power lets weak bands speak beside strong ones, so that two
    substances sharing one strong band (benzene and sodium sulfate near 993 cm-1) are told apart by all the others.
    """
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0.0) ** power
