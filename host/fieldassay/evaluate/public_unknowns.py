"""Public spectra of substances that the default library does not have, taken from two wheels.

Owns what is taken and which names are left out because the library does have them. Open Specy
(wheel pyopenspecy: minerals of RRUFF and the Raman Open Database, polymers, pigments) and
ramanbiolib (biomolecules, digitised). Their licences allow use, not shipping here: they are fetched
and stay out of the project.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fieldassay import pinned
from fieldassay.spectrum import Axis, Spectrum

OPEN_SPECY = pinned.Pin(
    "pyopenspecy", "0.0.1", "ba932f294c871bd4cf80df27549672588916688eb55f3b30a4d2a4b9b8277df2"
)
BIOMOLECULES = pinned.Pin(
    "ramanbiolib", "1.0.0.post5", "31a9948e7288471b1873f5199b07ff88a9fc6c424283c9298df3dbe4eb29ce1c"
)
SPECTRA_OF_EACH = 3  # of one name; the RRUFF has up to a hundred that differ by the laser's plane
LEAST_POINTS = 50
# Names of substances the library has, or may have under this name (paraffin wax and mineral oil are
# one family of hydrocarbons; CaCO3 may be calcite or aragonite).
IN_LIBRARY = frozenset({
    "calcite", "c ca o3", "chalk", "c si", "moissanite", "na2 o4 s", "thenardite", "silicon",
    "nahcolite", "natrite", "poly(ethylene glycol)", "poly(ethylene oxide)", "parrafine", "wax",
    "citric acid", "d-(+)-dextrose", "d-(-)-fructose", "d-(+)-glucose", "β-d-glucose",
    "d-(+)-lactose monohydrate", "lactose", "d-(+)-sucrose", "glycerol", "glycine", "l-alanine",
    "l-arginine",
})  # fmt: skip


def load(wheels: Path) -> Iterator[tuple[str, str, Spectrum]]:
    """Source, name in lower case and spectrum, in the order of the sources.

    Args:
        wheels: Folder that has the wheels or gets them (85 MB).

    Raises:
        LibraryError: As `pinned.fetch`.
    """
    seen: Counter[str] = Counter()
    for source, name, x, y in (*_open_specy(wheels), *_biomolecules(wheels)):
        key = " ".join(name.casefold().split())
        seen[key] += 1
        if key and key not in IN_LIBRARY and seen[key] <= SPECTRA_OF_EACH:
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
            usable = np.isfinite(y) & np.concatenate([[True], np.diff(x) > 0])
            if np.count_nonzero(usable) >= LEAST_POINTS:
                yield source, key, Spectrum(Axis(x[usable], "cm-1"), y[usable])


def _wheel(pin: pinned.Pin, wheels: Path) -> zipfile.ZipFile:
    wheels.mkdir(parents=True, exist_ok=True)
    here = sorted(wheels.glob(f"{pin.package}-{pin.version}-*.whl"))
    path = here[0] if here else pinned.fetch(pin, wheels, "spectra for tests")
    return zipfile.ZipFile(io.BytesIO(pinned.read(pin, path)))


def _open_specy(wheels: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    with _wheel(OPEN_SPECY, wheels) as wheel:
        text = wheel.read("pyopenspecy/data/raman_metadata.csv").decode("utf-8", "replace")
        names = {
            row["sample_name"]: row["spectrum_identity"]
            for row in csv.DictReader(io.StringIO(text))
        }
        points: dict[str, list[tuple[float, float]]] = {}
        with wheel.open("pyopenspecy/data/raman_library.csv") as lines:
            next(lines)
            for line in lines:
                x, y, sample, _ = line.decode().split(",", 3)
                points.setdefault(sample, []).append((float(x), float(y)))
    for sample, pairs in points.items():
        values = np.array(pairs)
        yield "Open Specy", names.get(sample, ""), values[:, 0], values[:, 1]


def _biomolecules(wheels: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    with _wheel(BIOMOLECULES, wheels) as wheel:
        text = wheel.read("ramanbiolib/db/raman_spectra_db.csv").decode("utf-8")
    csv.field_size_limit(sys.maxsize)
    for row in csv.DictReader(io.StringIO(text)):
        x = np.array(json.loads(row["wavenumbers"]), dtype=np.float64)
        y = np.array(json.loads(row["intensity"].replace("nan", "NaN")), dtype=np.float64)
        yield "ramanbiolib", row["component"], x, y
