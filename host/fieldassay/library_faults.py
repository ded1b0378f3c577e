"""What is wrong with a library that shows without searching it.

Owns the findings, the checks of the library as a whole and of single entries, and which entries are
the same measurement. Pure. Entries against those that look like them is `library_check`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay import library_gates
from fieldassay.library import Library
from fieldassay.library_header import Entry
from fieldassay.preprocess import baseline, recipe
from fieldassay.spectrum import Axis, Spectrum

Floats = NDArray[np.float64]
SAME_LASER_NM = 20.0
STRANGE_LASERS = 0.1  # fewer are a mistake, more a library of several
SAME_NOISE = 0.8  # correlation of what is left between bands; independent noise has 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        code: Stable, lower-case.
        rows: Entries it is about.
        what: A sentence.
        broken: True if verdicts suffer; False for a remark.
    """

    code: str
    rows: tuple[int, ...]
    what: str
    broken: bool = True


def spectrum_of(library: Library, entry: Entry) -> Spectrum:
    """An entry as a measurement: its raw values where it has data.

    Raises:
        FormatError: It has none.
    """
    columns = _columns(library, entry)
    values = library.raw[entry.row, columns].astype(np.float64)
    return Spectrum(Axis(library.grid_cm1[columns], "cm-1"), values)


def _columns(library: Library, entry: Entry) -> slice:
    last = min(entry.last + recipe.EDGE_COLUMNS, library.grid_cm1.size)
    return slice(max(entry.first - recipe.EDGE_COLUMNS, 0), last)


def of_library(library: Library) -> Iterator[Finding]:
    """What concerns the library as a whole."""
    if library.recipe != recipe.RAMAN.id:
        text = f"Made with recipe {library.recipe}; this version uses {recipe.RAMAN.id}."
        yield Finding("other_recipe", (), text)
    rows = defaultdict(list)
    for entry in library.entries:
        rows[entry.label].append(entry.row)
    for label, same in rows.items():
        substances = {library.entries[row].substance for row in same}
        if len(substances) > 1:
            names = ", ".join(sorted(substances))
            yield Finding("label_repeated", tuple(same), f"{label!r} stands for {names}.", False)
    lasers = Counter(round(e.laser_nm) for e in library.entries if e.laser_nm)
    if not lasers:
        return
    usual, count = lasers.most_common(1)[0]
    others = [
        e.row for e in library.entries if e.laser_nm and abs(e.laser_nm - usual) > SAME_LASER_NM
    ]
    if len(others) > STRANGE_LASERS * (count + len(others)):
        found = ", ".join(f"{nm} nm ({n})" for nm, n in sorted(lasers.items()))
        text = f"References of several lasers: {found}. Bands differ in height between them."
        yield Finding("several_lasers", tuple(others), text, False)
        return
    for row in others:
        entry = library.entries[row]
        text = f"{entry.label!r} is of {entry.laser_nm:g} nm; the rest of the library is {usual}."
        yield Finding("other_laser", (row,), text)


def of_entry(library: Library, entry: Entry) -> Iterator[Finding]:
    """What is wrong with one entry, seen alone."""
    row, label = (entry.row,), repr(entry.label)
    if entry.substance not in library.substances:
        text = f"{label} is of a substance {entry.substance!r} that the library does not describe."
        yield Finding("substance_missing", row, text)
    columns = _columns(library, entry)
    values = library.raw[entry.row, columns].astype(np.float64)
    every = (library.raw[entry.row], library.linear[entry.row], library.matrix[entry.row])
    if not all(np.all(np.isfinite(part)) for part in every):
        yield Finding("not_finite", row, f"{label} has values that are not numbers.")
        return
    if entry.first >= entry.last or values.size < 5:
        yield Finding("empty", row, f"{label} has no data in the range of the library.")
        return
    if not np.any(values) or float(np.ptp(values)) == 0.0 or not np.any(library.matrix[entry.row]):
        yield Finding("all_equal", row, f"{label} is zero or the same value everywhere.")
        return
    covered = values.size - 1.0
    if covered < library_gates.MIN_RANGE_CM1:
        text = f"{label} covers {covered:.0f} cm-1; the least is {library_gates.MIN_RANGE_CM1:.0f}."
        yield Finding("range_too_small", row, text)
    if plateau(values):
        yield Finding("saturated", row, f"The highest band of {label} is cut off flat.")
    snr = library_gates.signal_to_noise(values)
    if snr < library_gates.MIN_SNR:
        yield Finding("no_bands", row, f"The highest band of {label} is {snr:.1f} times its noise.")


def plateau(values: Floats) -> bool:
    """True if the top of a spectrum on the grid is flat; interpolation keeps a flat top flat.

    A band of any line width bends at its top by more than a thousandth of its height in a column
    or two. A background may be flat for long, but not to the last digit.
    """
    top, floor = float(values.max()), float(np.median(values))
    flat = np.abs(np.diff(values))
    exact = (flat <= 1e-7 * max(abs(top), 1e-30)) & (values[1:] >= top - 0.05 * (top - floor))
    bands = values - baseline.asls(values)
    height = float(bands.max())
    high = bands[1:] >= 0.8 * height
    run = _longest(high & (flat <= 1e-3 * height))
    # A broad band is flat at its top, too, but only for a tenth of its width up there.
    return _longest(exact) >= 8 or (run >= 6 and run >= 0.5 * _longest(high))


def _longest(true: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], true.astype(np.int8), [0]))))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def same_spectra(library: Library) -> Iterator[Finding]:
    """Entries with the very same values."""
    rows = defaultdict(list)
    for entry in library.entries:
        values = library.raw[entry.row]
        if np.any(values):
            rows[hashlib.sha256(values.tobytes()).digest()].append(entry.row)
    for same in rows.values():
        if len(same) > 1:
            yield duplicate(library, same, "the same spectrum")


def duplicate(library: Library, rows: Sequence[int], how: str) -> Finding:
    """Entries that are one measurement; worse if under several names."""
    labels = " and ".join(repr(library.entries[row].label) for row in rows)
    substances = {library.entries[row].substance for row in rows}
    if len(substances) > 1:
        text = f"{labels} are {how}, under the names of {len(substances)} substances."
        return Finding("duplicate_of_other", tuple(rows), text)
    return Finding("duplicate", tuple(rows), f"{labels} are {how}.")


def same_noise(library: Library, a: int, b: int) -> bool:
    """True if two entries share their noise, so that they are one measurement.

    Two measurements of one substance agree in their bands; between the bands only a copy does.
    """
    columns = _columns(library, library.entries[a])
    others = _columns(library, library.entries[b])
    both = slice(max(columns.start, others.start), min(columns.stop, others.stop))
    steep = np.maximum(np.abs(library.linear[a, both]), np.abs(library.linear[b, both]))
    quiet = (steep < 0.02 * float(np.max(steep, initial=0.0)))[1:-1]
    if np.count_nonzero(quiet) < 100:
        return False
    x, y = (np.diff(library.raw[row, both].astype(np.float64), 2)[quiet] for row in (a, b))
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return norm > 0.0 and float(x @ y) / norm > SAME_NOISE
