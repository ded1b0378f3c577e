"""What every experiment gets: samples, the bench to ask, and how much to do.

Owns nothing but the bundle. An experiment is a function of a Setting that returns an Outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fieldassay.evaluate.bench import Answer, Bench, Question, question
from fieldassay.evaluate.samples import Sample
from fieldassay.library import Library

TUNED = "thresholds were chosen on this set: no independent estimate"
SEEN = "ranks of its scores are in the calibration; no threshold was chosen on it"
HELD_OUT = "not used to choose thresholds"
BOTH = "part of these sets chose thresholds; see the lines of each"


@dataclass(frozen=True, slots=True)
class Setting:
    """The material of an evaluation.

    Attributes:
        samples: Spectra with their truth.
        bench: Answers questions.
        data: Folder of the public test spectra; None if there is none.
        fetched: Folder with spectra taken from packages; None if they may not be fetched.
        quick: Do a small part, to see that it runs; the numbers are then no evaluation.
    """

    samples: Sequence[Sample]
    bench: Bench
    data: Path | None = None
    fetched: Path | None = None
    quick: bool = False

    @property
    def library(self) -> Library:
        """The library asked about."""
        return self.bench.library

    def ask(self, samples: Iterable[Sample], what: str) -> list[Answer]:
        """One answer for each sample as it is."""
        return self.bench.ask([as_asked(s) for s in samples], what)

    def some(self, samples: Sequence[Sample], every: int = 8) -> list[Sample]:
        """All of them, or each `every`-th when it must be quick."""
        return list(samples[::every]) if self.quick else list(samples)


def as_asked(sample: Sample) -> Question:
    """The question as `fieldassay identify` asks it: the file's own laser, where it states one."""
    asked = question(sample.spectrum)
    if asked.laser_nm is None and sample.spectrum.axis.unit == "nm":
        asked = question(sample.spectrum, laser_nm=sample.laser_nm)
    return asked


def tuning(samples: Iterable[Sample]) -> str:
    """What was tuned on these samples, in words."""
    roles = {s.role for s in samples}
    if len(roles) != 1:
        return BOTH
    return {"tuned": TUNED, "seen": SEEN, "held_out": HELD_OUT}[roles.pop()]


def is_785(sample: Sample) -> bool:
    """Measured with the laser of the default library, as far as is known."""
    return sample.laser_nm is None or abs(sample.laser_nm - 785.0) <= 20.0
