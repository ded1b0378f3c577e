"""Makes the calibration of the decision: python -m fieldassay.evaluate.calibrate.

Asks the engine for its best candidates of spectra whose substance is not in the library, and of
library substances on other instruments, and writes decide/calibration.json. It then reports what a
tenth of the substances, by a hash of their name, does with a calibration from the others, and the
same for each instrument. Owns nothing of the decision: `decide.calibrated` reads the file.

Unknown substances are: spectra of the public test data of substances that the library does not
have; library substances with their own references left out, on other instruments and as the library
has them; the minerals and polymers of Open Specy and the biomolecules of ramanbiolib. Each as it is
and with two levels of white noise, under which few bands are left to tell substances apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fieldassay import config, decide, identify, library_build
from fieldassay.decide import calibrated
from fieldassay.errors import FieldassayError
from fieldassay.evaluate import public_unknowns, shared_data
from fieldassay.evaluate.distort import with_snr
from fieldassay.evaluate.samples import Sample
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum

OUTPUT = Path(__file__).parent.parent / "decide" / calibrated.FILE
DATA = Path("..") / "shared" / "data"
FOLDS = 10
NOISY = (20.0, 12.0)  # white noise: signal to noise of the copies
BAND_RANGE_CM1 = (300.0, 2300.0)
SEED = 11
PARTS = (0.002, 0.005, 0.01, 0.02, 0.05)
LEAST_FLOOR = 0.72


@dataclass(frozen=True, slots=True)
class Asked:
    """What the best candidate of one spectrum says.

    Attributes:
        substance: One name for each independent substance.
        truth: Ids that would be right; empty for an unknown substance.
        instrument: What measured it.
        kind, score: Of the best candidate: kind of reference and score.
        first: Its id.
        stopped: Another rule than the score keeps it from being named.
        good: The measurement is good enough for a verdict.
        clear: It is good enough to say that something is not in the library.
    """

    substance: str
    truth: frozenset[str]
    instrument: str
    kind: str
    score: float
    first: str
    stopped: bool
    good: bool
    clear: bool


def ask(spectrum: Spectrum, library: Library, sample: tuple[str, frozenset[str], str]) -> Asked:
    """The engine's evidence on one spectrum, without sums."""
    thresholds = identify.THRESHOLDS
    evidence = identify.examine(spectrum, library, identify.Context(), sums=False).evidence
    good = decide.bad_measurement(evidence, thresholds) is None
    if not evidence.singles:
        return Asked(*sample, "many_bands", 0.0, "", stopped=True, good=good, clear=good)
    best = evidence.singles[0]
    return Asked(
        *sample,
        kind=calibrated.kind_of(best, thresholds),
        score=best.score,
        first=best.named.id,
        stopped=decide.stopped(evidence, thresholds),
        good=good,
        clear=good and decide.clear_enough(evidence, thresholds),
    )


def unknowns(
    library: Library, samples: Sequence[Sample], wheels: Path, every: int
) -> Iterator[Asked]:
    """All spectra of substances that are not in the library they are asked of, noisy copies too."""
    for substance, instrument, spectrum, rest in _unknown_spectra(library, samples, wheels, every):
        yield ask(spectrum, rest, (substance, frozenset(), instrument))
        rng = np.random.default_rng(SEED)
        x = spectrum.axis.values
        for ratio in NOISY if spectrum.axis.unit == "cm-1" else ():
            if not np.any((x >= BAND_RANGE_CM1[0]) & (x <= BAND_RANGE_CM1[1])):
                continue  # with_snr looks for the strongest band there
            noisy = replace(
                spectrum, intensity=with_snr(x, spectrum.intensity, ratio, rng), noise=None
            )
            yield ask(noisy, rest, (substance, frozenset(), f"{instrument}, noise 1/{ratio:g}"))


def _unknown_spectra(
    library: Library, samples: Sequence[Sample], wheels: Path, every: int
) -> Iterator[tuple[str, str, Spectrum, Library]]:
    for sample in samples:
        if sample.kind == "unknown":
            yield sample.substance, sample.instrument, sample.spectrum, library
        elif sample.kind == "library":
            rest = library.without(sample.truth)
            yield sample.substance, sample.instrument, sample.spectrum, rest
    for entry in library.entries[::every]:
        values = library.raw[entry.row, entry.first : entry.last].astype(float)
        spectrum = Spectrum(Axis(library.grid_cm1[entry.first : entry.last], "cm-1"), values)
        yield entry.substance, "library", spectrum, library.without({entry.substance})
    for source, name, spectrum in public_unknowns.load(wheels):
        yield name, source, spectrum, library


def fold(substance: str) -> int:
    """One of FOLDS parts of all names, for good."""
    return hashlib.sha256(substance.casefold().encode()).digest()[0] % FOLDS


def fit(null: Sequence[Asked], true: Sequence[Asked], library: Library) -> dict[str, Any]:
    """The content of the calibration file."""
    furthest = excesses(null)
    right: dict[str, list[float]] = {}
    for a in true:
        if a.clear and a.first in a.truth:
            group = calibrated.NATURAL if a.kind == "natural" else a.instrument
            right.setdefault(group, []).append(round(a.score, 4))
    return {
        "id": "calibration/3",
        "unknown": sorted((_rounded_up(x) for x in furthest.values()), reverse=True),
        "unknown_substances": len({a.substance for a in null if a.good}),
        "true_scores": {k: sorted(own) for k, own in sorted(right.items())},
        "library": {
            "hash": library.hash,
            "substances": sorted(library.substances),
            "references": len(library.entries),
        },
        "made_from": {
            "unknown_spectra": dict(Counter(a.instrument for a in null if a.good)),
            "true_spectra": dict(Counter(a.instrument for a in true if a.clear)),
        },
    }


def excesses(null: Sequence[Asked]) -> dict[str, float]:
    """How far each substance comes above its floor with its best spectrum; only those not stopped.

    The floors are for a library of the size of the calibration's.
    """
    furthest: dict[str, float] = {}
    for a in null:
        if a.good and not a.stopped:
            furthest[a.substance] = max(furthest.get(a.substance, -1.0), excess(a))
    return furthest


def excess(asked: Asked) -> float:
    """Score over the least for its kind of reference."""
    return asked.score - calibrated.floor_of(asked.kind, identify.THRESHOLDS)


def _rounded_up(score: float) -> float:
    """Four digits that the score itself does not exceed."""
    return math.ceil(score * 1e4) / 1e4


def named(calibration: calibrated.Calibration, asked: Asked) -> bool:
    """True if the rules call this a match."""
    over = excess(asked)
    limit = identify.THRESHOLDS.match["max_p_other"]
    return asked.good and not asked.stopped and over >= 0.0 and calibration.rank(over) <= limit


def held_out(null: Sequence[Asked], library: Library) -> str:
    """Each tenth of the unknown substances against the other nine tenths.

    Said are those that get a name; how many get a p_other of at most p, for some p; and how many
    would get a name if the least scores were not those of decision.toml, which saw these data, but
    the highest of each kind in the nine tenths (0.72 at least).
    """
    substances = {a.substance for a in null if a.good}
    wrong: dict[str, Asked] = {}
    blind: dict[str, Asked] = {}
    ranks: dict[str, float] = {}
    for part in range(FOLDS):
        rest = [a for a in null if fold(a.substance) != part]
        made = calibrated.parse(fit(rest, [], library))
        highest = {
            kind: max((a.score for a in rest if a.kind == kind and a.good and not a.stopped),
                      default=0.0)
            for kind in calibrated.KINDS
        }  # fmt: skip
        for a in null:
            if fold(a.substance) != part or not a.good:
                continue
            rank = made.rank(None if a.stopped else excess(a))
            ranks[a.substance] = min(ranks.get(a.substance, 1.0), rank)
            if named(made, a):
                wrong[a.substance] = a
            if not a.stopped and a.score > max(highest[a.kind], LEAST_FLOOR):
                blind[a.substance] = a
    lines = []
    for what, found in (("named", wrong), ("named with floors of the nine tenths", blind)):
        lines.append(f"held out: substances {what}: {len(found)} of {len(substances)}")
        lines += [
            f"   {a.substance} ({a.instrument}) as {a.first}, {a.kind}, score {a.score:.3f}"
            for a in found.values()
        ]
    for p in PARTS:
        n = sum(1 for rank in ranks.values() if rank <= p)
        lines.append(f"held out: p_other at most {p:g}: {n} of {len(ranks)} ({n / len(ranks):.4f})")
    return "\n".join(lines)


def true_matches(calibration: calibrated.Calibration, true: Sequence[Asked]) -> str:
    """True spectra that are named, each instrument."""
    lines = []
    for one in sorted({a.instrument for a in true}):
        own = [a for a in true if a.instrument == one]
        hits = [a for a in own if a.first in a.truth and named(calibration, a)]
        missed = [(a.substance, a.kind, round(a.score, 3)) for a in own if a not in hits and a.good]
        lines.append(f"{one}: true spectra named, without sums: {len(hits)} of {len(own)} {missed}")
    return "\n".join(lines)


def by_instrument(true: Sequence[Asked], library: Library) -> str:
    """True matches called unlikely, each instrument against a calibration from the others."""
    limits = identify.THRESHOLDS.unknown
    lines = []
    for one in sorted({a.instrument for a in true}):
        others = calibrated.parse(fit([], [a for a in true if a.instrument != one], library))
        own = [a for a in true if a.instrument == one and a.clear and a.first in a.truth]
        unlikely = [
            a for a in own
            if a.score <= limits["max_score"]
            and others.p_true(a.kind, a.score) <= limits["max_p_true"]
        ]  # fmt: skip
        lines.append(
            f"{one}: true matches called unlikely by a calibration from the other instruments: "
            f"{len(unlikely)} of {len(own)} {[(a.first, round(a.score, 2)) for a in unlikely]}"
        )
    return "\n".join(lines)


def read_kept(path: Path) -> tuple[list[Asked], list[Asked]]:
    """Unknown substances and true ones of a file that --keep wrote."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = [Asked(**{**row, "truth": frozenset(row["truth"])}) for row in rows]
    return [a for a in asked if not a.truth], [a for a in asked if a.truth]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the file and report; see --help."""
    parser = argparse.ArgumentParser(prog="python -m fieldassay.evaluate.calibrate")
    parser.add_argument("--wheels", type=Path, required=True, help="folder for the two wheels")
    parser.add_argument("--data", type=Path, default=DATA, help="public test spectra")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the file goes")
    parser.add_argument("--keep", type=Path, help="also write what was asked, as JSON lines")
    parser.add_argument("--kept", type=Path, help="use what --keep wrote and ask nothing")
    parser.add_argument("--check", action="store_true", help="report on the file as it is")
    chosen = parser.parse_args(arguments)
    library = Library.open(library_build.ensure_library(config.home()))
    samples = shared_data.load(chosen.data, library)
    if chosen.kept is not None:
        null, true = read_kept(chosen.kept)
    else:
        null = list(unknowns(library, samples, chosen.wheels, 1))
        true = [
            ask(s.spectrum, library, (s.substance, s.truth, s.instrument))
            for s in samples
            if s.kind == "library"
        ]
    if chosen.keep is not None:
        lines = [json.dumps({**asdict(a), "truth": sorted(a.truth)}) for a in (*null, *true)]
        chosen.keep.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not chosen.check:
        document = fit(null, true, library)
        chosen.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    made = calibrated.parse(json.loads(chosen.output.read_text(encoding="utf-8")))
    print(f"unknown: {len(made.unknown)} not stopped, furthest over their floor {made.unknown[:6]}")
    print(held_out(null, library))
    print(true_matches(made, true))
    print(by_instrument(true, library))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except FieldassayError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error
