"""The ordinates of a JCAMP-DX data table: AFFN, PAC, SQZ, DIF and DUP, and plain XY pairs.

Knows the encoding of numbers only; labels, factors and units are `jcamp`. One pass over the text,
bounded by MAX_POINTS whatever the DUP counts claim.
Source: McDonald and Wilks, Appl. Spectrosc. 42 (1988) 151, section 5.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldassay.formats.columns import check_points, damaged
from fieldassay.spectrum import Floats

_SQZ = {c: d for d, c in enumerate("@ABCDEFGHI")} | {c: -d for d, c in enumerate("abcdefghi", 1)}
_DIF = {c: d for d, c in enumerate("%JKLMNOPQR")} | {c: -d for d, c in enumerate("jklmnopqr", 1)}
_DUP = {c: d for d, c in enumerate("STUVWXYZs", 1)}

# An exponent in compressed text must have a sign: "1E5" there is 1, then the squeezed number +5.
_COMPRESSED = re.compile(
    r"[\s,;]*(?:([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]\d{1,3})?)|([@%A-Za-s])(\d*(?:\.\d*)?)|(\?)|$)"
)
_PLAIN = re.compile(
    r"[\s,;]*(?:([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\d))?)|(?!)()()|(\?)|$)"
)
_LETTERS = re.compile(r"[@%A-DF-Za-df-s]")
_MAX_TOKEN = 64
# A last line of an X and a zero ends the table in files of one program; it is no Y check.
_TERMINATOR = re.compile(r"[+-]?\d+\.?\d*@")


@dataclass(frozen=True, slots=True)
class Table:
    """Ordinates of an (X++(Y..Y)) table, not yet scaled.

    Attributes:
        y: Shape (N,); NaN where the file says `?`.
        line_x: The X that begins each line, shape (L,).
        line_start: Index into y of the point each X belongs to, shape (L,).
        line_x_rounding: The largest rounding of any line X, in units of its last digit.
    """

    y: Floats
    line_x: Floats
    line_start: NDArray[np.int64]
    line_x_rounding: float


@dataclass(slots=True)
class _State:
    """Where the decoder is: the last ordinate and how it was written."""

    value: float = 0.0
    difference: float | None = None


def decode(lines: Sequence[str]) -> Table:
    """Decode the lines of an (X++(Y..Y)) table in any of the five forms, also mixed.

    Raises:
        FormatError: a token is not of any form, a Y check fails, or there are too many points.
    """
    pattern = _COMPRESSED if any(_LETTERS.search(line) for line in lines) else _PLAIN
    y: list[float] = []
    line_x: list[float] = []
    line_start: list[int] = []
    rounding = 0.0
    state = _State()
    lines = [line for line in lines if line.strip()]
    for index, line in enumerate(lines):
        if index == len(lines) - 1 and _TERMINATOR.fullmatch(line.strip()):
            break
        tokens = _tokens(pattern, line)
        first = next(tokens, None)
        if first is None:
            continue
        if not first[0]:
            raise damaged(f"A data line does not begin with its X value: {line[:30]!r}.")
        line_x.append(float(first[0]))
        rounding = max(rounding, _last_digit(first[0]))
        check_due = state.difference is not None
        line_start.append(len(y) - 1 if check_due else len(y))
        state.difference = None
        for place, token in enumerate(tokens):
            if place == 0 and check_due:
                _check(token, y[-1], state)
                continue
            _append(token, y, state)
    return Table(
        np.array(y, dtype=np.float64),
        np.array(line_x, dtype=np.float64),
        np.array(line_start, dtype=np.int64),
        rounding,
    )


def pairs(lines: Sequence[str]) -> tuple[Floats, Floats]:
    """Decode the lines of an (XY..XY) table: x and y, shape (N,) each, not yet scaled.

    Raises:
        FormatError: a token is not a number, or their number is odd.
    """
    values: list[float] = []
    for line in lines:
        for plain, letter, _, missing in _tokens(_PLAIN, line):
            if letter:
                raise damaged(f"A point is not a pair of numbers: {line[:30]!r}.")
            values.append(float("nan") if missing else float(plain))
            check_points(len(values) // 2)
    if len(values) % 2:
        raise damaged("The table of points has an odd number of values.")
    flat = np.array(values, dtype=np.float64)
    return flat[0::2].copy(), flat[1::2].copy()


def _tokens(pattern: re.Pattern[str], line: str) -> Iterator[tuple[str, str, str, str]]:
    position = 0
    while position < len(line):
        found = pattern.match(line, position)
        if found is None:
            raise damaged(f"The data have {line[position : position + 12]!r}, which is no number.")
        position = found.end()
        plain, letter, digits, missing = found.groups(default="")
        if len(plain) + len(digits) > _MAX_TOKEN:
            raise damaged(f"The data have a number of more than {_MAX_TOKEN} digits.")
        if plain or letter or missing:
            yield plain, letter, digits, missing


def _append(token: tuple[str, str, str, str], y: list[float], state: _State) -> None:
    """Append what one token stands for."""
    plain, letter, digits, missing = token
    if missing:
        state.value, state.difference = float("nan"), None
        y.append(state.value)
    elif plain or letter in _SQZ:
        state.value, state.difference = _absolute(token), None
        y.append(state.value)
    elif letter in _DIF:
        state.difference = _signed(_DIF[letter], digits)
        state.value += state.difference
        y.append(state.value)
    elif letter in _DUP:
        if not y or "." in digits:
            raise damaged("A repeat count has nothing to repeat.")
        count = int(f"{_DUP[letter]}{digits}") - 1
        check_points(len(y) + count)
        if state.difference is None:
            y.extend([state.value] * count)
        else:
            for _ in range(count):
                state.value += state.difference
                y.append(state.value)
    else:
        raise damaged(f"The letter {letter!r} is not a form of number.")
    check_points(len(y))


def _check(token: tuple[str, str, str, str], expected: float, state: _State) -> None:
    """The Y check: a line after one that ends in a difference repeats its last ordinate first."""
    if token[3] or token[1] in _DIF or token[1] in _DUP:
        raise damaged("A line after a difference does not begin with its Y check.")
    state.value = _absolute(token)
    if abs(state.value - expected) > 1e-9 * max(abs(expected), 1.0):
        raise damaged(
            f"A Y check fails: {state.value:.10g} is stated, {expected:.10g} was decoded."
        )


def _absolute(token: tuple[str, str, str, str]) -> float:
    plain, letter, digits, _ = token
    if plain:
        return float(plain)
    if letter not in _SQZ:
        raise damaged(f"The letter {letter!r} is not a form of number.")
    return _signed(_SQZ[letter], digits)


def _signed(lead: int, digits: str) -> float:
    """A pseudo-digit with its sign and the digits that follow it."""
    magnitude = float(f"{abs(lead)}{digits}")
    return -magnitude if lead < 0 else magnitude


def _last_digit(text: str) -> float:
    """The worth of the last digit of a number as printed."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    worth = float(f"1e{int(exponent or 0) - decimals}")
    if not math.isfinite(worth):
        raise damaged(f"A data line begins with an X beyond any number: {text[:30]!r}.")
    return worth
