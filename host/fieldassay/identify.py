"""The pipeline in one place: a spectrum and a library go in, an Identification comes out.

Owns the order of the steps and what an Identification carries. Pure: no clock, file or network. The
methods are in `preprocess`, `match`, `explain`; the line that decides a verdict is in `decide`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay import bands, calibration, decide, families, mixtures
from fieldassay.explain import NO_CONTRADICTION, Explanation, Scene
from fieldassay.frame import Frame
from fieldassay.library import Library
from fieldassay.naming import named
from fieldassay.prepared import prepare
from fieldassay.preprocess import baseline, recipe
from fieldassay.quality import measure as measure_quality
from fieldassay.spectrum import Spectrum
from fieldassay.verdict import Candidate, Identification, Quality, Reason

Floats = NDArray[np.float64]
THRESHOLDS = decide.load_thresholds()
ALGORITHM = f"{recipe.RAMAN.id}+{THRESHOLDS.id}+{decide.CALIBRATION.id}+{decide.PARTS.id}"
CANDIDATES = 10
SAME_LASER_NM = 20.0
DRIFT_WITNESSES = 1.5  # segments of the axis; one band alone may belong to something else
KERNEL_HITS = 48  # references the kernel hands on
KEPT = 4  # libraries whose lasers are remembered
_lasers_of: dict[str, frozenset[float]] = {}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known besides the spectrum.

    Attributes:
        saturated: Detector pixels were at full scale.
        packaging: Material the sample is in, by id or name, as the officer said; "" = not said.
            It is never reported as the finding; common packaging polymers never are.
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
        spectrum: On an axis in cm-1 or nm (then `context.excitation_nm` is needed); native points,
            any range.
        library: The references.
        context: What is known besides.

    Raises:
        FormatError: The axis cannot be converted or does not overlap the library.
    """
    found = examine(spectrum, library, context)
    evidence = found.evidence
    quality = replace(
        found.quality,
        details={**found.quality.details, **decide.probabilities(evidence, THRESHOLDS)},
    )
    verdict = decide.decide(evidence, THRESHOLDS)
    if decide.open_to_families(verdict) and quality.snr >= THRESHOLDS.family["min_snr"]:
        evidence = replace(evidence, families=families.evidence(found.scene.prepared, library))
        verdict = decide.decide(evidence, THRESHOLDS)
    wanted = {s.id for s in verdict.substances}
    cards = {i: library.substances[i].hazard_card for i in wanted if i in library.substances}
    return Identification(
        verdict=verdict,
        candidates=tuple(
            Candidate(s.named.id, s.named.name, max(0.0, s.score)) for s in evidence.singles
        ),
        quality=quality,
        hazard_card=decide.hazard_card(verdict, cards),
        library=library.hash,
        algorithm=ALGORITHM,
        alternatives=decide.alternatives(evidence, THRESHOLDS),
    )


@dataclass(frozen=True, slots=True)
class Examined:
    """What a verdict rests on, before it is decided."""

    scene: Scene
    singles: Sequence[Explanation]
    quality: Quality
    evidence: decide.Evidence


def examine(
    spectrum: Spectrum, library: Library, context: Context = Context(), sums: bool = True
) -> Examined:
    """Everything up to the decision; arguments and errors as `identify`.

    Args:
        spectrum: The measurement.
        library: The references.
        context: What is known besides.
        sums: Look for sums of substances.
    """
    spectrum = calibration.to_wavenumber(spectrum, context.excitation_nm)
    scene = _scene(spectrum, library)
    singles = _best_of_each_substance(scene.singles(KERNEL_HITS), library)
    mixture = mixtures.find(scene, singles, library) if sums else None
    quality = measure_quality(
        spectrum, scene, singles, context.saturated or "saturated" in context.flags
    )
    unexplained, missing = scene.contradictions(singles[0]) if singles else NO_CONTRADICTION
    evidence = decide.Evidence(
        singles=[
            decide.Single(
                named(library, e.rows[0], context.packaging),
                e.score,
                e.bands,
                e.shift_cm1,
                e.axis.witnesses,
                e.axis.shift_error_cm1,
            )
            for e in singles[:CANDIDATES]
        ],
        mixture=mixtures.components(mixture, library, context.packaging) if mixture else (),
        mixture_score=mixture.score if mixture else 0.0,
        mixture_shift_cm1=mixture.shift_cm1 if mixture else 0.0,
        snr=quality.snr,
        informative_columns=scene.informative_columns,
        range_cm1=quality.range_cm1[1] - quality.range_cm1[0],
        background_ratio=quality.details["background_ratio"],
        saturated=quality.saturated,
        interrupted="interrupted" in context.flags,
        notes=(*_notes(library, context), *_drift_notes(singles)),
        unexplained=unexplained.height,
        unexplained_at_cm1=unexplained.at_cm1,
        missing=missing.height,
        missing_at_cm1=missing.at_cm1,
        library_substances=len(library.substances),
        library_others=len(library.substances.keys() - decide.CALIBRATION.substances),
    )
    return Examined(scene, singles, quality, evidence)


def context_of(frame: Frame) -> Context:
    """What a frame says besides its counts."""
    return Context(
        saturated="saturated" in frame.flags,  # one full pixel alone may be a cosmic ray
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
    """The plot: measurement without baseline and references scaled to it, on the library's grid.

    Returns:
        `axis_cm1`, `measured`, `fit` (the best explanation; None where it has no data) of equal
        length, and
        `references`: [{"name", "values"}] for each substance in the verdict, or the best candidate.
    """
    excitation = spectrum.meta.get("excitation_nm")
    spectrum = calibration.to_wavenumber(spectrum, float(excitation) if excitation else None)
    scene = _scene(spectrum, library)
    wanted = [s.id for s in identification.verdict.substances] or [
        c.id for c in identification.candidates[:1]
    ]
    shift = identification.quality.axis_shift_cm1
    rows = []
    for substance in wanted:
        own = [e.row for e in library.entries if e.substance == substance]
        fits = [scene.fit((row,), shift) for row in own]
        rows.append(max(fits, key=lambda e: e.agreement).rows or (own[0],))
    measured = scene.prepared.measured
    values = measured.intensity - baseline.asls(measured.intensity)
    start = int(np.searchsorted(library.grid_cm1, measured.axis.values[0]))
    columns = np.arange(start, start + len(measured), dtype=np.float64)
    references, fit = [], np.zeros(len(measured))
    together = scene.fit([row[0] for row in rows], shift)
    for row, weight in zip(together.rows, together.weights, strict=True):
        scaled = _bands_of(library, row, columns - shift) * weight
        fit = fit + scaled
        name = library.substances[library.entries[row].substance].name
        references.append({"name": name, "values": _plain(scaled)})
    return {
        "axis_cm1": _plain(measured.axis.values),
        "measured": _plain(values),
        "fit": _plain(fit),
        "references": references,
    }


def _bands_of(library: Library, row: int, columns: Floats) -> Floats:
    """A reference without baseline at these (fractional) columns, scaled like its `linear` row."""
    over = bands.of(library, row)
    at = np.interp(columns, np.arange(over.size), over, left=0.0, right=0.0)
    return np.asarray(at, dtype=np.float64)


def _scene(spectrum: Spectrum, library: Library) -> Scene:
    prepared = prepare(spectrum, library, THRESHOLDS.axis)
    return Scene(prepared, library, int(THRESHOLDS.quality["min_range_cm1"]))


def _best_of_each_substance(singles: list[Explanation], library: Library) -> list[Explanation]:
    best: dict[str, Explanation] = {}
    for explanation in singles:
        if explanation.rows:
            best.setdefault(library.entries[explanation.rows[0]].substance, explanation)
    return list(best.values())


def _notes(library: Library, context: Context) -> tuple[Reason, ...]:
    own = context.excitation_nm
    if own is None:
        return ()
    lasers = _lasers(library)
    if not lasers or any(abs(own - laser) <= SAME_LASER_NM for laser in lasers):
        return ()
    text = f"Measured with {own:g} nm; the library is of another laser, so bands differ in height."
    return (Reason("other_excitation", text),)


def _lasers(library: Library) -> frozenset[float]:
    """Lasers the references were measured with; a library never changes under its hash."""
    found = _lasers_of.get(library.hash)
    if found is None:
        found = frozenset(entry.laser_nm for entry in library.entries if entry.laser_nm)
        while len(_lasers_of) >= KEPT:
            _lasers_of.pop(next(iter(_lasers_of)), None)
        _lasers_of[library.hash] = found
    return found


def _drift_notes(singles: Sequence[Explanation]) -> tuple[Reason, ...]:
    """Said if the best candidate fits and the axis certainly lies beyond what units do."""
    if not singles or singles[0].score < THRESHOLDS.match["min_score"]:
        return ()
    best = singles[0]
    error = best.axis.shift_error_cm1
    certain = best.axis.witnesses >= DRIFT_WITNESSES and np.isfinite(error)
    if not certain or abs(best.shift_cm1) - 2.0 * error <= THRESHOLDS.axis["drifted_cm1"]:
        return ()
    text = (
        f"The axis seems to be off by {best.shift_cm1:+.1f} cm-1 (error {max(error, 0.1):.1f}): "
        "calibrate the unit, for example with polystyrene, and measure again."
    )
    return (Reason("drifted_calibration", text),)


def _plain(values: Floats) -> list[float]:
    return [round(float(v), 3) for v in values]
