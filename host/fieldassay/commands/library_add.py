"""`fieldassay library add`: an agency's own measurements of a reference material as a reference.

The measurements are files or records of the evidence store. A library file is never changed: the
new one stands beside the old, and names it as its parent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from fieldassay import calibration, config, library_add, library_encode, substances
from fieldassay.commands.identify import expand, read_bytes, read_file
from fieldassay.commands.record import frame_of
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_add import Averaged, Judged, Measurement
from fieldassay.library_append import append
from fieldassay.library_build import require_folder
from fieldassay.library_encode import Grid, Reference
from fieldassay.library_gates import require_reference
from fieldassay.library_header import LibrarySubstance
from fieldassay.preprocess import recipe
from fieldassay.store import Store
from fieldassay.substance_names import Finder, Names, valid_cas


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What was measured, where it is, what is known of it, and where the library goes."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="measurement, or a folder of them"
    )
    parser.add_argument("--record", nargs="+", default=[], help="records of the evidence store")
    parser.add_argument(
        "--substance", required=True, metavar="NAME", help="name, CAS number or id of the substance"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the new library file"
    )
    parser.add_argument(
        "--library", type=Path, metavar="PATH", help="library to add to (default: a new one)"
    )
    parser.add_argument(
        "--least",
        type=int,
        default=library_add.MIN_MEASUREMENTS,
        metavar="N",
        help="good measurements needed (default: %(default)s)",
    )
    for name, text in (
        ("--label", "name of the reference in the library"),
        ("--batch", "batch or certificate of the material"),
        ("--source", "who made or supplied the material"),
        ("--form", "free base, hydrochloride …"),
        ("--agency", "who measured it"),
        ("--licence", "terms the reference may be used on"),
        ("--operator-note", "anything else to keep with it"),
    ):
        parser.add_argument(name, default="", metavar="TEXT", help=text)
    parser.add_argument("--excitation-nm", type=float, metavar="NM", help="laser, for files in nm")
    parser.add_argument(
        "--force", default="", metavar="REASON", help="add it although the library contradicts"
    )


def run(args: argparse.Namespace) -> int:
    """Average, check, write."""
    if args.output.exists():
        raise LibraryError(
            "library_exists",
            f"{args.output} is there already, and a library file is never changed.",
            "Give another name with --output.",
        )
    parent = Library.open(args.library) if args.library else None
    measurements = [
        *(measured(path, args.excitation_nm) for path in expand(args.files)),
        *recorded(args.record, args.home),
    ]
    if not measurements:
        raise LibraryError(
            "too_few_measurements",
            "No measurement was given.",
            "Name files, or records with --record.",
        )
    substance, known = substance_of(args.substance, parent)
    grid_cm1 = parent.grid_cm1 if parent else Grid().values
    averaged = library_add.average(measurements, grid_cm1, args.least)
    flags = require_reference(averaged.spectrum, grid_cm1)
    against = library_add.contradiction(parent, substance.id, averaged.spectrum) if parent else None
    if against and not args.force:
        own = "" if against.own is None else f"; its own references reach only {against.own:.2f}"
        raise LibraryError(
            "reference_contradicts",
            f"The mean fits {against.other} ({against.score:.2f}){own}.",
            "Check the material; if it is what you say, give the reason with --force.",
        )
    flags = (*flags, *(("contradicts",) if against else ()))
    reference = _reference(args, substance, averaged, flags)
    facts = _facts(args, reference, averaged)
    if against:
        facts["contradicts"] = {"name": against.other, "score": round(against.score, 4)}
    library = _write(args.output, parent, reference, known, facts)
    _print(args, library, averaged, facts)
    return 0


def measured(path: Path, excitation_nm: float | None) -> Measurement:
    """The measurement in a file.

    Raises:
        FormatError: It cannot be read, or is no Raman spectrum.
    """
    spectrum, laser_nm = read_file(path, excitation_nm)
    return Measurement(
        name=path.name,
        sha256=hashlib.sha256(read_bytes(path)).hexdigest(),
        spectrum=spectrum,
        instrument=spectrum.meta.get("instrument", ""),
        laser_nm=laser_nm,
        taken=spectrum.meta.get("date", ""),
    )


def recorded(ids: Sequence[str], home: Path | None) -> Iterator[Measurement]:
    """The measurements in these records of the evidence store.

    Raises:
        RecordError, FrameError: A record is not there or cannot be used.
    """
    if not ids:
        return
    with Store.open_read_only(config.home(home).evidence) as store:
        for record_id in ids:
            frame = frame_of(store.record(record_id))
            selftest = frame.message.get("selftest")
            taken = datetime.fromtimestamp(frame.time_ms / 1000, UTC) if frame.time_ms else None
            yield Measurement(
                name=record_id,
                sha256=frame.sha256.hex(),
                spectrum=calibration.spectrum_of(frame),
                instrument=frame.unit,
                laser_nm=frame.excitation_pm / 1000.0,
                taken=taken.isoformat() if taken else "",
                flags=frame.flags,
                check_passed=selftest.get("ok") if isinstance(selftest, dict) else None,
            )


def substance_of(
    text: str, parent: Library | None
) -> tuple[LibrarySubstance, dict[str, LibrarySubstance]]:
    """Which substance is meant, and its identity if the library does not have it.

    One of the library's own, else of the catalogue, else a new one.
    """
    if parent:
        for one in parent.substances.values():
            if text.casefold() in (one.id, one.name.casefold()) or (one.cas and text == one.cas):
                return one, {}
    finder = Finder(substances.load().values())
    cas = valid_cas(text) or ""
    found = finder.find(Names(() if cas else (text,), cas)).substance
    return found, {found.id: found}


def _reference(
    args: argparse.Namespace,
    substance: LibrarySubstance,
    averaged: Averaged,
    flags: tuple[str, ...],
) -> Reference:
    used = [one.measurement for one in averaged.used]
    lasers = [one.laser_nm for one in used if one.laser_nm]
    instruments = sorted({one.instrument for one in used if one.instrument})
    names = [one.name for one in used]
    digest = hashlib.sha256("\n".join(one.sha256 for one in used).encode()).hexdigest()
    material = [
        f"{what} {text}" for what, text in (("batch", args.batch), ("from", args.source)) if text
    ]
    return Reference(
        substance=substance.id,
        spectrum=averaged.spectrum,
        label=args.label or f"{substance.name}, measured",
        file=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
        sha256=digest,
        instrument=", ".join(instruments),
        laser_nm=float(np.median(lasers)) if lasers else None,
        source="own measurement",
        licence=args.licence or "not stated",
        form=args.form or None,
        agency=args.agency,
        date=max((one.taken[:10] for one in used), default=""),
        prepared="; ".join(material),
        averaged=len(used),
        flags=tuple(sorted(flags)),
    )


def _facts(args: argparse.Namespace, reference: Reference, averaged: Averaged) -> dict[str, Any]:
    """What is kept in `build` of how the reference was made."""
    return {
        "substance": reference.substance,
        "label": reference.label,
        "sha256": reference.sha256,
        "batch": args.batch,
        "source": args.source,
        "note": args.operator_note,
        "forced": args.force,
        "measurements": [_judged(one) for one in averaged.judged],
    }


def _judged(one: Judged) -> dict[str, Any]:
    return {
        "name": one.measurement.name,
        "sha256": one.measurement.sha256,
        "instrument": one.measurement.instrument,
        "taken": one.measurement.taken,
        "snr": round(one.snr, 1),
        "background_ratio": round(one.background_ratio, 2),
        "agreement": round(one.agreement, 4),
        "drift_cm1": round(one.drift_cm1, 2),
        "refused": one.refused,
    }


def _write(
    output: Path,
    parent: Library | None,
    reference: Reference,
    known: dict[str, LibrarySubstance],
    facts: dict[str, Any],
) -> Library:
    earlier = list(parent.build.get("added", [])) if parent else []
    stamp: dict[str, Any] = {"recipe": recipe.RAMAN.describe(), "added": [*earlier, facts]}
    require_folder(output.absolute().parent)
    temporary = output.with_name(output.name + ".tmp")
    with ExitStack() as stack:
        stack.callback(temporary.unlink, missing_ok=True)
        try:
            with temporary.open("wb") as file:
                if parent is None:
                    title = f"Own measurements: {reference.label}"
                    library_encode.write_references(file, [reference], known, title, stamp)
                else:
                    append(file, parent, [reference], known, {**stamp, "parent": parent.hash})
            temporary.replace(output)
        except OSError as error:
            raise LibraryError(
                "library_not_writable",
                f"{output} cannot be written: {error.strerror}.",
                "Free space, or give a place you may write to with --output.",
            ) from error
    return Library.open(output)


def _print(
    args: argparse.Namespace, library: Library, averaged: Averaged, facts: dict[str, Any]
) -> None:
    if args.json:
        row = len(library.entries) - 1
        print(
            json.dumps(
                {
                    "path": str(args.output),
                    "library": library.hash,
                    "parent": library.build.get("parent"),
                    "references": len(library.entries),
                    "row": row,
                    **facts,
                }
            )
        )
        return
    for one in averaged.judged:
        state = f"refused: {one.refused}" if one.refused else "used"
        print(
            f"{one.measurement.name}: SNR {one.snr:.0f}, background {one.background_ratio:.1f}, "
            f"agreement {one.agreement:.2f}, axis {one.drift_cm1:+.1f} cm-1, {state}"
        )
    if "contradicts" in facts:
        print(f"Added although it fits {facts['contradicts']['name']}: {args.force}")
    print(
        f"{args.output}: {facts['label']}, mean of {len(averaged.used)} of "
        f"{len(averaged.judged)}; {len(library.entries)} references, {library.hash}"
    )
