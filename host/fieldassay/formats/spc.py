"""Thermo/Galactic SPC, reading only: new format in both byte orders (0x4B, 0x4C), old one (0x4D).

The first subfile is read; a note in `meta` says how many there are. Sizes are checked against the
file before anything is allocated.
Source: the published header layout (Galactic Industries, "A Brief Guide to SPC File Format", 1997).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np

from fieldassay.errors import FormatError
from fieldassay.formats.columns import (
    assemble,
    axis_unit,
    check_points,
    damaged,
    facts,
    not_optical,
    technique,
)
from fieldassay.spectrum import AxisUnit, Floats, Spectrum

_NEW_LITTLE, _NEW_BIG, _OLD = 0x4B, 0x4C, 0x4D
_SIXTEEN_BIT, _MULTI, _LABELS, _OWN_X, _X_VALUES = 0x01, 0x04, 0x20, 0x40, 0x80
_FLOAT_EXPONENT = -128
_NEW_HEAD = "BBBbiddiBBBBI9s9sH32s130s30sI"
_OLD_HEAD = "<BBhfffBBHBBBB8sHH28s130s30s"
_NEW_HEADER_BYTES, _OLD_HEADER_BYTES, _SUBHEADER_BYTES = 512, 256, 32
_MAX_LOG_BYTES = 64 * 1024

_X_TYPES: dict[int, tuple[AxisUnit, float]] = {
    1: ("cm-1", 1.0),
    2: ("nm", 1000.0),
    3: ("nm", 1.0),
    13: ("cm-1", 1.0),
    16: ("px", 1.0),
    17: ("px", 1.0),
    22: ("px", 1.0),
}
_X_NAMES = {0: "arbitrary", 4: "seconds", 5: "minutes", 9: "m/z", 14: "electron volts", 23: "ms"}
_NOT_SCATTERED = {2: "absorbance", 3: "reflectance", 128: "transmittance", 129: "reflectance"}
# Experiment types: 4 and 5 are FT-IR and NIR, 9 mass, 10 NMR, 11 Raman; 0 says nothing.
_TECHNIQUES = {4: "infrared", 5: "infrared", 9: "other", 10: "other", 11: "raman"}


@dataclass(frozen=True, slots=True)
class _Header:
    """What the three header layouts have in common."""

    flags: int
    exponent: int
    points: int
    first: float
    last: float
    subfiles: int
    x_type: int
    experiment: int
    y_type: int
    comment: str
    labels: str
    log_offset: int
    bytes_: int
    order: str
    words_swapped: bool


def sniff(data: bytes) -> bool:
    """True if the version byte is one of SPC and the file can hold the points it states."""
    if len(data) < _OLD_HEADER_BYTES or data[1] not in (_NEW_LITTLE, _NEW_BIG, _OLD):
        return False
    if b"\x00" not in data[:_OLD_HEADER_BYTES]:
        return False  # text whose second letter is K, L or M
    try:
        header = _header(data)
    except FormatError:
        return True
    return header.flags & _OWN_X != 0 or 0 < header.points <= len(data)


def read(data: bytes) -> Spectrum:
    """The first spectrum of an SPC file.

    Raises:
        FormatError: the file is cut or damaged, or its axis is not optical.
    """
    header = _header(data)
    unit = _unit(header)
    x, y = _first_subfile(data, header)
    meta: dict[str, str] = {}
    if header.comment:
        meta["title"] = header.comment[:200]
    if header.subfiles > 1:
        meta["note"] = f"subfile 1 of {header.subfiles}"
    elif header.words_swapped and header.flags & _MULTI:
        meta["note"] = "the first of several subfiles"
    meta.update(facts(_log(data, header)))
    meta["format"] = "spc"
    kind = _TECHNIQUES.get(header.experiment)
    if header.x_type == 13 or technique(header.labels) == "raman":
        kind = "raman"  # FT-Raman is written as experiment 4 too
    if kind:
        meta["technique"] = kind
    # Raman exports often keep "absorbance" as what the intensity axis was set to.
    if kind != "raman" and header.y_type in _NOT_SCATTERED:
        meta["y_quantity"] = _NOT_SCATTERED[header.y_type]
    return assemble(x * unit[1], y, unit[0], meta)


def _header(data: bytes) -> _Header:
    if len(data) < _OLD_HEADER_BYTES:
        raise _truncated()
    version = data[1]
    if version == _OLD:
        return _old_header(data)
    if version not in (_NEW_LITTLE, _NEW_BIG):
        raise FormatError(
            "format_unknown",
            f"The SPC version 0x{version:02X} is not known.",
            "Export the spectrum as CSV, JCAMP-DX or SPC in the new format.",
        )
    if len(data) < _NEW_HEADER_BYTES:
        raise _truncated()
    order = "<" if version == _NEW_LITTLE else ">"
    (flags, _, experiment, exponent, points, first, last, subfiles, x_type, *rest) = (
        struct.unpack_from(order + _NEW_HEAD, data)
    )
    comment, labels, log_offset = rest[-3], rest[-2], rest[-1]
    return _Header(
        flags, exponent, points, first, last, subfiles, x_type, experiment, rest[0],
        _text(comment),
        _label(flags, labels), log_offset, _NEW_HEADER_BYTES, order, False,
    )  # fmt: skip


def _old_header(data: bytes) -> _Header:
    """The 256-byte header of 1987; its last 32 bytes are the first subheader."""
    (flags, _, exponent, points, first, last, x_type, *rest) = struct.unpack_from(_OLD_HEAD, data)
    if not (0.0 < points < 1e9 and points == int(points)):
        raise damaged(f"The header states {points:.6g} points.")
    return _Header(
        flags, exponent, int(points), first, last, 1, x_type & 0x7F, 0, rest[0],
        _text(rest[-2]),
        _label(flags, rest[-1]), 0, _OLD_HEADER_BYTES - _SUBHEADER_BYTES, "<", True,
    )  # fmt: skip


def _first_subfile(data: bytes, header: _Header) -> tuple[Floats, Floats]:
    """Positions and intensities of the first subfile, shape (N,) each."""
    offset = header.bytes_
    points = header.points
    common_x = header.flags & _X_VALUES and not header.flags & _OWN_X
    if common_x:
        x = _numbers(data, offset, points, header.order + "f4")
        offset += 4 * points
    if len(data) < offset + _SUBHEADER_BYTES:
        raise _truncated()
    sub_exponent = struct.unpack_from("b", data, offset + 1)[0]
    sub_points = struct.unpack_from(header.order + "i", data, offset + 16)[0]
    offset += _SUBHEADER_BYTES
    if header.flags & _OWN_X:
        points = sub_points
        x = _numbers(data, offset, points, header.order + "f4")
        offset += 4 * points
    elif not common_x:
        _check_count(points)
        if not (np.isfinite(header.first) and np.isfinite(header.last)):
            raise damaged("The header states an axis that is not finite.")
        x = np.linspace(header.first, header.last, points)
    exponent = header.exponent
    if header.flags & _MULTI and not (exponent == _FLOAT_EXPONENT and sub_exponent == 0):
        exponent = sub_exponent
    return x, _intensities(data, offset, points, exponent, header)


def _intensities(data: bytes, offset: int, points: int, exponent: int, header: _Header) -> Floats:
    """Float32, or 16- or 32-bit fractions of 2**exponent."""
    if exponent == _FLOAT_EXPONENT:
        return _numbers(data, offset, points, header.order + "f4")
    if abs(exponent) > 127:
        raise damaged(f"The exponent of the intensities is {exponent}.")
    if header.flags & _SIXTEEN_BIT:
        return _numbers(data, offset, points, header.order + "i2") * 2.0 ** (exponent - 16)
    if not header.words_swapped:
        return _numbers(data, offset, points, header.order + "i4") * 2.0 ** (exponent - 32)
    # The old format stores the high word first, each word little-endian.
    words = _numbers(data, offset, 2 * points, "<u2").astype(np.uint32).reshape(-1, 2)
    whole = ((words[:, 0] << np.uint32(16)) | words[:, 1]).astype(np.uint32).view(np.int32)
    return whole.astype(np.float64) * 2.0 ** (exponent - 32)


def _numbers(data: bytes, offset: int, count: int, kind: str) -> Floats:
    """`count` numbers from the file as float64; the size is checked first."""
    _check_count(count if kind != "<u2" else count // 2)
    if offset + count * np.dtype(kind).itemsize > len(data):
        raise _truncated()
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused in `assemble`
        return np.frombuffer(data, dtype=kind, count=count, offset=offset).astype(np.float64)


def _check_count(count: int) -> None:
    if count < 2:
        raise damaged(f"The header states {count} points.")
    check_points(count)


def _unit(header: _Header) -> tuple[AxisUnit, float]:
    known = _X_TYPES.get(header.x_type)
    if known is not None:
        return known
    if header.x_type == 0:
        named = axis_unit(header.labels)
        if named is not None:
            return named
        if re.search(r"wave\s*number|raman", header.labels, re.IGNORECASE):
            return "cm-1", 1.0
    name = header.labels.strip() or _X_NAMES.get(header.x_type, f"of type {header.x_type}")
    raise not_optical(name)


def _label(flags: int, raw: bytes) -> str:
    """The x label, where the file has labels of its own."""
    return _text(raw) if flags & _LABELS else ""


def _log(data: bytes, header: _Header) -> list[tuple[str, str]]:
    """`key = value` lines of the log block, if there is one."""
    start = header.log_offset
    if not 0 < start <= len(data) - 64:
        return []
    size, _, text_offset = struct.unpack_from(header.order + "III", data, start)
    begin = start + text_offset
    text = data[begin : begin + min(size, _MAX_LOG_BYTES)].partition(b"\x00")[0].decode("latin-1")
    lines = (re.split(r"[=:]", line, maxsplit=1) for line in text.splitlines()[:1000])
    return [(pair[0], pair[1]) for pair in lines if len(pair) == 2]


def _text(raw: bytes) -> str:
    text = raw.partition(b"\x00")[0].decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _truncated() -> FormatError:
    return FormatError(
        "file_truncated",
        "The file ends before the data its header states.",
        "Copy the file again; a part is missing.",
    )
