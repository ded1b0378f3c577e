"""The residual plot of a calibration: lamp lines, bands and uncertainty. PNG, SVG or PDF.

Owns the drawing only; matplotlib is imported when a plot is asked for.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from fieldassay.calibrate.solve import Solved


def residual_plot(solved: Solved, positions: NDArray[np.float64], form: str = "pdf") -> bytes:
    """Errors of lines (left out of the fit) and bands over the Raman shift, in cm-1."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    axis = solved.axis
    shift, error = axis.shift_cm1(positions), axis.error_cm1(positions)
    order = np.argsort(shift)
    lines = axis.lamp_left_out_nm * 1e7 / axis.lamp.known**2
    figure, plot = pyplot.subplots(figsize=(10, 5), layout="constrained")
    try:
        plot.fill_between(
            shift[order], -error[order], error[order], color="#56B4E9", alpha=0.35,
            label="uncertainty of the axis (k = 1)",
        )  # fmt: skip
        plot.plot(
            axis.shift_cm1(axis.lamp.at), lines, "o", color="#0072B2", label="lamp, line left out"
        )
        plot.errorbar(
            axis.bands.known, axis.band_residual_cm1, yerr=axis.bands.known_error, fmt="s",
            color="#D55E00", label="standard",
        )  # fmt: skip
        limit = max(1.0, 1.2 * float(np.abs(np.concatenate([lines, axis.band_residual_cm1])).max()))
        plot.set_ylim(-limit, limit)
        plot.set_xlabel("Raman shift / cm$^{-1}$")
        plot.set_ylabel("fitted minus true / cm$^{-1}$")
        plot.set_title(f"laser {axis.laser_nm:.3f} nm, order {axis.order}", loc="left")
        plot.grid(alpha=0.3)
        plot.legend()
        out = io.BytesIO()
        figure.savefig(out, format=form)
        return out.getvalue()
    finally:
        pyplot.close(figure)
