"""A JCAMP-DX file as blocks of labels; what the labels mean is `jcamp`.

Owns labels and their spelling, comments, blocks inside blocks, and NTUPLES blocks made plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fieldassay.errors import FormatError
from fieldassay.formats.columns import damaged, number, split_lines

_MAX_RECORDS = 500_000
NOT_LABEL = re.compile(r"[\s_/-]")  # what does not count in the spelling of a label


@dataclass(slots=True)
class Block:
    """One ##TITLE … ##END block: its records in order; `closed` once ##END was seen.

    `outer` is the block that holds it, if one does.
    """

    records: list[tuple[str, list[str]]] = field(default_factory=list)
    closed: bool = False
    outer: Block | None = None
    first: dict[str, list[str]] = field(default_factory=dict)

    def add(self, label: str, lines: list[str]) -> None:
        """Append a record; the first of a label is the one `get` finds."""
        self.records.append((label, lines))
        self.first.setdefault(label, lines)

    def get(self, label: str) -> str:
        """The value of the first record with this label, on one line; empty if there is none."""
        return " ".join(line.strip() for line in self.first.get(label, ())[:20]).strip()

    def number(self, label: str) -> float | None:
        """The value as a number; None if absent or not a number. Blanks inside are tolerated."""
        return number(self.get(label).replace(" ", ""))


def parse_blocks(data: bytes) -> Iterator[Block]:
    """The blocks in the order they begin; a LINK block comes before the blocks it holds."""
    plain = data.removeprefix(b"\xef\xbb\xbf")
    try:  # the standard knows ASCII only; names in other languages are written either way
        text = plain.decode("utf-8")
    except UnicodeDecodeError:
        text = plain.decode("latin-1")
    blocks: list[Block] = []
    open_: list[Block] = []
    lines: list[str] | None = None
    count = 0
    for line in split_lines(data, text):
        line = line.partition("$$")[0]
        stripped = line.lstrip()
        if not stripped.startswith("##"):
            if lines is not None and stripped:
                lines.append(line)
            continue
        label, equals, value = stripped[2:].partition("=")
        if not equals:
            raise damaged(f"The label {stripped[:30]!r} has no '='.")
        name = label.strip().upper() if label.startswith("$") else NOT_LABEL.sub("", label).upper()
        if name == "END":
            if open_:
                open_.pop().closed = True
            lines = None
            continue
        if name == "TITLE" or not open_:
            block = Block(outer=open_[-1] if open_ else None)
            blocks.append(block)
            open_.append(block)
        lines = [value]
        open_[-1].add(name, lines)
        count += 1
        if count > _MAX_RECORDS:
            raise damaged(f"The file has more than {_MAX_RECORDS} labels.")
    yield from blocks


def first_page(block: Block) -> Block:
    """An NTUPLES block as a plain one: its first table with the attributes of its variables."""

    def row(label: str) -> list[str]:
        return [cell.strip() for cell in block.get(label).split(",")]

    symbols = [s.upper() for s in row("SYMBOL")]
    index = next((i for i, (n, _) in enumerate(block.records) if n == "DATATABLE"), None)
    if index is None:
        raise FormatError(
            "no_spectrum", "The NTUPLES block has no data table.", "Export one plain spectrum."
        )
    lines = block.records[index][1]
    form = lines[0].replace(" ", "").upper()
    found = re.match(r"\((?:X\+\+\(([A-Z])\.\.|X([A-Z])\.\.)", form)
    y_symbol = (found.group(1) or found.group(2)) if found else "Y"
    plain = Block(closed=block.closed)
    # A page may state its own count, after the attributes of all pages.
    counts = [values for name, values in block.records[:index] if name == "NPOINTS"]
    if counts:
        plain.add("NPOINTS", counts[-1])
    for name, values in block.records[:index]:
        if name not in ("NTUPLES", "NPOINTS"):
            plain.add(name, values)
    for label, source, symbol in (
        ("XUNITS", "UNITS", "X"),
        ("YUNITS", "UNITS", y_symbol),
        ("XFACTOR", "FACTOR", "X"),
        ("YFACTOR", "FACTOR", y_symbol),
        ("FIRSTX", "FIRST", "X"),
        ("LASTX", "LAST", "X"),
        ("FIRSTY", "FIRST", y_symbol),
        ("NPOINTS", "VARDIM", "X"),
    ):
        cells = row(source)
        place = symbols.index(symbol) if symbol in symbols else -1
        if 0 <= place < len(cells) and cells[place]:
            plain.add(label, [cells[place]])
    plain.add("DATATABLE", lines)
    return plain
