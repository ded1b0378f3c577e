"""Rule: no substance fits, but does the family of one?"""

from __future__ import annotations

from fieldassay.decide.evidence import Evidence, Thresholds
from fieldassay.verdict import Verdict


def family(e: Evidence, t: Thresholds) -> Verdict | None:
    """A class verdict, or None."""
    return None
