"""Makes the outsiders of class verdicts: python -m fieldassay.evaluate.outsiders.

Asks the model of the default library for its evidence on minerals, which belong to none of its
families, and writes families/outsiders.toml: numbers, no spectra. Half of the minerals by a hash of
their name are written; what the other half would be called is reported. Owns nothing of the
decision: `families` reads the file.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fieldassay import config, families, identify, library_build
from fieldassay.errors import FieldassayError, LibraryError
from fieldassay.evaluate import fetched
from fieldassay.families import model, profile
from fieldassay.library import Library

OUTPUT = Path(families.__file__).parent / "outsiders.toml"
SOURCES = ("RRUFF", "Raman Open Database")
# A formula of these alone is of an organic crystal, whose families are not recorded.
ORGANIC = re.compile(r"c\d* h\d*( (br|cl|f|i|n|o|p|s)\d*)*")
KEPT = 60  # the largest evidences say all that is asked
WIDE_CM1 = 1700.0  # measured up to here, every published band can be looked for

HEADER = """\
# The largest evidences for families that outsiders gave: substances that belong to no family of
# the default library. One spectrum of each name, of half the names (SHA-256 of the name even), of
# the Raman spectra of RRUFF and the Raman Open Database as the Python package {package} {version}
# carries them, without organic crystals. Organic outsiders are the library's own substances, left
# out in turn (families/model.py). Numbers only; no spectrum is kept.
# Made by: python -m fieldassay.evaluate.outsiders
"""


@dataclass(frozen=True, slots=True)
class Outsider:
    """One mineral.

    Attributes:
        name: As its source calls it.
        word: The most evident family.
        evidence: For it; 0 if there is none, or if the measurement is too weak for a family.
        bare: The largest evidence for a family by a model without published bands.
        wide: Measured up to WIDE_CM1 at least.
    """

    name: str
    word: str
    evidence: float
    bare: float
    wide: bool

    @property
    def calibrates(self) -> bool:
        """True for the half that is written."""
        return hashlib.sha256(self.name.casefold().encode()).digest()[0] % 2 == 0


def ask(
    library: Library, known: model.Model, bare: model.Model, folder: Path
) -> Iterator[Outsider]:
    """Every mineral that the library does not have."""
    for sample in fetched.load(folder, fetched.OPEN_SPECY, library):
        if sample.kind != "unknown" or sample.instrument not in SOURCES:
            continue
        if ORGANIC.fullmatch(sample.substance):
            continue
        found = identify.examine(sample.spectrum, library, identify.Context(), sums=False)
        prepared = found.scene.prepared
        spectrum = profile.of(prepared.linear, prepared.threshold, prepared.window)
        evidence = known.evidence(spectrum, library)
        word = max(sorted(evidence), key=lambda w: evidence[w])
        without = max(bare.evidence(spectrum, library).values())
        clear = found.quality.snr >= families.THRESHOLDS.family["min_snr"]
        wide = found.quality.range_cm1[1] >= WIDE_CM1
        yield Outsider(sample.substance, word, evidence[word] * clear, without * clear, wide)


def document(outsiders: Sequence[Outsider], library: Library, competing: Sequence[int]) -> str:
    """The text of the file; `competing`: how many families, with published bands and without."""
    own = [o for o in outsiders if o.calibrates]
    text = (
        HEADER.format(package=fetched.OPEN_SPECY.package, version=fetched.OPEN_SPECY.version)
        + "\nschema = 1\n"
        + f'made_with = "families of decide/family.toml {families.THRESHOLDS.id.split("+")[-1]}, '
        + f'default library of {len(library.entries)} references"\n'
    )
    evidences = ([o.evidence for o in own], [o.bare for o in own])
    titles = ("with_published", "without_published")
    for title, values, families_tried in zip(titles, evidences, competing, strict=True):
        largest = sorted((round(v, 3) for v in values if v > 0), reverse=True)[:KEPT]
        rows = [largest[i : i + 10] for i in range(0, len(largest), 10)]
        lines = "".join("  " + ", ".join(f"{v:.3f}" for v in row) + ",\n" for row in rows)
        text += f"\n[{title}]\nsubstances = {len(own)}\nfamilies = {families_tried}\n"
        text += f"largest = [\n{lines}]\n"
    return text


def held_out(outsiders: Sequence[Outsider], known: model.Model, bare: model.Model) -> str:
    """What the half that was not written would be called."""
    limit = families.THRESHOLDS.family["max_p_value"]
    rest = [o for o in outsiders if not o.calibrates]
    lines = []
    for used, evidence, published in (
        (known, [o.evidence for o in rest], True),
        (bare, [o.bare for o in rest], False),
    ):
        called = [
            (o.name, o.word) for o, strength in zip(rest, evidence, strict=True)
            if strength >= families.THRESHOLDS.family["min_log10_odds"]
            and families.p_value(strength, used.others, len(used.families), published) <= limit
        ]  # fmt: skip
        lines.append(
            f"held out, {'with' if published else 'without'} published bands: {len(called)} of "
            f"{len(rest)} get a family ({sum(o.wide for o in rest)} of them wide): {called}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the file and report; see --help."""
    parser = argparse.ArgumentParser(prog="python -m fieldassay.evaluate.outsiders")
    parser.add_argument("--fetched", type=Path, required=True, help="folder for fetched spectra")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the file goes")
    chosen = parser.parse_args(arguments)
    fetched.fetch(chosen.fetched)
    library = Library.open(library_build.ensure_library(config.home()))
    numbers, words = families.THRESHOLDS.family, families.not_named()
    known = model.build(library, words, numbers)
    bare = model.build(library, words, numbers, files={})
    if known is None or bare is None:
        raise LibraryError(
            "families_not_usable",
            "The default library has no families that can be told from the rest.",
            "Build it again with: fieldassay library build",
        )
    outsiders = list(ask(library, known, bare, chosen.fetched))
    competing = (len(known.families), len(bare.families))
    chosen.output.write_text(document(outsiders, library, competing), encoding="utf-8")
    families.outsiders.cache_clear()
    print(f"{sum(o.calibrates for o in outsiders)} outsiders, {competing} families")
    print(held_out(outsiders, known, bare))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except FieldassayError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error
