"""JCAMP-DX 4.24 and 5.01: a file in, one Spectrum out, or all of them.

`read` takes the first block with a spectrum on an optical axis, `read_all` every block with data,
as libraries of many spectra in one file need. `jcamp_blocks` takes the file apart, `asdf` decodes
the ordinates, `jcamp_write` writes. What the file states about itself (NPOINTS, FIRSTY, X and Y
checks, ##END) must hold, or it is damaged.
Sources: McDonald and Wilks, Appl. Spectrosc. 42 (1988) 151; Lampen et al., Appl. Spectrosc. 53
(1999) 1457.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from fieldassay.errors import FormatError
from fieldassay.formats import asdf
from fieldassay.formats.columns import (
    MAX_FACT_CHARACTERS,
    assemble,
    axis_unit,
    check_points,
    damaged,
    facts,
    not_optical,
    not_scattered,
    technique,
)
from fieldassay.formats.jcamp_blocks import NOT_LABEL, Block, first_page, parse_blocks
from fieldassay.spectrum import Floats, Spectrum

_TABLES = ("XYDATA", "XYPOINTS", "DATATABLE", "PEAKTABLE", "PEAKASSIGNMENTS")
_FACTS = {
    "TITLE": "title",
    "DATATYPE": "data_type",
    "YUNITS": "y_units",
    "XUNITS": "x_units",
    "SPECTROMETERDATASYSTEM": "instrument",
    "RESOLUTION": "resolution",
    "CASNAME": "cas_name",
    "CASREGISTRYNO": "cas",
    "MOLFORM": "formula",
    "NAMES": "names",
    "INCHIKEY": "inchikey",
    "ORIGIN": "origin",
    "OWNER": "owner",
    "DATE": "date",
    "LONGDATE": "date",
    "SAMPLEDESCRIPTION": "sample",
}
# What the outer block of a library says of every spectrum in it that does not say it itself.
_OUTER = frozenset({"names", "cas_name", "cas", "inchikey", "formula", "origin", "owner"})
_OUTER |= frozenset({"instrument", "resolution", "date"})


def sniff(data: bytes) -> bool:
    """True if the first label, after whatever text before it, is ##TITLE or ##JCAMP-DX."""
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    for line in re.split(r"[\r\n]+", head):
        if line.lstrip().startswith("##"):
            label = NOT_LABEL.sub("", line.partition("=")[0]).upper()
            return label in ("##TITLE", "##JCAMPDX", "##JCAMP")
    return False


def read(data: bytes) -> Spectrum:
    """The first spectrum of a JCAMP-DX file.

    Raises:
        FormatError: no block holds a spectrum (the error names the blocks), or a check fails.
    """
    blocks = list(parse_blocks(data))
    refused: FormatError | None = None
    for index, block in enumerate(blocks):
        if not any(label in _TABLES for label, _ in block.records):
            continue
        try:
            spectrum = _spectrum(block)
        except FormatError as error:
            if error.code not in ("peaks_not_spectrum", "axis_not_optical", "no_spectrum"):
                raise
            refused = refused or error
            continue
        if len(blocks) > 2:
            note = f"block {index} of {len(blocks) - 1}: {block.get('TITLE')[:60]}"
            return _with_note(spectrum, note)
        return spectrum
    if refused is not None and len(blocks) <= 2:
        raise refused
    if not blocks:
        raise damaged("The file has no block: no label ##TITLE= begins one.")
    names = ", ".join(f"{b.get('TITLE')[:30]!r} ({b.get('DATATYPE')[:30]})" for b in blocks[:8])
    raise FormatError(
        "no_spectrum",
        f"No block of the file holds an optical spectrum; it has {len(blocks)}: {names}.",
        "Export the spectrum itself (XYDATA or XYPOINTS), not peaks or other data.",
    )


def read_all(data: bytes) -> list[tuple[str, Spectrum | FormatError]]:
    """Every block with data, in file order: its title, and its spectrum or why it is none.

    Labels that the outer block states once (OWNER, ORIGIN, CAS REGISTRY NO …) count for the blocks
    inside that do not state them.

    Raises:
        FormatError: the file as a whole cannot be taken apart, or no block holds data.
    """
    found: list[tuple[str, Spectrum | FormatError]] = []
    for index, block in enumerate(parse_blocks(data)):
        if not any(label in _TABLES for label, _ in block.records):
            continue
        title = block.get("TITLE")[:80] or f"block {index}"
        try:
            spectrum = _spectrum(block)
        except FormatError as error:
            found.append((title, error))
            continue
        meta = dict(spectrum.meta)
        outer = block.outer
        while outer is not None:
            for label, _ in outer.records:
                name = _FACTS.get(label, "")
                if name in _OUTER and outer.get(label):
                    meta.setdefault(name, outer.get(label)[:MAX_FACT_CHARACTERS])
                if _about_laser(label) and "excitation_nm" not in meta:
                    meta.update(facts([(label.lstrip("$."), outer.get(label))]))
            outer = outer.outer
        found.append((title, replace(spectrum, meta=meta)))
    if not found:
        raise FormatError(
            "no_spectrum",
            "No block of the file holds data.",
            "Export the spectra themselves (XYDATA or XYPOINTS).",
        )
    return found


def _spectrum(block: Block) -> Spectrum:
    """The spectrum of one block."""
    if any(name == "NTUPLES" for name, _ in block.records):
        block = first_page(block)
    table, lines = next((n, v) for n, v in block.records if n in _TABLES)
    form = lines[0].replace(" ", "").upper()
    if table.startswith("PEAK") or "PEAKS" in form:
        raise FormatError(
            "peaks_not_spectrum",
            "The file holds a table of peaks, not a spectrum.",
            "Export the spectrum itself (XYDATA or XYPOINTS).",
        )
    data_type = block.get("DATATYPE")
    if re.search(r"mass|nmr|chromatogra|mobility|epr|titration", data_type, re.IGNORECASE):
        raise not_optical(data_type)
    label = block.get("XUNITS")
    unit = axis_unit(label)
    if unit is None:
        raise not_optical(label or "not stated")
    if not block.closed:
        raise FormatError(
            "file_truncated",
            "The file ends before its ##END= label.",
            "Copy the file again; a part is missing.",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused in `assemble`
        x, y = decode(block, form, lines[1:])
    pairs = [(_FACTS[n], block.get(n)) for n, _ in block.records if n in _FACTS]
    pairs.insert(
        0, ("names", "; ".join(x.strip() for x in block.first.get("NAMES", ()) if x.strip()))
    )
    pairs += [(n.lstrip("$."), block.get(n)) for n, _ in block.records if _about_laser(n)]
    meta = {"format": "jcamp", **facts(pairs)}
    kind = technique(data_type)
    if kind:
        meta["technique"] = kind
    quantity = not_scattered(block.get("YUNITS"))
    if quantity:
        meta["y_quantity"] = quantity
    return assemble(x * unit[1], y, unit[0], meta)


def decode(block: Block, form: str, lines: list[str]) -> tuple[Floats, Floats]:
    """The numbers of a data table, scaled by its factors and checked; any axis, optical or not."""
    x_factor = _or_one(block.number("XFACTOR"))
    y_factor = _or_one(block.number("YFACTOR"))
    points = block.number("NPOINTS")
    if points is not None:
        check_points(int(points))
    if form.startswith("(XY..XY)"):
        x, y = asdf.pairs(lines)
        x *= x_factor
    elif re.match(r"\(X\+\+\([YRI]\.\.[YRI]\)\)?", form):
        table = asdf.decode(lines)
        y = table.y
        if points is None or int(points) == y.size:
            x = _even_axis(block, table, x_factor)
    else:
        raise FormatError(
            "no_spectrum",
            f"The data table has the form {form[:40]!r}, which is not a spectrum.",
            "Export the spectrum as XYDATA=(X++(Y..Y)) or XYPOINTS=(XY..XY).",
        )
    if points is not None and int(points) != y.size:
        raise damaged(f"The file says it has {int(points)} points and has {y.size}.")
    if y.size == 0:
        raise damaged("The data table is empty.")
    y = y * y_factor
    _check_first_y(block, y, abs(y_factor))
    keep = ~np.isnan(y)
    return x[keep], y[keep]


def _even_axis(block: Block, table: asdf.Table, x_factor: float) -> Floats:
    """Positions from FIRSTX with LASTX or DELTAX, checked against the X of every line."""
    size = table.y.size
    if size == 0:
        return table.y
    line_x = table.line_x * x_factor
    first, last, step = (block.number(label) for label in ("FIRSTX", "LASTX", "DELTAX"))
    if first is None:
        first = float(line_x[0])
    if last is None and step is None:
        step = _step_of_lines(table, line_x)
    rounding = table.line_x_rounding * abs(x_factor)
    worst = ""
    # In some files LASTX does not fit NPOINTS and DELTAX; the X of the lines says which is right.
    for end in (last, None if step is None else first + step * (size - 1)):
        if end is None:
            continue
        x = np.linspace(first, end, size)
        off = np.abs(x[table.line_start] - line_x)
        if np.all(off <= 1.5 * abs(end - first) / max(size - 1, 1) + 2.0 * rounding):
            return x
        at = int(np.argmax(off))
        worst = worst or f"a line starts at {line_x[at]:.6g}, due is {x[table.line_start][at]:.6g}"
    if line_x.size == size:  # one point a line: an uneven axis in an "even" table, seen in the wild
        return line_x
    raise damaged(f"An X check fails: {worst}.")


def _step_of_lines(table: asdf.Table, line_x: Floats) -> float:
    between = int(table.line_start[-1] - table.line_start[0])
    if between == 0:
        raise damaged("The file states neither LASTX nor DELTAX.")
    return float((line_x[-1] - line_x[0]) / between)


def _check_first_y(block: Block, y: Floats, y_factor: float) -> None:
    """FIRSTY must be the first ordinate, within 1 % or the resolution; 0 is "not filled in"."""
    first_y = block.number("FIRSTY")
    if not first_y or np.isnan(y[0]):
        return
    if abs(y[0] - first_y) > 0.01 * abs(first_y) + 2.0 * y_factor:
        raise damaged(f"FIRSTY is stated as {first_y:.6g} and is {y[0]:.6g}.")


def _about_laser(label: str) -> bool:
    return ("LASER" in label and "WAVELENGTH" in label) or "EXCITATION" in label


def _or_one(value: float | None) -> float:
    return 1.0 if value is None or value == 0.0 else value


def _with_note(spectrum: Spectrum, note: str) -> Spectrum:
    return replace(spectrum, meta={**spectrum.meta, "note": note})
