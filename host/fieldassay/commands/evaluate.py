"""Measure how good the identification is, on spectra whose truth is known.

Runs the experiments of the accuracy table (docs/explanation/measured-accuracy.md) on the public
test spectra or on yours, and writes evaluate.json. Progress is on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from fieldassay import config, evaluate, library_build
from fieldassay.errors import SetupError
from fieldassay.evaluate import fetched, page, plots, shared_data
from fieldassay.evaluate.bench import Bench
from fieldassay.evaluate.samples import read_manifest
from fieldassay.evaluate.setting import Setting
from fieldassay.evaluate.table import text_table

DATA = Path("..") / "shared" / "data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which spectra, which experiments, where the results go."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help=f"public test spectra (default: {DATA})"
    )
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE", help="spectra of yours, listed in a CSV file"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write evaluate.json and the plots there"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        help=f"experiments to run (default: all): {', '.join(evaluate.EXPERIMENTS)}",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print evaluate.json, not the table")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes (default: one for each processor)"
    )
    parser.add_argument(
        "--library", type=Path, metavar="PATH", help="reference library (default: the built one)"
    )
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="fetch public spectra of other things too (85 MB, kept in the home folder), once",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the page there as Markdown, its pictures into ../images",
    )
    parser.add_argument(
        "--from",
        dest="earlier",
        type=Path,
        metavar="FILE",
        help="an evaluate.json of before: show, draw and write that, and run nothing",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small part, to see that it runs; no evaluation"
    )


def run(args: argparse.Namespace) -> int:
    """Run, show, write; 0 whatever the rates are: they are the result."""
    document = _earlier(args.earlier) if args.earlier else _measured(args)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    if args.output is not None:
        plots.draw(document["figures"], args.output)
        (args.output / "evaluate.json").write_text(text, encoding="utf-8")
    if args.page is not None:
        plots.draw(document["figures"], args.page.parent.parent / "images")
        args.page.write_text(page.render(document), encoding="utf-8")
    print(text if args.json else _human(document), end="")
    return 0


def _measured(args: argparse.Namespace) -> dict[str, Any]:
    evaluate.choose(args.only)
    library = args.library or library_build.ensure_library(config.home(), progress=_progress)
    with Bench(library, args.jobs or os.cpu_count() or 1, _progress) as bench:
        data = args.data or DATA
        if args.manifest is not None:
            samples = read_manifest(args.manifest, bench.library)
            data = args.data
        else:
            samples = shared_data.load(data, bench.library)
        setting = Setting(samples, bench, data, _fetched(args.fetch), args.quick)
        return evaluate.evaluate(setting, args.only)


def _earlier(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != evaluate.SCHEMA:
            raise ValueError(f"its schema is not {evaluate.SCHEMA}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            "evaluation_unreadable",
            f"{path} is no result of an evaluation ({error}).",
            "Give the evaluate.json that fieldassay evaluate --output wrote.",
        ) from error
    return document


def _fetched(wanted: bool) -> Path | None:
    """The folder of fetched spectra, or None if they are not all there."""
    folder = config.home().root / "evaluate"
    if wanted:
        fetched.fetch(folder)
    return folder if fetched.complete(folder) else None


def _human(document: dict[str, Any]) -> str:
    warning = "QUICK: a small part only; these numbers are no evaluation.\n" * bool(
        document["quick"]
    )
    return (
        f"{warning}{text_table(document['rows'])}\n{document['algorithm']}\n{document['library']}\n"
    )


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text.split(": ")[-1].split("/")[0] == text.split("/")[-1]:  # the end of a step only
        print(text, file=sys.stderr, flush=True)
