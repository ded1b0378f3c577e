"""`fieldassay library import`: an agency's own spectra as a library file.

Exit status 1 if anything was refused; what is good is in the library all the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fieldassay import formats, library_encode, substances
from fieldassay.commands.identify import read_bytes
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import fingerprint
from fieldassay.library import Library, Matrix
from fieldassay.library_build import require_folder
from fieldassay.library_encode import FIRST_CM1, LAST_CM1, Grid, Reference
from fieldassay.library_import import Importer, Load, Report, Told, parse_mapping
from fieldassay.preprocess import recipe
from fieldassay.substance_names import UNKNOWN_FAMILY, Finder

IMPORTER = 1
IN_MEMORY_FILES = 2000  # of more, rows are kept in a file until they are written
PROGRESS_FROM = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to import, what is known of it, and where to put it."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="spectrum file, or a folder of them"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="library file")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.add_argument(
        "--mapping", type=Path, metavar="CSV", help="what each file is of (see the how-to)"
    )
    parser.add_argument("--substance", default="", metavar="NAME", help="all files are of this")
    parser.add_argument("--title", default="", help="of the library, for people")
    parser.add_argument("--agency", default="", help="who measured the spectra")
    parser.add_argument("--licence", default="", help="terms they may be used on")
    parser.add_argument("--instrument", default="", help="what measured them")
    parser.add_argument(
        "--excitation-nm", default="", metavar="NM", help="laser, where files do not say it"
    )
    parser.add_argument(
        "--range",
        nargs=2,
        type=int,
        default=(FIRST_CM1, LAST_CM1),
        metavar=("FIRST", "LAST"),
        help="wavenumbers to keep (default: %(default)s, as the default library)",
    )


def run(args: argparse.Namespace) -> int:
    """Import; 1 if anything was refused."""
    if args.output.exists() and not args.output.is_file() and not _is_folder(args.output):
        raise LibraryError(
            "library_not_writable",
            f"{args.output} is no plain file, and is not replaced.",
            "Give the name of a file with --output.",
        )
    if _is_folder(args.output) or (args.output.exists() and not args.force):
        raise LibraryError(
            "library_exists",
            f"{args.output} is there already.",
            "Give another name, or --force to replace it.",
        )
    files, ignored = collect(args.paths)
    grid = _grid(*args.range)
    told = Told(
        substance=args.substance,
        agency=args.agency,
        licence=args.licence,
        instrument=args.instrument,
        laser_nm=args.excitation_nm,
    )
    mapping = parse_mapping(_mapping_bytes(args.mapping)) if args.mapping else None
    importer = Importer(Finder(substances.load().values()), grid, told, mapping)
    names = ", ".join(path.absolute().name for path in args.paths[:5])
    title = args.title or f"Imported: {names}"
    shown = _Progress(len(files))
    references = importer.references(shown.count(files))
    library = None
    try:
        library = write(args.output, references, importer, title, grid, len(files))
    except LibraryError as error:
        if error.code != "library_empty" or not importer.report.refused:
            raise
    finally:
        shown.end()
    _print(args, importer.report, library, ignored)
    return 1 if importer.report.refused else 0


def collect(paths: Sequence[Path]) -> tuple[list[tuple[str, Load]], list[str]]:
    """Files to read with the name each has in the library, and those whose name says otherwise.

    Files of a folder are named by their place in it; no path of this machine gets into a library.
    """
    files: list[tuple[str, Load]] = []
    ignored: list[str] = []
    for path in paths:
        if not _is_folder(path):
            files.append((path.name, lambda path=path: read_bytes(path)))  # type: ignore[misc]
            continue
        for inner in sorted(p for p in path.rglob("*") if not _is_folder(p)):
            name = inner.relative_to(path).as_posix()
            if inner.suffix.lower() in formats.EXTENSIONS:
                files.append((name, lambda inner=inner: read_bytes(inner)))  # type: ignore[misc]
            else:
                ignored.append(name)
    return files, ignored


def write(
    output: Path,
    references: Iterator[Reference],
    importer: Importer,
    title: str,
    grid: Grid,
    files: int,
) -> Library:
    """Write the library beside its place first, then move it there.

    Raises:
        LibraryError: `library_empty`, `library_not_writable`.
    """
    require_folder(output.absolute().parent)
    stamp = {
        "importer": IMPORTER,
        "recipe": recipe.RAMAN.describe(),
        "planes": fingerprint(),
        "catalogue_sha256": hashlib.sha256(b"".join(substances.texts())).hexdigest(),
    }
    temporary = output.with_name(output.name + ".tmp")
    with ExitStack() as stack:
        stack.callback(temporary.unlink, missing_ok=True)

        def allocate(shape: tuple[int, int]) -> Matrix:
            if files <= IN_MEMORY_FILES:
                return np.empty(shape, dtype=np.float32)
            scratch = stack.enter_context(tempfile.TemporaryFile(dir=temporary.absolute().parent))
            return np.memmap(scratch, dtype=np.float32, mode="w+", shape=shape)

        try:
            with temporary.open("wb") as file:
                library_encode.write_references(
                    file, references, importer.finder.substances, title, stamp, grid, allocate
                )
            temporary.replace(output)
        except OSError as error:
            raise LibraryError(
                "library_not_writable",
                f"{output} cannot be written: {error.strerror}.",
                "Free space, or give a place you may write to with --output.",
            ) from error
    return Library.open(output)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # not to be looked at: reading it gives the error that says so
        return False


def _grid(first: int, last: int) -> Grid:
    if not 0 <= first <= last - 100 or last > 5000:
        raise LibraryError(
            "range_not_usable",
            f"{first} to {last} cm-1 is no range for a library.",
            "Give --range FIRST LAST, at least 100 cm-1 apart and within 0 to 5000.",
        )
    return Grid(first, last)


def _mapping_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LibraryError(
            "mapping_unreadable",
            f"The mapping {path} cannot be read: {error.strerror}.",
            "Check its name and that you may read it.",
        ) from error


class _Progress:
    """Counts files on the terminal, where there is one and something to wait for."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = sys.stderr.isatty() and total >= PROGRESS_FROM

    def count(self, files: Sequence[tuple[str, Load]]) -> Iterator[tuple[str, Load]]:
        for number, file in enumerate(files, start=1):
            if self._shown:
                print(f"\r{number}/{self._total}", end="", file=sys.stderr, flush=True)
            yield file

    def end(self) -> None:
        if self._shown:
            print(file=sys.stderr)


def _print(
    args: argparse.Namespace, report: Report, library: Library | None, ignored: list[str]
) -> None:
    unknown = [] if library is None else _unknown(library)
    if args.json:
        facts: dict[str, Any] = {
            "path": str(args.output) if library else None,
            "library": library.hash if library else None,
            "references": len(report.accepted),
            "substances": len(library.substances) if library else 0,
            "accepted": [asdict(row) for row in report.accepted],
            "refused": [asdict(row) for row in report.refused],
            "ignored": ignored,
            "not_in_catalogue": unknown,
        }
        print(json.dumps(facts))
        return
    for row in report.refused:
        print(f"refused  {f'{row.file} {row.block}'.strip()}: {row.code}: {row.what} {row.do_next}")
    for name in ignored:
        print(f"ignored  {name}: not a spectrum file by its name")
    for told in report.accepted:
        if told.flags:
            where = f"{told.file} {told.block}".strip()
            print(f"noted    {where} ({told.substance}): {', '.join(told.flags)}")
    if library is None:
        print("No library was made: every spectrum was refused.")
        return
    for name in unknown:
        print(f"unknown  {name}: not in the catalogue; it gets the strictest hazard card")
    print(
        f"{args.output}: {len(library.entries)} references of {len(library.substances)} "
        f"substances, {len(report.refused)} refused, {library.hash}"
    )


def _unknown(library: Library) -> list[str]:
    return sorted(s.id for s in library.substances.values() if s.family == UNKNOWN_FAMILY)
