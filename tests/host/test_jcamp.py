"""JCAMP-DX: the contract, every form, the checks, and real files against the `jcamp` package."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fieldassay import formats
from fieldassay.errors import FormatError
from fieldassay.formats import asdf, jcamp, jcamp_blocks, jcamp_write
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from format_contract import FUZZ, FormatContract

HEAD = "##TITLE=t\n##JCAMP-DX=4.24\n##DATA TYPE=RAMAN SPECTRUM\n##XUNITS=1/CM\n##YUNITS=COUNTS\n"
ORDINATES = [1, 2, 3, 3, 2, 1, 0, -1, -2, -3, 12, 120, 120, 120, -7]
AXIS = [400.0 + 2 * i for i in range(len(ORDINATES))]
# The same fifteen ordinates in each form; the compressed ones worked out by hand from the standard.
FORMS = {
    "affn": "400 1 2 3 3 2\n410 1 0 -1 -2 -3\n420 12 120 120 120 -7",
    "pac": "400+1+2+3+3+2\n410+1+0-1-2-3\n420+12+120+120+120-7",
    "sqz": "400ABCCB\n410A@abc\n420A2A20A20A20g",
    "dif": "400AJJ%jjjjjjJ5\n420A2J08%%j27\n428g",
    "difdup": "400AJT%jXJ5\n420A2J08%Tj27\n428g",
    "sqzdup": "400ABCTB\n410A@abc\n420A2A20Ug",
}


def file_with(table: str, head: str = HEAD, points: int = len(ORDINATES), form: str = "") -> bytes:
    last = AXIS[points - 1] if points <= len(AXIS) else 0
    return (
        f"{head}##FIRSTX=400\n##LASTX={last}\n##FIRSTY=1\n##NPOINTS={points}\n"
        f"##XYDATA={form or '(X++(Y..Y))'}\n{table}\n##END=\n"
    ).encode()


def code_of(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        jcamp.read(data)
    return error.value.code


class TestJcampContract(FormatContract):
    name = "jcamp"

    def samples(self) -> list[bytes]:
        return [file_with(table) for table in FORMS.values()] + [
            jcamp_write.write(
                Spectrum(Axis(np.array([1.0, 2.5, 3.25]), "nm"), np.array([1.0, -2, 3e-9]))
            )
        ]

    def real_files(self, data_dir: Path) -> list[Path]:
        return sorted(p for p in (data_dir / "formats" / "jcamp").rglob("*") if p.is_file())

    def bombs(self) -> list[bytes]:
        return [
            file_with("400A" + "S99999999" * 50),
            file_with("400AJ" + "Z999999999999999999999"),
            file_with("400 1 2", points=2_000_000_000),
            HEAD.encode() + b"##TITLE=x\n" * 20_000,
            HEAD.encode() + b"##A=\n" * 90_000 + b"##XUNITS=\n" * 90_000,
            HEAD.encode() + b"##XYPOINTS=(XY..XY)\n" + b"1 " * 2_100_000 + b"\n##END=",
            b"##TITLE=\n" + b"\n" * 1_200_000,
        ]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_spectrum(form: str) -> None:
    spectrum = jcamp.read(file_with(FORMS[form]))
    np.testing.assert_array_equal(spectrum.intensity, ORDINATES)
    np.testing.assert_allclose(spectrum.axis.values, AXIS, rtol=0, atol=1e-9)
    assert spectrum.axis.unit == "cm-1"
    assert spectrum.meta["technique"] == "raman"


def encode(values: list[int], width: int) -> str:
    """DIFDUP text of integers, `width` a line; written apart from the decoder it tests."""
    sqz = {**dict(enumerate("@ABCDEFGHI")), **{-i: c for i, c in enumerate("abcdefghi", 1)}}
    dif = {**dict(enumerate("%JKLMNOPQR")), **{-i: c for i, c in enumerate("jklmnopqr", 1)}}
    dup = "?STUVWXYZs"

    def lead(value: int, table: dict[int, str]) -> str:
        text = str(abs(value))
        return table[int(text[0]) * (-1 if value < 0 else 1)] + text[1:]

    lines = []
    for start in range(0, len(values), width):
        part = values[max(start - 1, 0) : start + width]
        text = f"{max(start - 1, 0)}{lead(part[0], sqz)}"
        steps = [b - a for a, b in pairwise(part)]
        at = 0
        while at < len(steps):
            run = at
            while run < len(steps) and steps[run] == steps[at]:
                run += 1
            text += lead(steps[at], dif)
            if run - at > 1:
                count = str(run - at)
                text += dup[int(count[0])] + count[1:]
            at = run
        lines.append(text)
    # A line of one value has no difference, so what follows it carries no check.
    if width > 1 and len(values) > 1 and len(values) % width != 1:
        lines.append(f"{len(values) - 1}{lead(values[-1], sqz)}")
    return "\n".join(lines)


@FUZZ
@given(
    st.lists(st.integers(-(10**9), 10**9) | st.integers(-3, 3), min_size=3, max_size=80),
    st.integers(2, 9),
)
def test_any_integers_survive_difdup(values: list[int], width: int) -> None:
    table = asdf.decode(encode(values, width).split("\n"))
    if len(values) % width != 1:  # otherwise the last line is a single repeated value
        assert table.y.tolist() == values


def test_factors_and_descending_axis() -> None:
    data = (
        HEAD
        + "##XFACTOR=0.5\n##YFACTOR=0.25\n##FIRSTX=404\n##LASTX=400\n##DELTAX=-2\n##NPOINTS=3\n"
        "##XYDATA=(X++(Y..Y))\n808 4 8 -4\n##END=\n"
    )
    spectrum = jcamp.read(data.encode())
    assert spectrum.axis.values.tolist() == [400.0, 402.0, 404.0]
    assert spectrum.intensity.tolist() == [-1.0, 2.0, 1.0]
    assert spectrum.meta["x_order"] == "descending"


def test_xypoints_comments_missing_values_and_laser() -> None:
    data = (
        HEAD + "$$ a comment\n##$EXCITATION WAVELENGTH=785.2 nm\n##NPOINTS=4\n##XYPOINTS=(XY..XY)\n"
        "100.5, 1; 101,2 $$ not data 9 9\n102 ?\n103.25 4\n##END=\n"
    )
    spectrum = jcamp.read(data.encode())
    assert spectrum.axis.values.tolist() == [100.5, 101.0, 103.25]
    assert spectrum.intensity.tolist() == [1.0, 2.0, 4.0]
    assert spectrum.meta["excitation_nm"] == "785.2"


def test_exponents_are_told_from_squeezed_fives() -> None:
    plain = file_with("400 1.0E+00 2e0 5E-1", points=3)
    assert jcamp.read(plain).intensity.tolist() == [1.0, 2.0, 0.5]
    squeezed = file_with("400A2E1E\n406e3", points=4).replace(b"FIRSTY=1", b"FIRSTY=12")
    assert jcamp.read(squeezed).intensity.tolist() == [12.0, 51.0, 5.0, -53.0]


def test_ntuples_first_page() -> None:
    data = (
        "##TITLE=map\n##JCAMP-DX=5.01\n##DATA TYPE=RAMAN SPECTRUM\n##DATA CLASS=NTUPLES\n"
        "##NTUPLES=RAMAN SPECTRUM\n##VAR_NAME=SHIFT, INTENSITY, TIME\n##SYMBOL=X, Y, T\n"
        "##VAR_TYPE=INDEPENDENT, DEPENDENT, PAGE\n##VAR_DIM=3, 3, 2\n"
        "##UNITS=1/CM, COUNTS, SECONDS\n"
        "##FIRST=100, 2, 0\n##LAST=104, 6, 1\n##FACTOR=1, 0.5, 1\n"
        "##PAGE=T=0\n##DATA TABLE=(X++(Y..Y)), XYDATA\n100 4 8 12\n"
        "##PAGE=T=1\n##DATA TABLE=(X++(Y..Y)), XYDATA\n100 40 80 120\n"
        "##END NTUPLES=RAMAN SPECTRUM\n##END=\n"
    )
    spectrum = jcamp.read(data.encode())
    assert spectrum.axis.values.tolist() == [100.0, 102.0, 104.0]
    assert spectrum.intensity.tolist() == [2.0, 4.0, 6.0]


def test_link_takes_the_first_spectrum_and_says_so() -> None:
    peaks = HEAD + "##NPOINTS=1\n##PEAK TABLE=(XY..XY)\n100,1\n##END=\n"
    inner = file_with(FORMS["sqz"]).decode()
    link = f"##TITLE=two\n##JCAMP-DX=5\n##DATA TYPE=LINK\n##BLOCKS=2\n{peaks}{inner}##END=\n"
    spectrum = jcamp.read(link.encode())
    assert spectrum.intensity.tolist() == ORDINATES
    assert spectrum.meta["note"] == "block 2 of 2: t"
    only_peaks = f"##TITLE=all\n##DATA TYPE=LINK\n{peaks}{peaks}##END=\n".encode()
    with pytest.raises(FormatError) as error:
        jcamp.read(only_peaks)
    assert error.value.code == "no_spectrum"
    assert "RAMAN SPECTRUM" in error.value.what  # names the blocks there are


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.replace(b"410A@", b"450A@"), "file_damaged"),  # X check
        (lambda d: d.replace(b"NPOINTS=15", b"NPOINTS=16"), "file_damaged"),
        (lambda d: d.replace(b"FIRSTY=1", b"FIRSTY=9"), "file_damaged"),
        (lambda d: d.replace(b"##END=", b""), "file_truncated"),
        (lambda d: d.replace(b"1/CM", b"SECONDS"), "axis_not_optical"),
        (lambda d: d.replace(b"##XUNITS=1/CM\n", b""), "axis_not_optical"),
        (lambda d: d.replace(b"RAMAN", b"MASS"), "axis_not_optical"),
        (lambda d: d.replace(b"##XYDATA=", b"##PEAK TABLE="), "peaks_not_spectrum"),
        (lambda d: d.replace(b"(X++(Y..Y))", b"(T++(Q..Q))"), "no_spectrum"),
        (lambda d: d.replace(b"A20", b"!20"), "file_damaged"),
        (lambda d: d.replace(b"##FIRSTX", b"##YFACTOR=1e300\n##FIRSTX"), "value_out_of_range"),
        (lambda d: d.replace(b"##FIRSTY=1", b"##YFACTOR=1e307"), "value_out_of_range"),
        (lambda d: d.replace(b"NPOINTS=15", b"NPOINTS=1e999"), None),
        (lambda d: d.replace(b"FIRSTX=400", b"FIRSTX=1e300"), "file_damaged"),
        (lambda d: d.replace(b"NPOINTS=15", b"NPOINTS=1500000"), "too_many_points"),
    ],
)
def test_what_a_file_states_must_hold(change, code: str | None) -> None:
    data = file_with(FORMS["sqz"])
    changed = change(data)
    assert changed != data
    if code is None:  # a statement that is no number states nothing
        assert jcamp.read(changed).intensity.tolist() == ORDINATES
    else:
        assert code_of(changed) == code


def test_a_wrong_y_check_is_damage() -> None:
    assert code_of(file_with(FORMS["difdup"].replace("428g", "428f"))) == "file_damaged"
    assert code_of(file_with(FORMS["dif"].replace("420A2", "420A3"))) == "file_damaged"


def test_written_labels_cannot_be_forged_by_a_title() -> None:
    meta = {"title": "a\n##XUNITS=SECONDS $$ x", "owner": "secret", "Serial Number": "secret"}
    data = jcamp_write.write(Spectrum(Axis(np.array([1.0, 2.0]), "cm-1"), np.ones(2), meta=meta))
    assert data.startswith(b"##TITLE=")
    assert b"secret" not in data and data.count(b"XUNITS") == 2
    assert formats.read(data, "x").axis.unit == "cm-1"


def test_real_files_agree_with_the_jcamp_package(data_dir: Path) -> None:
    """Every real file is read or refused for a known reason; `jcamp` reads the same."""
    import jcamp as oracle

    outcome: Counter[str] = Counter()
    agree = 0
    for path in sorted((data_dir / "formats" / "jcamp").rglob("*")):
        if path.suffix.lower() not in (".jdx", ".dx", ".jcm"):
            continue
        try:
            ours = jcamp.read(path.read_bytes())
        except FormatError as error:
            outcome[error.code] += 1
            continue
        outcome["read"] += 1
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = oracle.readfile(str(path))
            theirs = theirs["children"][0] if theirs.get("children") else theirs
            x, y = np.asarray(theirs["x"], float), np.asarray(theirs["y"], float)
        except Exception:
            continue  # it leaks exceptions on four of these files
        if x.size != y.size:
            continue  # and gives unequal columns for two
        if path.name == "MiniDIFDUP.JDX":
            continue  # its LASTX contradicts the X of its lines; jcamp believes LASTX
        order = np.argsort(x, kind="stable")
        np.testing.assert_allclose(ours.axis.values, x[order], atol=1e-6 * np.ptp(x), rtol=0)
        np.testing.assert_allclose(ours.intensity, y[order], atol=1e-6 * np.ptp(y), rtol=0)
        agree += 1
    assert outcome == {
        "read": 93,
        "peaks_not_spectrum": 11,
        "axis_not_optical": 12,
        "no_spectrum": 1,
        "file_damaged": 1,  # blckpac1: FIRSTY is not the first ordinate
    }
    assert agree == 86


def test_real_raman_files(data_dir: Path) -> None:
    folder = data_dir / "formats" / "jcamp"
    adamantane = jcamp.read((folder / "cheminfo" / "adamantan.jdx").read_bytes())
    assert adamantane.meta["technique"] == "raman"
    strongest = adamantane.axis.values[np.argmax(adamantane.intensity)]
    assert 2900 < strongest < 2935 or abs(strongest - 758) < 8  # C-H stretch or cage breathing


LIBRARY_BLOCK = """##TITLE=Substance {n}
##JCAMP-DX=4.24
##DATA TYPE=RAMAN SPECTRUM
##NAMES=first name {n}
second name {n}
##CAS REGISTRY NO=67-64-1
##$LASER WAVELENGTH=785 nm
##XUNITS=1/CM
##YUNITS=ARBITRARY UNITS
##NPOINTS=3
##XYPOINTS=(XY..XY)
100, {n}
200, 2
300, 3
##END=
"""
LIBRARY_HEAD = """##TITLE=A library
##JCAMP-DX=4.24
##DATA TYPE=LINK
##BLOCKS=4
##ORIGIN=laboratory
##OWNER=agency
##RESOLUTION=8
"""


def test_every_block_of_a_library_is_read_with_what_the_library_says() -> None:
    broken = LIBRARY_BLOCK.format(n=2).replace("NPOINTS=3", "NPOINTS=4")
    peaks = "##TITLE=peaks\n##XUNITS=1/CM\n##PEAK TABLE=(XY..XY)\n1,2\n##END=\n"
    text = LIBRARY_HEAD + LIBRARY_BLOCK.format(n=1) + broken + peaks
    text += LIBRARY_BLOCK.format(n=3).replace("DATA TYPE", "OWNER=other\n##DATA TYPE") + "##END=\n"
    found = jcamp.read_all(text.encode())
    assert [title for title, _ in found] == ["Substance 1", "Substance 2", "peaks", "Substance 3"]
    errors = [s.code for _, s in found if isinstance(s, FormatError)]
    assert errors == ["file_damaged", "peaks_not_spectrum"]
    first, last = (s for _, s in found if isinstance(s, Spectrum))
    assert first.meta["names"] == "first name 1; second name 1"
    assert (first.meta["owner"], first.meta["origin"]) == ("agency", "laboratory")
    assert (first.meta["resolution"], first.meta["cas"]) == ("8", "67-64-1")
    assert first.meta["excitation_nm"] == "785"
    assert last.meta["owner"] == "other" and last.intensity[0] == 3


def test_a_library_without_data_is_a_typed_error() -> None:
    with pytest.raises(FormatError) as caught:
        jcamp.read_all((LIBRARY_HEAD + "##END=\n").encode())
    assert caught.value.code == "no_spectrum"


def test_reading_all_and_reading_one_agree_on_real_files(data_dir: Path) -> None:
    """Every file of the test sets: the first spectrum of all is the one that `read` gives."""
    compared = blocks = 0
    for path in sorted((data_dir / "formats" / "jcamp").rglob("*")):
        if path.suffix.lower() not in (".jdx", ".dx", ".jcm"):
            continue
        data = path.read_bytes()
        try:
            one = jcamp.read(data)
        except FormatError:
            continue
        parts = jcamp.read_all(data)
        first = next(s for _, s in parts if isinstance(s, Spectrum))
        assert np.array_equal(first.intensity, one.intensity), path.name
        compared, blocks = compared + 1, blocks + len(parts)
    assert compared > 60 and blocks > compared


def test_an_x_beyond_any_number_is_one_error() -> None:
    text = (
        b"##TITLE=t\n##JCAMP-DX=4.24\n##DATA TYPE=RAMAN SPECTRUM\n##XUNITS=1/CM\n##YUNITS=COUNTS\n"
        b"##XFACTOR=1\n##YFACTOR=1\n##FIRSTX=1\n##LASTX=4\n##NPOINTS=4\n##XYDATA=(X++(Y..Y))\n"
        b"1e999 1 2\n3 3 4\n##END=\n"
    )
    for x in (b"1e999", b"0e999", b"-1.5e400"):
        with pytest.raises(FormatError):
            jcamp.read(text.replace(b"1e999", x))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_in_other_languages_are_read_either_way(encoding: str) -> None:
    data = file_with("", head=HEAD).decode("latin-1")
    assert "##TITLE" in data
    renamed = re.sub("##TITLE=.*", "##TITLE=Parac\u00e9tamol", data, count=1)
    blocks = list(jcamp_blocks.parse_blocks(renamed.encode(encoding)))
    assert blocks[0].get("TITLE") == "Parac\u00e9tamol"


def test_a_file_without_labels_is_damaged() -> None:
    assert code_of(b"\x01nothing at all\n") == "file_damaged"
