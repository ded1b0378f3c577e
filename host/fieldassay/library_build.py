"""Making a library from a public source of the manifest: fetch, check, take apart, convert.

Owns files and folders. What a source is says `library_sources`, how its files are read
`library_readers`, how rows are made `library_encode`. The same inputs give the same bytes.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fieldassay import config, library_encode, library_sources, pinned, substances
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import fingerprint
from fieldassay.library import Library
from fieldassay.library_readers import READERS, read_reference
from fieldassay.library_sources import Source
from fieldassay.pinned import Pin
from fieldassay.preprocess import recipe
from fieldassay.substance_names import Finder

__all__ = ["SOURCE_FOLDER", "Built", "build", "ensure_library", "read_reference", "source_folder"]

BUILDER = 6
SOURCE_FOLDER = library_sources.default().folder
Progress = Callable[[str], None]


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
    source: Source | None = None,
) -> Built:
    """Make the library of a source, or do nothing if it is there and made from the same inputs.

    Args:
        output: The library file.
        sources: Folder that keeps the extracted files; the simulator reads the default ones there.
        wheel: The wheel if it is here already; fetched with pip otherwise.
        offline: Never use the network.
        progress: Called with one sentence at each step.
        source: Which source; the default one if None.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`, `reference_missing_offline`,
            `reference_unknown`, `reference_not_readable`, `library_not_writable`.
    """
    source = source or library_sources.default()
    stamp = _stamp(source)
    if output.exists() and not output.is_file() and not output.is_dir():
        raise LibraryError(
            "library_not_writable",
            f"{output} is no plain file, and is not replaced.",
            "Give the name of a file with --output.",
        )
    if output.exists() and sources_complete(sources, source):
        try:
            existing = Library.open(output)
        except LibraryError:
            progress("The library is damaged or old and is built again.")
        else:
            if dict(existing.build) == stamp:
                return Built(output, existing, changed=False)
    require_folder(output.parent)
    if wheel is not None:
        extract(wheel, sources, source)
    elif not sources_complete(sources, source):
        if offline:
            raise LibraryError(
                "reference_missing_offline",
                f"The reference spectra are not in {sources} and the network may not be used.",
                f"Give the wheel of {_pin(source)} with --wheel PATH, or build on line.",
            )
        require_folder(sources)  # before many megabytes are fetched for it
        with tempfile.TemporaryDirectory() as scratch:
            progress(f"Fetching the reference spectra: {_pin(source)}, {source.wheel_mb} MB.")
            extract(fetch(Path(scratch), source), sources, source)
    progress("Converting the reference spectra.")
    files = {path.name: path.read_bytes() for path in sorted(sources.glob("*.csv"))}
    temporary = output.with_name(output.name + ".tmp")
    temporary.write_bytes(convert(files, source, substances.load(), stamp))
    temporary.replace(output)
    return Built(output, Library.open(output), changed=True)


def require_folder(folder: Path) -> None:
    """Make the folder, or say that it cannot be.

    Raises:
        LibraryError: `library_not_writable`.
    """
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
    return build(where.library, where.root / "sources" / SOURCE_FOLDER, progress=progress).path


def source_folder(home: config.Home, source: Source) -> Path:
    """Where the files of a source are kept."""
    return home.root / "sources" / source.folder


def library_path(home: config.Home, source: Source) -> Path:
    """Where the library of a source is kept."""
    return home.library.with_name(f"{source.id}.falib")


def fetch(folder: Path, source: Source | None = None) -> Path:
    """Download the pinned wheel of a source.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    return pinned.fetch(_pin(source or library_sources.default()), folder)


def extract(wheel: Path, sources: Path, source: Source) -> None:
    """Check the wheel and take only the reference files and the licence out of it.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    data = pinned.read(_pin(source), wheel)
    require_folder(sources)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.namelist():
            if any(fnmatch.fnmatchcase(member, p) for p in (*source.files, *source.licence_files)):
                (sources / Path(member).name).write_bytes(archive.read(member))


def sources_complete(sources: Path, source: Source | None = None) -> bool:
    """True if the folder holds exactly the reference files of the pinned wheel."""
    return sources_digest(sources) == (source or library_sources.default()).files_sha256


def sources_digest(sources: Path) -> str:
    """SHA-256 over names and contents of the reference files, in order of name."""
    total = hashlib.sha256()
    for path in sorted(sources.glob("*.csv")):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def convert(
    files: Mapping[str, bytes],
    source: Source,
    catalogue: Mapping[str, substances.SubstanceInfo],
    stamp: Mapping[str, Any],
) -> bytes:
    """The library file for the files of a source.

    Raises:
        LibraryError: `reference_unknown`, `reference_not_readable`.
    """
    finder = Finder(catalogue.values())
    owners = {name: info.id for name, info in substances.by_reference(catalogue.values()).items()}
    references = READERS[source.reader](source, files, finder, owners)
    return library_encode.encode_references(references, finder.substances, source.title, stamp)


def _pin(source: Source) -> Pin:
    return Pin(source.package, source.version, source.wheel_sha256)


def _stamp(source: Source) -> dict[str, Any]:
    return {
        "builder": BUILDER,
        "recipe": recipe.RAMAN.describe(),
        "planes": fingerprint(),
        "source": source.id,
        "package": source.package,
        "version": source.version,
        "wheel_sha256": source.wheel_sha256,
        "files_sha256": source.files_sha256,
        "licence": source.licence,
        "provenance": source.provenance,
        "catalogue_sha256": hashlib.sha256(b"".join(substances.texts())).hexdigest(),
    }
