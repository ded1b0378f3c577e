"""Exact confidence intervals of counts.

Pure arithmetic. What is counted belongs to the experiments.
"""

from __future__ import annotations

from scipy.special import betaincinv

LEVEL = 0.95


def clopper_pearson(count: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact (Clopper-Pearson) two-sided interval of a rate.

    Its coverage is never below `level`; it is conservative for small n. Clopper and Pearson,
    Biometrika 26 (1934) 404.

    Args:
        count: Successes, 0 to n.
        n: Independent trials; 0 gives (0, 1).
        level: Confidence, 0 to 1.

    Raises:
        ValueError: `count` is not between 0 and `n`.
    """
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no count")
    tail = (1.0 - level) / 2.0
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1.0 - tail))
    return low, high
