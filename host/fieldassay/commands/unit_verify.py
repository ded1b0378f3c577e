"""Check a unit's performance with polystyrene: pass or fail, kept in the evidence store, and a PDF.

The measurement is a record: measure polystyrene with the unit as any sample, then name the record.
A running host keeps the result itself (its page is asked); otherwise it is written to the store.
"""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldassay import config
from fieldassay.clock import now_ms
from fieldassay.errors import CalibrationError, RecordError
from fieldassay.store import Store

if TYPE_CHECKING:
    from fieldassay.frame import Frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which unit, which record, where the result goes."""
    parser.add_argument("unit", help="name of the unit")
    parser.add_argument(
        "--record", help="its measurement of polystyrene (default: its newest record)"
    )
    parser.add_argument(
        "--page",
        default=f"http://127.0.0.1:{config.DEFAULT_PAGE_PORT}",
        help="page of the running host",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Judge, keep, print; 1 if the unit did not pass."""
    home = config.home(args.home).create()
    record_id, frame = _measurement(home, args.unit, args.record)
    try:
        with Store.open(home.evidence) as store:
            result = _judge(home, store, frame)
    except RecordError as error:
        if error.code != "store_in_use":
            raise
        result = _ask(args.page, record_id)
    from fieldassay.certificate import keep  # late: it takes long to import

    paper = keep(home.checks, result, frame)
    if args.json:
        print(json.dumps({**result, "certificate": str(paper)}))
    else:
        _print(result, paper)
    return 0 if result["passed"] else 1


def _measurement(home: config.Home, unit: str, record_id: str | None) -> tuple[str, Frame]:
    from fieldassay.commands.record import frame_of

    with Store.open_read_only(home.evidence) as store:
        if record_id is None:
            own = [r.record_id for r in store.records(200) if r.unit == unit]
            if not own:
                raise CalibrationError(
                    "check_without_record",
                    f"The evidence store has no recent measurement of {unit}.",
                    "Measure polystyrene with the unit while the host runs, then check it.",
                )
            record_id = own[0]
        frame = frame_of(store.record(record_id))
    if frame.unit != unit:
        raise CalibrationError(
            "check_of_other_unit",
            f"Record {record_id} is of {frame.unit}, not of {unit}.",
            "Name a record of this unit.",
        )
    return record_id, frame


def _judge(home: config.Home, store: Store, frame: Frame) -> dict[str, Any]:
    from fieldassay.duty import Duty  # late: numpy takes long to import

    return Duty(store, home.fitness, now_ms).check(frame)


def _ask(page: str, record_id: str) -> dict[str, Any]:
    """The running host keeps it: only one program may write to the store."""
    url = f"{page.rstrip('/')}/api/measurements/{record_id}/check"
    if not url.startswith(("http://", "https://")):
        raise _unreachable(page, "no web address")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=b"", headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            document: dict[str, Any] = json.load(response)
            return document
    except urllib.error.HTTPError as error:
        with error:
            raise _unreachable(page, f"status {error.code}") from error
    except (OSError, ValueError) as error:
        raise _unreachable(page, str(error)) from error


def _unreachable(page: str, why: str) -> CalibrationError:
    return CalibrationError(
        "check_not_kept",
        f"A host is running, but its page {page} did not keep the check: {why}.",
        "Give the address that the host printed with --page, or stop the host and check again.",
    )


def _print(result: dict[str, Any], paper: Path) -> None:
    from fieldassay.calibrate.check import limits

    for item in result["items"]:
        limit = limits()[item["name"]]
        error = "" if item["uncertainty"] is None else f" +- {item['uncertainty']:.3g}"
        mark = "ok" if item["passed"] else "FAIL"
        print(f"{mark:<5} {limit['what']}: {item['value']:.4g}{error} {limit['unit']}".rstrip())
    if result["reason"]:
        print(result["reason"])
    print(f"{result['unit']} {'passed' if result['passed'] else 'DID NOT PASS'}; {paper}")
