"""From explanations and quality to a verdict: what may honestly be said, why, and what to do next.

Owns the rules and their order: RULES is the registry, the first rule that answers decides. Pure:
thresholds come from decision.toml, evidence from `explain`, `mixtures` and `quality`. A new rule
is one file beside this one and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fieldassay.decide.cards import CARDS_STRICTEST_FIRST, hazard_card
from fieldassay.decide.evidence import (
    Component,
    Evidence,
    FamilyEvidence,
    Named,
    Single,
    Thresholds,
    load_thresholds,
)
from fieldassay.decide.family import family
from fieldassay.decide.mixture import mixture, suspicions
from fieldassay.decide.quality import bad_measurement
from fieldassay.decide.single import one_substance
from fieldassay.decide.unknown import nothing_fits
from fieldassay.verdict import Verdict

__all__ = [
    "CARDS_STRICTEST_FIRST",
    "RULES",
    "Component",
    "Evidence",
    "FamilyEvidence",
    "Named",
    "Single",
    "Thresholds",
    "decide",
    "hazard_card",
    "load_thresholds",
]

RULES: tuple[Callable[[Evidence, Thresholds], Verdict | None], ...] = (
    bad_measurement,
    mixture,
    one_substance,
    family,
    nothing_fits,
)


def decide(evidence: Evidence, thresholds: Thresholds) -> Verdict:
    """The verdict for this evidence."""
    verdict = next(v for v in (rule(evidence, thresholds) for rule in RULES) if v is not None)
    notes = (*suspicions(verdict, evidence, thresholds), *evidence.notes)
    return replace(verdict, reasons=(*verdict.reasons, *notes))
