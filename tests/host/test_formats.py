"""Finding the format of a file, the limits, and strangers."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from fieldassay import formats
from fieldassay.errors import FormatError
from fieldassay.formats import columns, csv
from fieldassay.spectrum import Spectrum
from hypothesis import given, settings
from hypothesis import strategies as st

CSV = b"wavenumber,intensity\n400.5,10\n401.5,-2.25\n402.5,300\n"


def code_of(data: bytes, name: str = "x.csv") -> str:
    with pytest.raises(FormatError) as error:
        formats.read(data, name)
    return error.value.code


def test_content_wins_over_the_name() -> None:
    assert formats.read(CSV, "wrong.spc").meta["format"] == "csv"
    assert formats.read(CSV, "wrong.jdx").meta["format"] == "csv"


def test_every_format_has_a_module_a_contract_and_its_extensions() -> None:
    here = Path(__file__).parent
    contracts = "".join(p.read_text() for p in here.glob("test_*.py"))
    seen: set[str] = set()
    for name, format_ in formats.FORMATS.items():
        assert format_.read is importlib.import_module(f"fieldassay.formats.{name}").read
        assert f'    name = "{name}"' in contracts, f"no test inherits FormatContract for {name}"
        assert all(e.startswith(".") and e == e.lower() for e in format_.extensions)
        assert not seen & set(format_.extensions)
        seen |= set(format_.extensions)
    assert seen == formats.EXTENSIONS


def test_limits_and_strangers() -> None:
    assert code_of(b"") == "file_empty"
    assert code_of(b"WDF1" + bytes(600)) == "format_unknown"
    assert code_of(b"PK\x03\x04" + bytes(600), "x.xlsx") == "format_unknown"
    assert code_of(bytes(range(256)), "x.bin") == "format_unknown"
    assert code_of(bytes(range(256)), "x.spc") in ("file_truncated", "format_unknown")


def test_too_large_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", 10)
    assert code_of(CSV) == "file_too_large"


def test_a_bug_in_a_format_is_still_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> Spectrum:
        raise ZeroDivisionError

    entry = formats.Format("CSV", (".csv",), csv.sniff, broken)
    monkeypatch.setitem(formats.FORMATS, "csv", entry)
    assert code_of(CSV) == "file_damaged"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=700), st.sampled_from(["a.csv", "a.jdx", "a.SPC", "a", "a.txt"]))
def test_any_bytes_give_a_spectrum_or_one_error(data: bytes, name: str) -> None:
    try:
        assert isinstance(formats.read(data, name), Spectrum)
    except FormatError as error:
        assert error.code and error.what and error.do_next


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("1/CM", "cm-1"), ("cm-1", "cm-1"), ("Wavenumber / cm-1", "cm-1"), ("cm^-1", "cm-1"),
        ("Raman Shift", "cm-1"), ("Wavenumbers", "cm-1"), ("NANOMETERS", "nm"), ("nm", "nm"),
        ("Wavelength", "nm"), ("MICROMETERS", "nm"), ("µm", "nm"), ("Pixels #", "px"),
        ("SECONDS", None), ("m/z", None), ("HZ", None), ("", None), ("Intensity", None),
        ("environment", None),
    ],
)  # fmt: skip
def test_axis_labels(label: str, expected: str | None) -> None:
    found = columns.axis_unit(label)
    assert (found[0] if found else None) == expected


@pytest.mark.parametrize("text", ["1_000", "nan", "inf", "0x10", "", "1e", "--1", "9" * 65, "1 2"])
def test_what_is_not_a_number(text: str) -> None:
    assert columns.number(text) is None
