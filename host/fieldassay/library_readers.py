"""From the files of a public source to references: one reader a kind of source.

Owns the layouts of those files only; files people bring are `formats`. Pure: bytes in. Another
source is one function and one line in READERS.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from fieldassay.errors import FormatError, LibraryError
from fieldassay.library_encode import Reference
from fieldassay.library_sources import Source
from fieldassay.preprocess import noise
from fieldassay.spectrum import Axis, Spectrum
from fieldassay.substance_names import Finder, Names

Reader = Callable[[Source, Mapping[str, bytes], Finder, Mapping[str, str]], Iterator[Reference]]


def enlighten(
    source: Source, files: Mapping[str, bytes], finder: Finder, owners: Mapping[str, str]
) -> Iterator[Reference]:
    """One CSV a reference; the catalogue says (`owners`: file stem to id) whose each is.

    Raises:
        LibraryError: `reference_unknown`, `reference_not_readable`.
    """
    for name in sorted(files):
        stem = name.removesuffix(".csv")
        if stem not in owners:
            raise LibraryError(
                "reference_unknown",
                f"The catalogue does not say what substance {name!r} is of.",
                "Add its name to `references` of a substance in substances.toml.",
            )
        header, spectrum = read_reference(files[name], name)
        yield Reference(
            substance=owners[stem],
            spectrum=spectrum,
            label=stem,
            file=name,
            sha256=hashlib.sha256(files[name]).hexdigest(),
            instrument=header.get("Serial Number", ""),
            laser_nm=float(header.get("Laser Wavelength", "785")),
            source=f"{source.package} {source.version}",
            licence=source.licence,
            agency=source.agency,
            prepared="dark-subtracted",
        )


def read_reference(data: bytes, name: str) -> tuple[dict[str, str], Spectrum]:
    """A reference CSV: a `key,value` header block, then the columns Wavenumber and Processed.

    Raises:
        LibraryError: `reference_not_readable`.
    """
    header: dict[str, str] = {}
    try:
        rows = iter(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        for row in rows:
            if "Wavenumber" in row:
                x_column, y_column = row.index("Wavenumber"), row.index("Processed")
                break
            if len(row) >= 2:
                header[row[0]] = row[1]
        points = np.array([(float(row[x_column]), float(row[y_column])) for row in rows if row])
        values = points[:, 1]
        sigma = np.full(values.size, noise.estimate(values))
        return header, Spectrum(Axis(points[:, 0], "cm-1"), values, "counts", sigma)
    except (ValueError, IndexError, UnboundLocalError) as error:
        raise _not_readable(name, error) from error


def ramanbiolib(
    source: Source, files: Mapping[str, bytes], finder: Finder, owners: Mapping[str, str]
) -> Iterator[Reference]:
    """A table of spectra, each a JSON list of wavenumbers and one of intensities, and of metadata.

    Raises:
        LibraryError: `reference_not_readable`.
    """
    name = "raman_spectra_db.csv"
    try:
        about = {row["id"]: row for row in _table(files["metadata_db.csv"])}
        for row in _table(files[name]):
            meta = about[row["id"]]
            text = (row["wavenumbers"] + row["intensity"]).encode()
            x = np.array(json.loads(row["wavenumbers"]), dtype=np.float64)
            y = np.array(json.loads(row["intensity"]), dtype=np.float64)
            said = Names((row["component"], meta["complete_sample_name"]))
            found = finder.find(said)
            calibration = meta["calibration"].lower()
            width = re.search(r"\d+(?:\.\d+)?", meta["orig_spectral_resolution"])
            prepared = (meta["source"], meta["sample_preparation"], meta["reference"])
            yield Reference(
                substance=found.substance.id,
                spectrum=Spectrum(Axis(x, "cm-1"), y),
                label=f"{row['component']} #{row['id']}",
                file=f"{name}#{row['id']}",
                sha256=hashlib.sha256(text).hexdigest(),
                instrument=_line(meta["raman_system"]),
                laser_nm=float(meta["laser_wavelength"]),
                source=f"{source.package} {source.version}",
                licence=source.licence,
                form=found.form,
                resolution_cm1=float(width.group()) if width else None,
                agency=source.agency,
                prepared="; ".join(_line(part) for part in prepared if part.strip()),
                intensity_corrected="intensity" in calibration or "response" in calibration,
                flags=("baseline_removed", "digitised"),
            )
    except (ValueError, KeyError, TypeError, FormatError) as error:
        raise _not_readable(name, error) from error


READERS: Mapping[str, Reader] = MappingProxyType(
    {"enlighten": enlighten, "ramanbiolib": ramanbiolib}
)


def _table(data: bytes) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:160]


def _not_readable(name: str, error: Exception) -> LibraryError:
    return LibraryError(
        "reference_not_readable",
        f"The reference file {name!r} cannot be read: {error}.",
        "Delete the folder of extracted reference files and build the library again.",
    )
