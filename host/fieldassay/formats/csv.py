"""Columns of text: CSV, TSV and the exports of many instruments; and writing CSV.

Chooses the columns of a `text_table` by their names and keeps the `key,value` lines before it as
facts. It guesses only what the text leaves no doubt about; several intensity columns without a name
to choose by are an error.
"""

from __future__ import annotations

import re

import numpy as np

from fieldassay.errors import FormatError
from fieldassay.formats.columns import (
    assemble,
    axis_unit,
    facts,
    not_optical,
    not_scattered,
    technique,
)
from fieldassay.formats.text_table import INTENSITY, read_table
from fieldassay.spectrum import AxisUnit, Floats, Spectrum

_NEVER = re.compile(r"dark(?!.?subtracted)|reference|^noise|%|absorb|irradiance|background|^time")
_NOT_OPTICAL = re.compile(
    r"energy|\(m?ev\)|hz\b|frequency|2.?theta|m/z|^time|\bppm\b|minutes|seconds"
)
_NOISE = re.compile(r"^(noise|sigma|standard.deviation)")


def sniff(data: bytes) -> bool:
    """True if the first bytes are text."""
    head = data[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    control = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return b"\x00" not in head and control == 0


def read(data: bytes) -> Spectrum:
    """The spectrum in a text with columns.

    Raises:
        FormatError: not text, no two columns of numbers, or several spectra.
    """
    table = read_table(data)
    columns = table.columns
    x_column, unit, scale, assumed = _x_column(table.names, columns)
    y_column, noise_column = _y_columns(table.names, columns, x_column)
    x, y = columns[:, x_column], columns[:, y_column]
    keep = ~(np.isnan(x) | np.isnan(y))
    noise = columns[keep, noise_column] if noise_column is not None else None
    if noise is not None and not np.all(noise >= 0):
        noise = None
    # A spreadsheet pads every line with delimiters to the same width.
    pairs = [
        (cells[0].lstrip("#").strip(), cells[1])
        for cells in table.header
        if len(cells) >= 2 and not any(cells[2:])
    ]
    meta = {**facts(pairs), "format": "csv"}
    if assumed:
        meta["x_assumed"] = "cm-1"
    stated = {key.lower(): value for key, value in pairs}
    kind = technique(stated.get("technique", "") or stated.get("data type", ""))
    if kind in ("raman", "infrared"):
        meta["technique"] = kind
    if table.names:
        meta["y_column"] = table.names[y_column][:80]
        quantity = not_scattered(table.names[y_column])
        if quantity:
            meta["y_quantity"] = quantity
    return assemble(x[keep] * scale, y[keep], unit, meta, noise)


def _x_column(names: list[str], columns: Floats) -> tuple[int, AxisUnit, float, bool]:
    """Index, unit and factor of the axis column, and whether its unit is only assumed.

    Raman shift before wavenumber (some exports have both, the latter absolute), before wavelength,
    before pixel.
    """
    if not names:
        return 0, *_bare_unit(columns[:, 0])
    if axis_unit(names[0]) is None and _NOT_OPTICAL.search(names[0].lower()):
        raise not_optical(names[0])
    found: list[tuple[int, int, AxisUnit, float]] = []
    for index, name in enumerate(names):
        unit = axis_unit(name)
        if unit is None or np.unique(columns[:, index][~np.isnan(columns[:, index])]).size < 2:
            continue
        shift = "shift" in name.lower() or unit[0] != "cm-1"
        rank = {"cm-1": 0, "nm": 2, "px": 3}[unit[0]] + (0 if shift else 1)
        found.append((rank, index, *unit))
    if found:
        _, index, unit_name, scale = min(found)
        return index, unit_name, scale, False
    return 0, *_bare_unit(columns[:, 0])


def _bare_unit(x: Floats) -> tuple[AxisUnit, float, bool]:
    """An axis without a name is taken as cm-1, unless it only counts from 0 or 1."""
    clean = x[~np.isnan(x)]
    if clean.size > 1 and clean[0] in (0.0, 1.0) and np.all(np.diff(clean) == 1.0):
        return "px", 1.0, False
    return "cm-1", 1.0, True


def _y_columns(names: list[str], columns: Floats, x_column: int) -> tuple[int, int | None]:
    """Index of the intensity column and of the noise column, if any."""
    width = columns.shape[1]
    usable = [i for i in range(width) if i != x_column and not np.all(np.isnan(columns[:, i]))]
    lower = [name.lower() for name in names] or [""] * width
    noise = next((i for i in usable if _NOISE.search(lower[i])), None)
    candidates = [i for i in usable if not _NEVER.search(lower[i]) and axis_unit(lower[i]) is None]
    if not candidates:  # read, so that whoever asks for scattered light can be told what it is
        candidates = [i for i in usable if not_scattered(lower[i])]
    for pattern in INTENSITY:
        matching = [i for i in candidates if pattern.search(lower[i])]
        if len(matching) == 1:
            return matching[0], noise
        if matching:
            candidates = matching
            break
    if len(candidates) == 1:
        return candidates[0], noise
    if not candidates:
        raise FormatError(
            "no_columns",
            "The file has an axis but no column of intensities.",
            "Export the spectrum with a column named Processed, Intensity, Counts or Raw.",
        )
    raise FormatError(
        "several_spectra",
        f"The file has {len(candidates)} columns that may be the intensity.",
        "Export one spectrum to a file, or name the right column Processed.",
    )


def write(spectrum: Spectrum) -> bytes:
    """The spectrum as CSV with named columns: exact, every float64 reads back bit for bit.

    Nothing from `meta` is written, so no text of a file can become a formula in a spreadsheet.
    """
    names = {"cm-1": "Wavenumber (cm-1)", "nm": "Wavelength (nm)", "px": "Pixel"}
    columns = [spectrum.axis.values.tolist(), spectrum.intensity.tolist()]
    header = [names[spectrum.axis.unit], "Intensity"]
    if spectrum.noise is not None:
        columns.append(spectrum.noise.tolist())
        header.append("Noise")
    lines = [",".join(header)]
    lines += [",".join(map(repr, row)) for row in zip(*columns, strict=True)]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
