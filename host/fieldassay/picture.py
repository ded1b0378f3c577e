"""A verdict as a picture: measurement, fit, components, residual and reasons. PNG, SVG or PDF.

Owns the drawing only. The curves come from `identify.overlay`, the words from the Identification.
matplotlib is imported when a picture is asked for: it takes longer than many identifications.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fieldassay.verdict import Identification

FORMS = ("png", "svg", "pdf")
# Okabe and Ito 2008: told apart by people with any colour vision; black is the measurement.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))


def draw(
    title: str,
    heading: str,
    found: Identification,
    curves: Mapping[str, Any],
    form: str = "png",
) -> bytes:
    """The picture of one identification.

    Args:
        title: File or record.
        heading: The verdict as people read it.
        found: For reasons, figures and versions.
        curves: As `identify.overlay` gives them.
        form: One of FORMS.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    settings: Any = {
        "svg.hashsalt": "fieldassay", "svg.fonttype": "none", "font.size": 11, "axes.grid": True,
        "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(settings):
        figure, (upper, lower) = pyplot.subplots(
            2, 1, sharex=True, figsize=(11, 8.5), height_ratios=(3, 1), layout="constrained"
        )
        _curves(upper, curves)
        _residual(lower, curves)
        upper.set_title(f"{heading}\n", loc="left", fontsize=16, fontweight="bold", pad=2)
        upper.text(0, 1.01, title, transform=upper.transAxes, fontsize=9, color="#444444")
        figure.supxlabel(_words(found), x=0.01, ha="left", fontsize=10)
        out = io.BytesIO()
        # No date in the file: the same verdict gives the same bytes.
        dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        figure.savefig(out, format=form, dpi=130, metadata=dateless)
        pyplot.close(figure)
    return out.getvalue()


def residual(curves: Mapping[str, Any]) -> list[float]:
    """Measurement less fit; NaN where there is no fit."""
    measured = np.array(curves["measured"], dtype=np.float64)
    fit = np.array([np.nan if v is None else v for v in curves["fit"]], dtype=np.float64)
    return [float(v) for v in measured - fit]


def _curves(axes: Any, curves: Mapping[str, Any]) -> None:
    x = curves["axis_cm1"]
    axes.plot(x, curves["measured"], color="black", lw=1.4, label="measured, baseline taken off")
    axes.plot(x, _plain(curves["fit"]), color=COLOURS[1], lw=1.1, label="fit")
    drop = max(float(np.nanmax(curves["measured"])), 1e-12)
    parts = curves["references"] if len(curves["references"]) > 1 else []  # one is the fit
    for number, part in enumerate(parts):
        # Below the measurement, one under the other, so that no curve hides another.
        values = np.array(_plain(part["values"])) - 0.35 * drop * (number + 1)
        axes.plot(
            x, values, color=COLOURS[(number + 2) % len(COLOURS)],
            ls=STYLES[(number + 1) % len(STYLES)], lw=1.1, label=f"reference: {part['name']}",
        )  # fmt: skip
    axes.set_ylabel("intensity")
    axes.legend(loc="upper right", frameon=False)


def _residual(axes: Any, curves: Mapping[str, Any]) -> None:
    axes.axhline(0.0, color="#888888", lw=0.8)
    axes.plot(curves["axis_cm1"], residual(curves), color=COLOURS[0], lw=1.0)
    top = max(float(np.nanmax(curves["measured"])), 1e-12)
    axes.set_ylim(-0.5 * top, 0.5 * top)
    axes.set_ylabel("unexplained")
    axes.set_xlabel("Raman shift in cm-1")


def _words(found: Identification) -> str:
    lines: list[str] = []
    for reason in found.verdict.reasons:
        lines += textwrap.wrap(reason.text, 125, initial_indent="• ", subsequent_indent="   ")
    lines += textwrap.wrap(f"Do next: {found.verdict.do_next}", 125)
    q = found.quality
    lines.append(
        f"Signal to noise {q.snr:.0f}, axis shift {q.axis_shift_cm1:+.1f} cm-1, compared "
        f"{q.range_cm1[0]:.0f} to {q.range_cm1[1]:.0f} cm-1."
    )
    lines.append(f"{found.algorithm}; library {found.library[:23]}…")
    return "\n".join(lines)


def _plain(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if v is None else v for v in values]
