"""Is a top-k answer right? Every query is checked against float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
SAME = 1e-12  # two float64 sums of the same products in another order
SINGULAR = 1e-6  # determinant of unit columns: nearer ones make no set
FLOAT32_ROUNDING = 1e-6  # what an exact search in float32 may confuse


@dataclass(frozen=True, slots=True)
class Exactness:
    """What the check found.

    Attributes:
        queries: How many answers were checked.
        wrong: Answers that are not the k best, in order, ties by id.
        score_error: The largest error of a score.
    """

    queries: int
    wrong: int
    score_error: float


def truth(library: NDArray[np.float32], queries: NDArray[np.float32]) -> Floats:
    """Inner products in float64, shape (queries, references)."""
    wide = queries.astype(np.float64)
    scores = np.empty((len(queries), len(library)))
    for start in range(0, len(library), 4096):
        scores[:, start : start + 4096] = wide @ library[start : start + 4096].astype(np.float64).T
    return scores


def check(ids: Ids, scores: Floats, expected: Floats, slack: float) -> Exactness:
    """Compare answers with the truth.

    Args:
        ids: Rows answered, best first, shape (queries, k).
        scores: Their scores, shape (queries, k).
        expected: From `truth`, shape (queries, references).
        slack: Two references whose true scores differ by less may change places.

    An answer is wrong if a row is out of range or named twice, or if at any place the true score of
    the row named is not that of the row that belongs there, to within `slack`; rows whose true
    scores are equal bit for bit must come in order of their id.
    """
    wrong = 0
    error = 0.0
    for row_ids, row_scores, row_truth in zip(ids, scores, expected, strict=True):
        k = len(row_ids)
        inside = np.all((row_ids >= 0) & (row_ids < len(row_truth)))
        if not inside or len(set(row_ids.tolist())) != k or not np.all(np.isfinite(row_scores)):
            wrong += 1
            continue
        best = np.lexsort((np.arange(len(row_truth)), -row_truth))[:k]
        got = row_truth[row_ids]
        error = max(error, float(np.max(np.abs(got - row_scores))))
        tied = (got[1:] == got[:-1]) & (np.diff(row_ids) < 0)
        if np.any(np.abs(got - row_truth[best]) > slack) or (slack <= SAME and np.any(tied)):
            wrong += 1
    return Exactness(len(ids), wrong, error)


def check_values(ours: list[Floats], theirs: list[Floats], tolerance: float) -> Exactness:
    """Arrays of two sides, equal to within `tolerance` of the largest value of each answer."""
    wrong = 0
    error = 0.0
    for a, b in zip(ours[0], theirs[0], strict=True):
        worst = float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-300))
        error = max(error, worst)
        wrong += not worst <= tolerance
    return Exactness(len(ours[0]), wrong, error)


def check_subsets(
    answers: list[Floats], library: NDArray[np.float32], queries: NDArray[np.float32]
) -> Exactness:
    """The best pair and triple of each query against all of them in float64.

    `answers` are indices, shape (queries, 5): the pair, then the triple, each in rising order; and
    the sum of squares each explains, shape (queries, 2).
    """
    wide = library.astype(np.float64)
    gram = wide @ wide.T
    wrong = 0
    error = 0.0
    for indices, explained, query in zip(*answers, queries, strict=True):
        c = wide @ query.astype(np.float64)
        pair, pair_value = best_pair(gram, c)
        triple, triple_value = best_triple(gram, c)
        error = max(error, abs(explained[0] - pair_value), abs(explained[1] - triple_value))
        wrong += indices.tolist() != [*pair, *triple] or not error <= 1e-6
    return Exactness(len(queries), wrong, error)


def best_pair(gram: Floats, c: Floats) -> tuple[tuple[int, int], float]:
    """The two columns that explain most with weights above zero, and how much."""
    size = len(c)
    i, j = np.triu_indices(size, 1)
    determinant = 1.0 - gram[i, j] ** 2
    wi, wj = c[i] - gram[i, j] * c[j], c[j] - gram[i, j] * c[i]
    good = (wi > 0.0) & (wj > 0.0) & (determinant > SINGULAR)
    explained = np.where(good, (c[i] * wi + c[j] * wj) / np.where(good, determinant, 1.0), -np.inf)
    best = int(np.argmax(explained))
    return (int(i[best]), int(j[best])), float(explained[best])


def best_triple(gram: Floats, c: Floats) -> tuple[tuple[int, int, int], float]:
    """The three columns that explain most with weights above zero; one first column at a time."""
    best: tuple[tuple[int, int, int], float] = ((-1, -1, -1), -np.inf)
    for i in range(len(c) - 2):
        g = gram[i, i + 1 :]
        rest = gram[i + 1 :, i + 1 :]
        # Without column i, what is left is a pair of columns that are no longer of length 1.
        s = rest - np.outer(g, g)
        r = c[i + 1 :] - g * c[i]
        j, k = np.triu_indices(len(r), 1)
        sjj, skk, sjk = s[j, j], s[k, k], s[j, k]
        determinant = sjj * skk - sjk**2
        safe = determinant > SINGULAR
        divisor = np.where(safe, determinant, 1.0)
        wj = (skk * r[j] - sjk * r[k]) / divisor
        wk = (sjj * r[k] - sjk * r[j]) / divisor
        wi = c[i] - g[j] * wj - g[k] * wk
        good = safe & (wi > 0.0) & (wj > 0.0) & (wk > 0.0)
        explained = np.where(good, c[i] * wi + c[i + 1 + j] * wj + c[i + 1 + k] * wk, -np.inf)
        at = int(np.argmax(explained))
        if explained[at] > best[1]:
            best = (i, i + 1 + int(j[at]), i + 1 + int(k[at])), float(explained[at])
    return best
