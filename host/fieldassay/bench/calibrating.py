"""Measurements for a calibration, taken at the bench by the unit itself, one asked step at a time.

The unit's own light is lit by its trigger only; a lamp at the aperture needs none. What follows
from the measurements is `fieldassay.calibrate`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fieldassay import provision
from fieldassay.bench.repl import Repl
from fieldassay.bench.service import Service
from fieldassay.bench.visits import CALIBRATION
from fieldassay.calibrate.detector import Exposed
from fieldassay.calibrate.measured import Session
from fieldassay.calibrate.solve import Measured
from fieldassay.calibration import wavelengths_nm
from fieldassay.errors import BenchError

EXPOSURES_US = (10_000, 100_000, 500_000)  # strong lines need the short one, faint ones the long
FRAMES = 4
STANDARD_US, STANDARD_FRAMES = 200_000, 12  # within the on-time that a unit allows
Ask = Callable[[str], None]  # shows a step and returns when the person has done it
Say = Callable[[str], None]
Shown = Callable[[str, NDArray[np.float64]], None]  # a measurement that was just made


def live_session(
    repl: Repl,
    unit: str,
    lamps: Sequence[str],
    standards: Sequence[str],
    ask: Ask,
    say: Say,
    shown: Shown,
) -> tuple[Session, tuple[Exposed, ...]]:
    """Measure darks, lamps and standards; the firmware runs again afterwards, whatever happens.

    Args:
        repl: The port.
        unit: Which unit must be at it.
        lamps: Names of lamps, in turn.
        standards: Names of standards, in turn.
        ask: Steps that need an Enter.
        say: Steps that end by themselves.
        shown: Told of each measurement.

    Returns:
        The session, lamps first, and the dark frames.

    Raises:
        UnitError: Another unit is at this port.
        BenchError: The port or the unit refuses; a measurement that was saturated everywhere.
    """
    try:
        service = Service(repl)
        provision.check_identity(provision.read(repl), unit, replace=False)
        coefficients = _old_axis(repl)
        ask("Cover the aperture so that no light gets in.")
        darks = tuple(_exposed(service, exposure_us) for exposure_us in EXPOSURES_US)
        taken = []
        for name in lamps:
            ask(f"Hold the {name} lamp at the aperture and switch it on.")
            for dark in darks:
                values = _exposed(service, dark.exposure_us).counts - dark.counts
                shown(f"{name}, {dark.exposure_us / 1000:g} ms", values)
                taken.append(_measured(name, values, f"live {dark.exposure_us} us"))
        for name in standards:
            ask(f"Put {name} into the holder and close the lid.")
            say("Now press the unit's own trigger.")
            answer, arrays = service.measure(
                light=True, exposure_us=STANDARD_US, frames=STANDARD_FRAMES
            )
            values = arrays["raw"] / answer["frames"] - arrays["dark"] / answer["dark_frames"]
            shown(name, values)
            taken.append(_measured(name, values, "live"))
    finally:
        repl.hard_reset()

    def guess(at: NDArray[np.float64]) -> NDArray[np.float64]:
        value = np.polynomial.polynomial.polyval(np.asarray(at), np.array(coefficients))
        return np.asarray(value, dtype=np.float64)

    rising = coefficients is not None and bool(
        np.all(np.diff(wavelengths_nm(coefficients, taken[0].at.size)) > 0)
    )
    return Session(tuple(taken), True, guess if rising else None, 1.0), darks


def _exposed(service: Service, exposure_us: int) -> Exposed:
    answer, arrays = service.measure(light=False, exposure_us=exposure_us, frames=FRAMES)
    counts = np.asarray(arrays["raw"] / answer["frames"], dtype=np.float64)
    mdegc = answer["detector_mdegc"]
    return Exposed(exposure_us, counts, None if mdegc is None else mdegc / 1000.0)


def _measured(name: str, values: NDArray[np.float64], source: str) -> Measured:
    at = np.arange(values.size, dtype=np.float64)
    return Measured(name, at, np.asarray(values, dtype=np.float64), source)


def _old_axis(repl: Repl) -> tuple[float, ...] | None:
    """What the unit was calibrated to; None for a unit that never was."""
    try:
        old = json.loads(repl.get(CALIBRATION))
        return tuple(float(c) for c in old["coefficients_nm"])
    except (BenchError, ValueError, KeyError, TypeError):
        return None
