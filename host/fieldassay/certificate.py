"""The certificate of a performance check as a PDF: what was measured, against what, until when.

Owns the paper and where it is kept; the figures are `calibrate.check`. fpdf2 and
matplotlib are imported when a certificate is asked for.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldassay import __version__
from fieldassay.calibrate.check import limits
from fieldassay.private_file import write_private

if TYPE_CHECKING:
    from fieldassay.frame import Frame

TITLE = "Performance check of a Raman unit"
STATEMENT = (
    "Checked with polystyrene against the values of ASTM E1840 by fieldassay. This is a functional "
    "check by the software named above; it is no accreditation and no traceable calibration. "
    "Uncertainties are standard uncertainties (k = 1)."
)


def certificate(
    result: Mapping[str, Any],
    spectrum: tuple[Sequence[float], Sequence[float]],
    software: str,
) -> bytes:
    """The certificate, one page A4.

    Args:
        result: The stored form of a check with `number`, `made_ms` and `due_ms`.
        spectrum: Raman shift in cm-1 and dark-subtracted counts of the measurement.
        software: Version that judged.
    """
    from fpdf import FPDF
    from fpdf.enums import XPos, YPos

    made = _day(result["made_ms"])
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime.fromtimestamp(result["made_ms"] / 1000.0, UTC))
    pdf.set_title(f"{TITLE}: {_ascii(result['unit'])}")
    pdf.set_auto_page_break(False)
    pdf.set_margin(18)
    pdf.add_page()

    def line(text: str, size: float, style: str = "", height: float = 6.0) -> None:
        pdf.set_font("Helvetica", style, size)
        pdf.multi_cell(0, height, _ascii(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    line(TITLE, 18, "B", 9)
    word = "PASSED" if result["passed"] else "NOT PASSED"
    line(f"{word}: unit {result['unit']}, {made}", 14, "B", 8)
    due = _day(result["due_ms"]) if result["due_ms"] else "at once, after repair or calibration"
    rows = [
        ("Number of the check", str(result["number"])),
        ("Record judged", result["record"]),
        ("Calibration", f"{result['calibration']['id']} of {result['calibration']['date']}"),
        ("Firmware (SHA-256)", result["firmware"] or "not told"),
        ("Next check due", due),
        ("Software", f"fieldassay {software}"),
    ]
    for name, value in rows:
        pdf.set_font("Helvetica", "", 9)
        pdf.cell(42, 5, name)
        pdf.set_font("Helvetica", "", 8 if len(value) > 60 else 9)
        pdf.cell(0, 5, _ascii(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    if result["reason"]:
        line(result["reason"], 10, "B")
    pdf.ln(2)
    _table(pdf, result["items"])
    pdf.ln(2)
    pdf.image(io.BytesIO(_plot(result, spectrum)), w=174, h=66)
    pdf.ln(2)
    line(STATEMENT, 8, "", 4)
    pdf.ln(12)
    y = pdf.get_y()
    pdf.line(18, y, 88, y)
    pdf.line(108, y, 178, y)
    pdf.set_font("Helvetica", "", 8)
    pdf.cell(90, 5, "Checked by (name, signature)")
    pdf.cell(0, 5, "Date")
    return bytes(pdf.output())


def kept_at(folder: Path, result: Mapping[str, Any]) -> Path:
    """Where the certificate of a kept check is."""
    return folder / f"{result['unit']}-check-{result['number']}.pdf"


def keep(folder: Path, result: Mapping[str, Any], frame: Frame) -> Path:
    """Write certificate and result of a check into the folder; the path of the certificate.

    Args:
        folder: Of the home, made if it is not there.
        result: As `certificate` takes it.
        frame: The measurement that was judged.
    """
    from fieldassay.calibration import spectrum_of

    spectrum = spectrum_of(frame)
    curve = (spectrum.axis.values.tolist(), spectrum.intensity.tolist())
    folder.mkdir(exist_ok=True, mode=0o700)
    paper = kept_at(folder, result)
    write_private(paper.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    paper.write_bytes(certificate(result, curve, __version__))
    return paper


def _table(pdf: Any, items: Sequence[Mapping[str, Any]]) -> None:
    widths = (92, 34, 30, 18)
    pdf.set_font("Helvetica", "B", 9)
    for width, heading in zip(widths, ("figure", "measured", "limit", "result"), strict=True):
        pdf.cell(width, 6, heading, border="B")
    pdf.ln()
    for item in items:
        limit = limits().get(item["name"], {})
        what, unit = str(limit.get("what", item["name"])), str(limit.get("unit", ""))
        measured = _measured(item["value"], item["uncertainty"])
        sides = [
            f"{word} {item[key]:g}"
            for key, word in (("at_least", "at least"), ("at_most", "at most"))
            if item[key] is not None
        ]
        pdf.set_font("Helvetica", "", 8)
        pdf.cell(widths[0], 5, _ascii(f"{what} ({unit})" if unit else what))
        pdf.cell(widths[1], 5, measured)
        pdf.cell(widths[2], 5, ", ".join(sides))
        pdf.set_font("Helvetica", "" if item["passed"] else "B", 8)
        pdf.cell(widths[3], 5, "pass" if item["passed"] else "FAIL")
        pdf.ln()


def _plot(result: Mapping[str, Any], spectrum: tuple[Sequence[float], Sequence[float]]) -> bytes:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(
        2, 1, sharex=True, figsize=(9, 3.4), height_ratios=(2, 1), layout="constrained"
    )
    try:
        upper.plot(spectrum[0], spectrum[1], color="black", linewidth=0.8)
        upper.set_ylabel("counts")
        for true, measured, error in result["bands"]:
            upper.axvline(true, color="#0072B2", linewidth=0.5, alpha=0.6)
            lower.errorbar(true, measured - true, yerr=error, fmt="o", ms=3, color="#D55E00")
        lower.axhline(0.0, color="black", linewidth=0.6)
        lower.set_ylabel("error / cm$^{-1}$")
        lower.set_xlabel("Raman shift / cm$^{-1}$")
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=160, metadata={"Software": None})
        return out.getvalue()
    finally:
        pyplot.close(figure)


def _measured(value: float, uncertainty: float | None) -> str:
    """The value to the second digit of its uncertainty; to four digits where there is none."""
    if not uncertainty:
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{digits}f} \xb1 {uncertainty:.{digits}f}"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000.0, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _ascii(text: str) -> str:
    return str(text).encode("latin-1", "replace").decode("latin-1")
