"""Files that are no Raman spectrum are refused with a reason; real Raman spectra never are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fieldassay import formats, plausible
from fieldassay.errors import FormatError
from fieldassay.formats import csv
from fieldassay.spectrum import Axis, Spectrum

FOLDERS = ["raman-785-second-instrument", "raman-multi-instrument", "calibration/arcadia"]
X = np.arange(300.0, 2300.0, 2.0)
BANDS = 1000 * np.exp(-(((X - 1000) / 8) ** 2)) + 500 * np.exp(-(((X - 1450) / 8) ** 2)) + 200.0


def columns(name: str, values: np.ndarray, axis: str = "wavenumber") -> bytes:
    rows = "\n".join(f"{x:.4f},{y:.5f}" for x, y in zip(X, values, strict=True))
    return f"{axis},{name}\n{rows}\n".encode()


def refusal(data: bytes, name: str = "x.csv") -> FormatError:
    with pytest.raises(FormatError) as caught:
        plausible.require_raman(formats.read(data, name))
    return caught.value


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("transmittance (%)", "transmittance"), ("%T", "transmittance"),
        ("absorbance", "absorbance"), ("Reflectance", "reflectance"),
    ],
)  # fmt: skip
def test_other_quantities_are_named(name: str, quantity: str) -> None:
    error = refusal(columns(name, BANDS))
    assert error.code == "not_scattering"
    assert quantity in error.what


def test_a_raman_file_in_transmittance_is_refused() -> None:
    rows = "\n".join(f"{x:.2f},{y:.4f}" for x, y in zip(X, BANDS, strict=True))
    text = (
        "##TITLE=t\n##JCAMP-DX=4.24\n##DATA TYPE=RAMAN SPECTRUM\n##XUNITS=1/CM\n"
        f"##YUNITS=TRANSMITTANCE\n##FIRSTX=300\n##LASTX=2298\n##NPOINTS={X.size}\n"
        f"##XYPOINTS=(XY..XY)\n{rows}\n##END=\n"
    )
    assert refusal(text.encode(), "x.jdx").code == "not_scattering"


@pytest.mark.parametrize("axis", ["energy (eV)", "frequency (THz)", "m/z", "time (s)"])
def test_an_axis_that_is_not_optical_is_named(axis: str) -> None:
    error = refusal(columns("intensity", BANDS, axis))
    assert error.code == "axis_not_optical"
    assert axis in error.what


def test_few_points_and_dips_are_refused() -> None:
    short = Spectrum(Axis(X[:20], "cm-1"), BANDS[:20])
    with pytest.raises(FormatError) as caught:
        plausible.require_raman(short)
    assert caught.value.code == "too_few_points"
    assert refusal(columns("intensity", 2000.0 - BANDS)).code == "bands_point_down"


def test_descending_and_repeated_positions_are_taken() -> None:
    """They lose nothing, so they are no error."""
    there = formats.read(columns("intensity", BANDS), "x.csv")
    lines = columns("intensity", BANDS).decode().splitlines()
    back = formats.read("\n".join([lines[0], *lines[:0:-1]]).encode(), "x.csv")
    np.testing.assert_array_equal(back.intensity, there.intensity)
    twice = formats.read("\n".join([*lines[:500], lines[499], *lines[500:]]).encode(), "x.csv")
    np.testing.assert_array_equal(twice.axis.values, there.axis.values)


def test_real_spectra_pass_and_their_mirror_images_do_not(data_dir: Path) -> None:
    passed = mirrored = 0
    for folder in FOLDERS:
        for path in sorted((data_dir / folder).rglob("*")):
            if path.suffix.lower() not in formats.EXTENSIONS or path.name in (
                "index.csv",
                "LICENSE.txt",
            ):
                continue
            spectrum = formats.read(path.read_bytes(), path.name)
            assert not plausible.bands_point_down(spectrum.intensity), path
            passed += 1
            mirrored += plausible.bands_point_down(-spectrum.intensity)
    assert passed >= 190
    assert mirrored >= 0.85 * passed  # 182 of 201; the rest is too weak to tell


def test_constant_and_noise_are_not_called_upside_down() -> None:
    rng = np.random.default_rng(7)
    assert not plausible.bands_point_down(np.zeros(500))
    assert not any(plausible.bands_point_down(rng.normal(0, 1, 800)) for _ in range(200))


def test_written_files_pass() -> None:
    plausible.require_raman(formats.read(csv.write(Spectrum(Axis(X, "cm-1"), BANDS)), "x.csv"))
