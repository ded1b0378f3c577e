"""SPC: the contract, every layout packed here, and real files against their text twins."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from fieldassay.errors import FormatError
from fieldassay.formats import spc

sys.path.insert(0, str(Path(__file__).parent))
from format_contract import FormatContract

Y = [0, 100, -200, 32000, 5]


def new_format(
    order: str = "<", kind: str = "f4", x_type: int = 13, x: list[float] | None = None,
    subfiles: int = 1, own_x: bool = False, labels: bytes = b"", exponent: int = 16,
) -> bytes:  # fmt: skip
    """A new-format file of the five ordinates in Y, packed from the published header layout."""
    flags = {"f4": 0, "i4": 0, "i2": 1}[kind] | (4 if subfiles > 1 else 0)
    flags |= (0xC0 if own_x else 0x80) if x else 0
    flags |= 0x20 if labels else 0
    exponent = -128 if kind == "f4" else exponent
    version = 0x4B if order == "<" else 0x4C
    head = struct.pack(
        order + "BBBbiddiBBBBI9s9sHffffffff130s30sIIBBHf48sfIfB187s",
        flags, version, 0, exponent, 0 if own_x else len(Y), 100.0, 108.0, subfiles, x_type, 4, 0,
        0, 0, b"", b"", 0, *[0.0] * 8, b"a tablet", labels, 0, 0, 0, 0, 0, 1.0, b"", 1.0, 0, 0.0,
        0, b"",
    )  # fmt: skip
    body = b"" if own_x or not x else np.array(x, order + "f4").tobytes()
    for index in range(subfiles):
        points = len(Y) if own_x else 0
        body += struct.pack(
            order + "BbHfffiif4x", 0, exponent, index, 0.0, 0.0, 0.0, points, 0, 0.0
        )
        if own_x and x:
            body += np.array(x, order + "f4").tobytes()
        body += np.array([v + 10 * index for v in Y], order + kind).tobytes()
    return head + body


def old_format(sixteen: bool = False) -> bytes:
    head = struct.pack(
        "<BBhfffBBHBBBB8sHH28s130s30s32s",
        0x20 | int(sixteen), 0x4D, 16 if sixteen else 32, len(Y), 100.0, 108.0, 0, 0, 0, 0, 0, 0, 0,
        b"", 0, 0, b"", b"an old one", b"Raman shift (cm-1)", b"",
    )  # fmt: skip
    if sixteen:
        return head + np.array(Y, "<i2").tobytes()
    words = [(v & 0xFFFFFFFF) for v in Y]
    return head + b"".join(struct.pack("<HH", w >> 16, w & 0xFFFF) for w in words)


CASES = {
    "float": new_format(),
    "float big-endian": new_format(">"),
    "32-bit": new_format(kind="i4", exponent=32),
    "16-bit": new_format(kind="i2", exponent=16),
    "16-bit big-endian": new_format(">", kind="i2", exponent=16),
    "multi": new_format(subfiles=3),
    "multi 16-bit": new_format(kind="i2", subfiles=3, exponent=16),
    "x array": new_format(x=[100.0, 102.0, 104.0, 106.0, 108.0]),
    "own x arrays": new_format(x=[100.0, 102.0, 104.0, 106.0, 108.0], own_x=True, subfiles=2),
    "labels": new_format(x_type=0, labels=b"Raman Shift (cm-1)\x00Counts\x00"),
    "old 32-bit": old_format(),
    "old 16-bit": old_format(sixteen=True),
}


class TestSpcContract(FormatContract):
    name = "spc"

    def samples(self) -> list[bytes]:
        return list(CASES.values())

    def real_files(self, data_dir: Path) -> list[Path]:
        return sorted(
            p for p in (data_dir / "formats" / "spc").iterdir() if p.suffix.lower() == ".spc"
        )

    def bombs(self) -> list[bytes]:
        def claim(points: int) -> bytes:
            data = bytearray(new_format())
            struct.pack_into("<i", data, 4, points)
            return bytes(data)

        return [claim(n) for n in (2**31 - 1, 1_000_001, 999_999, 0, -5)]


@pytest.mark.parametrize("case", CASES)
def test_every_layout_gives_the_same_spectrum(case: str) -> None:
    spectrum = spc.read(CASES[case])
    assert spectrum.axis.unit == "cm-1"
    assert spectrum.axis.values.tolist() == [100.0, 102.0, 104.0, 106.0, 108.0]
    assert spectrum.intensity.tolist() == Y
    assert spectrum.meta["technique"] == "raman"


def test_a_series_says_which_part_was_read() -> None:
    assert spc.read(CASES["multi"]).meta["note"] == "subfile 1 of 3"
    assert spc.read(CASES["float"]).meta["title"] == "a tablet"


def test_exponent_scales_by_powers_of_two() -> None:
    assert spc.read(new_format(kind="i2", exponent=-1)).intensity[1] == 100 * 2.0**-17


@pytest.mark.parametrize(("x_type", "unit"), [(1, "cm-1"), (3, "nm"), (16, "px")])
def test_axis_units(x_type: int, unit: str) -> None:
    assert spc.read(new_format(x_type=x_type)).axis.unit == unit


def test_micrometres_become_nanometres() -> None:
    assert spc.read(new_format(x_type=2)).axis.values[0] == 100_000.0


@pytest.mark.parametrize("x_type", [0, 4, 5, 9, 14, 200])
def test_other_axes_are_refused(x_type: int) -> None:
    with pytest.raises(FormatError) as error:
        spc.read(new_format(x_type=x_type))
    assert error.value.code == "axis_not_optical"


def test_values_that_are_no_numbers_are_refused() -> None:
    data = bytearray(CASES["float"])
    for pattern in (0x7FA00000, 0x7FC00000, 0x7F800000):  # signalling NaN, NaN, infinity
        struct.pack_into("<I", data, len(data) - 4, pattern)
        with pytest.raises(FormatError) as error:
            spc.read(bytes(data))
        assert error.value.code == "value_out_of_range"


def test_real_files_agree_with_their_text_twins(data_dir: Path) -> None:
    compared, refused = 0, []
    for path in sorted((data_dir / "formats" / "spc").iterdir()):
        twin = path.with_name(path.name + ".txt")
        if path.suffix.lower() != ".spc" or not twin.exists():
            continue
        try:
            spectrum = spc.read(path.read_bytes())
        except FormatError as error:
            refused.append((path.name, error.code))
            continue
        rows = [line.split()[:2] for line in twin.read_text().splitlines()]
        table = np.array([row for row in rows if row[0][-1].isdigit()], dtype=float)
        table = table[np.argsort(table[:, 0], kind="stable")]
        # The program that made the twins took the negative exponent -1 of this file for 0.
        y = table[:, 1] * (0.5 if path.name == "m_evenz.spc" else 1.0)
        np.testing.assert_allclose(spectrum.axis.values, table[:, 0], rtol=0, atol=1e-8)
        np.testing.assert_allclose(spectrum.intensity, y, rtol=0, atol=1e-10 * np.ptp(y))
        compared += 1
    assert compared == 19
    assert refused == [  # mass spectra and a chromatogram
        ("m_xyxy.spc", "axis_not_optical"),
        ("ms.spc", "axis_not_optical"),
        ("s_xy.spc", "axis_not_optical"),
    ]


def test_vendor_files_agree_with_the_vendor_text(data_dir: Path) -> None:
    """The same spectrum as SPC and as text; this vendor resamples to an even axis for SPC."""
    from fieldassay.formats import read

    folder = data_dir / "calibration" / "charisma" / "fileformat_fixtures"
    for stem in ("PST_Reflex532_Z050_010_10000msx2", "nCal_Qontor785_z005H12_100_1x3s"):
        ours = spc.read((folder / f"{stem}.spc").read_bytes())
        text = read((folder / f"{stem}.txt").read_bytes(), f"{stem}.txt")
        same = np.interp(ours.axis.values, text.axis.values, text.intensity)
        np.testing.assert_allclose(ours.intensity, same, rtol=0, atol=1e-3 * np.ptp(same))
