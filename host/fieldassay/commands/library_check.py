"""`fieldassay library check`: broken entries, duplicates, doubtful labels, look-alikes.

Owns the words and the table; what is checked is `library_check`. Exit status 1 if something is
broken. Pairs of look-alikes are no fault of a library and do not count.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

from fieldassay import library_check
from fieldassay.library import Library
from fieldassay.library_check import Checked
from fieldassay.library_faults import Finding
from fieldassay.library_pairs import K_SIGMA, SPACING_CM1, Pair

SHOWN = 40
EVERY = 100  # entries between two signs of life


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How close a pair must be, and how many are shown."""
    parser.add_argument(
        "--least-score",
        type=float,
        default=library_check.LEAST_SCORE,
        metavar="SCORE",
        help="of the pairs of look-alikes that are listed (default: %(default)s)",
    )
    parser.add_argument(
        "--limit", type=int, default=SHOWN, help="pairs in the table (%(default)s); 0: all"
    )


def run(args: argparse.Namespace, library: Library) -> int:
    """Check; 1 if something is broken."""
    found = library_check.check(library, args.least_score, _progress())
    if args.json:
        print(json.dumps(_facts(library, found)))
    else:
        _print(library, found, args.limit or sys.maxsize)
    return 1 if found.broken else 0


def _progress() -> library_check.Progress:
    shown = sys.stderr.isatty()

    def tell(done: int, total: int) -> None:
        if not shown or total < EVERY:
            return
        if done % EVERY == 0 or done == total:
            end = "\n" if done == total else ""
            print(f"\r{done}/{total} entries", end=end, file=sys.stderr, flush=True)

    return tell


def _facts(library: Library, found: Checked) -> dict[str, Any]:
    return {
        "library": library.hash,
        "references": len(library.entries),
        "substances": len(library.substances),
        "problems": [finding.what for finding in found.broken],
        "findings": [_finding(library, finding) for finding in found.findings],
        "pairs": [_pair(library, pair) for pair in found.pairs],
        "snr_rule": {"sigma": K_SIGMA, "spacing_cm1": SPACING_CM1},
    }


def _finding(library: Library, finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "broken": finding.broken,
        "what": finding.what,
        "rows": list(finding.rows),
        "labels": [library.entries[row].label for row in finding.rows],
    }


def _pair(library: Library, pair: Pair) -> dict[str, Any]:
    return {
        "substances": list(pair.substances),
        "names": [_name(library, substance) for substance in pair.substances],
        "labels": [library.entries[row].label for row in pair.rows],
        "rows": list(pair.rows),
        "score": round(pair.score, 4),
        "look_alike": pair.look_alike,
        "telling": [
            {"at_cm1": t.at_cm1, "difference": round(t.difference, 4)} for t in pair.telling
        ],
        "snr_needed": round(pair.snr, 1) if math.isfinite(pair.snr) else None,
    }


def _print(library: Library, found: Checked, limit: int) -> None:
    print(
        f"{library.hash}: {len(library.entries)} references of {len(library.substances)} "
        f"substances, {len(found.broken)} problems, {len(found.pairs)} pairs of look-alikes"
    )
    for finding in found.findings:
        print(f"  {'broken' if finding.broken else 'note':<7}{finding.code:<20} {finding.what}")
    if not found.pairs:
        return
    print("\nLook-alikes, closest first. The band is where they differ most, and which is higher;")
    print(f"the signal-to-noise is the least at which it stands {K_SIGMA:g} sigma apart.")
    print(f"{'score':>6}  {'band':>5}  {'difference':>10}  {'SNR':>6}  substances")
    for pair in found.pairs[:limit]:
        print(_line(library, pair))
    if len(found.pairs) > limit:
        print(f"… and {len(found.pairs) - limit} more (--limit 0 shows all)")


def _line(library: Library, pair: Pair) -> str:
    first, second = (_name(library, substance) for substance in pair.substances)
    if pair.look_alike:
        names = f"{first} = {second}: never told apart"
    elif not pair.telling or pair.telling[0].difference > 0:
        names = f"{first} > {second}"
    else:
        names = f"{first} < {second}"
    if not pair.telling:
        return f"{pair.score:6.2f}  {'':>5}  {'':>10}  {'':>6}  {names}"
    band = pair.telling[0]
    difference = f"{100 * abs(band.difference):.0f} %"
    return f"{pair.score:6.2f}  {band.at_cm1:5.0f}  {difference:>10}  {pair.snr:6.0f}  {names}"


def _name(library: Library, substance: str) -> str:
    known = library.substances.get(substance)
    return known.name if known else substance
