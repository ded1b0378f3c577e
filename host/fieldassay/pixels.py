"""What each pixel saw: sums of counts become a signal and its noise, corrected by the calibration.

Owns linearity, dark at another temperature and pixels that are not to be believed. Works on frames
as they came, so that a record can be corrected again with a better calibration. Axes are
`calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import FrameError
from fieldassay.frame import Frame
from fieldassay.spectrum import Step

Floats = NDArray[np.float64]

HOT_PERMILLE = 100  # of full scale: a dark pixel so far above its neighbours has little range left
HOT_NEIGHBOURS = 7  # pixels on either side that say what a dark pixel should read
GAP_PIXELS = 3  # more bad pixels in a row than this hide a band: then nothing may be drawn there


@dataclass(frozen=True, slots=True)
class Signal:
    """Light of one frame, each of shape (pixels,).

    Attributes:
        counts: Counts above the dark.
        noise: Standard deviation of `counts`.
        steps: What was done, for the record.
    """

    counts: Floats
    noise: Floats
    steps: tuple[Step, ...]


def signal_of(frame: Frame) -> Signal:
    """The mean light of one frame in counts, with noise.

    Linearity is applied to the means of light and dark and not to each frame: the frames of a
    measurement have one exposure, and the error of exchanging mean and curve is half the curvature
    times the variance between frames, under 1e-3 of a count for a sensor that loses 5 % at the top.

    The variance in electrons is the shot noise of the mean light over `frames` and the read noise
    of both means; where the calibration says what a pixel reads without light, the shot noise of
    the dark current too.

    Raises:
        FrameError: `calibration_not_usable`: the linearity turns back within the range measured,
            or more pixels in a row than GAP_PIXELS are not to be believed.
    """
    exposure, known = frame.exposure, frame.calibration
    steps = []
    light = frame.raw / exposure.frames
    dark = frame.dark / exposure.dark_frames
    bad = _bad_pixels(frame, dark)
    gain = np.ones_like(light)  # how much one count more changes the corrected light
    if known.linearity and known.offset_counts is not None:
        light, gain = _linear(light, known.offset_counts, known.linearity, known.id)
        dark, _ = _linear(dark, known.offset_counts, known.linearity, known.id)
        steps.append(Step("linearized/1", {"offset_counts": known.offset_counts}))
    warmer_degc = _warmer_degc(frame)
    if warmer_degc and known.offset_counts is not None and known.doubling_degc is not None:
        factor = 2.0 ** (warmer_degc / known.doubling_degc)
        dark = known.offset_counts + (dark - known.offset_counts) * factor
        steps.append(Step("dark_scaled/1", {"factor": round(factor, 6)}))
    counts = light - dark
    electrons_per_count = exposure.gain_me_per_count / 1000.0
    read_e = exposure.read_noise_me / 1000.0
    shot = np.maximum(counts, 0.0) * electrons_per_count / exposure.frames
    both = 1.0 / exposure.frames + 1.0 / exposure.dark_frames
    variance_e = shot + read_e**2 * both
    if known.offset_counts is not None:
        current_e = np.maximum(dark - known.offset_counts, 0.0) * electrons_per_count
        variance_e = variance_e + current_e * both
    noise = np.sqrt(variance_e) / electrons_per_count * gain
    steps.insert(
        0,
        Step(
            "dark_subtracted/1",
            {"frames": exposure.frames, "dark_frames": exposure.dark_frames},
        ),
    )
    if bad.any():
        counts, noise = _bridged(counts, noise, bad)
        steps.append(Step("pixels_bridged/1", {"pixels": int(bad.sum())}))
    return Signal(counts, noise, tuple(steps))


def _warmer_degc(frame: Frame) -> float:
    """How much warmer the detector was for the light than for the dark; 0 if not known."""
    if frame.dark_mdegc is None or frame.detector_mdegc is None:
        return 0.0
    return (frame.detector_mdegc - frame.dark_mdegc) / 1000.0


def _linear(
    counts: Floats, offset_counts: float, factors: tuple[float, ...], name: str
) -> tuple[Floats, Floats]:
    """(corrected counts, slope): above the offset x becomes x (c0 + c1 x + ...); below, c0 x."""
    above = counts - offset_counts
    x = np.maximum(above, 0.0)
    polynomial = np.polynomial.polynomial.Polynomial([0.0, *factors])
    slope = np.asarray(polynomial.deriv()(x), dtype=np.float64)
    if not np.all(slope > 0.0):
        raise FrameError(
            "calibration_not_usable",
            f"The linearity of calibration {name!r} turns back within the counts measured.",
            "Calibrate the unit again; the measurement is kept as evidence.",
        )
    below = np.minimum(above, 0.0) * factors[0]
    corrected = np.asarray(polynomial(x), dtype=np.float64) + below + offset_counts
    return corrected, slope


def _bad_pixels(frame: Frame, dark: Floats) -> NDArray[np.bool_]:
    """Those of the calibration, and those whose dark leaves too little range for light.

    A high dark over more than GAP_PIXELS in a row is no defect of pixels but light: it stays.
    """
    listed = np.zeros(dark.size, dtype=np.bool_)
    listed[[pixel for pixel in frame.calibration.hot_pixels if pixel < dark.size]] = True
    longest = max((end - start for start, end in _runs(listed)), default=0)
    if longest > GAP_PIXELS:
        raise FrameError(
            "calibration_not_usable",
            f"{longest} pixels in a row are not to be believed "
            f"(calibration {frame.calibration.id!r}).",
            "Calibrate the unit again and look at its detector; the measurement is kept.",
        )
    padded = np.pad(dark, HOT_NEIGHBOURS, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOT_NEIGHBOURS + 1)
    high = dark - np.median(around, axis=1)
    found = high * 1000.0 > HOT_PERMILLE * frame.exposure.full_scale_counts
    for start, end in _runs(found):
        if end - start > GAP_PIXELS:
            found[start:end] = False
    return listed | found


def _runs(bad: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First pixel and the one after the last of each stretch of bad pixels."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], bad.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _bridged(counts: Floats, noise: Floats, bad: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """A straight line between the good neighbours; the noise says that nobody looked there."""
    pixel = np.arange(counts.size)
    good = ~bad
    line = np.interp(pixel, pixel[good], counts[good])
    # The true value may lie as far off the line as it climbs from pixel to pixel nearby.
    climb = np.abs(np.interp(pixel, pixel[good], np.gradient(counts[good])))
    spread = np.interp(pixel, pixel[good], noise[good]) + climb
    return np.where(bad, line, counts), np.where(bad, spread, noise)
