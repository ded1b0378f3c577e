"""The pipeline in one place: a spectrum and a library go in, an Identification comes out.

Owns the order of the steps and what an Identification carries. Pure: no clock, file or network. The methods are in
`preprocess`, `match`, `explain`; the line that decides a verdict is in `decide`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldassay import calibration, decide
from fieldassay.explain import Explanation, Prepared, Scene, prepare
from fieldassay.frame import Frame
from fieldassay.library import Library
from fieldassay.preprocess import baseline, noise, recipe
from fieldassay.spectrum import Spectrum
from fieldassay.verdict import Candidate, Identification, Quality

THRESHOLDS = decide.load_thresholds()
ALGORITHM = f"{recipe.RAMAN.id}+{THRESHOLDS.id}"
CANDIDATES = 10
SHORTLIST = 24


@dataclass(frozen=True, slots=True)
class Context:
    """What is known besides the spectrum.

    Attributes:
        saturated: Detector pixels were at full scale.
        packaging: What the officer says the sample is in, a substance id or plain words; "" = not said.
        flags: What the unit noticed.
        excitation_nm: Laser wavelength, if known.
    """

    saturated: bool = False
    packaging: str = ""
    flags: tuple[str, ...] = ()
    excitation_nm: float | None = None


def identify(spectrum: Spectrum, library: Library, context: Context = Context()) -> Identification:
    """Identify one spectrum.

    Args:
        spectrum: On an axis in cm-1 or nm (then `context.excitation_nm` is needed); native points, any range.
        library: The references.
        context: What is known besides.

    Raises:
        FormatError: The axis cannot be converted or does not overlap the library.
    """
    spectrum = calibration.to_wavenumber(spectrum, context.excitation_nm)
    prepared, scene = _scene(spectrum, library)
    singles = scene.singles(len(library.entries))
    ranked = _best_of_each_substance(singles, library)
    mixture = _mixture(scene, singles, ranked, library)
    quality = _quality(spectrum, prepared, scene, ranked, context)
    evidence = decide.Evidence(
        ranked=[(_named(library, e), e.agreement) for e in ranked[:CANDIDATES]],
        mixture=_components(scene, mixture, library),
        mixture_agreement=mixture.agreement if mixture else 0.0,
        snr=quality.snr,
        informative_columns=scene.informative_columns,
        range_cm1=quality.range_cm1[1] - quality.range_cm1[0],
        fluorescence_only=quality.details["background_ratio"] > 5.0,
        saturated=context.saturated,
        flags=context.flags,
        packaging=context.packaging,
    )
    verdict = decide.decide(evidence, THRESHOLDS)
    return Identification(
        verdict=verdict,
        candidates=tuple(
            Candidate(named.id, named.name, max(0.0, score)) for named, score in evidence.ranked
        ),
        quality=quality,
        hazard_card=decide.hazard_card(
            verdict, {s.id: s.hazard_card for s in library.substances.values()}
        ),
        library=library.hash,
        algorithm=ALGORITHM,
    )


def context_of(frame: Frame) -> Context:
    """What a frame says besides its counts."""
    return Context(
        saturated=frame.exposure.saturated_pixels > 0,
        packaging=frame.answers.get("packaging", ""),
        flags=frame.flags,
        excitation_nm=frame.excitation_pm / 1000.0,
    )


def identify_frame(frame: Frame, library: Library) -> tuple[Spectrum, Identification]:
    """The spectrum of a frame and its identification.

    Raises:
        FrameError: The calibration in the frame cannot be used.
    """
    spectrum = calibration.spectrum_of(frame)
    return spectrum, identify(spectrum, library, context_of(frame))


def overlay(spectrum: Spectrum, library: Library, identification: Identification) -> dict[str, Any]:
    """The plot: the measurement without baseline, and references scaled to it, on the library's grid.

    Returns:
        `axis_cm1`, `measured`, `fit` (the best explanation; None where it has no data) of equal length, and
        `references`: [{"name", "values"}] for each substance in the verdict, or the best candidate.
    """
    excitation = spectrum.meta.get("excitation_nm")
    spectrum = calibration.to_wavenumber(spectrum, float(excitation) if excitation else None)
    prepared, scene = _scene(spectrum, library)
    wanted = [s.id for s in identification.verdict.substances] or [
        c.id for c in identification.candidates[:1]
    ]
    singles = scene.singles(len(library.entries))
    best = _best_of_each_substance(singles, library)
    rows = [e.rows[0] for e in best if library.entries[e.rows[0]].substance in wanted]
    measured = prepared.measured
    values = measured.intensity - baseline.asls(measured.intensity)
    start = int(np.searchsorted(library.grid_cm1, measured.axis.values[0]))
    columns = np.arange(start, start + len(measured), dtype=np.float64)
    shift = identification.quality.axis_shift_cm1
    references, fit = [], np.zeros(len(measured))
    if rows:
        together = scene.fit(rows, shift)
        for row, weight in zip(together.rows, together.weights, strict=True):
            entry = library.entries[row]
            scaled = _reference_values(library, row, columns - shift) * weight
            fit = fit + scaled
            references.append(
                {"name": library.substances[entry.substance].name, "values": _plain(scaled)}
            )
    return {
        "axis_cm1": _plain(measured.axis.values),
        "measured": _plain(values),
        "fit": _plain(fit),
        "references": references,
    }


def _reference_values(
    library: Library, row: int, columns: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    entry = library.entries[row]
    first, last = max(entry.first - 9, 0), min(entry.last + 9, library.raw.shape[1])
    raw = library.raw[row, first:last].astype(np.float64)
    flat = raw - baseline.asls(raw)
    derived = recipe.smooth.gaussian_derivative(raw, 3.0)
    scale = float(np.linalg.norm(derived[9:-9])) or 1.0
    return np.interp(columns, np.arange(first, last), flat / scale, left=0.0, right=0.0)


def _scene(spectrum: Spectrum, library: Library) -> tuple[Prepared, Scene]:
    prepared = prepare(spectrum, library, THRESHOLDS.axis)
    minimum = int(THRESHOLDS.quality["min_range_cm1"])
    return prepared, Scene(prepared, library, minimum)


def _best_of_each_substance(singles: list[Explanation], library: Library) -> list[Explanation]:
    best: dict[str, Explanation] = {}
    for explanation in singles:
        if explanation.rows:
            best.setdefault(library.entries[explanation.rows[0]].substance, explanation)
    return list(best.values())


def _mixture(
    scene: Scene, singles: list[Explanation], ranked: list[Explanation], library: Library
) -> Explanation | None:
    """Forward selection: the best sum of up to `max_components` substances."""
    if not ranked:
        return None
    substance = [entry.substance for entry in library.entries]
    best = ranked[0]
    for _ in range(int(THRESHOLDS.mixture["max_components"]) - 1):
        inside = {substance[row] for row in best.rows}
        pool = [row for row in range(len(substance)) if substance[row] not in inside]
        trial = scene.extend(best, pool)
        if trial.agreement - best.agreement < THRESHOLDS.mixture["min_gain"]:
            break
        best = trial
    return best if len(best.rows) > 1 else None


def _components(
    scene: Scene, mixture: Explanation | None, library: Library
) -> list[tuple[decide.Named, float, float]]:
    if mixture is None:
        return []
    parts = []
    for row, share in zip(mixture.rows, mixture.shares, strict=True):
        rest = scene.fit([r for r in mixture.rows if r != row], mixture.shift_cm1)
        parts.append((_name(library, row), share, mixture.agreement - rest.agreement))
    return parts


def _quality(
    spectrum: Spectrum,
    prepared: Prepared,
    scene: Scene,
    ranked: list[Explanation],
    context: Context,
) -> Quality:
    measured = prepared.measured
    below = baseline.asls(measured.intensity)
    bands = measured.intensity - below
    sigma = np.maximum(measured.noise if measured.noise is not None else 0.0, 1e-12)
    at = int(np.argmax(bands))
    lo, hi = prepared.window
    grid = scene.library.grid_cm1
    height = max(float(bands[at]), 1e-12)
    return Quality(
        snr=float(bands[at] / np.atleast_1d(sigma)[at]),
        axis_shift_cm1=ranked[0].shift_cm1 if ranked else 0.0,
        saturated=context.saturated,
        range_cm1=(
            float(grid[min(lo, grid.size - 1)]),
            float(grid[max(min(hi, grid.size) - 1, 0)]),
        ),
        details={
            "noise_counts": float(np.median(noise.of(spectrum))),
            "background_ratio": float(np.median(below) - np.min(measured.intensity)) / height,
            "informative_columns": float(scene.informative_columns),
            "agreement": ranked[0].agreement if ranked else 0.0,
            "spikes_removed": float(prepared.spikes),
        },
    )


def _named(library: Library, explanation: Explanation) -> decide.Named:
    return _name(library, explanation.rows[0])


def _name(library: Library, row: int) -> decide.Named:
    s = library.substances[library.entries[row].substance]
    return decide.Named(s.id, s.name, s.inchikey, s.packaging)


def _plain(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    return [round(float(v), 3) for v in values]
