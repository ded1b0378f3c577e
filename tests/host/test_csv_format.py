"""Columns of text: the contract, the dialects people send, what is refused, and the real files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from fieldassay.errors import FormatError
from fieldassay.formats import csv, read
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from format_contract import FUZZ, FormatContract, spectra

X = [400.5, 401.5, 402.5]
Y = [10.0, -2.25, 300.0]
BLOCK = (
    "Software Version,1.0\nLabel,aspirin\nTechnique,Raman\nIntegration Time,591\n"
    "Laser Wavelength,785.03\nPixel Count,5\n\n"
    "Pixel,Wavelength,Wavenumber,Processed,Raw,Dark\n"
    "0,809.1,399.5,NA,5,4\n1,810.5,400.5,10,14,4\n2,811.1,401.5,-2.25,2,4.25\n3,811.2,402.5,300,304,4\n"
)
DIALECTS = {
    "comma": "400.5,10\n401.5,-2.25\n402.5,300\n",
    "comma and blank": "400.5, 10\n401.5, -2.25\n402.5, 300\n",
    "semicolon": "400.5;10\n401.5;-2.25\n402.5;300\n",
    "tab": "400.5\t10\n401.5\t-2.25\n402.5\t300\n",
    "blanks": "  400.5   10\n  401.5  -2.25\n  402.5  300\n",
    "decimal comma": "400,5;10\n401,5;-2,25\n402,5;300\n",
    "decimal comma, tab": "400,5\t10,0\n401,5\t-2,25\n402,5\t300,0\n",
    "decimal comma, blanks": "400,5 10,0\n401,5 -2,25\n402,5 300,0\n",
    "header": "wavenumber,intensity\n400.5,10\n401.5,-2.25\n402.5,300\n",
    "header, quotes": (
        '"Raman Shift (cm-1)","Intensity (a.u.)"\n"400.5","10"\n"401.5","-2.25"\n"402.5","300"\n'
    ),
    "header, hash": "#Wave\t\t#Intensity\n400.5\t10\n401.5\t-2.25\n402.5\t300\n",
    "header with blanks": "Raman Shift  Intensity (a.u.)\n400.5 10\n401.5 -2.25\n402.5 300\n",
    "block": BLOCK,
    "BOM": "\ufeff" + BLOCK,
    "CR LF": BLOCK.replace("\n", "\r\n"),
    "CR": BLOCK.replace("\n", "\r"),
    "trailing delimiter": "wavenumber,intensity,\n400.5,10,\n401.5,-2.25,\n402.5,300,\n",
    "descending": "402.5,300\n401.5,-2.25\n400.5,10\n",
    "unsorted": "401.5,-2.25\n402.5,300\n400.5,10\n",
    "repeated x": "400.5,8\n400.5,12\n401.5,-2.25\n402.5,300\n",
    "missing values": (
        "wavenumber,intensity\n399,NA\n400.5,10\n401.5,-2.25\n402,\n402.5,300\n403,nan\n"
    ),
    "padded by a spreadsheet": (
        "Label,aspirin,,,\nNote,,,,\n,,,,\nPixel,Wavenumber,Processed,Dark,\n"
        "1,400.5,10,4,\n2,401.5,-2.25,4,\n3,402.5,300,4,\n"
    ),
    "exponents": "4.005E2,1e1\n4.015e+02,-225E-2\n4.025E2,3E2\n",
    "text after": "400.5,10\n401.5,-2.25\n402.5,300\n##END=\n",
    "title before": "Raman spectrum\n400.5,10\n401.5,-2.25\n402.5,300\n",
    "fact before": "wl,532nm\n400.5,10\n401.5,-2.25\n402.5,300\n",
    "comments before": "# made by hand\n# 2 columns\n400.5,10\n401.5,-2.25\n402.5,300\n",
    "names of a vendor": (
        "title;BWS\nlaser_wavelength;784\nxaxis;Pixel\n"
        "Pixel;Wavelength;Wavenumber;Raman Shift;Dark;Reference;Raw data #1;Dark Subtracted #1;"
        "%TR #1\n"
        "0;   ;   ;   ;5;1;9;4;0\n1;810,5;12338;400,5;4;1;14;10,0;0\n"
        "2;811,1;12337;401,5;4;1;2;-2,25;0\n3;811,2;12336;402,5;4;1;304;300;0\n"
    ),
    "absolute and shift": (
        "Pixels,Wavelength,Wavenumbers,Raman_Shift,Raw_Data,Background_Data,Processed_Data\n"
        "0,810.5,12338,400.5,14,4,10\n1,811.1,12337,401.5,2,4.25,-2.25\n2,811.2,12336,402.5,304,4,300\n"
    ),
}


class TestCsvContract(FormatContract):
    name = "csv"
    states_length = False

    def samples(self) -> list[bytes]:
        return [text.encode() for text in DIALECTS.values()]

    def real_files(self, data_dir: Path) -> list[Path]:
        folder = data_dir / "calibration"
        return sorted(p for p in folder.rglob("*") if p.suffix in (".txt", ".csv", ".tsv", ".rruf"))

    def bombs(self) -> list[bytes]:
        wide = b"1 " * 999 + b"\n"
        return [b"1,2\n" * 1_200_000, b"1," * 2_000_000 + b"\n1,2\n", wide * 5_000]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_spectrum(dialect: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        spectrum = csv.read(DIALECTS[dialect].encode(encoding))
        assert spectrum.axis.unit == "cm-1"
        assert spectrum.axis.values.tolist() == X
        assert spectrum.intensity.tolist() == Y


def test_header_block_becomes_facts() -> None:
    meta = csv.read(BLOCK.encode()).meta
    assert meta["excitation_nm"] == "785.03"
    assert meta["integration_ms"] == "591"
    assert meta["Label"] == "aspirin"
    assert meta["technique"] == "raman"
    assert meta["y_column"] == "Processed"
    assert "x_assumed" not in meta


@FUZZ
@given(spectra(), st.sampled_from([",", ";", "\t", " ", "  "]), st.booleans(), st.booleans())
def test_any_spectrum_in_any_dialect(
    spectrum: Spectrum, delimiter: str, decimal_comma: bool, shuffled: bool
) -> None:
    rows = list(zip(spectrum.axis.values.tolist(), spectrum.intensity.tolist(), strict=True))
    if shuffled:
        rows = rows[1::2] + rows[::2]
    lines = [delimiter.join(map(repr, row)) for row in rows]
    if decimal_comma and delimiter != ",":
        lines = [line.replace(".", ",") for line in lines]
    text = f"Wavelength{delimiter}Counts\n" + "\n".join(lines)
    back = csv.read(text.encode())
    assert back.axis.unit == "nm"
    np.testing.assert_array_equal(back.axis.values, spectrum.axis.values)
    np.testing.assert_array_equal(back.intensity, spectrum.intensity)


def test_noise_is_written_and_read_back() -> None:
    spectrum = Spectrum(
        Axis(np.array([1.5, 2.5, 4.0]), "cm-1"), np.ones(3), noise=np.array([0.1, 0.2, 1 / 3])
    )
    back = read(csv.write(spectrum), "x.csv")
    assert back.noise is not None
    np.testing.assert_array_equal(back.noise, spectrum.noise)


def test_no_text_of_a_file_is_written() -> None:
    meta = {"title": "=cmd()", "serial": "secret"}
    data = csv.write(Spectrum(Axis(np.array([1.0, 2.0]), "cm-1"), np.ones(2), meta=meta))
    assert data.splitlines()[0] == b"Wavenumber (cm-1),Intensity"
    assert b"cmd" not in data and b"secret" not in data


def test_axis_units() -> None:
    assert csv.read(b"Wavelength (nm),Counts\n800,1\n801,2\n").axis.unit == "nm"
    assert csv.read(b"Pixels #,Intensity (a.u.)\n0,1\n1,2\n").axis.unit == "px"
    assert csv.read(b"0,5\n1,6\n2,7\n").axis.unit == "px"  # only counts: surely no shift
    for name in ("Wellenlänge", "longueur d’onde", "Длина волны", "波长"):
        assert csv.read(f"{name};Counts\n800;1\n801;2\n".encode()).axis.unit == "nm"
    for name in ("Wellenzahl", "nombre d'onde", "Волновое число", "波数"):
        assert csv.read(f"{name};Counts\n800;1\n801;2\n".encode()).axis.unit == "cm-1"
    assumed = csv.read(b"100.2,5\n101.2,6\n")
    assert assumed.axis.unit == "cm-1" and assumed.meta["x_assumed"] == "cm-1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("just words\nand more\n", "no_columns"),
        ("1\n2\n3\n", "no_columns"),
        ("wavenumber,dark\n1,2\n2,3\n", "no_columns"),
        ("1,2\n", "no_columns"),
        ("1,2,3\n2,3,4\n", "several_spectra"),
        ("wavenumber,mix1,mix2\n1,2,3\n2,3,4\n", "several_spectra"),
        ("x,y\n" + "".join(f"{i % 3},{i}\n" for i in range(30)), "several_spectra"),
        ("wavenumber,intensity\n" + "1,2\n2,3\n3,4\n" * 2, "several_spectra"),
        ("wavenumber,intensity\n1,2,3\n2,3,4\n", "columns_unclear"),
        ('wavenumber,intensity\n1,"1,234"\n2,"1,235"\n', "no_columns"),
        ("1,1e200\n2,3\n3,4\n", "value_out_of_range"),
        ("wavenumber,intensity\n5,1\n5,2\n", "axis_too_short"),
        ("wavenumber,intensity\nNA,1\n5,2\n", "axis_too_short"),
        ("a\x00b\n1,2\n", "not_text"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(FormatError) as error:
        csv.read(text.encode())
    assert error.value.code == code


def test_all_real_measurements_are_read(data_dir: Path) -> None:
    count = 0
    for folder in ("raman-785-second-instrument", "raman-multi-instrument/spectra"):
        for path in sorted((data_dir / folder).rglob("*.csv")):
            spectrum = read(path.read_bytes(), path.name)
            assert spectrum.axis.unit == "cm-1" and "x_assumed" not in spectrum.meta
            assert len(spectrum) > 500
            count += 1
    assert count == 194


def test_pixel_column_of_a_real_file_with_laser(data_dir: Path) -> None:
    path = data_dir / "raman-785-second-instrument" / "WP-01977_2025" / "urea.csv"
    spectrum = read(path.read_bytes(), path.name)
    assert spectrum.meta["excitation_nm"] == "785.032"
    strongest = spectrum.axis.values[np.argmax(spectrum.intensity)]
    assert abs(strongest - 1010) < 3  # the symmetric C-N stretch of urea
