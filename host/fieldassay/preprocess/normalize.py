"""Scaling of intensities: unit norm and compression of strong bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.kernel import signal

Floats = NDArray[np.float64]


def unit(values: Floats) -> Floats:
    """Divide by the Euclidean norm; all zeros stay zeros."""
    norm = float(np.linalg.norm(values))
    return values / norm if norm > 0 else values.copy()


def compress(values: Floats, threshold: Floats, power: float) -> Floats:
    """Soft threshold, then sign(x) |x|^power, shape (N,).

    The threshold keeps noise from being lifted; the power lets weak bands speak beside strong ones,
    so that two substances sharing one strong band (benzene and sodium sulfate near 993 cm-1) are
    told apart by all the others.
    """
    return signal.compress(values, threshold, power)


def threshold(values: Floats, noise: Floats, noise_sigma: float, floor: float) -> Floats:
    """What counts as nothing, shape (N,): `noise_sigma` x noise + `floor` x the strongest value.

    The floor stands for what is no noise and no band either: ripple, stray light, baseline remains.
    """
    strongest = float(np.max(np.abs(values), initial=0.0))
    return noise_sigma * noise + floor * strongest
