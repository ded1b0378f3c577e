"""The manifest of public sources of reference spectra: library_sources.toml, read and checked.

Owns what a source is. Fetching and building is `library_build`, reading its files is
`library_readers`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files as resources
from types import MappingProxyType
from typing import Any

from fieldassay.errors import LibraryError


@dataclass(frozen=True, slots=True)
class Source:
    """One public source of references, and the library made of it.

    Attributes:
        id: Names the source and its library file.
        title: Of the library, for people.
        package, version, wheel_sha256: Which wheel.
        wheel_mb: Size of the download, for the person who waits.
        files: Members of the wheel, with wildcards.
        files_sha256: Digest over names and contents of those members.
        folder: Name of the folder they are kept in.
        licence: SPDX id of the licence of the data.
        licence_files: Members that hold its text.
        agency: Who measured or published the spectra.
        provenance: How they came to be, for people.
        reader: Name of the reader.
        default: Built without being asked for.
    """

    id: str
    title: str
    package: str
    version: str
    wheel_sha256: str
    wheel_mb: int
    files: tuple[str, ...]
    files_sha256: str
    folder: str
    licence: str
    licence_files: tuple[str, ...]
    agency: str
    provenance: str
    reader: str
    default: bool = False


def parse(document: Mapping[str, Any]) -> Mapping[str, Source]:
    """Check a manifest and return its sources by id, in file order.

    Raises:
        LibraryError: `sources_not_usable`.
    """
    kinds = {f.name: f for f in fields(Source)}
    found: dict[str, Source] = {}
    for row in document.get("source", ()):
        name = str(row.get("id", "?"))
        missing = {n for n, f in kinds.items() if f.default is MISSING} - set(row)
        if missing or set(row) - set(kinds):
            raise _not_usable(f"source {name!r} lacks or has other keys than it should")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        if name in found or any(s.folder == values["folder"] for s in found.values()):
            raise _not_usable(f"source {name!r} or its folder is there twice")
        found[name] = Source(**values)
    if document.get("schema") != 1 or sum(s.default for s in found.values()) != 1:
        raise _not_usable("schema is not 1, or not exactly one source is the default")
    return MappingProxyType(found)


def load() -> Mapping[str, Source]:
    """The sources that come with fieldassay, by id."""
    text = resources("fieldassay").joinpath("library_sources.toml").read_text(encoding="utf-8")
    return parse(tomllib.loads(text))


def default() -> Source:
    """The source of the default library."""
    return next(source for source in load().values() if source.default)


def _not_usable(why: str) -> LibraryError:
    return LibraryError(
        "sources_not_usable",
        f"The list of sources cannot be used: {why}.",
        "Correct library_sources.toml or install fieldassay again.",
    )
