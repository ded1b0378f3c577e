"""References and measurements adapted by a transfer from a parent to a daughter unit.

Axis and line width belong to the reference and go into it; the difference in response is never put
into a reference, but is a correction of what the daughter measures, kept beside the library. Pure.
How the units differ is `library_transfer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fieldassay import align
from fieldassay.library import Library
from fieldassay.library_encode import Reference
from fieldassay.library_faults import spectrum_of
from fieldassay.library_transfer import Transfer
from fieldassay.spectrum import Axis, Spectrum, Step


def adapted(library: Library, found: Transfer, unit: str) -> Iterator[Reference]:
    """Every reference of the parent as the daughter would measure it, response excepted."""
    centre = 0.5 * (library.grid_cm1[0] + library.grid_cm1[-1])
    width = max(found.broadening_cm1, 0.0)
    for entry in library.entries:
        spectrum = spectrum_of(library, entry)
        x = spectrum.axis.values
        at = x + found.shift_cm1 + found.stretch * (x - centre)
        values = spectrum.intensity
        if width > 0.0:
            edge = int(np.ceil(4.0 * width))
            values = align.broadened(np.pad(values, edge, mode="edge"), width)[edge:-edge]
        resolution = entry.resolution_cm1
        if resolution is not None:
            resolution = float(np.hypot(resolution, 2.3548 * width))
        said = f"transferred to {unit} from {library.hash}"
        yield Reference(
            substance=entry.substance,
            spectrum=Spectrum(Axis(at, "cm-1"), values),
            label=entry.label,
            file=entry.file,
            sha256=entry.sha256,
            instrument=entry.instrument,
            laser_nm=entry.laser_nm,
            source=entry.source,
            licence=entry.licence,
            form=entry.form,
            resolution_cm1=resolution,
            agency=entry.agency,
            date=entry.date,
            prepared="; ".join(part for part in (entry.prepared, said) if part),
            intensity_corrected=entry.intensity_corrected,
            axis_uncertainty_cm1=float(
                np.hypot(entry.axis_uncertainty_cm1 or 0.0, found.shift_error_cm1)
            ),
            averaged=entry.averaged,
            flags=tuple(sorted({*entry.flags, "transferred"})),
        )


def corrected(
    spectrum: Spectrum, response: Sequence[float], first_cm1: float, last_cm1: float
) -> Spectrum:
    """A measurement of the daughter with the response of the parent.

    Args:
        spectrum: On an axis in cm-1, dark subtracted.
        response: Of `Transfer`.
        first_cm1: Begin of the library's range; below it the factor is that of the begin.
        last_cm1: End of it, in the same way.
    """
    t = np.clip(
        (2.0 * spectrum.axis.values - first_cm1 - last_cm1) / (last_cm1 - first_cm1), -1.0, 1.0
    )
    factor = np.exp(-sum(c * t ** (n + 1) for n, c in enumerate(response)))
    told = None if spectrum.noise is None else spectrum.noise * factor
    parameters = {f"c{n + 1}": c for n, c in enumerate(response)}
    step = Step("transfer_response/1", parameters)
    return replace(
        spectrum, intensity=spectrum.intensity * factor, noise=told, steps=(*spectrum.steps, step)
    )
