"""The whole identification of one spectrum against a large library, as a host does it.

The library: the real references of the default library, then made-up substances (up to 2,000,
several references each: 8 to 40 bands of 3 to 12 cm-1 half width on fluorescence, with noise,
shifted by up to 2 cm-1), put together by the project's own library code with its planes. The
spectra: real references and sums of two of them, on another axis, shifted, on fluorescence, with
shot noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import Call

SUBSTANCES = 2000
SPECTRA = 16


def _made_up(count: int) -> Iterator[Any]:
    """References of made-up substances."""
    from fieldassay.library_encode import Reference
    from fieldassay.spectrum import Axis, Spectrum

    random = np.random.default_rng(20261124)
    x = np.arange(302.0, 2304.0)
    bands = []
    for _ in range(min(SUBSTANCES, count)):
        size = int(random.integers(8, 41))
        bands.append(
            (
                random.uniform(310, 2295, size),
                random.uniform(3, 12, size),
                random.gamma(0.7, 1, size),
            )
        )
    for number in range(count):
        substance = number % len(bands)
        values = np.zeros(x.size)
        shift = random.uniform(-2, 2)
        for centre, width, height in zip(*bands[substance], strict=True):
            values += height / (1.0 + ((x + shift - centre) / width) ** 2)
        values *= 5000.0 / values.max()
        values += random.uniform(500, 8000) * np.exp(-(x - 302.0) / random.uniform(400, 3000))
        values += random.normal(0.0, 15.0, x.size)
        yield Reference(
            substance=f"made-up-{substance}", spectrum=Spectrum(Axis(x, "cm-1"), values),
            label=f"made-up-{number}", file="", sha256="", instrument="made up", laser_nm=785.0,
            source="benchmark", licence="",
        )  # fmt: skip


def _library(case: Path) -> Any:
    """The library of the case, made once; again when the code that makes it changes."""
    import fieldassay
    from fieldassay import library_build, library_encode
    from fieldassay.library import Library
    from fieldassay.library_header import LibrarySubstance

    code = Path(fieldassay.__file__).parent
    digest = hashlib.sha256(Path(__file__).read_bytes())
    native = Path(__file__).resolve().parent.parent / "native"
    for path in sorted(
        [*code.glob("lib*.py"), *code.glob("[pk]*/*.py"), *native.glob("fa_*.[ch]")]
    ):
        digest.update(path.read_bytes())
    file = case / f"{digest.hexdigest()[:12]}.falib"
    if not file.exists():
        size = int(np.load(case / "size.npy"))
        default = Library.open(library_build.ensure_library())
        real = [_reference_of(default, entry) for entry in default.entries]
        known = dict(default.substances)
        for number in range(SUBSTANCES):
            name = f"made-up-{number}"
            known[name] = LibrarySubstance(
                name, name, None, None, "other", "default-strictest", False, False
            )
        references = [*real, *_made_up(max(size - len(real), 1))][:size]
        temporary = file.with_suffix(".new")
        with temporary.open("w+b") as out:
            library_encode.write_references(out, references, known, "benchmark", {})
        temporary.replace(file)
    return Library.open(file)


def _reference_of(library: Any, entry: Any) -> Any:
    from fieldassay.library_encode import Reference
    from fieldassay.preprocess.recipe import EDGE_COLUMNS
    from fieldassay.spectrum import Axis, Spectrum

    first = max(entry.first - EDGE_COLUMNS, 0)
    last = min(entry.last + EDGE_COLUMNS, library.grid_cm1.size)
    values = library.raw[entry.row, first:last].astype(np.float64)
    return Reference(
        substance=entry.substance,
        spectrum=Spectrum(Axis(library.grid_cm1[first:last], "cm-1"), values),
        label=entry.label, file=entry.file, sha256=entry.sha256, instrument=entry.instrument,
        laser_nm=entry.laser_nm, source=entry.source, licence=entry.licence,
    )  # fmt: skip


def measured(library: Any) -> list[tuple[Any, set[str]]]:
    """Spectra as a unit would send them, and the substances in them."""
    from fieldassay.spectrum import Axis, Spectrum

    random = np.random.default_rng(4)
    real = [entry for entry in library.entries if entry.source != "benchmark"]
    axis = 310.0 + np.cumsum(np.linspace(2.4, 1.6, 980))
    found = []
    for number in range(SPECTRA):
        chosen = random.choice(len(real), 1 + number % 2, replace=False)
        values = np.zeros(axis.size)
        for place in chosen:
            row = library.raw[real[place].row].astype(np.float64)
            row = np.interp(axis + random.uniform(-1, 1), library.grid_cm1, row)
            values += random.uniform(0.4, 1.0) * 8000.0 * (row - row.min()) / np.ptp(row)
        values += random.uniform(500, 4000) * np.exp(-(axis - 300.0) / 1500.0)
        counts = random.poisson(np.maximum(values, 0.0)) + random.normal(0.0, 10.0, axis.size)
        names = {real[place].substance for place in chosen}
        found.append((Spectrum(Axis(axis, "cm-1"), counts), names))
    return found


def identify(case: Path | None) -> list[Call]:
    """One call a spectrum: its substances named, others named, and how many it has."""
    from fieldassay import identify as engine

    assert case is not None
    library = _library(case)

    def call(spectrum: Any, names: set[str]) -> tuple[Any, ...]:
        found = engine.identify(spectrum, library)
        named = {substance.id for substance in found.verdict.substances}
        return len(named & names), len(named - names), len(names)

    return [partial(call, *pair) for pair in measured(library)]
