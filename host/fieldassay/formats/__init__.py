"""Spectrum files: `read` finds the format by content, then by name.

One module a format, one line in FORMATS. Pure: bytes in, Spectrum out; any bytes give a Spectrum or
one FormatError, and nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from fieldassay.errors import FormatError
from fieldassay.formats import csv, jcamp, jcamp_write, spc
from fieldassay.formats.columns import MAX_BYTES, MAX_POINTS
from fieldassay.spectrum import Spectrum

__all__ = ["EXTENSIONS", "FORMATS", "MAX_BYTES", "MAX_POINTS", "Format", "read", "read_all"]


@dataclass(frozen=True, slots=True)
class Format:
    """One file format.

    Attributes:
        title: Name people know.
        extensions: Lower case, with the dot.
        sniff: True if the content is surely of this format; looks at the first bytes only.
        read: The whole file into a Spectrum, or FormatError.
        read_all: Every spectrum of the file with its title, where a file may hold several.
        write: A Spectrum into a file, where the format is written.
    """

    title: str
    extensions: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    read: Callable[[bytes], Spectrum]
    write: Callable[[Spectrum], bytes] | None = None
    read_all: Callable[[bytes], list[tuple[str, Spectrum | FormatError]]] | None = None


# In the order they are tried. CSV is last: it accepts any text with columns of numbers.
FORMATS: dict[str, Format] = {
    "jcamp": Format(
        "JCAMP-DX",
        (".jdx", ".dx", ".jcm", ".jcamp"),
        jcamp.sniff,
        jcamp.read,
        jcamp_write.write,
        jcamp.read_all,
    ),
    "spc": Format("Thermo/Galactic SPC", (".spc",), spc.sniff, spc.read),
    "csv": Format(
        "CSV or columns of text", (".csv", ".txt", ".tsv", ".asc"), csv.sniff, csv.read, csv.write
    ),
}

EXTENSIONS: frozenset[str] = frozenset(e for f in FORMATS.values() for e in f.extensions)

# Files people try that are something else: say what it is instead of reading it as text.
_KNOWN_STRANGERS = {
    b"WDF1": "a Renishaw WDF file",
    b"PK\x03\x04": "a ZIP archive or spreadsheet",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive",
    b"\x7fELF": "a program",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet or document",
}


def read(data: bytes, name: str) -> Spectrum:
    """One spectrum from a file's bytes; the axis unit is what the file says (cm-1, nm or px).

    Args:
        data: The whole file, at most MAX_BYTES.
        name: File name; only its extension is used, and only where the content does not tell.

    Returns:
        The spectrum; `meta["format"]` names the format.

    Raises:
        FormatError: empty, too large, damaged, of no known format, or without a spectrum.
    """
    _refuse_strangers(data)
    format_ = _detect(data, PurePath(name).suffix.lower())
    try:
        return format_.read(data)
    except FormatError:
        raise
    except Exception as error:  # the last net: the contract tests call the formats without it
        raise _unforeseen(format_, error) from error


def read_all(data: bytes, name: str) -> list[tuple[str, Spectrum | FormatError]]:
    """Every spectrum of a file that may hold many, each with its title; why one is none, too.

    Args:
        data: The whole file, at most MAX_BYTES.
        name: File name, as for `read`.

    Raises:
        FormatError: as `read`, where the file as a whole cannot be used.
    """
    _refuse_strangers(data)
    format_ = _detect(data, PurePath(name).suffix.lower())
    if format_.read_all is None:
        return [("", read(data, name))]
    try:
        return format_.read_all(data)
    except FormatError:
        raise
    except Exception as error:  # the last net, as in `read`
        raise _unforeseen(format_, error) from error


def _refuse_strangers(data: bytes) -> None:
    if not data:
        raise FormatError("file_empty", "The file is empty.", "Export the spectrum again.")
    if len(data) > MAX_BYTES:
        raise FormatError(
            "file_too_large",
            f"The file has {len(data)} bytes; the limit is {MAX_BYTES}.",
            "Export one spectrum to a file.",
        )
    for start, stranger in _KNOWN_STRANGERS.items():
        if data.startswith(start):
            raise FormatError(
                "format_unknown",
                f"The file is {stranger}.",
                "Export the spectrum as CSV, JCAMP-DX or SPC.",
            )


def _detect(data: bytes, extension: str) -> Format:
    for format_ in FORMATS.values():
        if format_.sniff(data):
            return format_
    for format_ in FORMATS.values():
        if extension in format_.extensions:
            return format_
    raise FormatError(
        "format_unknown",
        "The file is neither text with columns of numbers nor a format fieldassay knows.",
        "Export the spectrum as CSV, JCAMP-DX or SPC.",
    )


def _unforeseen(format_: Format, error: Exception) -> FormatError:
    return FormatError(
        "file_damaged",
        f"The {format_.title} file cannot be read ({type(error).__name__}).",
        "Export the spectrum again, and send the file to the developers.",
    )
