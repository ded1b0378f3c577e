"""Spectra with a known truth: the manifest format, and finding out what a name stands for.

Owns Sample and the manifest. The layout of the public test data is `shared_data`; judging is
`judge`. docs/how-to/evaluate-on-your-own-spectra.md describes the columns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fieldassay import formats, substances
from fieldassay.errors import FormatError
from fieldassay.library import Library
from fieldassay.spectrum import Spectrum

Kind = Literal["library", "unknown", "mixture", "uncounted"]
Role = Literal["tuned", "seen", "held_out"]
COLUMNS = ("file", "substance", "in_library", "instrument", "laser_nm", "set", "role")
IN_LIBRARY = ("yes", "no", "auto", "uncounted")
ROLES: tuple[Role, ...] = ("tuned", "seen", "held_out")
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """A spectrum and what it is of.

    Attributes:
        name: For people: file name without folders.
        spectrum: As read.
        kind: `library`: one substance that is in the library. `unknown`: nothing of it is.
            `mixture`: several substances of the library. `uncounted`: naming `truth` is no error,
            not naming it neither (solutions, doubtful labels).
        truth: Ids of the substances that may be named; empty for `unknown`.
        substance: One name for each independent substance, for counting.
        instrument, laser_nm, set: What measured it, and the group it is shown in.
        role: `tuned`: thresholds of the decision were chosen with it. `seen`: only its scores are
            among the ranks of the calibration. `held_out`: neither.
        note: Why it is `uncounted`, and the like.
    """

    name: str
    spectrum: Spectrum
    kind: Kind
    truth: frozenset[str]
    substance: str
    instrument: str
    laser_nm: float | None
    set: str
    role: Role
    note: str = ""


class Names:
    """What the names, synonyms, ids and CAS numbers of the catalogue stand for."""

    def __init__(self, library: Library, extra: Mapping[str, str] | None = None) -> None:
        self._ids = {key.casefold(): value for key, value in (extra or {}).items()}
        self._library = frozenset(library.substances)
        for info in substances.load().values():
            known = (info.id, info.name, info.cas or info.id, *info.synonyms, *info.references)
            for name in known:
                self._ids.setdefault(name.casefold(), info.id)
        for entry in library.entries:
            self._ids.setdefault(entry.label.casefold(), entry.substance)
        for own in library.substances.values():
            for name in (own.id, own.name, own.cas or own.id):
                self._ids.setdefault(name.casefold(), own.id)

    def id_of(self, name: str) -> str | None:
        """Substance id; None if the catalogue does not know the name."""
        return self._ids.get(" ".join(name.split()).casefold())

    def in_library(self, name: str) -> str | None:
        """Substance id if the library has a reference of it, else None."""
        found = self.id_of(name)
        return found if found in self._library else None


def read_manifest(path: Path, library: Library) -> list[Sample]:
    """The samples of a manifest; paths in it are relative to its folder.

    Raises:
        FormatError: `manifest_not_usable`, or what reading one of its spectra raises.
    """
    try:
        data = path.read_bytes()
        text = data[:MAX_BYTES].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _not_usable(f"{path} cannot be read as text ({error})") from error
    return parse_manifest(text, path.parent, library)


def parse_manifest(text: str, folder: Path, library: Library) -> list[Sample]:
    """As `read_manifest`, from the text of a manifest."""
    names = Names(library)
    reader = csv.DictReader(io.StringIO(text))
    if missing := [c for c in ("file", "substance") if c not in (reader.fieldnames or ())]:
        raise _not_usable(f"the first line has no column {missing[0]!r}")
    made = [
        _sample({k: (v or "").strip() for k, v in row.items() if k}, line, folder, names)
        for line, row in enumerate(reader, start=2)
    ]
    if not made:
        raise _not_usable("it lists no file")
    return made


def _sample(row: Mapping[str, str], line: int, folder: Path, names: Names) -> Sample:
    path, where = folder / row["file"], f"line {line}"
    role = _role(row.get("role") or "held_out", where)
    present = row.get("in_library") or "auto"
    if not row["file"] or not row["substance"]:
        raise _not_usable(f"{where} has no file or no substance")
    if present not in IN_LIBRARY:
        raise _not_usable(f"{where}: in_library {present!r} is not one of {', '.join(IN_LIBRARY)}")
    laser = row.get("laser_nm") or ""
    try:
        laser_nm = float(laser) if laser else None
    except ValueError as error:
        raise _not_usable(f"{where}: laser_nm {laser!r} is no number") from error
    parts = [part.strip() for part in row["substance"].split(";") if part.strip()]
    known = [found for part in parts if (found := names.in_library(part))]
    if present == "yes" and len(known) < len(parts):
        raise _not_usable(f"{where}: the library does not have {row['substance']!r} by any name")
    if present == "no" and known:
        raise _not_usable(f"{where}: the library has {', '.join(known)}, and in_library says no")
    kind: Kind = "unknown"
    if present == "uncounted":
        kind = "uncounted"
    elif known:
        kind = "library" if len(parts) == 1 else "mixture"
    try:
        spectrum = formats.read(path.read_bytes(), path.name)
    except OSError as error:
        raise _not_usable(f"{where}: {row['file']!r} cannot be read ({error.strerror})") from error
    return Sample(
        name=path.name,
        spectrum=spectrum,
        kind=kind,
        truth=frozenset(known),
        substance="; ".join(names.id_of(part) or part.casefold() for part in parts),
        instrument=row.get("instrument") or "not stated",
        laser_nm=laser_nm,
        set=row.get("set") or "own",
        role=role,
        note=row.get("note", ""),
    )


def _role(text: str, where: str) -> Role:
    role = next((role for role in ROLES if role == text), None)
    if role is None:
        raise _not_usable(f"{where}: role {text!r} is not one of {', '.join(ROLES)}")
    return role


def _not_usable(why: str) -> FormatError:
    return FormatError(
        "manifest_not_usable",
        f"The manifest cannot be used: {why}.",
        "Correct it; docs/how-to/evaluate-on-your-own-spectra.md describes the columns.",
    )
