"""What a daughter unit does differently from the parent that measured a library, and the remedy.

Owns the estimate from a few standards measured on both. Pure. References adapted by it are
`library_adapt`; whether they may count is `library_transfer_check`.

Axis and line width belong to the reference: a band at x of the parent is put where the daughter
measures it, x + shift + stretch * (x - centre), and broadened if the daughter's lines are broader.
A daughter with sharper lines gets the parent's as they are: nothing sharpens a line. The difference
in response over the range is never put into a reference; it is a correction of what the daughter
measures (`corrected`), kept beside the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fieldassay import align, decide
from fieldassay.errors import LibraryError
from fieldassay.explain import Explanation, Scene
from fieldassay.library import Library
from fieldassay.prepared import prepare
from fieldassay.spectrum import Spectrum

Floats = NDArray[np.float64]
THRESHOLDS = decide.load_thresholds()
# An estimate, not a match: the axis may be anywhere within the reach, at no cost.
FREE_AXIS = {
    **THRESHOLDS.axis,
    "penalty_per_cm1_squared": 0.0,
    "few_bands_penalty_per_cm1_squared": 0.0,
    "stretch_penalty": 0.001,
}
MIN_STANDARDS = 3
MIN_AGREEMENT = 0.6  # of a standard with its reference; worse ones say nothing of the unit
OUTLIER_CM1 = 1.5
SHIFTS = np.arange(-1.2, 1.21, 0.2)  # tried around the median of what the standards say
STRETCHES = np.arange(-0.0008, 0.00081, 0.0001)
WIDTHS = np.arange(-6.0, 6.01, 0.5)
SEGMENT_COLUMNS = 64
RESPONSE_ORDER = 2


@dataclass(frozen=True, slots=True)
class Standard:
    """A known substance measured by the daughter unit.

    Attributes:
        name: File or record.
        substance: Id in the parent library.
        spectrum: On an axis in cm-1.
    """

    name: str
    substance: str
    spectrum: Spectrum


@dataclass(frozen=True, slots=True)
class Read:
    """What one standard says.

    Attributes:
        name, substance: Of the standard.
        row: The parent's reference.
        shift_cm1, stretch: Of the axis.
        agreement: 0..1.
        bands: Effective number.
        used: Whether it counts in the transfer.
    """

    name: str
    substance: str
    row: int
    shift_cm1: float
    stretch: float
    agreement: float
    bands: float
    used: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """How a daughter unit differs from the parent; errors are standard errors over the standards.

    Attributes:
        shift_cm1, shift_error_cm1: At the middle of the library's range.
        stretch, stretch_error: Parts per one.
        broadening_cm1, broadening_error_cm1: Standard deviation of the Gaussian that makes line
            widths equal: positive if the daughter's lines are broader.
        response: Coefficients c1, c2 of ln(daughter / parent) = c1 t + c2 t^2, t from -1 to 1 over
            the range of the library.
        response_error: Their standard errors.
        read: What each standard said.
    """

    shift_cm1: float
    shift_error_cm1: float
    stretch: float
    stretch_error: float
    broadening_cm1: float
    broadening_error_cm1: float
    response: tuple[float, ...]
    response_error: tuple[float, ...]
    read: tuple[Read, ...]


def estimate(library: Library, standards: Sequence[Standard]) -> Transfer:
    """Compare standards measured by the daughter with the parent's references of them.

    Raises:
        LibraryError: `too_few_standards`, `standard_unknown`.
    """
    scenes = [_scene(library, standard) for standard in standards]
    fits = [_best(library, scene, s) for scene, s in zip(scenes, standards, strict=True)]
    good = [i for i, e in enumerate(fits) if e.agreement >= MIN_AGREEMENT]
    if good:
        middle = float(np.median([fits[i].shift_cm1 for i in good]))
        good = [i for i in good if abs(fits[i].shift_cm1 - middle) <= OUTLIER_CM1]
    read = tuple(
        Read(
            s.name, s.substance, e.rows[0], e.shift_cm1, e.stretch, e.agreement, e.bands, i in good
        )
        for i, (s, e) in enumerate(zip(standards, fits, strict=True))
    )
    if len({standards[i].substance for i in good}) < MIN_STANDARDS:
        said = "; ".join(
            f"{r.name}: agreement {r.agreement:.2f}, shift {r.shift_cm1:+.1f} cm-1"
            for r in read
            if not r.used
        )
        raise LibraryError(
            "too_few_standards",
            f"{len(good)} of {len(standards)} standards can be used, {MIN_STANDARDS} different "
            f"ones are needed{': ' + said if said else ''}.",
            "Measure more standards with many bands on the daughter unit.",
        )
    used, theirs = [scenes[i] for i in good], [fits[i] for i in good]
    (shift, shift_error), (stretch, stretch_error) = _axis(used, theirs)
    theirs = [replace(e, shift_cm1=shift, stretch=stretch) for e in theirs]
    width, width_error = _width(used, theirs)
    response, response_error = _response(library, used, theirs, width)
    return Transfer(
        shift, shift_error, stretch, stretch_error, width, width_error, response, response_error,
        read,
    )  # fmt: skip


def _scene(library: Library, standard: Standard) -> Scene:
    prepared = prepare(standard.spectrum, library, FREE_AXIS)
    return Scene(prepared, library, int(THRESHOLDS.quality["min_range_cm1"]))


def _best(library: Library, scene: Scene, standard: Standard) -> Explanation:
    """The parent's reference of a standard at the shift and stretch that suit it."""
    rows = [e.row for e in library.entries if e.substance == standard.substance]
    if not rows:
        raise LibraryError(
            "standard_unknown",
            f"The parent library has no reference of {standard.substance!r} ({standard.name}).",
            "Use standards that the parent measured, too.",
        )
    found = [scene.fit((row,), float(shift)) for row in rows for shift in scene.prepared.shifts]
    found = [e for e in found if e.rows]
    if not found:
        return Explanation((rows[0],), (0.0,), (0.0,), 0.0, 0.0, 0.0, 0.0)
    return scene.aligned(max(found, key=lambda e: e.agreement))


def _axis(
    scenes: Sequence[Scene], fits: Sequence[Explanation]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shift and stretch, each with its error, that all standards together agree with best.

    Around the medians of what each said, with the decision's prior on the stretch, which standards
    alone do not determine well. The error is the jackknife over the standards, and at
    least that of the steps.
    """
    shifts = np.median([e.shift_cm1 for e in fits]) + SHIFTS
    stretches = np.median([e.stretch for e in fits]) + STRETCHES
    table = np.array(
        [
            [
                [
                    scene.fit(e.rows, float(shift), float(stretch), 0.0).agreement
                    for stretch in stretches
                ]
                for shift in shifts
            ]
            for scene, e in zip(scenes, fits, strict=True)
        ]
    )
    prior = THRESHOLDS.axis
    toll = prior["stretch_penalty"] * (stretches / prior["stretch_sd"]) ** 2  # once for the unit
    total = table.sum(axis=0) - toll

    def best(agreement: Floats) -> tuple[float, float]:
        i, j = np.unravel_index(int(np.argmax(agreement)), agreement.shape)
        return float(shifts[i]), float(stretches[j])

    without = np.array([best(total - one) for one in table])
    spread = (len(table) - 1) / len(table) * np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    steps = np.array([SHIFTS[1] - SHIFTS[0], STRETCHES[1] - STRETCHES[0]])
    errors = np.sqrt(spread + steps**2 / 12.0)
    shift, stretch = best(total)
    return (shift, float(errors[0])), (stretch, float(errors[1]))


def _width(scenes: Sequence[Scene], fits: Sequence[Explanation]) -> tuple[float, float]:
    """The broadening that all standards together agree with best; jackknife over the standards."""
    table = np.array(
        [
            [scene.fit(e.rows, e.shift_cm1, e.stretch, float(w)).agreement for w in WIDTHS]
            for scene, e in zip(scenes, fits, strict=True)
        ]
    )
    best = float(WIDTHS[int(np.argmax(table.sum(axis=0)))])
    without = [
        float(WIDTHS[int(np.argmax(table.sum(axis=0) - row))]) for row in table
    ]  # each standard left out
    n = len(table)
    error = float(np.sqrt((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2)))
    return best, float(max(error, (WIDTHS[1] - WIDTHS[0]) / np.sqrt(12.0)))


def _response(
    library: Library, scenes: Sequence[Scene], fits: Sequence[Explanation], width: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Smooth ratio daughter / parent: local factors of each standard, fitted by a polynomial.

    Each standard has a factor of its own (exposure, focus). Segments are weighted by the signal
    they hold, and those far off the fit count less (iterated, Tukey's biweight).
    """
    size = library.grid_cm1.size
    places, logs, weights, owner = [], [], [], []
    for number, (scene, e) in enumerate(zip(scenes, fits, strict=True)):
        measured = align.moved(scene.prepared.linear, e.shift_cm1, e.stretch)
        measured = align.broadened(measured, max(-width, 0.0))
        model = align.broadened(library.linear[e.rows[0]].astype(np.float64), max(width, 0.0))
        lo, hi = scene.prepared.window
        power = float(model[lo:hi] @ model[lo:hi])
        for start in range(lo, hi - SEGMENT_COLUMNS + 1, SEGMENT_COLUMNS):
            part = slice(start, start + SEGMENT_COLUMNS)
            own, along = float(model[part] @ model[part]), float(model[part] @ measured[part])
            if own < 0.01 * power or along <= 0.0:
                continue
            places.append((start + 0.5 * SEGMENT_COLUMNS - 0.5 * size) * 2.0 / size)
            logs.append(np.log(along / own))
            weights.append((own / power) ** 0.5)
            owner.append(number)
    t, y, w = np.array(places), np.array(logs), np.array(weights)
    columns = [np.equal(owner, number).astype(np.float64) for number in range(len(scenes))]
    basis = np.stack([*(t**n for n in range(1, RESPONSE_ORDER + 1)), *columns], axis=1)
    used = np.ones_like(w)
    for _ in range(10):
        root = np.sqrt(w * used)
        solved = np.linalg.lstsq(basis * root[:, None], y * root, rcond=None)[0]
        rest = y - basis @ solved
        scale = 1.4826 * float(np.median(np.abs(rest))) + 1e-9
        used = np.clip(1.0 - (rest / (5.0 * scale)) ** 2, 0.0, 1.0) ** 2
    free = max(int(np.count_nonzero(used > 0)) - basis.shape[1], 1)
    root = np.sqrt(w * used)
    scaled = basis * root[:, None]
    variance = float(np.sum((rest * root) ** 2)) / free
    covariance = np.linalg.pinv(scaled.T @ scaled) * variance
    count = RESPONSE_ORDER
    return (
        tuple(float(v) for v in solved[:count]),
        tuple(float(np.sqrt(max(v, 0.0))) for v in np.diag(covariance)[:count]),
    )
