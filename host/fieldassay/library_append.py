"""A library with more references: every row of the old one bit for bit, then the new rows.

Owns the bytes of such a library; who adds what is `library_add` and `library_transfer`. Pure. A
library is never changed: the new one is another file with another hash, whose `build` names the old
one as `parent`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, BinaryIO

import numpy as np

from fieldassay import library_file
from fieldassay.errors import LibraryError
from fieldassay.kernel.planes import build_planes, fingerprint
from fieldassay.library import MATRICES, Library
from fieldassay.library_encode import Reference, reference_row
from fieldassay.library_header import Entry, LibrarySubstance, columns_of
from fieldassay.preprocess import recipe


def append(
    file: BinaryIO,
    library: Library,
    references: Sequence[Reference],
    substances: Mapping[str, LibrarySubstance],
    stamp: Mapping[str, Any],
) -> None:
    """Write the library with these references after its own.

    Args:
        file: Writable and seekable, empty.
        library: Whole; its rows are copied.
        references: New ones.
        substances: Identity of those the library does not describe.
        stamp: Facts to keep in `build`, over those of the library.

    Raises:
        LibraryError: `libraries_differ`: the library was made with another recipe.
        FormatError: A spectrum does not overlap the grid.
    """
    if library.recipe != recipe.RAMAN.id:
        raise LibraryError(
            "libraries_differ",
            f"The library was made with recipe {library.recipe}, not {recipe.RAMAN.id}.",
            "Build or import it again.",
        )
    count, columns = len(library.entries) + len(references), library.grid_cm1.size
    new = {name: np.zeros((len(references), columns), dtype=np.float32) for name in MATRICES}
    valid = list(map(tuple, library.valid.tolist()))
    for at, reference in enumerate(references):
        *rows, first, last = reference_row(reference.spectrum, library.grid_cm1)
        for name, row in zip(MATRICES, rows, strict=True):
            new[name][at] = row
        valid.append((first, last))
    writer = library_file.Writer(file)
    old = {name: getattr(library, name) for name in MATRICES}
    for name in MATRICES:
        writer.add(name, "<f4", (count, columns), [old[name], new[name]], padded=True)
    ranges = np.array(valid, dtype="<i4")
    writer.add("valid", "<i4", ranges.shape, [ranges])
    whole = np.ascontiguousarray(np.concatenate([old["matrix"], new["matrix"]]))
    for part, array in sorted(build_planes(whole, ranges).items()):
        kind = array.dtype.newbyteorder("<").str
        writer.add(f"planes/matrix/{part}", kind, array.shape, [array])
    table, profiles = columns_of([*map(_kept, library.entries), *map(_kept, references)])
    described = {**substances, **library.substances}
    used = sorted({*library.substances, *(reference.substance for reference in references)})
    writer.finish(
        {
            "title": library.title,
            "recipe": library.recipe,
            "grid": {
                "first_cm1": int(library.grid_cm1[0]), "step_cm1": 1, "columns": columns,
            },
            "entries": table,
            "profiles": profiles,
            "substances": [asdict(described[name]) for name in used],
            "build": {**library.build, **stamp},
            "planes": fingerprint(),
        }
    )  # fmt: skip


_KEPT: Iterable[str] = tuple(
    f.name for f in fields(Entry) if f.name not in ("row", "first", "last")
)


def _kept(one: Entry | Reference) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _KEPT}
