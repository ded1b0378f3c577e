"""Making the default reference library from its pinned public wheel.

Owns fetching, checking, taking the wheel apart and converting. The file layout is `library`, the
preprocessing is `preprocess.recipe`, whose spectrum a file is of is `substances`. The same inputs
give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay import config, library_encode, pinned, substances
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_encode import Reference
from fieldassay.pinned import Pin
from fieldassay.preprocess import noise, recipe
from fieldassay.spectrum import Axis, Spectrum

BUILDER = 3
PACKAGE = "wp-enlighten"
VERSION = "4.3.4"
WHEEL_SHA256 = "033606b053078bd95bc848484f0d4f6a194e1bf8d47f87a6d1fd33e89725ebfa"
PIN = Pin(PACKAGE, VERSION, WHEEL_SHA256)
SOURCES_SHA256 = (
    "80dc6aaed17f056129c1acd5dcb519484ec7db6c202f02889d00b55ba45feca8"  # see sources_digest
)
MEMBERS = "wp_enlighten/assets/example_data/default_matching_library/"
LICENCE_MEMBER = "wp_enlighten-4.3.4.dist-info/licenses/LICENSE"
SOURCE_FOLDER = f"wp_enlighten-{VERSION}"
LICENCE = "MIT"
Progress = Callable[[str], None]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did: the file, the open library and whether anything had to be done."""

    path: Path
    library: Library
    changed: bool


def build(
    output: Path,
    sources: Path,
    wheel: Path | None = None,
    offline: bool = False,
    progress: Progress = lambda _: None,
) -> Built:
    """Make the default library, or do nothing if it is there and made from the same inputs.

    Args:
        output: The library file.
        sources: Folder that keeps the extracted reference files; the simulator reads them there.
        wheel: The reference wheel if it is here already; fetched with pip otherwise.
        offline: Never use the network.
        progress: Called with one sentence at each step.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`, `reference_missing_offline`,
            `reference_unknown`, `library_not_writable`.
    """
    catalogue = substances.load()
    stamp = _stamp()
    if output.exists() and sources_complete(sources):
        try:
            existing = Library.open(output)
        except LibraryError:
            progress("The library is damaged or old and is built again.")
        else:
            if dict(existing.build) == stamp:
                return Built(output, existing, changed=False)
    _require_folder(output.parent)
    if wheel is not None:
        extract(wheel, sources)
    elif not sources_complete(sources):
        if offline:
            raise LibraryError(
                "reference_missing_offline",
                f"The reference spectra are not in {sources} and the network may not be used.",
                f"Give the wheel of {PACKAGE} {VERSION} with --wheel PATH, or build on line.",
            )
        _require_folder(sources)  # before 51 MB are fetched for it
        with tempfile.TemporaryDirectory() as scratch:
            progress(f"Fetching the reference spectra: {PACKAGE} {VERSION}, 51 MB.")
            extract(fetch(Path(scratch)), sources)
    progress("Converting the reference spectra.")
    data = convert(sorted(sources.glob("*.csv")), catalogue, stamp)
    temporary = output.with_name(output.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(output)
    return Built(output, Library.open(output), changed=True)


def _require_folder(folder: Path) -> None:
    """Make the folder, or say that it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise LibraryError(
            "library_not_writable",
            f"The folder {folder} cannot be written, and the library belongs there.",
            "Give a folder you may write to with --home or FIELDASSAY_HOME.",
        )


def ensure_library(home: config.Home | None = None, progress: Progress = lambda _: None) -> Path:
    """The default library of this home folder, built first if it is not there or not up to date.

    Raises:
        LibraryError: As `build`.
    """
    where = home or config.home()
    sources = where.root / "sources" / SOURCE_FOLDER
    return build(where.library, sources, progress=progress).path


def fetch(folder: Path) -> Path:
    """Download the pinned wheel of the default set.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    return pinned.fetch(PIN, folder)


def extract(wheel: Path, sources: Path) -> None:
    """Check the wheel and take only the reference files and the licence out of it.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    data = pinned.read(PIN, wheel)
    _require_folder(sources)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.namelist():
            if member.startswith(MEMBERS) and member.endswith(".csv"):
                (sources / Path(member).name).write_bytes(archive.read(member))
        (sources / "LICENSE").write_bytes(archive.read(LICENCE_MEMBER))


def sources_complete(sources: Path) -> bool:
    """True if the folder holds exactly the reference files of the pinned wheel."""
    return sources_digest(sources) == SOURCES_SHA256


def sources_digest(sources: Path) -> str:
    """SHA-256 over names and contents of the reference files, in order of name."""
    total = hashlib.sha256()
    for path in sorted(sources.glob("*.csv")):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def convert(
    paths: Sequence[Path],
    catalogue: Mapping[str, substances.SubstanceInfo],
    stamp: Mapping[str, Any],
) -> bytes:
    """The library file for these reference files.

    Raises:
        LibraryError: `reference_unknown`, `reference_not_readable`.
    """
    owners = substances.by_reference(catalogue.values())
    references = []
    for path in paths:
        info = owners.get(path.stem)
        if info is None:
            raise LibraryError(
                "reference_unknown",
                f"The catalogue does not say what substance {path.name!r} is of.",
                "Add its name to `references` of a substance in substances.toml.",
            )
        data = path.read_bytes()
        header, spectrum = read_reference(data, path.name)
        references.append(
            Reference(
                substance=info.id,
                spectrum=spectrum,
                label=path.stem,
                file=path.name,
                sha256=hashlib.sha256(data).hexdigest(),
                instrument=header.get("Serial Number", ""),
                laser_nm=float(header.get("Laser Wavelength", "785")),
                source=f"{PACKAGE} {VERSION}",
                licence=LICENCE,
            )
        )
    known = {info.id: library_encode.identity(info) for info in catalogue.values()}
    title = "Raman 785 nm, pure chemicals, as measured"
    return library_encode.encode_references(references, known, title, stamp)


def read_reference(data: bytes, name: str) -> tuple[dict[str, str], Spectrum]:
    """A reference CSV: a `key,value` header block, then the columns Wavenumber and Processed.

    Raises:
        LibraryError: `reference_not_readable`.
    """
    header: dict[str, str] = {}
    rows = iter(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    try:
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
        raise LibraryError(
            "reference_not_readable",
            f"The reference file {name!r} cannot be read: {error}.",
            "Delete the folder of extracted reference files and build the library again.",
        ) from error


def _stamp() -> dict[str, Any]:
    return {
        "builder": BUILDER,
        "recipe": recipe.RAMAN.describe(),
        "package": PACKAGE,
        "version": VERSION,
        "wheel_sha256": WHEEL_SHA256,
        "catalogue_sha256": hashlib.sha256(b"".join(substances.texts())).hexdigest(),
    }
