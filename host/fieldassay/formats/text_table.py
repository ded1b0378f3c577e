"""A text as a table of numbers with names; what the columns mean is `csv`.

Owns the encoding, the delimiter, the decimal comma, the longest run of lines with numbers, and the
names of its columns, from the line above.
"""

from __future__ import annotations

import csv as quoted
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fieldassay.errors import FormatError
from fieldassay.formats.columns import MAX_CELLS, axis_unit, check_points, number, split_lines
from fieldassay.spectrum import Floats

_MAX_HEADER_LINES = 10_000
_MAX_COLUMNS = 1_000
# A cell that begins with a number is a fact ("wl,532nm"), not a name; "1/cm" is a name.
_STARTS_WITH_NUMBER = re.compile(r"[-+.]?\d(?!/cm)")
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "--"))
# Tried in this order; the first with the most lines of numbers wins. None: any white space.
_DELIMITERS = ("\t", ";", None, ",")

# Intensity columns by the names instruments write, best first.
INTENSITY = (
    re.compile(r"^processed"),
    re.compile(r"dark.?subtracted|^corrected"),
    re.compile(r"intensity|^counts|^signal|^amplitude|^cps"),
    re.compile(r"^raw|^spectrum|^y$|raman(?!.?shift)"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of the file, shape (rows, columns), NaN where missing, and what stands above."""

    columns: Floats
    names: list[str]
    header: list[list[str]]


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


def read_table(data: bytes) -> Table:
    """The longest run of lines of numbers; a blank line neither ends nor lengthens a run.

    Raises:
        FormatError: not text, no two columns of numbers, too many, or names that do not fit.
    """
    lines = split_lines(data, _text(data))
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
    return Table(columns, names, header[:-1] if names else header)


def _names(row: list[str], line: str, width: int, delimiter: str | None) -> list[str]:
    """The names of the columns if the line above the numbers has them, else an empty list."""
    cells = [cell.lstrip("#").strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) > width:
        cells = [cell for cell in cells if cell]
    if len(cells) < 2 or any(_STARTS_WITH_NUMBER.match(cell) for cell in cells):
        return []
    named = any(axis_unit(c) or any(p.search(c.lower()) for p in INTENSITY) for c in cells)
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
