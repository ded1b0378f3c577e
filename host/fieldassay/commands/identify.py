"""Identify spectra in files (CSV, JCAMP-DX, SPC) against the reference library.

Exit status 1 if a file could not be read; the others are done all the same. With --json one object
a line, in the order of docs/reference/identify-json.md.
"""

from __future__ import annotations

import argparse
import json
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fieldassay import (
    calibration,
    config,
    formats,
    identify,
    library_build,
    library_join,
    plausible,
    spots,
)
from fieldassay.errors import FormatError
from fieldassay.hazards.cards import Cards, load_cards
from fieldassay.library import Library
from fieldassay.spectrum import Spectrum
from fieldassay.verdict import Identification

WORDS = {
    "match": "MATCH",
    "mixture": "MIXTURE",
    "class": "CLASS ALERT",
    "out_of_library": "NOT IN THE LIBRARY",
    "inconclusive": "INCONCLUSIVE",
}
PRESUMPTIVE = "Presumptive results: confirm in a laboratory."
LIBRARY_HELP = (
    "reference library; may be given several times, for one verdict from all of them; `default` is "
    "the built one (default: default)"
)
PROGRESS_FROM = 10  # files; fewer are done before anybody wonders
CONFLICT_NM = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files or folders, and how to show the results."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", type=Path, help="spectrum file, or a folder of them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--spots", action="store_true", help="the files are spots of one sample: one result"
    )
    parser.add_argument("--library", action="append", type=Path, metavar="PATH", help=LIBRARY_HELP)
    parser.add_argument(
        "--excitation-nm",
        type=float,
        metavar="NM",
        help="laser wavelength, used only for files whose axis is a wavelength, for example 785",
    )


def run(args: argparse.Namespace) -> int:
    """Identify every file; 1 if any could not be read."""
    library = open_library(args.library)
    cards = load_cards()
    files = list(expand(args.files))
    if args.spots:
        return _spots(args, files, library, cards)
    progress = sys.stderr.isatty() and len(files) >= PROGRESS_FROM
    failed = 0
    try:
        for number, path in enumerate(files, start=1):
            if progress:
                print(f"\r{number}/{len(files)}", end="", file=sys.stderr, flush=True)
            try:
                spectrum, found = identify_file(path, library, args.excitation_nm)
            except FormatError as error:
                failed += 1
                _show_error(path, error, as_json=args.json)
                continue
            if args.json:
                shown = {"file": str(path), **found.as_dict(), "notes": notes(spectrum)}
                for newer in ("family", "alternatives"):  # newer keys stand after older ones
                    shown[newer] = shown.pop(newer)
                print(json.dumps(shown), flush=True)
            else:
                print("\n".join(human(path, spectrum, found, cards)), flush=True)
        if not args.json:
            print(PRESUMPTIVE)
    finally:
        if progress:
            print(file=sys.stderr)
    return 1 if failed else 0


def _spots(args: argparse.Namespace, files: Sequence[Path], library: Library, cards: Cards) -> int:
    """All files as spots of one sample: one result, with what each spot showed."""
    spectra, contexts, read, failed = [], [], [], 0
    for path in files:
        try:
            spectrum, excitation = read_file(path, args.excitation_nm)
            spectra.append(spectrum)
        except FormatError as error:
            failed += 1
            _show_error(path, error, as_json=args.json)
            continue
        contexts.append(identify.Context(excitation_nm=excitation))
        read.append(path)
    if not spectra:
        return 1
    combined = spots.combine(spectra, library, contexts)
    shown = [
        {
            "file": str(path),
            "verdict": spot.verdict.kind,
            "substances": [s.id for s in spot.verdict.substances],
        }
        for path, spot in zip(read, combined.spots, strict=True)
    ]
    name = ", ".join(map(str, read))
    if args.json:
        whole = {"file": name, **combined.whole.as_dict(), "notes": [], "spots": shown}
        print(json.dumps(whole), flush=True)
    else:
        print("\n".join(human(Path(f"{len(read)} spots"), spectra[0], combined.whole, cards)))
        for path, spot in zip(read, combined.spots, strict=True):
            words = " + ".join(s.id for s in spot.verdict.substances)
            print(f"  spot:    {path}: {spot.verdict.kind.replace('_', ' ')} {words}".rstrip())
        print(PRESUMPTIVE)
    return 1 if failed else 0


def expand(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those with a known extension in the folders named, in sorted order."""
    for path in paths:
        if not _is_folder(path):
            yield path
            continue
        known = sorted(p for p in path.rglob("*") if p.suffix.lower() in formats.EXTENSIONS)
        inside = [p for p in known if not _is_folder(p)]
        yield from inside or [path]  # reading a folder gives the error that says so


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # not to be looked at: reading it gives the error that says so
        return False


def identify_file(
    path: Path, library: Library, excitation_nm: float | None = None
) -> tuple[Spectrum, Identification]:
    """Read one file and identify its spectrum.

    Args:
        path: The file.
        library: The references.
        excitation_nm: Laser wavelength for an axis in nm; the file's own is used if this is None.

    Returns:
        The spectrum on its cm-1 axis and the result.

    Raises:
        FormatError: the file cannot be read or its spectrum not be compared.
    """
    spectrum, excitation = read_file(path, excitation_nm)
    context = identify.Context(excitation_nm=excitation)
    return spectrum, identify.identify(spectrum, library, context)


def read_file(path: Path, excitation_nm: float | None = None) -> tuple[Spectrum, float | None]:
    """The Raman spectrum in a file on its cm-1 axis, and the laser wavelength if known.

    Raises:
        FormatError: the file cannot be read, or is no Raman spectrum.
    """
    spectrum = formats.read(read_bytes(path), path.name)
    plausible.require_raman(spectrum)
    excitation = _excitation_nm(spectrum, excitation_nm)
    return calibration.to_wavenumber(spectrum, excitation), excitation


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file within the size limit; anything else is a FormatError."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FormatError(
                "folder_empty",
                "The folder has no file with a known extension.",
                f"Known are {', '.join(sorted(formats.EXTENSIONS))}.",
            )
        if not stat.S_ISREG(status.st_mode):
            raise FormatError("not_a_file", "This is no regular file.", "Give a file or a folder.")
        if status.st_size > formats.MAX_BYTES:
            raise FormatError(
                "file_too_large",
                f"The file has {status.st_size} bytes; the limit is {formats.MAX_BYTES}.",
                "Export one spectrum to a file.",
            )
        with path.open("rb") as file:
            return file.read(formats.MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise FormatError(
            "file_missing", "There is no such file.", "Check the name and the folder."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not usable"
        raise FormatError(
            "file_unreadable",
            f"The file cannot be opened: {reason}.",
            "Check that you may read it.",
        ) from error


def notes(spectrum: Spectrum) -> list[str]:
    """What a reader must know about how the file was taken; empty for a plain file."""
    said = []
    if "x_assumed" in spectrum.meta:
        said.append("The file does not name its axis; it was taken as Raman shift in cm-1.")
    if "note" in spectrum.meta:
        said.append(f"The file holds more: {spectrum.meta['note']} was read.")
    if "x_repeats" in spectrum.meta:
        said.append(f"{spectrum.meta['x_repeats']} repeated positions were averaged.")
    return said


def human(path: Path, spectrum: Spectrum, found: Identification, cards: Cards) -> list[str]:
    """The lines people read for one file."""
    # An inconclusive verdict may list what it cannot tell apart: no finding, its reasons name them.
    named = () if found.verdict.kind == "inconclusive" else found.verdict.substances
    names = " + ".join(_share(s.name, s.share) for s in named)
    names = names or (found.verdict.family.name if found.verdict.family else "")
    word = WORDS.get(found.verdict.kind, found.verdict.kind.upper())
    lines = [str(path), f"  {word}  {names}".rstrip()]
    lines += [f"  why:     {reason.text}" for reason in found.verdict.reasons]
    lines += [f"  note:    {note}" for note in notes(spectrum)]
    lines.append(f"  do next: {found.verdict.do_next}")
    card = cards.get(found.hazard_card)
    lines.append(f"  hazard:  {card.title}: {' '.join(card.lines)}")
    nearest = ", ".join(f"{c.name} {c.score:.2f}" for c in found.candidates[:3])
    lines.append(
        f"  signal:  SNR {found.quality.snr:.0f}, axis shift "
        f"{found.quality.axis_shift_cm1:+.1f} cm-1; nearest: {nearest or 'none'}"
    )
    return lines


def _share(name: str, share: float | None) -> str:
    return name if share is None or share >= 0.995 else f"{name} {100 * share:.0f} % of the signal"


def _show_error(path: Path, error: FormatError, *, as_json: bool) -> None:
    if as_json:
        shown: dict[str, Any] = {"file": str(path), "error": error.as_dict()}
        print(json.dumps(shown), flush=True)
    else:
        print(f"{path}\n  NOT READ  {error.what} [{error.code}]", flush=True)
        print(f"  do next: {error.do_next}", flush=True)


def _excitation_nm(spectrum: Spectrum, given_nm: float | None) -> float | None:
    """The laser wavelength given, else the file's; for a nm axis they may not differ."""
    stated = spectrum.meta.get("excitation_nm")
    stated_nm = None if stated is None else float(stated)
    if spectrum.axis.unit != "nm" or given_nm is None or stated_nm is None:
        return stated_nm if given_nm is None or spectrum.axis.unit == "cm-1" else given_nm
    if abs(stated_nm - given_nm) > CONFLICT_NM:
        raise FormatError(
            "excitation_conflict",
            f"The file says the laser has {stated_nm:g} nm and {given_nm:g} nm was given.",
            "Leave out --excitation-nm to use what the file says.",
        )
    return given_nm


def open_library(paths: Sequence[Path] | None) -> Library:
    """The libraries of `--library` as one, or the default library, built first if it is missing.

    Raises:
        LibraryError: a library cannot be opened, built or used with the others.
    """
    return library_join.join([_open_one(path) for path in paths or (Path("default"),)])


def _open_one(path: Path) -> Library:
    if path != Path("default"):
        return Library.open(path)
    home = config.home()
    if not home.library.exists():
        print("There is no reference library yet: it is built now, once.", file=sys.stderr)
        library_build.ensure_library(home, progress=lambda text: print(text, file=sys.stderr))
    return Library.open(home.library)
