"""Spectra made from measured ones: noise, sums, packaging, fluorescence, with the noise they lack.

Owns the models and says them. Deterministic: every random number comes from the generator given.

Counting noise. The variance of a pixel is read + S / g: S the signal in counts, g the electrons a
count stands for times the number of averaged frames (what the file's header states), `read` what is
seen where the spectrum is lowest. A spectrum scaled down by a < 1 has the variance a^2 (read +
S / g), a fainter measurement would have read + a S / g: the difference is added as Gaussian noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from fieldassay.preprocess import baseline

Floats = NDArray[np.float64]
BANDS_CM1 = (400.0, 1800.0)  # where band areas are taken
ROUNDING_VARIANCE = 0.25  # squared counts; below it nothing can be seen in whole counts
LOWEST_PART = 0.25  # of the pixels: read noise is seen there


@dataclass(frozen=True, slots=True)
class Counts:
    """A measurement in counts.

    Attributes:
        x: Axis, cm-1, shape (N,).
        y: Raw minus dark, shape (N,).
        electrons_per_count: Gain times averaged frames.
    """

    x: Floats
    y: Floats
    electrons_per_count: float

    @property
    def read_variance(self) -> float:
        """Variance that does not come from the signal, in squared counts."""
        signal = _signal(self.y)
        low = signal <= np.quantile(signal, LOWEST_PART)
        noise = white_noise(self.y, low)
        shot = float(signal[low].mean()) / self.electrons_per_count
        return max(noise * noise - shot, ROUNDING_VARIANCE)


def _signal(y: Floats) -> Floats:
    """The signal without most of its noise, never negative: what shot noise is computed from."""
    return np.asarray(np.maximum(uniform_filter1d(y, 5), 0.0), dtype=np.float64)


def white_noise(y: Floats, where: NDArray[np.bool_] | None = None) -> float:
    """Standard deviation of white noise, from third differences (median, so bands do not count)."""
    third = np.abs(np.diff(y, 3))
    if where is not None:
        third = third[where[1:-2]]
    return float(np.median(third) / (0.6745 * np.sqrt(20.0)))


def bands(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """An axis of 1 cm-1 steps (the baseline needs them) and what stands over the baseline."""
    grid = np.arange(np.ceil(x[0]), x[-1])
    values = np.interp(grid, x, y)
    return grid, values - baseline.asls(values)


def band_height(x: Floats, y: Floats) -> float:
    """Height of the strongest band over the baseline, 300 to 2300 cm-1."""
    grid, over = bands(x, y)
    return float(over[(grid >= 300.0) & (grid <= 2300.0)].max())


def band_area(x: Floats, y: Floats) -> float:
    """Area of the bands over the baseline, BANDS_CM1, in counts times cm-1."""
    grid, over = bands(x, y)
    return float(np.maximum(over, 0.0)[(grid >= BANDS_CM1[0]) & (grid <= BANDS_CM1[1])].sum())


def all_counts(x: Floats, y: Floats) -> float:
    """Area of everything over zero, background included, BANDS_CM1."""
    inside = (x >= BANDS_CM1[0]) & (x <= BANDS_CM1[1])
    return float(np.trapezoid(np.maximum(y, 0.0)[inside], x[inside]))


def with_snr(x: Floats, y: Floats, snr: float, rng: np.random.Generator) -> Floats:
    """White noise added: its standard deviation is the height of the strongest band over `snr`."""
    added = rng.normal(0.0, band_height(x, y) / snr, y.size)
    return np.asarray(y + added, dtype=np.float64)


def add(parts: Sequence[tuple[Counts, float]], rng: np.random.Generator) -> Floats:
    """A sum of measurements of one instrument, each scaled, with the noise that scaling removed.

    Args:
        parts: On one axis; scales above 0 and up to 1. The first is the one whose read noise holds.
        rng: Source of the noise added.

    Raises:
        ValueError: A scale is not in (0, 1].
    """
    if any(not 0.0 < scale <= 1.0 for _, scale in parts):
        raise ValueError("scales are above 0 and at most 1: only noise can be added")
    total = np.zeros_like(parts[0][0].y)
    missing = np.full_like(total, parts[0][0].read_variance)
    for part, scale in parts:
        total += scale * part.y
        shot = scale * (1.0 - scale) * _signal(part.y) / part.electrons_per_count
        missing += shot - scale**2 * part.read_variance
    return total + rng.normal(0.0, 1.0, total.size) * np.sqrt(np.maximum(missing, 0.0))


def scales(first: float, second: float, ratio: float) -> tuple[float, float]:
    """Scales for two areas so that they stand as `ratio` to 1, the larger scale being 1."""
    wanted = first / ratio / second
    return (1.0, wanted) if wanted <= 1.0 else (1.0 / wanted, 1.0)


def behind(
    sample: Counts, cover: Floats, transmission: float, share: float, rng: np.random.Generator
) -> Floats:
    """A sample measured through packaging.

    The sample's signal is what laser light through the cover excites and what comes back through
    it: `transmission` squared of it is left. The cover's own bands are added so that their area is
    `share` of all bands.

    Args:
        sample: The measurement without cover.
        cover: Spectrum of the cover on the sample's axis, without noise worth counting.
        transmission: Of the cover, one way, 0 to 1.
        share: Part of the band area that is the cover's, 0 to 1 (exclusive).
        rng: Source of the noise added.
    """
    weakened = add([(sample, transmission**2)], rng)
    own = transmission**2 * band_area(sample.x, sample.y)
    grid, over = bands(sample.x, cover)
    over = np.maximum(np.interp(sample.x, grid, over), 0.0)
    added = over * (own * share / (1.0 - share) / band_area(sample.x, over))
    return weakened + _shot(added, sample, rng)


def fluorescent(sample: Counts, times: float, rng: np.random.Generator) -> Floats:
    """A broad background `times` as high as the strongest band, with its shot noise."""
    hill = np.exp(-(((sample.x - 1300.0) / 900.0) ** 2))
    return sample.y + _shot(times * band_height(sample.x, sample.y) * hill, sample, rng)


def _shot(signal: Floats, sample: Counts, rng: np.random.Generator) -> Floats:
    noise = np.sqrt(np.maximum(signal, 0.0) / sample.electrons_per_count)
    return np.asarray(signal + rng.normal(0.0, 1.0, signal.size) * noise, dtype=np.float64)
