"""Libraries and queries of the benchmark: synthetic by a fixed recipe, and real ones.

All rows and queries are mean-centred unit vectors in float32, so an inner product is Pearson's r.
The recipe: 2,000 classes, each the sum of 8 to 40 Lorentzian bands (half width 2 to 9 columns of
1,024, heights gamma(0.7)); a reference is its class shifted by up to 2 columns plus a cubic
background (0.06 of its maximum) and noise (0.01). The narrower the bands, the less is pruned, and
synthetic libraries flatter pruning: hence the real one.
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]
CLASSES = 2000
QUERIES = 64
REAL_RANGE_CM1 = (200.0, 1200.0)  # where nearly all real spectra have data


def unit_rows(values: NDArray[np.floating]) -> Rows:
    """Centred rows of length 1; a row without structure stays zero."""
    centred = np.asarray(values, dtype=np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.ascontiguousarray(centred / np.where(norms > 0.0, norms, 1.0), dtype=np.float32)


def _classes(columns: int, random: np.random.Generator, narrower: float = 1.0) -> Floats:
    x = np.arange(columns, dtype=np.float64)
    rows = np.zeros((CLASSES, columns))
    for row in rows:
        count = int(random.integers(8, 41))
        centres = random.uniform(0, columns, count)
        widths = random.uniform(2.0, 9.0, count) * columns / 1024 / narrower
        heights = random.gamma(0.7, 1.0, count)
        for centre, width, height in zip(centres, widths, heights, strict=True):
            row += height / (1.0 + ((x - centre) / width) ** 2)
        row /= row.max()
    return rows


def _background(count: int, columns: int, random: np.random.Generator) -> Floats:
    x = np.linspace(-1.0, 1.0, columns)
    return random.normal(size=(count, 4)) @ np.stack([np.ones(columns), x, x**2, x**3])


def synthetic(
    references: int, columns: int, narrower: float = 1.0, seed: int = 20261124
) -> tuple[Rows, Rows]:
    """A library of shape (references, columns) and QUERIES mixtures of what is in it.

    A query is one row with up to 30 % of another, a background of 0.03 and noise of 0.02 (relative
    to the largest value of the row). `narrower` divides the widths of the bands.
    """
    random = np.random.default_rng(seed)
    classes = _classes(columns, random, narrower)
    x = np.arange(columns, dtype=np.float64)
    library = np.empty((references, columns), dtype=np.float32)
    for start in range(0, references, 2000):
        count = min(2000, references - start)
        shifts = random.uniform(-2.0, 2.0, count)
        block = np.stack(
            [
                np.interp(x + shift, x, classes[(start + i) % CLASSES])
                for i, shift in enumerate(shifts)
            ]
        )
        block += 0.06 * _background(count, columns, random)
        block += random.normal(0.0, 0.01, block.shape)
        library[start : start + count] = unit_rows(block)
    first, second = random.integers(0, references, (2, QUERIES))
    peak = np.abs(library[first]).max(axis=1, keepdims=True)
    queries = library[first] + random.uniform(0.0, 0.3, (QUERIES, 1)) * library[second]
    queries = queries + 0.03 * peak * _background(QUERIES, columns, random)
    queries = queries + peak * random.normal(0.0, 0.02, queries.shape)
    return library, unit_rows(queries)


def noise_queries(columns: int, seed: int = 7) -> Rows:
    """White noise, centred, of length 1: nothing to prune by."""
    return unit_rows(np.random.default_rng(seed).normal(size=(QUERIES, columns)))


def counts(columns: int, seed: int = 5) -> Floats:
    """Bands on fluorescence with shot noise, in counts, shape (QUERIES, columns)."""
    random = np.random.default_rng(seed)
    x = np.linspace(0.0, 1.0, columns)
    bands = _classes(columns, random)[:QUERIES]
    decay = random.uniform(0.2, 1.5, (QUERIES, 1))
    light = 4000.0 * bands + random.uniform(2000.0, 20000.0, (QUERIES, 1)) * np.exp(-x / decay)
    return random.poisson(light).astype(np.float64)


def real(wheel: Path, columns: int, seed: int = 11) -> tuple[Rows, Rows]:
    """The real library of the pinned wheel on 200 to 1,200 cm-1, and QUERIES held-out spectra.

    Other spectra of a held-out spectrum's mineral stay in the library.
    """
    grid = np.linspace(*REAL_RANGE_CM1, columns)
    rows = []
    for positions, values in _spectra_of(wheel):
        order = np.argsort(positions)
        positions, values = positions[order], values[order]
        if positions.size < 50 or positions[0] > grid[0] or positions[-1] < grid[-1]:
            continue
        row = np.interp(grid, positions, values)
        if np.all(np.isfinite(row)) and np.ptp(row) > 0.0:
            rows.append(row)
    library = unit_rows(np.array(rows))
    held_out = np.random.default_rng(seed).choice(len(library), QUERIES, replace=False)
    keep = np.ones(len(library), dtype=bool)
    keep[held_out] = False
    return np.ascontiguousarray(library[keep]), np.ascontiguousarray(library[held_out])


def _spectra_of(wheel: Path) -> list[tuple[Floats, Floats]]:
    """Every spectrum in the wheel's Raman table: columns wavenumber, intensity, sample_name."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open("pyopenspecy/data/raman_library.csv") as raw,
    ):
        lines = csv.reader(io.TextIOWrapper(raw, encoding="utf-8"))
        next(lines)
        for position, value, name, *_ in lines:
            try:
                point = float(position), float(value)
            except ValueError:
                continue  # "NA"
            spectrum = found.setdefault(name, ([], []))
            spectrum[0].append(point[0])
            spectrum[1].append(point[1])
    return [(np.array(x), np.array(y)) for _, (x, y) in sorted(found.items())]
