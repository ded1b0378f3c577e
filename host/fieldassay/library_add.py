"""Several measurements of a reference material become one reference.

Owns which measurements are good enough, which of them disagree with the others, the mean of the
rest, and whether that mean contradicts what a library says. Pure. Writing is `library_append`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay import align, decide, library_gates
from fieldassay.errors import LibraryError
from fieldassay.explain import Scene
from fieldassay.library import Library
from fieldassay.library_encode import reference_row
from fieldassay.prepared import prepare
from fieldassay.preprocess import baseline, noise, recipe, spline
from fieldassay.spectrum import Spectrum, Step

Floats = NDArray[np.float64]
THRESHOLDS = decide.load_thresholds()
MIN_MEASUREMENTS = 3
# Chosen for what a reference is for, not tuned: what `decide` calls a weak measurement or too much
# background spoils a reference all the more; a unit repeats its axis to a fraction of a point.
MIN_SNR = THRESHOLDS.unknown["min_snr"]
MAX_BACKGROUND = THRESHOLDS.quality["background_ratio"]
MIN_AGREEMENT = 0.9
MAX_DRIFT_CM1 = 1.0
SAME_MATERIAL = 0.5  # above, a disagreement may come from the axis alone
BAD_FLAGS = ("saturated", "interrupted", "low_signal", "selftest_failed")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement of the material.

    Attributes:
        name: File or record.
        sha256: Of its bytes.
        spectrum: On an axis in cm-1.
        instrument: What measured it, "" if not known.
        laser_nm: Excitation, None if not known.
        taken: When, ISO 8601, "" if not known.
        flags: What the unit noticed.
        check_passed: The unit's own check before it; None if nothing is said.
    """

    name: str
    sha256: str
    spectrum: Spectrum
    instrument: str = ""
    laser_nm: float | None = None
    taken: str = ""
    flags: tuple[str, ...] = ()
    check_passed: bool | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a measurement.

    Attributes:
        measurement: It.
        snr: Height of the highest band over the noise.
        background_ratio: Background over that height.
        agreement: Median cosine with the others, 0..1; 0 if it was not compared.
        drift_cm1: Shift of its axis against the mean of the others.
        refused: Why it does not count, "" if it does.
    """

    measurement: Measurement
    snr: float
    background_ratio: float
    agreement: float = 0.0
    drift_cm1: float = 0.0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Averaged:
    """The mean of those that count, and what was thought of each."""

    spectrum: Spectrum
    judged: tuple[Judged, ...]

    @property
    def used(self) -> tuple[Judged, ...]:
        """Those in the mean."""
        return tuple(one for one in self.judged if not one.refused)


def average(
    measurements: Sequence[Measurement], grid_cm1: Floats, least: int = MIN_MEASUREMENTS
) -> Averaged:
    """Judge measurements and average the good ones.

    Args:
        measurements: Of the same material.
        grid_cm1: Columns of the library it is for, shape (D,).
        least: How many must be good.

    Raises:
        LibraryError: `too_few_measurements`; what is wrong with each is in the message.
        FormatError: A spectrum does not overlap the grid.
    """
    judged = [judge(one) for one in measurements]
    seen: dict[bytes, str] = {}
    for at, one in enumerate(judged):
        key = one.measurement.spectrum.intensity.tobytes()
        if key in seen:
            judged[at] = _refused(one, f"the same measurement as {seen[key]}")
        seen.setdefault(key, one.measurement.name)
    judged = _together(judged, grid_cm1)
    used = [one for one in judged if not one.refused]
    if len(used) < max(least, 1):
        said = "; ".join(f"{one.measurement.name}: {one.refused}" for one in judged if one.refused)
        raise LibraryError(
            "too_few_measurements",
            f"{len(used)} of {len(judged)} measurements can be used, {least} are needed"
            f"{': ' + said if said else ''}.",
            "Measure the material again, each time at another place of it.",
        )
    return Averaged(_mean([one.measurement.spectrum for one in used], grid_cm1), tuple(judged))


def judge(one: Measurement) -> Judged:
    """What can be said of a measurement by itself."""
    values = one.spectrum.intensity
    below = baseline.asls(values)
    height = float(np.max(values - below))
    sigma = max(float(np.median(noise.of(one.spectrum))), 1e-6 * float(np.ptp(values)), 1e-300)
    judged = Judged(one, height / sigma, float(np.ptp(below)) / max(height, 1e-300))
    flags = [flag for flag in BAD_FLAGS if flag in one.flags]
    if one.check_passed is False:
        return _refused(judged, "the unit failed its own check")
    if flags:
        return _refused(judged, f"the unit said {', '.join(flags)}")
    if library_gates.clipped(values):
        return _refused(judged, "saturated: the highest band is cut off")
    if judged.snr < MIN_SNR:
        return _refused(judged, f"signal-to-noise {judged.snr:.0f}, under {MIN_SNR:.0f}")
    if judged.background_ratio > MAX_BACKGROUND:
        text = f"background {judged.background_ratio:.1f} times the bands, over {MAX_BACKGROUND:g}"
        return _refused(judged, text)
    return judged


def _refused(one: Judged, why: str) -> Judged:
    return Judged(one.measurement, one.snr, one.background_ratio, one.agreement, one.drift_cm1, why)


def _together(judged: list[Judged], grid_cm1: Floats) -> list[Judged]:
    """Compare those that are left; the one that disagrees most goes first, then all again."""
    rows = {
        at: reference_row(one.measurement.spectrum, grid_cm1)[2]
        for at, one in enumerate(judged)
        if not one.refused
    }
    judged = list(judged)
    while len(rows) > 1:
        for at, row in rows.items():
            others = [other for key, other in rows.items() if key != at]
            shared = [_cosine(row, other) for other in others]
            mean = np.asarray(np.mean(others, axis=0), dtype=np.float64)
            drift = align.axis(row, mean, 0.0, THRESHOLDS.axis).shift_cm1
            one = judged[at]
            judged[at] = Judged(
                one.measurement, one.snr, one.background_ratio, float(np.median(shared)), drift
            )
        at = min(rows, key=lambda i: (judged[i].agreement, i))
        far = max(rows, key=lambda i: (abs(judged[i].drift_cm1), i))
        moved = len(rows) > 2 and abs(judged[far].drift_cm1) > MAX_DRIFT_CM1
        if moved and judged[far].agreement > SAME_MATERIAL:
            text = f"axis {judged[far].drift_cm1:+.1f} cm-1 from the others, over {MAX_DRIFT_CM1:g}"
            judged[far] = _refused(judged[far], text)
            del rows[far]
            continue
        if judged[at].agreement < MIN_AGREEMENT:
            text = f"agrees with the others by {judged[at].agreement:.2f}, under {MIN_AGREEMENT:g}"
            judged[at] = _refused(judged[at], text)
            del rows[at]
            continue
        break
    return judged


def _cosine(a: Floats, b: Floats) -> float:
    both = (a != 0.0) | (b != 0.0)
    norm = float(np.linalg.norm(a[both]) * np.linalg.norm(b[both]))
    return float(a[both] @ b[both]) / norm if norm > 0.0 else 0.0


def _mean(spectra: Sequence[Spectrum], grid_cm1: Floats) -> Spectrum:
    """Mean on the axis of the first where all have data, weighted by precision.

    Each is scaled to the first by its derivative, since exposures and focus differ.
    """
    clean = [recipe.apply(recipe.RAMAN.native, spectrum) for spectrum in spectra]
    slopes = [
        recipe.apply(recipe.RAMAN.linear, recipe.on_grid(spectrum, grid_cm1)) for spectrum in clean
    ]
    lo = max(float(slope.axis.values[0]) for slope in slopes)
    hi = min(float(slope.axis.values[-1]) for slope in slopes)
    parts = [
        slope.intensity[(slope.axis.values >= lo) & (slope.axis.values <= hi)] for slope in slopes
    ]
    scales = [float(parts[0] @ part) / max(float(part @ part), 1e-300) for part in parts]
    x = clean[0].axis.values
    lo = max(float(spectrum.axis.values[0]) for spectrum in clean)
    hi = min(float(spectrum.axis.values[-1]) for spectrum in clean)
    inside = (x >= lo) & (x <= hi)
    total, weights = np.zeros(np.count_nonzero(inside)), 0.0
    for spectrum, scale in zip(clean, scales, strict=True):
        values = spectrum.intensity
        if not np.array_equal(spectrum.axis.values, x):
            values = spline.cubic(spectrum.axis.values, values, x[inside])
        else:
            values = values[inside]
        sigma = max(float(np.median(noise.of(spectrum))) * scale, 1e-300)
        total += values * scale / sigma**2
        weights += 1.0 / sigma**2
    first = clean[0]
    return Spectrum(
        axis=type(first.axis)(x[inside], "cm-1"),
        intensity=total / weights,
        unit=first.unit,
        noise=np.full(total.size, weights**-0.5),
        steps=(*first.steps, Step("mean/1", {"spectra": len(spectra)})),
        meta=first.meta,
    )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A substance of the library that the new reference fits better than its own.

    Attributes:
        other: Its name.
        score: How well it fits.
        own: How well the references of the substance it is said to be fit; None: there are none.
    """

    other: str
    score: float
    own: float | None


def contradiction(library: Library, substance: str, spectrum: Spectrum) -> Contradiction | None:
    """What the library says against this spectrum being of this substance, None if nothing.

    With references of its own, another substance must be ahead of them by what a match needs.
    Without, another must fit so well that there is no doubt (`clear_score`).
    """
    minimum = int(THRESHOLDS.quality["min_range_cm1"])
    scene = Scene(prepare(spectrum, library, THRESHOLDS.axis), library, minimum)
    best: dict[str, float] = {}
    for e in scene.singles(48):
        best.setdefault(library.entries[e.rows[0]].substance, e.score)
    has_own = any(entry.substance == substance for entry in library.entries)
    own = best.get(substance, 0.0) if has_own else None
    others = [(score, name) for name, score in best.items() if name != substance]
    if not others:
        return None
    score, name = max(others)
    limit = THRESHOLDS.match["clear_score"]
    if own is not None:
        limit = max(own + THRESHOLDS.match["min_margin"], THRESHOLDS.match["min_score"])
    known = library.substances.get(name)
    return Contradiction(known.name if known else name, score, own) if score >= limit else None
