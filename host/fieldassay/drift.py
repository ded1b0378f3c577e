"""Has the calibration of a unit drifted? From the axis shifts its records needed, oldest first.

Owns the rule. Pure; who keeps the history is the caller's matter. One shift may be chance or a
strange sample; the median of the last few, on different samples, is the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RECORDS = 8  # the last ones that are looked at
LEAST_RECORDS = 3
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Drift:
    """What the last records of a unit say about its axis.

    Attributes:
        drifted: It lies beyond the limit, certainly.
        shift_cm1: Median shift of the records looked at; positive: bands are measured too high.
        error_cm1: Standard error of it.
        records: How many records that rests on.
        since_s: Time of the first of them that lay beyond the limit with all later ones; None
            without drift.
    """

    drifted: bool
    shift_cm1: float
    error_cm1: float
    records: int
    since_s: float | None


def of_unit(history: Sequence[tuple[float, float]], limit_cm1: float) -> Drift:
    """Judge a unit.

    Args:
        history: (time in s, axis shift in cm-1) of records with a match, in any order.
        limit_cm1: Shift that a good unit does not reach (`axis.drifted_cm1` of decision.toml).
    """
    last = sorted(history)[-RECORDS:]
    if not last:
        return Drift(False, 0.0, float("inf"), 0, None)
    shifts = np.array([shift for _, shift in last], dtype=np.float64)
    middle = float(np.median(shifts))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(shifts - middle)))
    # 1.25: what a median loses against a mean; a tenth of a cm-1 is the step of the estimate.
    error = 1.25 * max(spread, 0.1) / float(np.sqrt(shifts.size))
    drifted = shifts.size >= LEAST_RECORDS and abs(middle) - 2.0 * error > limit_cm1
    since = None
    if drifted:
        beyond = np.abs(shifts) > limit_cm1
        inside = np.flatnonzero(~beyond)
        first = int(inside[-1]) + 1 if inside.size else 0
        since = float(last[min(first, shifts.size - 1)][0])
    return Drift(bool(drifted), middle, error, int(shifts.size), since)
