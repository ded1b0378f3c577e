"""`python -m benchmarks`: run, print the table, write the JSON and the page."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import environment, page
from benchmarks.pairing import WorkerError
from benchmarks.run import Run, everything
from benchmarks.table import COLUMNS, SIZES, TINY_SIZES

DOCS = environment.ROOT / "docs" / "reference"


def main(arguments: list[str] | None = None) -> int:
    """0 if everything that is built answered rightly, 1 if not; goals do not change it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pairs", type=int, default=15, help="alternations a case (15)")
    parser.add_argument("--only", nargs="+", default=[], metavar="KEY", help="rows to run")
    parser.add_argument(
        "--json", type=Path, default=environment.FOLDER.parent / "bench.json", help="the result"
    )
    parser.add_argument("--publish", action="store_true", help="write docs/reference/performance.*")
    parser.add_argument(
        "--tiny", action="store_true",
        help="a few dozen references and no installation: shows that the benchmark works",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    here = Path(sys.executable)
    try:
        python = here if args.tiny else environment.peers_python()
        run = Run(
            environment.FOLDER / ("tiny" if args.tiny else "cases"),
            (here, "benchmarks.ours"),
            (python, "benchmarks.peers"),
            TINY_SIZES if args.tiny else SIZES,
            64 if args.tiny else COLUMNS,
            2 if args.tiny else args.pairs,
            None if args.tiny else environment.real_spectra(),
            0.001 if args.tiny else 0.03,
        )
        facts = {
            "commit": environment.commit(),
            "machine": environment.machine(),
            "versions": environment.versions(python),
        }
        result = everything(run, facts, lambda text: print(text, file=sys.stderr), args.only)
    except (environment.SetupError, WorkerError) as error:
        print(f"The benchmark stopped: {error}", file=sys.stderr)
        return 1
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(text, encoding="utf-8")
    if args.publish:
        (DOCS / "performance.json").write_text(text, encoding="utf-8")
        (DOCS / "performance.md").write_text(page.render(result), encoding="utf-8")
    print_table(result)
    return 1 if any(row["verdict"] == "WRONG" for row in result["rows"]) else 0


def print_table(result: dict[str, object]) -> None:
    """The goals and what was measured, for a terminal."""
    rows = result["rows"]
    assert isinstance(rows, list)
    print(f"{'measure':<92} {'at least':>9} {'aim':>8} {'measured':>9}")
    for row in rows:
        figures = (page.amount(row[name], row["unit"]) for name in ("at_least", "aim", "value"))
        print("{:<92} {:>9} {:>8} {:>9}".format(row["measure"], *figures), row["verdict"])


if __name__ == "__main__":
    sys.exit(main())
