"""A stored verdict against the same one computed again from the stored raw bytes. Pure.

On the build that made it a verdict repeats bit for bit. Another processor may round differently
in the last places: `TOLERANCE` is what may differ then, and words may never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Figures are stored with four digits after the point; a last digit may turn, and no more.
TOLERANCE = 2e-4
NOT_COMPARED = frozenset({"created_ms", "software"})


def differences(
    stored: Mapping[str, Any], now: Mapping[str, Any], tolerance: float = 0.0
) -> list[str]:
    """What differs, one line for each place, empty if the verdicts are the same.

    Args:
        stored: The stored form of a verdict (`answers.body` with `created_ms`).
        now: The same computed again.
        tolerance: Numbers may differ by this much, absolutely or relatively; 0: not at all.
    """
    return _compare("", _kept(stored), _kept(now), tolerance)


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in NOT_COMPARED}


def _compare(place: str, a: Any, b: Any, tolerance: float) -> list[str]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        found = []
        for key in [*a, *(k for k in b if k not in a)]:
            inner = f"{place}.{key}" if place else str(key)
            if key not in a or key not in b:
                found.append(f"{inner}: only {'now' if key in b else 'stored'}")
            else:
                found += _compare(inner, a[key], b[key], tolerance)
        return found
    if _is_list(a) and _is_list(b):
        if len(a) != len(b):
            return [f"{place}: {len(a)} stored, {len(b)} now"]
        return [
            line
            for i, (x, y) in enumerate(zip(a, b, strict=True))
            for line in _compare(f"{place}[{i}]", x, y, tolerance)
        ]
    if _is_number(a) and _is_number(b):
        if a == b or abs(a - b) <= tolerance * max(1.0, abs(a), abs(b)):
            return []
        return [f"{place}: {a} stored, {b} now"]
    return [] if a == b and type(a) is type(b) else [f"{place}: {a!r} stored, {b!r} now"]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
