"""From photoelectrons to ADC counts: dark current, noise, fixed pattern, cosmics, saturation.

Pure and seeded: the same instrument, light and frame number give the same counts. Light is
`optics`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay_sim.optics import Instrument

Floats = NDArray[np.float64]
FULL_SCALE_COUNTS = 65535
POISSON_LIMIT = 1e9  # above it the pixel is full many times over; keeps the generator in its range


@dataclass(frozen=True, slots=True)
class Pattern:
    """Fixed for a detector's life, each of shape (pixels,): gain factor, offset, dark factor."""

    gain: Floats
    offset_counts: Floats
    dark: Floats


def pattern(instrument: Instrument) -> Pattern:
    """The detector's fixed pattern, from the instrument's seed alone."""
    rng = np.random.default_rng([instrument.seed, 0xF1])
    gain = rng.normal(1.0, instrument.prnu, instrument.pixels)
    offset = instrument.bias_counts + rng.normal(0.0, 4.0, instrument.pixels)
    dark = rng.lognormal(0.0, 0.12, instrument.pixels)
    hot = rng.choice(instrument.pixels, instrument.hot_pixels, replace=False)
    dark[hot] *= 30.0
    return Pattern(gain, offset, dark)


def expose(
    instrument: Instrument,
    fixed: Pattern,
    electrons: Floats,
    exposure_s: float,
    detector_degc: float,
    frame: int,
) -> NDArray[np.uint16]:
    """Read one frame.

    Args:
        instrument: The unit.
        fixed: Its `pattern`.
        electrons: Expected photoelectrons of this exposure, shape (pixels,), >= 0.
        exposure_s: Duration, for dark current and cosmic rays.
        detector_degc: Detector temperature.
        frame: Number of the frame since the unit was made; decides the noise together with the
            seed.

    Returns:
        Counts 0..65535, shape (pixels,); 65535 where a pixel or the ADC is full.
    """
    rng = np.random.default_rng([instrument.seed, 0xF2, frame])
    dark = instrument.dark_rate(detector_degc) * fixed.dark * exposure_s
    expected = np.minimum(electrons * fixed.gain + dark, POISSON_LIMIT)
    collected = rng.poisson(expected).astype(np.float64)
    for _ in range(int(rng.poisson(instrument.cosmic_per_s * exposure_s))):
        _hit(collected, rng)
    full = collected >= instrument.full_well_e
    np.minimum(collected, instrument.full_well_e, out=collected)
    collected += rng.normal(0.0, instrument.read_noise_e, instrument.pixels)
    above = collected / instrument.gain_e_per_count
    above *= 1.0 - instrument.nonlinearity * above / FULL_SCALE_COUNTS
    counts = np.rint(above + fixed.offset_counts)
    counts[full] = FULL_SCALE_COUNTS
    return np.clip(counts, 0, FULL_SCALE_COUNTS).astype(np.uint16)


def _hit(collected: Floats, rng: np.random.Generator) -> None:
    # A muon leaves a few thousand electrons in one to three neighbouring pixels.
    at = int(rng.integers(0, collected.size))
    energy = float(rng.lognormal(np.log(8000.0), 0.7))
    for step, share in enumerate((0.7, 0.2, 0.1)[: int(rng.integers(1, 4))]):
        if at + step < collected.size:
            collected[at + step] += energy * share
