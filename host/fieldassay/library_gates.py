"""Is a spectrum good enough to be a reference? Refusals and flags, each with its reason.

Owns the limits for references, which are stricter than those for measurements: a bad reference
spoils every later verdict. Whether it is a Raman spectrum at all is `plausible`. Pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import LibraryError
from fieldassay.preprocess import baseline, noise
from fieldassay.spectrum import Spectrum

# Chosen for what matching needs, not tuned on data: 400 cm-1 is the least `decide` accepts of a
# measurement, a band of 8 cm-1 needs two points, and the noise of a reference adds to every one.
MIN_RANGE_CM1 = 400.0
NARROW_RANGE_CM1 = 1000.0
MAX_SPACING_CM1 = 8.0
WIDE_SPACING_CM1 = 4.0
MIN_SNR = 10.0
GOOD_SNR = 30.0
FULL_SCALES = (4095.0, 16383.0, 65535.0)  # of 12, 14 and 16 bit converters
FLAT_POINTS = 4
Floats = NDArray[np.float64]


def require_reference(spectrum: Spectrum, grid_cm1: Floats) -> tuple[str, ...]:
    """Refuse what cannot serve as a reference; say what a user of it must know.

    Args:
        spectrum: On an axis in cm-1, baseline in or off.
        grid_cm1: Wavenumbers of the library's columns, shape (D,).

    Returns:
        Flags: "narrow_range", "wide_spacing", "noisy".

    Raises:
        LibraryError: `reference_range_too_small`, `reference_too_coarse`, `reference_saturated`,
            `reference_too_noisy`.
    """
    x = spectrum.axis.values
    inside = (x >= grid_cm1[0]) & (x <= grid_cm1[-1])
    covered = float(np.ptp(x[inside])) if np.count_nonzero(inside) > 1 else 0.0
    if covered < MIN_RANGE_CM1:
        raise LibraryError(
            "reference_range_too_small",
            f"The spectrum covers {covered:.0f} cm-1 of {grid_cm1[0]:.0f} to {grid_cm1[-1]:.0f}.",
            f"Give a spectrum that covers at least {MIN_RANGE_CM1:.0f} cm-1 of that range.",
        )
    spacing = float(np.median(np.diff(x[inside])))
    if spacing > MAX_SPACING_CM1:
        raise LibraryError(
            "reference_too_coarse",
            f"The points are {spacing:.1f} cm-1 apart, too far to show bands.",
            f"Export it with points at most {MAX_SPACING_CM1:.0f} cm-1 apart.",
        )
    values = spectrum.intensity[inside]
    if clipped(values):
        raise LibraryError(
            "reference_saturated",
            "The highest band is cut off flat: the detector was full.",
            "Measure the reference again with less light or a shorter exposure.",
        )
    snr = signal_to_noise(values)
    if snr < MIN_SNR:
        raise LibraryError(
            "reference_too_noisy",
            f"The strongest band is only {snr:.1f} times the noise.",
            f"Average more spectra; a reference needs at least {MIN_SNR:.0f}.",
        )
    flags = (
        ("narrow_range", covered < NARROW_RANGE_CM1),
        ("noisy", snr < GOOD_SNR),
        ("wide_spacing", spacing > WIDE_SPACING_CM1),
    )
    return tuple(name for name, true in flags if true)


def signal_to_noise(values: Floats) -> float:
    """Height of the highest bands over the baseline, in noise standard deviations.

    Args:
        values: Shape (N,). Noise that was smoothed away before makes the result too high.
    """
    if values.size < 5 or float(np.ptp(values)) == 0.0:
        return 0.0
    height = float(np.percentile(values - baseline.asls(values), 99.5))
    return max(height, 0.0) / max(noise.estimate(values), 1e-6 * float(np.ptp(values)))


def clipped(values: Floats) -> bool:
    """True if the maximum is a flat top: a converter at full scale, or a band cut off.

    A top that is flat only because the file rounds its numbers falls off by no more than the
    rounding; one that was cut off falls at once.
    """
    top = float(values.max())
    at_top = values == top
    edges = np.flatnonzero(np.diff(np.concatenate(([0], at_top.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    start, end = int(starts[longest]), int(ends[longest])
    run = end - start
    if top in FULL_SCALES and run >= 2:
        return True
    span = top - float(np.median(values))
    if run < FLAT_POINTS or span <= 0.0:
        return False
    outside = [values[i] for i in (start - 1, end) if 0 <= i < values.size]
    return all(top - float(v) > 0.03 * span for v in outside) or run >= 3 * FLAT_POINTS
