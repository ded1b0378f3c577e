"""Draw why a spectrum got its verdict: measurement, fit, components, residual and the reasons.

On the terminal always; with --output as a picture too (.png, .svg or .pdf).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fieldassay import identify, picture, terminal_plot
from fieldassay.commands.identify import (
    LIBRARY_HELP,
    PRESUMPTIVE,
    WORDS,
    human,
    identify_file,
    open_library,
)
from fieldassay.errors import SetupError
from fieldassay.hazards.cards import load_cards
from fieldassay.verdict import Identification
from fieldassay.web.plot import bands

TABLE_BANDS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, the library and where the picture goes."""
    parser.add_argument("file", metavar="FILE", type=Path, help="spectrum file")
    parser.add_argument(
        "--output", type=Path, metavar="PICTURE", help="also draw it: .png, .svg or .pdf"
    )
    parser.add_argument("--library", action="append", type=Path, metavar="PATH", help=LIBRARY_HELP)
    parser.add_argument(
        "--excitation-nm", type=float, metavar="NM", help="laser wavelength, for an axis in nm"
    )
    parser.add_argument(
        "--width", type=int, metavar="N", help="characters a line (default: the terminal's)"
    )


def run(args: argparse.Namespace) -> int:
    """Explain one file."""
    form = _form(args.output)
    library = open_library(args.library)
    spectrum, found = identify_file(args.file, library, args.excitation_nm)
    curves = identify.overlay(spectrum, library, found)
    print("\n".join(human(args.file, spectrum, found, load_cards())))
    print("\n".join(["", *figures(found), "", *plots(curves, args.width), "", *table(curves)]))
    print(PRESUMPTIVE)
    if args.output is not None:
        data = picture.draw(str(args.file), heading(found), found, curves, form)
        try:
            args.output.write_bytes(data)
        except OSError as error:
            raise SetupError(
                "export_not_written",
                f"{args.output} cannot be written: {error.strerror}.",
                "Give another file with --output.",
            ) from error
        print(f"Picture: {args.output}", file=sys.stderr)
    return 0


def heading(found: Identification) -> str:
    """The verdict in one line; an inconclusive one names nothing."""
    word = WORDS.get(found.verdict.kind, found.verdict.kind.upper())
    if found.verdict.kind == "inconclusive":
        return word
    names = " + ".join(
        s.name if s.share is None or len(found.verdict.substances) == 1
        else f"{s.name} {100 * s.share:.0f} % of the signal"
        for s in found.verdict.substances
    )  # fmt: skip
    names = names or (found.verdict.family.name if found.verdict.family else "")
    return f"{word}: {names}" if names else word


def figures(found: Identification) -> list[str]:
    """The numbers behind the reasons, one a line."""
    shown = found.as_dict()["quality"]
    width = max(map(len, shown))
    lines = ["  numbers:"]
    for name, value in shown.items():
        lines.append(f"    {name:<{width}}  {value}")
    lines.append(f"    {'algorithm':<{width}}  {found.algorithm}")
    lines.append(f"    {'library':<{width}}  {found.library}")
    return lines


def plots(curves: dict[str, Any], width: int | None = None) -> list[str]:
    """Measurement, fit, each reference and the residual, all on the scale of the measurement."""
    width = width or min(shutil.get_terminal_size((100, 24)).columns, 160)
    braille = (sys.stdout.encoding or "").lower().startswith("utf")
    top = max(float(np.nanmax(curves["measured"])), 1e-12)
    lines = []
    parts = [("measured, baseline taken off", curves["measured"]), ("fit", curves["fit"])]
    if len(curves["references"]) > 1:
        parts += [(f"reference: {r['name']}", r["values"]) for r in curves["references"]]
    for name, values in parts:
        plain = [float("nan") if v is None else v for v in values]
        lines.append(f"  {name}")
        lines += terminal_plot.curve(curves["axis_cm1"], plain, (0.0, top), width, 8, braille)
    lines.append("  unexplained: measured less fit")
    rest = picture.residual(curves)
    lines += terminal_plot.curve(
        curves["axis_cm1"], rest, (-0.5 * top, 0.5 * top), width, 6, braille
    )
    return lines


def table(curves: dict[str, Any]) -> list[str]:
    """The strongest bands and how much of each is explained."""
    measured = np.array(curves["measured"], dtype=np.float64)
    fit = np.array([np.nan if v is None else v for v in curves["fit"]], dtype=np.float64)
    found = bands(np.array(curves["axis_cm1"]), measured, fit)
    lines = ["  strongest bands    measured  explained (percent of the highest)"]
    strongest = sorted(found, key=lambda band: -(band["measured_percent"] or 0))[:TABLE_BANDS]
    for band in strongest:
        fitted = band["fit_percent"]
        there = "–" if fitted is None else f"{fitted:.0f}"
        lines.append(f"    {band['cm1']:7.0f} cm-1   {band['measured_percent']:8.0f}  {there:>9}")
    return lines


def _form(output: Path | None) -> str:
    form = "" if output is None else output.suffix.lower().removeprefix(".")
    if output is not None and form not in picture.FORMS:
        raise SetupError(
            "picture_form_unknown",
            f"{output.name} does not end in {', '.join('.' + f for f in picture.FORMS)}.",
            "Give a file name with one of these endings.",
        )
    return form
