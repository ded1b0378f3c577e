"""The manifest of public sources and the readers of their files."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from fieldassay import library_build, library_sources, substances
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_readers import READERS

SOURCES = library_sources.load()


def test_every_source_says_where_it_is_from_and_on_what_terms() -> None:
    assert [s.id for s in SOURCES.values() if s.default] == ["raman-785"]
    for source in SOURCES.values():
        assert re.fullmatch(r"[0-9a-f]{64}", source.wheel_sha256)
        assert re.fullmatch(r"[0-9a-f]{64}", source.files_sha256)
        assert source.licence and source.licence_files and source.provenance and source.agency
        assert source.reader in READERS
    folders = [s.folder for s in SOURCES.values()]
    assert len(folders) == len(set(folders)), "files of two licences in one folder"


TEXTS = (
    "id", "title", "package", "version", "wheel_sha256", "files_sha256", "folder", "licence",
    "agency", "provenance", "reader",
)  # fmt: skip
LISTS = {"files": ["*"], "licence_files": ["L"]}
ROW = {**dict.fromkeys(TEXTS, "x"), **LISTS, "wheel_mb": 1, "default": True}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": 2, "source": [ROW]},
        {"schema": 1, "source": [ROW, ROW]},
        {"schema": 1, "source": [ROW, {**ROW, "id": "y", "default": False}]},
        {"schema": 1, "source": [{**ROW, "default": False}]},
        {"schema": 1, "source": [{**ROW, "surprise": 1}]},
        {"schema": 1, "source": [{"id": "x"}]},
    ],
)
def test_a_wrong_manifest_is_refused(document: dict) -> None:
    assert library_sources.parse({"schema": 1, "source": [ROW]})["x"].files == ("*",)
    with pytest.raises(LibraryError) as caught:
        library_sources.parse(document)
    assert caught.value.code == "sources_not_usable"


def tables(**change: str) -> dict[str, bytes]:
    """Files in the form of ramanbiolib, with one spectrum made up here."""
    x = list(range(450, 1801))
    y = [float(np.exp(-(((v - 1000) / 8) ** 2))) for v in x]
    spectrum = {
        "id": "1", "component": "citric acid", "wavenumbers": json.dumps(x),
        "intensity": json.dumps(y),
    }  # fmt: skip
    about = {
        "id": "1", "complete_sample_name": "citric acid monohydrate", "calibration": "response",
        "orig_spectral_resolution": "4 cm-1", "source": "digitized", "sample_preparation": "a\nb",
        "reference": "doi", "raman_system": "S", "laser_wavelength": "785.0",
    }  # fmt: skip
    files = {}
    for name, row in (("raman_spectra_db.csv", spectrum), ("metadata_db.csv", about)):
        row = {**row, **{k: v for k, v in change.items() if k in row}}
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(row))
        writer.writeheader()
        writer.writerow(row)
        files[name] = text.getvalue().encode()
    return files


def test_ramanbiolib_keeps_provenance_and_licence_of_each_entry() -> None:
    source = SOURCES["ramanbiolib"]
    data = library_build.convert(tables(), source, substances.load(), {})
    library = Library.from_buffer(np.frombuffer(data, np.uint8))
    (entry,) = library.entries
    assert (entry.substance, entry.licence, entry.laser_nm) == ("citric-acid", "ODbL-1.0", 785.0)
    assert (entry.resolution_cm1, entry.intensity_corrected) == (4.0, True)
    assert entry.prepared == "digitized; a b; doi"
    assert entry.flags == ("baseline_removed", "digitised")
    assert library.grid_cm1[entry.first] == 459 and library.grid_cm1[entry.last - 1] == 1791


@pytest.mark.parametrize(
    "change",
    [{"wavenumbers": "[1, 2"}, {"intensity": "[1]"}, {"laser_wavelength": "?"}, {"id": "2"}],
)
def test_a_damaged_table_is_a_typed_error(change: dict[str, str]) -> None:
    files = tables(**change)
    if "id" in change:
        files["metadata_db.csv"] = tables()["metadata_db.csv"]
    with pytest.raises(LibraryError) as caught:
        library_build.convert(files, SOURCES["ramanbiolib"], substances.load(), {})
    assert caught.value.code == "reference_not_readable"
