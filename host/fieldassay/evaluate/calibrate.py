"""Makes the calibration of the decision: python -m fieldassay.evaluate.calibrate.

Asks the engine for its best candidates of spectra whose substance is not in the library, and of
library substances on other instruments, and writes decide/calibration.json. It then reports what a
tenth of the substances, by a hash of their name, does with a calibration from the others, and the
same for each instrument. Owns nothing of the decision: `decide.calibrated` reads the file.

Unknown substances are: spectra of the public test data of substances that the library does not
have; library substances with their own references left out, on other instruments and as the library
has them; the minerals and polymers of Open Specy and the biomolecules of ramanbiolib.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fieldassay import config, decide, identify, library_build
from fieldassay.decide import calibrated
from fieldassay.errors import FieldassayError
from fieldassay.evaluate import public_unknowns, shared_data
from fieldassay.evaluate.samples import Sample
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum

OUTPUT = Path(__file__).parent.parent / "decide" / calibrated.FILE
DATA = Path("..") / "shared" / "data"
FOLDS = 10


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
        stopped=best.named.packaging or decide.stopped(evidence, thresholds),
        good=good,
        clear=good and decide.clear_enough(evidence, thresholds),
    )


def unknowns(
    library: Library, samples: Sequence[Sample], wheels: Path, every: int
) -> Iterator[Asked]:
    """All spectra of substances that are not in the library they are asked of."""
    nothing: frozenset[str] = frozenset()
    for sample in samples:
        if sample.kind == "unknown":
            yield ask(sample.spectrum, library, (sample.substance, nothing, sample.instrument))
        elif sample.kind == "library":
            rest = library.without(sample.truth)
            yield ask(sample.spectrum, rest, (sample.substance, nothing, sample.instrument))
    for entry in library.entries[::every]:
        values = library.raw[entry.row, entry.first : entry.last].astype(float)
        spectrum = Spectrum(Axis(library.grid_cm1[entry.first : entry.last], "cm-1"), values)
        rest = library.without({entry.substance})
        yield ask(spectrum, rest, (entry.substance, nothing, "library"))
    for source, name, spectrum in public_unknowns.load(wheels):
        yield ask(spectrum, library, (name, nothing, source))


def fold(substance: str) -> int:
    """One of FOLDS parts of all names, for good."""
    return hashlib.sha256(substance.casefold().encode()).digest()[0] % FOLDS


def fit(null: Sequence[Asked], true: Sequence[Asked], library: Library) -> dict[str, Any]:
    """The content of the calibration file."""
    highest: dict[str, dict[str, float]] = {kind: {} for kind in calibrated.KINDS}
    for a in null:
        if a.good and not a.stopped:
            own = highest[a.kind]
            own[a.substance] = max(own.get(a.substance, 0.0), a.score)
    right = sorted(a.score for a in true if a.clear and a.first in a.truth)
    return {
        "id": "calibration/2",
        "unknown": {
            kind: [_rounded_up(x) for x in sorted(own.values(), reverse=True)]
            for kind, own in highest.items()
        },
        "unknown_substances": len({a.substance for a in null if a.good}),
        "true_scores": [round(x, 4) for x in right],
        "library": {
            "hash": library.hash,
            "substances": len(library.substances),
            "references": len(library.entries),
        },
        "made_from": {
            "unknown_spectra": dict(Counter(a.instrument for a in null if a.good)),
            "true_spectra": dict(Counter(a.instrument for a in true if a.clear)),
        },
    }


def _rounded_up(score: float) -> float:
    """Four digits that the score itself does not exceed."""
    return math.ceil(score * 1e4) / 1e4


def named(calibration: calibrated.Calibration, asked: Asked) -> bool:
    """True if the rules call this a match."""
    limits = identify.THRESHOLDS.match
    floors = {"natural": "natural_min_score", "few_bands": "few_bands_min_score"}
    floor = limits[floors.get(asked.kind, "min_score")]
    chance = calibration.p_other(asked.kind, asked.score)
    possible = asked.good and not asked.stopped and asked.score >= floor
    return possible and chance <= limits["max_p_other"]


def held_out(null: Sequence[Asked], library: Library) -> str:
    """Unknown substances that get a name, each tenth of them against the other nine tenths."""
    substances = {a.substance for a in null if a.good}
    wrong: dict[str, Asked] = {}
    for part in range(FOLDS):
        rest = [a for a in null if fold(a.substance) != part]
        made = calibrated.parse(fit(rest, [], library))
        for a in null:
            if fold(a.substance) == part and named(made, a):
                wrong[a.substance] = a
    lines = [f"held out: substances outside the library named: {len(wrong)} of {len(substances)}"]
    lines += [
        f"   {a.substance} ({a.instrument}) as {a.first}, {a.kind}, score {a.score:.3f}"
        for a in wrong.values()
    ]
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
    limit = identify.THRESHOLDS.unknown["max_p_true"]
    lines = []
    for one in sorted({a.instrument for a in true}):
        others = calibrated.parse(fit([], [a for a in true if a.instrument != one], library))
        own = [a for a in true if a.instrument == one and a.clear and a.first in a.truth]
        unlikely = [a for a in own if others.p_true(a.score) <= limit]
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
    for kind, scores in made.unknown.items():
        print(f"{kind}: {len(scores)} substances, highest scores {scores[:4]}")
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
