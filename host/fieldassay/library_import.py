"""From files people bring to references: which substance, is it good enough, what is known of it.

Owns that an import drops nothing without a word: every spectrum of every file becomes a reference
or a refusal with its reason. Files are opened by the caller; formats are `formats`, limits
`library_gates`, names `substance_names`, rows `library_encode`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePath

import numpy as np

from fieldassay import calibration, formats, plausible
from fieldassay.errors import FieldassayError, FormatError, LibraryError
from fieldassay.library_encode import Grid, Reference
from fieldassay.library_gates import require_reference
from fieldassay.spectrum import Spectrum
from fieldassay.substance_names import Finder, Found, Names, file_names

NOT_STATED = "not stated"
Load = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Told:
    """What the operator says of a spectrum; it counts more than what the file says.

    Every field is text as written in the mapping file; "" is not said.
    """

    file: str = ""
    block: str = ""
    substance: str = ""
    cas: str = ""
    inchikey: str = ""
    form: str = ""
    instrument: str = ""
    laser_nm: str = ""
    resolution_cm1: str = ""
    agency: str = ""
    licence: str = ""
    date: str = ""
    prepared: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A spectrum that became a reference."""

    file: str
    block: str
    substance: str
    identified_by: str
    form: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file or a spectrum in it that did not, and why."""

    file: str
    block: str
    code: str
    what: str
    do_next: str


@dataclass(slots=True)
class Report:
    """What became of everything that was given."""

    accepted: list[Accepted] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def refuse(self, file: str, block: str, error: FieldassayError) -> None:
        """Note a refusal."""
        self.refused.append(Refused(file, block, error.code, error.what, error.do_next))


class Importer:
    """Turns files into references; `report` says what became of each, `finder` has the substances.

    Args:
        finder: Knows the catalogue, and learns what it does not know.
        grid: Columns of the library to be.
        told: What is said of every file.
        mapping: What is said of single files or blocks, of `parse_mapping`.
    """

    def __init__(
        self,
        finder: Finder,
        grid: Grid | None = None,
        told: Told | None = None,
        mapping: Mapping[tuple[str, str], Told] | None = None,
    ) -> None:
        self.finder = finder
        self.report = Report()
        self._grid_cm1 = (grid or Grid()).values
        self._told = told or Told()
        self._mapping = dict(mapping or {})
        self._unused = set(self._mapping)
        self._seen: dict[bytes, str] = {}

    def references(self, files: Iterable[tuple[str, Load]]) -> Iterator[Reference]:
        """A reference for each good spectrum, in the order of the files.

        Args:
            files: Name as it shall stand in the library, and a function that gives the bytes.
        """
        for name, load in files:
            try:
                data = load()
                parts = formats.read_all(data, name)
            except FormatError as error:
                self.report.refuse(name, "", error)
                continue
            digest = hashlib.sha256(data).hexdigest()
            for number, (title, part) in enumerate(parts, start=1):
                block = title or (f"#{number}" if len(parts) > 1 else "")
                try:
                    if isinstance(part, FormatError):
                        raise part
                    yield self._reference(name, block, digest, part)
                except FieldassayError as error:
                    self.report.refuse(name, block, error)
        for file, block in sorted(self._unused):
            unused = LibraryError(
                "mapping_row_unused",
                "The mapping names it, and no such spectrum was given.",
                "Correct the names in the mapping; they are those of this list.",
            )
            self.report.refuse(file, block, unused)

    def _reference(self, name: str, block: str, digest: str, spectrum: Spectrum) -> Reference:
        told = self._told_of(name, block)
        meta = spectrum.meta
        plausible.require_raman(spectrum)
        laser_nm = _number(told.laser_nm, "laser_nm")
        if laser_nm is None and "excitation_nm" in meta:
            laser_nm = float(meta["excitation_nm"])
        spectrum = calibration.to_wavenumber(spectrum, laser_nm)
        flags = require_reference(spectrum, self._grid_cm1)
        self._require_new(f"{name} {block}".strip(), spectrum)
        found = self._find(told, name, spectrum)
        flags = tuple(sorted({*flags, *found.flags, *_notes(spectrum)}))
        date, dated = _date(told.date or meta.get("date", ""))
        resolution = told.resolution_cm1 or _first_number(meta.get("resolution", ""))
        agency = told.agency or meta.get("origin", "") or meta.get("owner", "")
        reference = Reference(
            substance=found.substance.id,
            spectrum=spectrum,
            label=block or PurePath(name).stem,
            file=name,
            sha256=digest,
            instrument=told.instrument or meta.get("instrument", ""),
            laser_nm=laser_nm,
            source="imported",
            licence=told.licence or meta.get("owner", "") or NOT_STATED,
            form=told.form or found.form,
            resolution_cm1=_number(resolution, "resolution_cm1"),
            agency=agency,
            date=date,
            prepared=told.prepared or "; ".join(x for x in (meta.get("sample", ""), dated) if x),
            flags=flags,
        )
        self.report.accepted.append(
            Accepted(name, block, found.substance.id, found.by, reference.form, flags)
        )
        if "note" in meta:
            rest = FormatError(
                "several_spectra",
                f"The file holds more; {meta['note'][:80]} was read.",
                "Export the others to files of their own.",
            )
            self.report.refuse(name, "the rest", rest)
        return reference

    def _told_of(self, name: str, block: str) -> Told:
        """What is said of one spectrum: of the block, else of the file, else of all."""
        told = self._told
        for key in ((name, ""), (name, block)):
            if key in self._mapping:
                self._unused.discard(key)
                row = self._mapping[key]
                said = {f.name: getattr(row, f.name) or getattr(told, f.name) for f in fields(Told)}
                told = Told(**said)
        return told

    def _find(self, told: Told, name: str, spectrum: Spectrum) -> Found:
        names: tuple[str, ...]
        if told.substance or told.cas or told.inchikey:
            names = (told.substance,) if told.substance else ()
            return self.finder.find(Names(names, told.cas, told.inchikey))
        meta = spectrum.meta
        title = meta.get("title", "")
        if meta.get("format") == "jcamp":
            others = [part.strip() for part in meta.get("names", "").split(";")]
            names = tuple(n for n in (title, meta.get("cas_name", ""), *others) if n)
        else:
            names = tuple(file_names(PurePath(name).stem)) + ((title,) if title else ())
        cas, inchikey = meta.get("cas", ""), meta.get("inchikey", "")
        return self.finder.find(Names(names, cas, inchikey))

    def _require_new(self, here: str, spectrum: Spectrum) -> None:
        content = spectrum.axis.values.tobytes() + spectrum.intensity.tobytes()
        digest = hashlib.sha256(content).digest()
        if digest in self._seen:
            raise LibraryError(
                "reference_duplicate",
                f"It is the same spectrum, point by point, as {self._seen[digest]!r}.",
                "Nothing is lost; remove one of the two to be rid of this line.",
            )
        self._seen[digest] = here


def parse_mapping(data: bytes) -> dict[tuple[str, str], Told]:
    """A mapping file: CSV with a header of `Told` fields, one row a file or block of a file.

    Raises:
        LibraryError: `mapping_not_usable`.
    """
    known = {f.name for f in fields(Told)}
    rows: dict[tuple[str, str], Told] = {}
    try:
        text = data.decode("utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = ";" if ";" in head and "," not in head else ","  # as spreadsheets write it
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        names = [name.strip() for name in reader.fieldnames or ()]
        if "file" not in names or set(names) - known or len(set(names)) != len(names):
            raise ValueError(f"its columns are {', '.join(names)[:120] or 'missing'}")
        for row in reader:
            if None in row:
                raise ValueError(f"line {reader.line_num} has too many cells")
            values = {k.strip(): (v or "").strip() for k, v in row.items()}
            if not values["file"]:
                raise ValueError(f"line {reader.line_num} has no file")
            told = Told(**values)
            _number(told.laser_nm, "laser_nm")
            _number(told.resolution_cm1, "resolution_cm1")
            if (told.file, told.block) in rows:
                raise ValueError(f"line {reader.line_num} says it again of {told.file[:80]}")
            rows[told.file, told.block] = told
    except UnicodeDecodeError as error:
        raise LibraryError(
            "mapping_not_usable",
            "The mapping cannot be used: it is not UTF-8 text.",
            "Save it as CSV in UTF-8.",
        ) from error
    except (ValueError, csv.Error) as error:
        raise LibraryError(
            "mapping_not_usable",
            f"The mapping cannot be used: {error}.",
            f"Give CSV with `file` and any of {', '.join(sorted(known - {'file'}))}.",
        ) from error
    return rows


def _number(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (np.isfinite(value) and value > 0):
        raise LibraryError(
            "mapping_not_usable",
            f"{name} is {text[:40]!r}, which is no positive number.",
            "Give a number without its unit.",
        )
    return value


def _first_number(text: str) -> str:
    found = re.search(r"\d+(?:\.\d+)?", text)
    return found.group() if found and float(found.group()) > 0 else ""


def _date(text: str) -> tuple[str, str]:
    """An ISO date, and what is to be said of a date in another form."""
    found = re.match(r"((?:19|20)\d\d)[-/.](\d\d)(?:[-/.](\d\d))?", text.strip())
    if found:
        return "-".join(part for part in found.groups() if part), ""
    return "", f"dated {text.strip()[:40]}" if text.strip() else ""


def _notes(spectrum: Spectrum) -> tuple[str, ...]:
    """What the reader of the file had to assume or leave out."""
    said = (("x_assumed", "axis_assumed"), ("note", "part_of_file"), ("x_repeats", "x_repeats"))
    return tuple(flag for key, flag in said if key in spectrum.meta)
