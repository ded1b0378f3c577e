"""Columns of text: CSV, TSV and the exports of many instruments; and writing CSV.

Finds the longest run of lines with numbers, names its columns from the line above, keeps the
`key,value` lines before it as facts. It guesses only what the text leaves no doubt about; several
intensity columns without a name to choose by are an error.
"""

from __future__ import annotations

import csv as quoted
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fieldassay.errors import FormatError
from fieldassay.formats.columns import (
    MAX_CELLS,
    assemble,
    axis_unit,
    check_points,
    facts,
    not_optical,
    not_scattered,
    number,
    split_lines,
    technique,
)
from fieldassay.spectrum import AxisUnit, Floats, Spectrum

_MAX_HEADER_LINES = 10_000
_MAX_COLUMNS = 1_000
# A cell that begins with a number is a fact ("wl,532nm"), not a name; "1/cm" is a name.
_STARTS_WITH_NUMBER = re.compile(r"[-+.]?\d(?!/cm)")
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "--"))
# Tried in this order; the first with the most lines of numbers wins. None: any white space.
_DELIMITERS = ("\t", ";", None, ",")

# Intensity columns by the names instruments write, best first.
_INTENSITY = (
    re.compile(r"^processed"),
    re.compile(r"dark.?subtracted|^corrected"),
    re.compile(r"intensity|^counts|^signal|^amplitude|^cps"),
    re.compile(r"^raw|^spectrum|^y$|raman(?!.?shift)"),
)
_NEVER = re.compile(r"dark(?!.?subtracted)|reference|^noise|%|absorb|irradiance|background|^time")
_NOT_OPTICAL = re.compile(
    r"energy|\(m?ev\)|hz\b|frequency|2.?theta|m/z|^time|\bppm\b|minutes|seconds"
)
_NOISE = re.compile(r"^(noise|sigma|standard.deviation)")


@dataclass(frozen=True, slots=True)
class _Table:
    """The numbers of the file, shape (rows, columns), NaN where missing, and what stands above."""

    columns: Floats
    names: list[str]
    header: list[list[str]]


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
    table = _table(split_lines(data, _text(data)))
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


def _text(data: bytes) -> str:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        if b"\x00" in data:
            raise FormatError(
                "not_text",
                "The file has zero bytes: it is not text.",
                "Export the spectrum as CSV, JCAMP-DX or SPC.",
            )
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter == "," and '"' in line:  # a comma inside quotes separates nothing
        try:
            cells = next(quoted.reader([line]))
        except quoted.Error:
            return []
    else:
        cells = line.split(delimiter, _MAX_COLUMNS)
    cells = [cell.strip().strip('"').strip() for cell in cells]
    return cells if any(cells) else []


def _parse(cells: Sequence[str], decimal_comma: bool) -> list[float] | None:
    """The numbers of a line, NaN where missing; None if it is no line of numbers.

    That is two cells or more, each a number or a word for "missing", and at least one a number.
    """
    cells = list(cells)
    while len(cells) > 2 and not cells[-1]:
        cells.pop()  # a trailing delimiter is no column
    if len(cells) < 2:
        return None
    values = []
    for cell in cells:
        value = number(cell.replace(",", ".", 1) if decimal_comma else cell)
        if value is None:
            if cell.lower() not in _MISSING:
                return None
            value = math.nan
        values.append(value)
    return values if any(value == value for value in values) else None


def _table(lines: list[str]) -> _Table:
    """The longest run of lines of numbers; a blank line neither ends nor lengthens a run."""
    delimiter = _delimiter(lines)
    run: list[list[float]] = []
    best: list[list[float]] = []
    begin = start = cell_count = 0
    for index, line in enumerate(lines):
        cells = _split(line, delimiter)
        cell_count += len(cells)
        if cell_count > MAX_CELLS:
            raise FormatError(
                "too_many_points",
                f"The file has more than {MAX_CELLS} cells.",
                "Export one spectrum to a file, with two columns.",
            )
        if not cells:
            continue
        values = _parse(cells, delimiter != ",")
        if values is None:
            run = []
            continue
        if not run:
            start = index
        run.append(values)
        if len(run) > len(best):
            best, begin = run, start
    if len(best) < 2:
        raise FormatError(
            "no_columns",
            "The file has no two columns of numbers.",
            "Export the spectrum with one column for the axis and one for the intensity.",
        )
    width = max(map(len, best))
    if width > _MAX_COLUMNS:
        raise FormatError(
            "several_spectra",
            f"The file has more than {_MAX_COLUMNS} columns.",
            "Export one spectrum to a file.",
        )
    check_points(len(best))
    columns = np.full((len(best), width), np.nan)
    for row, values in zip(columns, best, strict=True):
        row[: len(values)] = values
    above = [line for line in lines[max(0, begin - _MAX_HEADER_LINES) : begin] if line.strip()]
    header = [_split(line, delimiter) for line in above]
    names = _names(header[-1], above[-1], width, delimiter) if header else []
    return _Table(columns, names, header[:-1] if names else header)


def _names(row: list[str], line: str, width: int, delimiter: str | None) -> list[str]:
    """The names of the columns if the line above the numbers has them, else an empty list."""
    cells = [cell.lstrip("#").strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) > width:
        cells = [cell for cell in cells if cell]
    if len(cells) < 2 or any(_STARTS_WITH_NUMBER.match(cell) for cell in cells):
        return []
    named = any(axis_unit(c) or any(p.search(c.lower()) for p in _INTENSITY) for c in cells)
    if not named and cells[0].lower() not in ("x", "wave", "shift", "axis"):
        return []
    if len(cells) != width and delimiter is None:
        return _resplit(line, width)
    if len(cells) != width:
        raise FormatError(
            "columns_unclear",
            f"The header names {len(cells)} columns and the lines have {width}.",
            "Export the spectrum again with one name for each column.",
        )
    return cells


def _resplit(line: str, width: int) -> list[str]:
    """Names with blanks inside, above columns separated by blanks: two blanks separate names."""
    cells = [c.strip() for c in re.split(r"\s{2,}|\t|,|;", line.strip().lstrip("#")) if c.strip()]
    return cells if len(cells) == width else []


def _delimiter(lines: list[str]) -> str | None:
    """The separator that makes most lines numbers, judged on 800 lines."""
    middle = len(lines) // 2
    sample = lines[middle : middle + 400] + lines[-400:]
    scores = [
        sum(_parse(_split(line[:4096], d), d != ",") is not None for line in sample)
        for d in _DELIMITERS
    ]
    return _DELIMITERS[scores.index(max(scores))]


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
    for pattern in _INTENSITY:
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
