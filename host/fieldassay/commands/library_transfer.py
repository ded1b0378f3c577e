"""`fieldassay library transfer`: a parent's references made fit for a daughter unit.

Exit status 1, and no file, if the held-out standards speak against it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from fieldassay import library_adapt, library_encode, library_transfer, library_transfer_check
from fieldassay.commands.identify import expand, read_bytes
from fieldassay.commands.library_add import measured, recorded, substance_of
from fieldassay.errors import LibraryError
from fieldassay.library import Library
from fieldassay.library_add import Measurement, judge
from fieldassay.library_build import require_folder
from fieldassay.library_encode import Grid
from fieldassay.library_import import parse_mapping
from fieldassay.library_transfer import Standard, Transfer
from fieldassay.library_transfer_check import Tried
from fieldassay.preprocess import recipe
from fieldassay.substance_names import file_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two units, the standards, and where the library goes."""
    parser.add_argument(
        "--parent", type=Path, required=True, metavar="PATH", help="library of the parent unit"
    )
    parser.add_argument(
        "--standards",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="measured on the daughter unit: files named by their substance, or folders",
    )
    parser.add_argument(
        "--record",
        nargs="+",
        default=[],
        metavar="RECORD=SUBSTANCE",
        help="standards in the evidence store",
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="CSV", help="substance of each file, as for import"
    )
    parser.add_argument("--daughter-unit", required=True, metavar="NAME", help="the daughter")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the new library file"
    )
    parser.add_argument("--excitation-nm", type=float, metavar="NM", help="laser, for files in nm")


def run(args: argparse.Namespace) -> int:
    """Estimate, adapt, check, and keep the library if the check passes."""
    if args.output.exists():
        raise LibraryError(
            "library_exists",
            f"{args.output} is there already, and a library file is never changed.",
            "Give another name with --output.",
        )
    parent = Library.open(args.parent)
    if parent.recipe != recipe.RAMAN.id:
        raise LibraryError(
            "libraries_differ",
            f"The library was made with recipe {parent.recipe}, not {recipe.RAMAN.id}.",
            "Build or import it again.",
        )
    standards, hashes, refused = _standards(args, parent)
    read = library_transfer.estimate(parent, standards).read
    made_of, held_out = library_transfer_check.split(read, standards)
    found = library_transfer.estimate(parent, [standards[i] for i in made_of])
    checked = [standards[i] for i in held_out]
    tried, library = _make(args, parent, found, checked, hashes)
    _print(args, found, tried, refused, library)
    return 0 if library else 1


def _standards(
    args: argparse.Namespace, parent: Library
) -> tuple[list[Standard], dict[str, str], dict[str, str]]:
    """The standards that are good enough, the hash of each, and why others are not."""
    mapping = parse_mapping(read_bytes(args.mapping)) if args.mapping else {}
    given: list[tuple[Measurement, Sequence[str]]] = []
    for path in expand(args.standards):
        told = mapping.get((path.name, ""))
        said = (told.substance,) if told else file_names(PurePath(path.name).stem)
        given.append((measured(path, args.excitation_nm), said))
    for text in args.record:
        record_id, _, name = text.partition("=")
        given += [(one, [name]) for one in recorded([record_id], args.home)]
    standards: list[Standard] = []
    hashes: dict[str, str] = {}
    refused: dict[str, str] = {}
    for measurement, names in given:
        judged = judge(measurement)
        ids = [substance_of(name, parent)[0].id for name in names if name]
        known = next((one for one in ids if one in parent.substances), "")
        if judged.refused or not known:
            why = judged.refused or f"{names[0]!r} is not in the parent library"
            refused[measurement.name] = why
            continue
        standards.append(Standard(measurement.name, known, measurement.spectrum))
        hashes[measurement.name] = measurement.sha256
    if not standards:
        list_of = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise LibraryError(
            "too_few_standards",
            f"No standard can be used{': ' + list_of if list_of else ''}.",
            "Name files by their substance, or say it with --mapping.",
        )
    return standards, hashes, refused


def _make(
    args: argparse.Namespace,
    parent: Library,
    found: Transfer,
    checked: Sequence[Standard],
    hashes: dict[str, str],
) -> tuple[list[Tried], Library | None]:
    """Write the adapted library, try it, and keep it if nothing failed.

    It is written twice: the check needs it, and belongs into it.
    """
    grid = Grid(int(parent.grid_cm1[0]), int(parent.grid_cm1[-1]))
    title = f"{parent.title}, transferred to {args.daughter_unit}"
    stamp: dict[str, Any] = {
        "recipe": recipe.RAMAN.describe(),
        "parent": parent.hash,
        "parent_build": dict(parent.build),
        "transfer": {
            "daughter": args.daughter_unit,
            **asdict(found),
            "standards_sha256": hashlib.sha256(json.dumps(hashes).encode()).hexdigest(),
        },
    }
    require_folder(args.output.absolute().parent)
    temporary = args.output.with_name(args.output.name + ".tmp")

    def write() -> Library:
        references = library_adapt.adapted(parent, found, args.daughter_unit)
        with temporary.open("wb") as file:
            library_encode.write_references(file, references, parent.substances, title, stamp, grid)
        return Library.open(temporary)

    with ExitStack() as stack:
        stack.callback(temporary.unlink, missing_ok=True)
        try:
            tried = library_transfer_check.check(parent, write(), checked)
            if any(one.failed for one in tried):
                return tried, None
            temporary.unlink()  # still mapped: what is open keeps the old bytes
            stamp["transfer"]["checked"] = [asdict(one) for one in tried]
            write()
            temporary.replace(args.output)
        except OSError as error:
            raise LibraryError(
                "library_not_writable",
                f"{args.output} cannot be written: {error.strerror}.",
                "Free space, or give a place you may write to with --output.",
            ) from error
    return tried, Library.open(args.output)


def _print(
    args: argparse.Namespace,
    found: Transfer,
    tried: Sequence[Tried],
    refused: dict[str, str],
    library: Library | None,
) -> None:
    if args.json:
        facts = {
            "path": str(args.output) if library else None,
            "library": library.hash if library else None,
            "parent": library.build["parent"] if library else None,
            "daughter": args.daughter_unit,
            "transfer": asdict(found),
            "checked": [asdict(one) for one in tried],
            "not_used": refused,
        }
        print(json.dumps(facts))
        return
    for name, why in refused.items():
        print(f"not used  {name}: {why}")
    for one in found.read:
        state = "" if one.used else "  (an outlier, not used)"
        print(
            f"standard  {one.name}: {one.substance}, shift {one.shift_cm1:+.1f} cm-1, "
            f"agreement {one.agreement:.2f}{state}"
        )
    response = ", ".join(
        f"{c:+.2f} ± {error:.2f}"
        for c, error in zip(found.response, found.response_error, strict=True)
    )
    print(
        f"{args.daughter_unit} against the parent: "
        f"shift {found.shift_cm1:+.2f} ± {found.shift_error_cm1:.2f} cm-1, "
        f"stretch {1e6 * found.stretch:+.0f} ± {1e6 * found.stretch_error:.0f} ppm, "
        f"line width {found.broadening_cm1:+.1f} ± {found.broadening_error_cm1:.1f} cm-1, "
        f"response {response}"
    )
    print("\nHeld-out standards: score and lead with the parent's library, and with the new one")
    for row in tried:
        scores = f"{row.before:5.2f} {row.lead_before:+.2f}"
        scores += f" -> {row.after:5.2f} {row.lead_after:+.2f}"
        end = f"  FAILED: {row.failed}" if row.failed else ""
        print(f"  {scores}  {row.verdict:<15} {row.substance} ({row.name}){end}")
    if library is None:
        count = sum(bool(row.failed) for row in tried)
        print(f"Refused: {count} of {len(tried)} held-out standards failed; nothing was written.")
        return
    print(f"{args.output}: {len(library.entries)} references, {library.hash}")
