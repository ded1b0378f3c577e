"""Makes the calibration of parts of a sum: python -m fieldassay.evaluate.calibrate_parts.

Sums of two measured spectra, added in counts as the experiment `mixtures` adds them but of other
pairs, are asked about twice: with the whole library, and without the fainter substance. A part
named in the second case is a false one: a relative of what is there. So are parts beside a pure
spectrum, with its substance in the library and without. What tells true parts from false ones is
fitted (logistic regression with a small ridge), and the ranks of the false ones are kept. It then
reports what each instrument does with a calibration from the others, and each tenth of the
substances. Owns nothing of the decision: `decide.parts` reads the file.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldassay import config, identify, library_build
from fieldassay.decide import parts
from fieldassay.decide.evidence import Component
from fieldassay.decide.mixture import clear
from fieldassay.errors import FieldassayError
from fieldassay.evaluate import calibrate, shared_data
from fieldassay.evaluate.bench import Bench
from fieldassay.evaluate.distort import Counts, add, band_area, scales
from fieldassay.evaluate.experiments import mixtures
from fieldassay.evaluate.setting import Setting
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum

OUTPUT = Path(__file__).parent.parent / "decide" / parts.FILE
SEED = 4242
PAIRS = 80  # of each instrument, besides those of the experiment
RIDGE = 0.3
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trial:
    """The parts found in one spectrum.

    Attributes:
        substance: The fainter one, or the only one.
        instrument: What measured it.
        ratio: Of the stronger to the fainter; 0: a pure spectrum.
        left_out: The substance is not in the library.
        true: The part that is the fainter substance, if it was seen.
        false: Parts that are not there.
    """

    substance: str
    instrument: str
    ratio: float
    left_out: bool
    true: Component | None
    false: tuple[Component, ...]


def trials(library: Library, setting: Setting) -> Iterator[Trial]:
    """All of them; see the head of this file."""
    counted = mixtures.measured_in_counts(setting)
    taken = set(_pairs(counted, setting, mixtures.SEED, mixtures.PAIRS))
    rng = np.random.default_rng(SEED)
    libraries: dict[str, Library] = {}
    for place in _pairs(counted, setting, SEED, PAIRS):
        if place in taken:
            continue
        instrument, major, minor, strong, faint = place
        one, two = counted[instrument, major], counted[instrument, minor]
        rest = libraries.setdefault(faint, library.without({faint}))
        for ratio in mixtures.RATIOS:
            first, second = scales(band_area(one.x, one.y), band_area(two.x, two.y), ratio)
            total = add([(one, first), (two, second)], rng)
            for asked in (library, rest):
                found = _parts(one.x, total, asked)
                yield Trial(
                    faint, instrument, ratio, asked is rest,
                    next((c for c in found if c.named.id == faint), None),
                    tuple(c for c in found if c.named.id not in (strong, faint)),
                )  # fmt: skip
    for sample in setting.samples:
        own = counted.get((sample.instrument, sample.name))
        if own is None:
            continue
        for asked in (library, library.without(sample.truth)):
            found = _parts(own.x, own.y, asked)
            false = tuple(c for c in found if c.named.id not in sample.truth)
            yield Trial(
                sample.substance, sample.instrument, 0.0, asked is not library, None,
                false if len(found) > 1 else (),
            )  # fmt: skip


def _pairs(
    counted: dict[tuple[str, str], Counts], setting: Setting, seed: int, pairs: int
) -> list[tuple[str, str, str, str, str]]:
    drawn = mixtures.draw_pairs(counted, setting, np.random.default_rng(seed), pairs)
    return [(a.instrument, a.name, b.name, min(a.truth), min(b.truth)) for a, b in drawn]


def _parts(x: Floats, y: Floats, library: Library) -> list[Component]:
    spectrum = Spectrum(Axis(x, "cm-1"), y, "arbitrary")
    evidence = identify.examine(spectrum, library).evidence
    return [c for c in evidence.mixture if not c.named.packaging]


def fit(known: Sequence[Trial], library: Library) -> dict[str, Any]:
    """The content of the calibration file."""
    candidates = [
        (part, truth)
        for trial in known
        for truth, found in ((0.0, (trial.true,)), (1.0, trial.false))
        for part in found
        if part is not None and not _ignored(trial, truth) and possible(part)
    ]
    values = np.array([parts.features(part) for part, _ in candidates])
    false = np.array([truth for _, truth in candidates])
    slopes = [round(float(x), 4) for x in _logistic(values, false)]
    made = parts.PartCalibration("", slopes, (), 1)
    absent = [trial for trial in known if _absent(trial)]
    lowest = [
        min(made.doubt(part) for part in trial.false if possible(part))
        for trial in absent
        if any(possible(part) for part in trial.false)
    ]
    return {
        "id": "parts/1",
        "slopes": slopes,
        "doubts": [_rounded_down(x) for x in sorted(lowest)],
        "spectra": len(absent),
        "library": {"hash": library.hash, "substances": len(library.substances)},
        "made_from": {
            "instruments": sorted({trial.instrument for trial in known}),
            "substances": len({trial.substance for trial in known}),
            "sums": sum(trial.ratio > 0 and not trial.left_out for trial in known),
            "sums_with_one_left_out": sum(trial.ratio > 0 and trial.left_out for trial in known),
            "pure": sum(trial.ratio == 0 for trial in known),
        },
    }


def _rounded_down(doubt: float) -> float:
    """Four digits that are not above the doubt itself."""
    return math.floor(doubt * 1e4) / 1e4


def _ignored(trial: Trial, truth: float) -> bool:
    """True parts count only where both substances are in the library."""
    return truth == 0.0 and trial.left_out


def _absent(trial: Trial) -> bool:
    """True if every part beside the stronger substance is a false one."""
    return trial.left_out or trial.ratio == 0


def possible(part: Component) -> bool:
    """True if no other limit stops this part."""
    return clear(part, identify.THRESHOLDS)


def _logistic(values: Floats, false: Floats) -> Floats:
    """Constant and slopes of a logistic regression in which both kinds weigh the same."""
    centre, spread = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-9)
    design = np.column_stack([np.ones(false.size), (values - centre) / spread])
    weight = np.where(false == 1.0, (false == 0.0).sum() / max((false == 1.0).sum(), 1), 1.0)
    weight /= weight.mean()
    ridge = RIDGE * np.eye(design.shape[1])
    ridge[0, 0] = 1e-6
    found = np.zeros(design.shape[1])
    for _ in range(60):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -30.0, 30.0)))
        slope = design.T @ (weight * (chance - false)) + ridge @ found
        curve = (design * (weight * chance * (1.0 - chance))[:, None]).T @ design + ridge
        found = found - np.linalg.solve(curve, slope)
    slopes = found[1:] / spread
    return np.asarray(np.append(found[0] - slopes @ centre, slopes))


def held_out(
    known: Sequence[Trial], library: Library, group: Callable[[Trial], object], word: str
) -> str:
    """Each group against a calibration from the others: false parts, and what is found."""
    limit = identify.THRESHOLDS.mixture["max_p_relative"]
    named: list[tuple[Trial, bool, bool]] = []
    for one in sorted({group(trial) for trial in known}, key=str):
        made = parts.parse(fit([t for t in known if group(t) != one], library))
        for trial in (t for t in known if group(t) == one):
            true, false = (
                any(possible(c) and made.p_relative(c) <= limit for c in found if c is not None)
                for found in ((trial.true,), trial.false)
            )
            named.append((trial, true, false))
    absent = [(t, false) for t, _, false in named if _absent(t)]
    lines = [
        f"held out by {word}: a part that is not there named in "
        f"{sum(false for _, false in absent)} of {len(absent)} spectra without its substance, "
        f"in {sum(f for t, _, f in named if not _absent(t))} of "
        f"{sum(not _absent(t) for t in known)} with it"
    ]
    for ratio in mixtures.RATIOS:
        own = [(t, true) for t, true, _ in named if t.ratio == ratio and not t.left_out]
        gone = [false for t, false in absent if t.ratio == ratio]
        lines.append(
            f"   1:{ratio:g}: found {sum(true for _, true in own)} of {len(own)}, "
            f"a relative named {sum(gone)} of {len(gone)}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the file and report; see --help."""
    parser = argparse.ArgumentParser(prog="python -m fieldassay.evaluate.calibrate_parts")
    parser.add_argument("--data", type=Path, default=calibrate.DATA, help="public test spectra")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the file goes")
    chosen = parser.parse_args(arguments)
    with Bench(library_build.ensure_library(config.home())) as bench:
        library = bench.library
        setting = Setting(shared_data.load(chosen.data, library), bench, chosen.data)
        known = list(trials(library, setting))
    document = fit(known, library)
    chosen.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{len(known)} spectra; {len(document['doubts'])} have a false part in reach")
    print(held_out(known, library, lambda t: t.instrument, "instrument"))
    print(held_out(known, library, lambda t: calibrate.fold(t.substance), "tenth of substances"))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except FieldassayError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error
