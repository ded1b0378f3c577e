"""Sums of substances that explain a measurement: the search, and what the rules need of it.

Pure. The verdict is `decide.mixture`.
"""

from __future__ import annotations

from fieldassay import decide
from fieldassay.explain import Explanation, Scene
from fieldassay.library import Library
from fieldassay.naming import named

THRESHOLDS = decide.load_thresholds()


def find(scene: Scene, singles: list[Explanation], library: Library) -> Explanation | None:
    """Forward selection: add the substance that raises the agreement most, while it does."""
    if not singles:
        return None
    best = singles[0]
    while len(best.rows) < THRESHOLDS.mixture["max_components"]:
        trial = scene.extend(best, _substances_of(library, best.rows))
        if trial.agreement - best.agreement < THRESHOLDS.mixture["min_gain"]:
            break
        best = trial
    return best if len(best.rows) > 1 else None


def _substances_of(library: Library, rows: tuple[int, ...]) -> frozenset[str]:
    return frozenset(library.entries[row].substance for row in rows)


def components(
    scene: Scene, mixture: Explanation, library: Library, told: str
) -> list[decide.Component]:
    """What the rules need to know of each part of a sum; `told` is the packaging named."""
    parts = []
    for row, share in zip(mixture.rows, mixture.shares, strict=True):
        rest = scene.fit([r for r in mixture.rows if r != row], mixture.shift_cm1)
        other = scene.extend(rest, _substances_of(library, mixture.rows))
        new = [r for r in other.rows if r not in mixture.rows]
        rival = (named(library, new[0], told), mixture.agreement - other.agreement) if new else None
        gain = mixture.agreement - rest.agreement
        bands = scene.fit((row,), mixture.shift_cm1).bands
        parts.append(decide.Component(named(library, row, told), share, gain, bands, rival))
    return parts
