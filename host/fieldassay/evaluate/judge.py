"""What an answer is worth when the truth is known.

Owns the words for outcomes. Verdict kinds are the engine's; `right` and `wrong` are said here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fieldassay.evaluate.bench import Answer

# Answers that leave the question open instead of naming something.
UNDECIDED = frozenset({"inconclusive", "class", "error"})


def kind(answer: Answer) -> str:
    """The verdict; `error` where the spectrum was refused."""
    return "error" if "error" in answer else str(answer["verdict"])


def named(answer: Answer) -> frozenset[str]:
    """Substance ids reported as found: those of a match or a mixture, else none."""
    if kind(answer) not in ("match", "mixture"):
        return frozenset()
    return frozenset(s["id"] for s in answer["substances"])


def is_match(answer: Answer) -> bool:
    """One substance was named."""
    return kind(answer) == "match"


def right_match(answer: Answer, truth: Collection[str]) -> bool:
    """A match that names a substance which is there."""
    return is_match(answer) and bool(named(answer)) and named(answer) <= set(truth)


def wrong_match(answer: Answer, truth: Collection[str]) -> bool:
    """A match that names a substance which is not there."""
    return is_match(answer) and not named(answer) <= set(truth)


def false_components(answer: Answer, truth: Collection[str]) -> frozenset[str]:
    """Substances named, in a match or a mixture, that are not there."""
    return named(answer) - set(truth)


def outcome(answer: Answer, truth: Collection[str]) -> str:
    """One word for the confusion table, with the reason's code where nothing was named."""
    said = kind(answer)
    if said == "match":
        return "right match" if right_match(answer, truth) else "wrong match"
    if said == "mixture":
        if false_components(answer, truth):
            return "mixture with a false part"
        return "mixture, all parts right"
    if said == "error":
        return f"refused: {answer['error']}"
    if said == "inconclusive":
        return f"inconclusive: {answer['reasons'][0]['code']}"
    return said.replace("_", " ")


def score(answer: Answer) -> float:
    """Score of the best candidate; 0 without one."""
    candidates = answer.get("candidates") or [{"score": 0.0}]
    return float(candidates[0]["score"])


def stated(answer: Answer, name: str) -> float | None:
    """A probability that the answer states in its quality figures; None if it states none."""
    value = answer.get("quality", {}).get(name)
    return None if value is None else float(value)


LEVELS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def reliability(probabilities: Iterable[float | None]) -> list[list[float]]:
    """[level, how many are at or below it, n]; empty if nothing was stated."""
    known = [p for p in probabilities if p is not None]
    return [[a, sum(p <= a for p in known), len(known)] for a in LEVELS] if known else []
