"""Relative intensity response of a unit from a luminescent glass or a lamp of known spectrum. Pure.

Owns the certificates (intensity.toml) and the fit. The response is counts over certified photons
per cm-1, so it holds optics, detector and the width of a pixel in cm-1. It is valid between `low`
and `high` only: nothing is known outside.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fieldassay.errors import CalibrationError

Floats = NDArray[np.float64]
ORDERS = range(1, 8)  # the unit's file holds eight coefficients
BLOCKS = 16  # left out in turn to choose the order
BETTER = 1.05  # a lower order is taken if it is worse by less than this
FAINT = 0.02  # of the greatest response: below, the glass says too little
MISFIT = 0.05  # relative, rms: more is not smooth
SHARE = 0.5  # of the detector that must be covered
NEAR_NM = 3.0  # a certificate holds for the laser wavelength it was made with


@dataclass(frozen=True, slots=True)
class Certificate:
    """Relative intensity against Raman shift, see intensity.toml."""

    name: str
    title: str
    laser_nm: float
    form: str
    coefficients: tuple[float, ...]
    range_cm1: tuple[float, float]
    source: str

    def intensity(self, shift_cm1: Floats) -> Floats:
        """Relative photons per cm-1 at Raman shifts; NaN outside the certified range."""
        x = np.asarray(shift_cm1, dtype=np.float64)
        inside = (x >= self.range_cm1[0]) & (x <= self.range_cm1[1])
        x = np.clip(x, *self.range_cm1)
        if self.form == "polynomial":
            value = np.polynomial.polynomial.polyval(x, np.array(self.coefficients))
        else:
            height, width, ratio, centre, slope, base = self.coefficients
            inner = np.log((x - centre) * (ratio**2 - 1.0) / (width * ratio) + 1.0)
            bell = np.exp(-np.log(2.0) / np.log(ratio) ** 2 * inner**2)
            value = height * bell + slope * x + base
        return np.where(inside, value, np.nan)


@dataclass(frozen=True, slots=True)
class Response:
    """A fitted response, 1 at its maximum.

    Attributes:
        id: What it was measured with and where it holds; travels in the unit's file.
        coefficients: Ascending powers of the pixel number.
        low, high: First and last pixel it holds for.
        misfit: Relative rms of the points about the curve.
        error: Relative standard uncertainty of the curve from the fit, its greatest within.
    """

    id: str
    coefficients: tuple[float, ...]
    low: int
    high: int
    misfit: float
    error: float

    def at(self, pixels: Floats) -> Floats:
        """Response at pixels; NaN where it does not hold."""
        pixels = np.asarray(pixels, dtype=np.float64)
        value = np.polynomial.polynomial.polyval(pixels, np.array(self.coefficients))
        return np.where((pixels >= self.low) & (pixels <= self.high), value, np.nan)


@cache
def certificates() -> dict[str, Certificate]:
    """Every certificate by name."""
    text = files("fieldassay").joinpath("calibrate/intensity.toml").read_text(encoding="utf-8")
    return {
        name: Certificate(
            name,
            entry["title"],
            float(entry["laser_nm"]),
            entry["form"],
            tuple(float(c) for c in entry["coefficients"]),
            (float(entry["range_cm1"][0]), float(entry["range_cm1"][1])),
            entry["source"],
        )
        for name, entry in tomllib.loads(text).items()
    }


def certificate(name: str) -> Certificate:
    """One certificate.

    Raises:
        CalibrationError: `intensity_standard_unknown`.
    """
    known = certificates()
    if name not in known:
        raise CalibrationError(
            "intensity_standard_unknown",
            f"There is no certified intensity called {name!r}.",
            f"Use one of: {', '.join(known)}; or a lamp's polynomial.",
        )
    return known[name]


def lamp(
    coefficients: Sequence[float], laser_nm: float, range_cm1: tuple[float, float]
) -> Certificate:
    """A lamp of known spectrum: polynomial in the Raman shift, ascending powers."""
    given = tuple(float(c) for c in coefficients)
    return Certificate("lamp", "lamp", laser_nm, "polynomial", given, range_cm1, "given")


def fit(values: Floats, shift_cm1: Floats, laser_nm: float, known: Certificate) -> Response:
    """Fit the response of a unit.

    Each order is judged by blocks of pixels left out in turn, relative to the response; the lowest
    that is nearly as good as the best is taken.

    Args:
        values: Dark-subtracted counts of the glass, one for each pixel, shape (N,).
        shift_cm1: Raman shift of each pixel, calibrated, shape (N,).
        laser_nm: Of the unit.
        known: The certificate.

    Raises:
        CalibrationError: `response_refused`, with the reason.
    """
    if abs(laser_nm - known.laser_nm) > NEAR_NM:
        raise _refused(f"{known.title} is certified for {known.laser_nm:g} nm, not {laser_nm:.1f}.")
    values = np.asarray(values, dtype=np.float64)
    ratio = values / known.intensity(shift_cm1)
    usable = np.flatnonzero(np.isfinite(ratio))
    if usable.size < values.size * SHARE:
        raise _refused(f"The certificate covers {usable.size} of {values.size} pixels only.")
    smooth = np.full(values.size, np.nan)
    smooth[usable] = _medians(ratio[usable])
    top = float(np.nanmax(smooth))
    if not top > 0.0:
        raise _refused("There is no light.")
    bright = np.flatnonzero(smooth > FAINT * top)
    low, high = int(bright[0]), int(bright[-1])
    if high - low + 1 < values.size * SHARE:
        raise _refused("The glass gives enough light on less than half of the detector.")
    at = np.arange(low, high + 1)
    weight = 1.0 / np.maximum(smooth[at], FAINT * top)
    t = (2.0 * at - low - high) / max(1, high - low)
    order = _order(t, ratio[at], weight)
    design = np.polynomial.chebyshev.chebvander(t, order) * weight[:, None]
    solved, *_ = np.linalg.lstsq(design, ratio[at] * weight, rcond=None)
    off = design @ solved - ratio[at] * weight
    misfit = float(np.sqrt(np.mean(off**2)))
    if misfit > MISFIT:
        raise _refused(f"The response is {100 * misfit:.1f} % rms off a smooth curve.")
    curve = np.polynomial.chebyshev.chebval(t, solved)
    if not np.all(curve > 0.0):
        raise _refused("The fitted response is not positive everywhere.")
    covariance = np.linalg.inv(design.T @ design) * float(off @ off) / max(1, at.size - order - 1)
    error = np.sqrt(np.einsum("ij,jk,ik->i", design, covariance, design)).max()
    inner = np.polynomial.Polynomial([-(low + high) / (high - low), 2.0 / (high - low)])
    power = np.polynomial.Polynomial(np.polynomial.chebyshev.cheb2poly(solved))(inner)
    coefficients = tuple(float(c) for c in np.asarray(power.coef) / curve.max())
    return Response(f"{known.name} px {low}-{high}", coefficients, low, high, misfit, float(error))


def _order(t: Floats, ratio: Floats, weight: Floats) -> int:
    block = np.arange(t.size) * BLOCKS // t.size
    left_out = {}
    for order in ORDERS:
        design = np.polynomial.chebyshev.chebvander(t, order) * weight[:, None]
        off = np.zeros(t.size)
        for one in range(1, BLOCKS - 1):  # the outer two would be extrapolated
            out = block == one
            solved, *_ = np.linalg.lstsq(design[~out], (ratio * weight)[~out], rcond=None)
            off[out] = design[out] @ solved - (ratio * weight)[out]
        left_out[order] = float(np.sqrt(np.mean(off**2)))
    best = min(left_out.values())
    return next(order for order in ORDERS if left_out[order] <= BETTER * best)


def _medians(values: Floats, half: int = 10) -> Floats:
    padded = np.pad(values, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.median(windows, axis=1), dtype=np.float64)


def _refused(why: str) -> CalibrationError:
    return CalibrationError(
        "response_refused",
        f"The intensity response was not measured. {why}",
        "Measure the glass in focus, unsaturated, long enough, with its dark subtracted.",
    )
