"""Build, import, show and check reference libraries."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fieldassay import config, library_build, library_sources
from fieldassay.commands import (
    library_add,
    library_check,
    library_import,
    library_show,
    library_transfer,
)
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_file import MAGIC


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser for each action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser(
        "build", help="make the library of a public source from its pinned wheel"
    )
    build.add_argument(
        "--source",
        default=library_sources.default().id,
        choices=sorted(library_sources.load()),
        help="which source (default: %(default)s); each has its own library file and licence",
    )
    build.add_argument("--output", type=Path, help="library file (default: in the home folder)")
    build.add_argument("--wheel", type=Path, help="the reference wheel, if it is here already")
    build.add_argument("--offline", action="store_true", help="never use the network")
    import_ = actions.add_parser(
        "import", help="make a library of an agency's own files: CSV, JCAMP-DX, SPC, folders"
    )
    library_import.add_arguments(import_)
    add = actions.add_parser(
        "add", help="make a reference of your own measurements of a reference material"
    )
    library_add.add_arguments(add)
    transfer = actions.add_parser(
        "transfer", help="make the references of a parent unit fit for a daughter unit"
    )
    library_transfer.add_arguments(transfer)
    show = actions.add_parser("show", help="list the substances and references of a library")
    coverage = actions.add_parser(
        "coverage", help="which scheduled substances, precursors, cutting agents have no reference"
    )
    check = actions.add_parser(
        "check", help="broken entries, duplicates, doubtful labels, pairs of look-alikes"
    )
    library_check.add_arguments(check)
    for sub in (show, coverage, check):
        sub.add_argument("path", nargs="?", type=Path, help="library file (default: the built one)")
    for sub in (build, import_, add, transfer, show, coverage, check):
        sub.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")
        sub.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    home = config.home(args.home)
    if args.action == "build":
        return _build(args, home)
    if args.action == "import":
        return library_import.run(args)
    if args.action == "add":
        return library_add.run(args)
    if args.action == "transfer":
        return library_transfer.run(args)
    library = Library.open(args.path or home.library)
    if args.action == "show":
        return library_show.show(library, as_json=args.json)
    if args.action == "coverage":
        return library_show.coverage(library, as_json=args.json)
    return library_check.run(args, library)


def _require_library(path: Path) -> None:
    """A file that is no library is somebody's, and is not written over."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return
        with path.open("rb") as file:
            begins = file.read(len(MAGIC))
    except OSError:  # not there, or writing gives the better error
        return
    if begins and begins[:5] != MAGIC[:5]:
        raise LibraryError(
            "library_exists",
            f"{path} is there already and is no library.",
            "Give another name with --output.",
        )


def _build(args: argparse.Namespace, home: config.Home) -> int:
    source = library_sources.load()[args.source]
    if args.output is not None:
        _require_library(args.output)
    done = library_build.build(
        output=args.output or library_build.library_path(home, source),
        sources=library_build.source_folder(home, source),
        source=source,
        wheel=args.wheel,
        offline=args.offline,
        progress=lambda text: print(text, file=sys.stderr),
    )
    facts = {
        "path": str(done.path),
        "changed": done.changed,
        "library": done.library.hash,
        "references": len(done.library.entries),
        "substances": len(done.library.substances),
        "source": source.id,
        "licence": source.licence,
    }
    if args.json:
        print(json.dumps(facts))
    else:
        state = "built" if done.changed else "up to date"
        print(
            f"{done.path} {state}: {facts['references']} references of {facts['substances']} "
            f"substances, {done.library.hash}"
        )
    return 0
