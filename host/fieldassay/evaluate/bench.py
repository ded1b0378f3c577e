"""Asking the identification many questions, on several processors, as a user would ask them.

Owns Question, and the one place that calls `identify.identify`. An answer is the documented JSON
form (docs/reference/identify-json.md) or `{"error": code}`: the experiments see nothing else of the
engine. The same questions give the same answers in the same order whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay import calibration, spots
from fieldassay.errors import FormatError
from fieldassay.identify import Context, identify
from fieldassay.library import Library
from fieldassay.spectrum import Axis, AxisUnit, Spectrum

Answer = dict[str, Any]
Identify = Callable[[Spectrum, Library, Context], Any]
Progress = Callable[[str], None]
CHUNK = 8  # questions a process takes at a time


@dataclass(frozen=True, slots=True)
class Question:
    """One spectrum to identify.

    Attributes:
        x, y: Axis in `x_unit` and intensities, each shape (N,).
        x_unit: nm or cm-1.
        noise: Standard deviation of each intensity where the source states it.
        laser_nm: Excitation, where the source states it.
        packaging: What the officer would say the sample is in.
        without: Substance ids left out of the library.
        library: Another library file than the bench's own.
        more: Intensities at further spots of the same sample, each shape (N,); then `spots.combine`
            is asked instead of `identify`.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x_unit: AxisUnit = "cm-1"
    noise: NDArray[np.float64] | None = None
    laser_nm: float | None = None
    packaging: str = ""
    without: frozenset[str] = field(default_factory=frozenset)
    library: str = ""
    more: tuple[NDArray[np.float64], ...] = ()


def question(spectrum: Spectrum, **known: Any) -> Question:
    """The question what this spectrum is; `known` are further attributes of Question."""
    stated = spectrum.meta.get("excitation_nm")
    known.setdefault("laser_nm", float(stated) if stated else None)
    return Question(
        spectrum.axis.values, spectrum.intensity, spectrum.axis.unit, spectrum.noise, **known
    )


@lru_cache(maxsize=4)
def _library(path: str, without: frozenset[str]) -> Library:
    library = Library.open(path)
    return library.without(without) if without else library


def answer(asked: Question, default_library: str, method: Identify = identify) -> Answer:
    """What the engine says."""
    library = _library(asked.library or default_library, asked.without)
    try:
        axis = Axis(asked.x, asked.x_unit)
        spectra = [
            calibration.to_wavenumber(Spectrum(axis, y, "arbitrary", asked.noise), asked.laser_nm)
            for y in (asked.y, *asked.more)
        ]
        context = Context(packaging=asked.packaging, excitation_nm=asked.laser_nm)
        if asked.more:
            return spots.combine(spectra, library, [context] * len(spectra)).whole.as_dict()
        said: Answer = method(spectra[0], library, context).as_dict()
    except FormatError as error:
        return {"error": error.code}
    return said


def _key(asked: Question) -> bytes:
    """Equal for equal questions: several experiments ask some of the same."""
    rest = (asked.x_unit, asked.laser_nm, asked.packaging, sorted(asked.without), asked.library)
    digest = hashlib.sha256(repr(rest).encode())
    for values in (asked.x, asked.y, asked.noise, *asked.more):
        digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.digest()


class Bench:
    """A library and the processes that ask about it; no question is asked twice.

    Args:
        library: The library file.
        jobs: Processes; 1 asks in this one.
        progress: Called with a short text now and then.
        method: What is measured; another one than `identify` only in this process (jobs = 1).
    """

    def __init__(
        self,
        library: Path,
        jobs: int = 1,
        progress: Progress = lambda _: None,
        method: Identify = identify,
    ) -> None:
        self.path = library
        self.library = Library.open(library)
        self._progress = progress
        self._known: dict[bytes, Answer] = {}
        self._method = method
        self._pool = (
            ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) if jobs > 1 else None
        )

    def ask(self, questions: Sequence[Question], what: str = "") -> list[Answer]:
        """The answers, in the order of the questions."""
        keys = [_key(asked) for asked in questions]
        pairs = zip(keys, questions, strict=True)
        new = {key: asked for key, asked in pairs if key not in self._known}
        # Neighbours share a library, so it is cut once.
        order = sorted(new, key=lambda key: (new[key].library, sorted(new[key].without)))
        paths = [str(self.path)] * len(order)
        asked = [new[key] for key in order]
        answers = (
            self._pool.map(answer, asked, paths, chunksize=CHUNK)
            if self._pool
            else (answer(q, p, self._method) for q, p in zip(asked, paths, strict=True))
        )
        for number, (key, said) in enumerate(zip(order, answers, strict=True), start=1):
            self._known[key] = said
            if number % 25 == 0 or number == len(order):
                self._progress(f"{what}: {number}/{len(order)}")
        return [self._known[key] for key in keys]

    def close(self) -> None:
        """End the processes."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
