"""List, show, export, verify and replay records of the evidence store, beside a running host."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldassay_wire import cbor, keys, mac0, messages
from fieldassay_wire.errors import WireError

from fieldassay import config
from fieldassay.answers import family_name
from fieldassay.errors import FieldassayError, FrameError, RecordError, SetupError
from fieldassay.intake import open_with
from fieldassay.replay import TOLERANCE, differences
from fieldassay.store import Store
from fieldassay.stored import Record, RecordSummary
from fieldassay.units import UnitRegistry

if TYPE_CHECKING:
    from fieldassay.frame import Frame

PAGE = 200
EXPORTS = ("cose", "csv", "jcamp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, `show`, `export`, `verify` and `replay`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="newest first")
    listing.add_argument("--limit", type=int, default=20, help="how many (20); 0: all")
    show = actions.add_parser("show", help="one record with its verdicts")
    show.add_argument("record", help="as in the list: UNIT-BOOT-SEQ")
    for sub in (listing, show):
        sub.add_argument("--json", action="store_true", help="print one JSON object a line")
    export = actions.add_parser("export", help="the sealed bytes, or the spectrum in them")
    export.add_argument("record", help="as in the list: UNIT-BOOT-SEQ")
    export.add_argument(
        "--format", choices=EXPORTS, default="cose", help="default: the sealed bytes"
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    verify = actions.add_parser("verify", help="recompute hash and MAC; exit status 1 if one fails")
    verify.add_argument("record", nargs="*", help="which; default: every record")
    again = actions.add_parser(
        "replay", help="identify again from the stored bytes; exit status 1 if a verdict differs"
    )
    again.add_argument("record", nargs="*", help="which; default: every record")
    again.add_argument(
        "--library", type=Path, metavar="PATH", help="the library of that time (default: today's)"
    )
    again.add_argument(
        "--other-machine",
        action="store_true",
        help=f"numbers may differ by {TOLERANCE:g}, as between processors",
    )
    for sub in (listing, show, export, verify, again):
        sub.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    home = config.home(args.home)
    with Store.open_read_only(home.evidence) as store:
        if args.action == "list":
            return _list(args, store)
        if args.action == "show":
            return _show(args, store.record(args.record), UnitRegistry(home.units))
        if args.action == "export":
            return _export(args, store.record(args.record))
        if args.action == "replay":
            return _replay(args, store, home)
        return _verify(args, store, UnitRegistry(home.units))


def _list(args: argparse.Namespace, store: Store) -> int:
    left = args.limit or sys.maxsize
    before = None
    while left > 0 and (page := store.records(min(left, PAGE), before)):
        for line in page:
            print(json.dumps(_facts(line)) if args.json else _line(line))
        before, left = page[-1].number, left - len(page)
    return 0


def _facts(line: RecordSummary) -> dict[str, Any]:
    return {
        "record": line.record_id,
        "unit": line.unit,
        "boot": line.boot,
        "seq": line.seq,
        "sha256": line.sha256,
        "size_bytes": line.size_bytes,
        "received_ms": line.received_ms,
        "taken_ms": line.taken_ms,
        "clock": line.clock,
        "flags": list(line.flags),
        "verdict": line.verdict,
    }


def _line(line: RecordSummary) -> str:
    verdict = line.verdict or {"verdict": "not identified yet", "substances": []}
    names = " + ".join(s["name"] for s in verdict["substances"]) or family_name(verdict)
    return f"{line.record_id:<24} {_utc(line.received_ms)}  {verdict['verdict']:<15} {names}"


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _show(args: argparse.Namespace, record: Record, registry: UnitRegistry) -> int:
    line = record.summary
    problem = _problem(record, registry)
    key = "" if problem else _fingerprint(record, registry)
    if args.json:
        seal = "ok" if problem is None else problem.code
        print(json.dumps({**_facts(line), "seal": seal, "key": key, "verdicts": record.verdicts}))
        return 0
    taken = _utc(line.taken_ms) if line.taken_ms else "unknown"
    print(f"record    {line.record_id}")
    print(f"taken     {taken} by the unit's clock ({line.clock})")
    print(f"received  {_utc(line.received_ms)}")
    print(f"sha256    {line.sha256}  ({line.size_bytes} bytes)")
    seal = f"ok, key {key}" if problem is None else f"{problem.what} {problem.do_next}"
    print(f"seal      {seal}")
    print(f"flags     {', '.join(line.flags) or 'none'}")
    print(f"dark      {_dark(record)}")
    for verdict in record.verdicts:
        names = " + ".join(s["name"] for s in verdict["substances"]) or family_name(verdict)
        print(f"verdict   {verdict['verdict']} {names}  ({_utc(verdict['created_ms'])})")
        for reason in verdict["reasons"]:
            print(f"          {reason['text']}")
        print(f"          {verdict['do_next']}")
        print(f"          library {verdict['library']}, {verdict['algorithm']}")
    print("Results are presumptive: confirm in a laboratory.")
    return 0


def _dark(record: Record) -> str:
    """The officer's answer: was the sample dark or coloured?"""
    return str(frame_of(record).answers.get("dark_sample", "not asked"))


def _exported(record: Record, form: str) -> bytes:
    if form == "cose":
        return record.sealed
    from fieldassay import calibration  # late: numpy takes long to import
    from fieldassay.formats import csv, jcamp_write

    write = {"csv": csv.write, "jcamp": jcamp_write.write}[form]
    return write(calibration.spectrum_of(frame_of(record)))


def _export(args: argparse.Namespace, record: Record) -> int:
    data = _exported(record, args.format)
    if args.out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return 0
    try:
        args.out.write_bytes(data)
    except OSError as error:
        raise SetupError(
            "export_not_written",
            f"{args.out} cannot be written: {error.strerror}.",
            "Give another file with --out.",
        ) from error
    return 0


def frame_of(record: Record) -> Frame:
    """The frame in a record, whoever's key sealed it."""
    from fieldassay.frame import Frame

    try:
        _protected, _unprotected, payload, _tag = cbor.decode(record.sealed).value
        return Frame.from_message(record.sealed, messages.parse("measurement", payload))
    except WireError as error:
        raise FrameError(error.code, error.what, error.do_next) from error


def _verify(args: argparse.Namespace, store: Store, registry: UnitRegistry) -> int:
    failed = checked = 0
    for record_id in args.record or _all_ids(store):
        try:
            problem = _problem(store.record(record_id), registry)
        except RecordError as error:  # the others are checked all the same
            problem = error
        checked += 1
        failed += problem is not None
        if problem is not None:
            print(f"{record_id}: {problem.code}: {problem.what} {problem.do_next}")
    print(f"{checked} records checked, {failed} failed")
    return int(failed > 0)


def _replay(args: argparse.Namespace, store: Store, home: config.Home) -> int:
    """Every verdict made with this library and this algorithm must come out the same."""
    from fieldassay import answers, fitness, identify  # late: numpy takes long to import
    from fieldassay.hazards.cards import load_cards
    from fieldassay.library import Library

    library = Library.open(args.library or home.library)
    cards = load_cards()
    same = differing = others = failed = 0
    for record_id in args.record or _all_ids(store):
        try:
            record = store.record(record_id)
            found = identify.identify_frame(frame_of(record), library)[1]
        except FieldassayError as error:  # the others are replayed all the same
            failed += 1
            print(f"{record_id}: {error.code}: {error.what} {error.do_next}")
            continue
        for verdict in record.verdicts:
            # What was known of the unit then is part of the verdict, and is not asked again.
            fit = verdict.get("fitness")
            said = fitness.limited(found, fitness.from_dict(fit)) if fit else found
            now = answers.body(said, cards.get(said.hazard_card))
            made_by = (verdict.get("library"), verdict.get("algorithm"))
            if made_by != (now["library"], now["algorithm"]):
                others += 1
                print(
                    f"{record_id}: made with {made_by[1] or 'nothing'}, library "
                    f"{made_by[0] or 'none'}: not compared; it would now be {now['verdict']}"
                )
                continue
            # As JSON: that is what was stored, and what a tuple or a float has become in it.
            tolerance = TOLERANCE if args.other_machine else 0.0
            changed = differences(verdict, json.loads(json.dumps(now)), tolerance)
            same += not changed
            differing += bool(changed)
            for line in changed:
                print(f"{record_id}: {line}")
    print(
        f"{same} verdicts repeated, {differing} differ, {others} by another library or program, "
        f"{failed} records cannot be read"
    )
    return int(differing > 0 or failed > 0)


def _all_ids(store: Store) -> list[str]:
    ids: list[str] = []
    before = None
    while page := store.records(PAGE, before):
        ids += [line.record_id for line in page]
        before = page[-1].number
    return ids[::-1]


def _fingerprint(record: Record, registry: UnitRegistry) -> str:
    """Of the key that sealed it, as on the label of the unit at that time."""
    key, _ = open_with(record.sealed, registry.get(record.summary.unit).every_key())
    return keys.fingerprint(key)


def _problem(record: Record, registry: UnitRegistry) -> FieldassayError | None:
    """What is wrong with a record, None if hash, MAC and place are right."""
    line = record.summary
    if hashlib.sha256(record.sealed).hexdigest() != line.sha256:
        return RecordError(
            "record_hash_wrong",
            "The stored bytes do not have the stored hash.",
            "Keep the file as it is and compare it with a copy or an export.",
        )
    try:
        _, payload = open_with(record.sealed, registry.get(line.unit).every_key())
        kind, kid = mac0.peek(record.sealed)
        message = messages.parse(kind, payload)
    except WireError as error:
        return FrameError(error.code, error.what, error.do_next)
    except FieldassayError as error:
        return error
    place = (kind, kid, message["unit"], message["boot"], message["seq"])
    if place != ("measurement", line.unit.encode(), line.unit, line.boot, line.seq):
        return RecordError(
            "record_misfiled",
            "The sealed bytes are of another measurement than the record says.",
            "Keep the file as it is and compare it with a copy or an export.",
        )
    return None
