"""May the adapted references count on the daughter unit? A few substances that were held out say.

Owns the split of standards and the verdict on a transfer. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fieldassay.errors import LibraryError
from fieldassay.identify import THRESHOLDS, identify
from fieldassay.library import Library
from fieldassay.library_transfer import MIN_STANDARDS, Read, Standard

MOST_TRANSFER = 5
MIN_CHECKED = 2
MAX_LOSS = 0.02  # of score, against the library as it was


@dataclass(frozen=True, slots=True)
class Tried:
    """One held-out standard, identified with both libraries.

    Attributes:
        name, substance: Of the standard.
        before, after: Score of the right substance with the parent's and the adapted library.
        lead_before, lead_after: Its lead over the best other one; negative if that is ahead.
        verdict: Kind of the verdict with the adapted library.
        failed: Why it speaks against the transfer, "" if it does not.
    """

    name: str
    substance: str
    before: float
    after: float
    lead_before: float
    lead_after: float
    verdict: str
    failed: str


def split(read: Sequence[Read], standards: Sequence[Standard]) -> tuple[list[int], list[int]]:
    """Which standards make the transfer and which check it: the former have the most bands.

    All measurements of a substance are on the same side.

    Raises:
        LibraryError: `too_few_standards`.
    """
    bands: dict[str, float] = {}
    for one in read:
        bands[one.substance] = max(bands.get(one.substance, 0.0), one.bands * one.agreement)
    ranked = sorted(bands, key=lambda name: (-bands[name], name))
    count = min(MOST_TRANSFER, len(ranked) - MIN_CHECKED)
    if count < MIN_STANDARDS:
        raise LibraryError(
            "too_few_standards",
            f"{len(ranked)} different standards were given; {MIN_STANDARDS} make a transfer and "
            f"{MIN_CHECKED} more must check it.",
            "Measure more standards on the daughter unit.",
        )
    chosen = set(ranked[:count])
    made = [i for i, standard in enumerate(standards) if standard.substance in chosen]
    return made, [i for i in range(len(standards)) if i not in made]


def check(parent: Library, adapted: Library, standards: Sequence[Standard]) -> list[Tried]:
    """Identify the held-out standards with both libraries.

    A standard fails if another substance is ahead or named, if it was named and no longer is, if
    its score is below what a match needs while it was not before, or if it loses more than
    MAX_LOSS.
    """
    return [_try(parent, adapted, standard) for standard in standards]


def _try(parent: Library, adapted: Library, standard: Standard) -> Tried:
    before, lead_before, earlier, then = _score(parent, standard)
    after, lead_after, verdict, named = _score(adapted, standard)
    least = min(THRESHOLDS.match["min_score"], before)
    failed = ""
    if verdict == "match" and named != standard.substance:
        failed = f"named {named}"
    elif (earlier, then) == ("match", standard.substance) and verdict != "match":
        failed = "no longer named"
    elif lead_after <= 0.0:
        failed = "another substance fits better"
    elif after < least:
        failed = f"score under {least:.2f}"
    elif after < before - MAX_LOSS:
        failed = f"score fell by {before - after:.3f}, more than {MAX_LOSS:g}"
    return Tried(
        standard.name, standard.substance, before, after, lead_before, lead_after, verdict, failed
    )


def _score(library: Library, standard: Standard) -> tuple[float, float, str, str]:
    found = identify(standard.spectrum, library)
    scores = {candidate.id: candidate.score for candidate in found.candidates}
    own = scores.pop(standard.substance, 0.0)
    named = found.verdict.substances[0].id if found.verdict.substances else ""
    return own, own - max(scores.values(), default=0.0), found.verdict.kind, named
