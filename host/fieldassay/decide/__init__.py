"""From explanations and quality to a verdict: what may honestly be said, why, and what to do next.

Owns the rules and their order: RULES is the registry, the first rule that answers decides. Pure:
thresholds come from decision.toml, evidence from `explain`, `mixtures` and `quality`. A new rule
is one file beside this one and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fieldassay.decide import calibrated
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
from fieldassay.decide.family import family, open_to_families
from fieldassay.decide.mixture import PARTS, alternatives, certain, mixture, suspicions
from fieldassay.decide.quality import bad_measurement
from fieldassay.decide.single import excess, one_substance, stopped
from fieldassay.decide.unknown import clear_enough, nothing_fits
from fieldassay.verdict import Verdict

__all__ = [
    "CALIBRATION",
    "CARDS_STRICTEST_FIRST",
    "PARTS",
    "RULES",
    "Component",
    "Evidence",
    "FamilyEvidence",
    "Named",
    "Single",
    "Thresholds",
    "alternatives",
    "bad_measurement",
    "clear_enough",
    "decide",
    "hazard_card",
    "load_thresholds",
    "open_to_families",
    "probabilities",
    "stopped",
]

CALIBRATION = calibrated.load()
RULES: tuple[Callable[[Evidence, Thresholds], Verdict | None], ...] = (
    bad_measurement,
    mixture,
    family,
    one_substance,
    nothing_fits,
)


def decide(evidence: Evidence, thresholds: Thresholds) -> Verdict:
    """The verdict for this evidence."""
    verdict = next(v for v in (rule(evidence, thresholds) for rule in RULES) if v is not None)
    notes = (*suspicions(verdict, evidence, thresholds), *evidence.notes)
    return replace(verdict, reasons=(*verdict.reasons, *notes))


def probabilities(evidence: Evidence, thresholds: Thresholds) -> dict[str, float]:
    """What speaks for and against the best candidate, for `quality`; {} if there is none."""
    if not evidence.singles:
        return {}
    best = evidence.singles[0]
    over = excess(evidence, thresholds)
    sums = {}
    if len(evidence.mixture) > 1:
        inside = [part for part in evidence.mixture if not part.named.packaging]
        named = [PARTS.p_relative(part) for part in inside if certain(part, thresholds)]
        sums = {"p_relative": max(named)} if named else {}
    return {
        "p_other": CALIBRATION.p_other(over, calibrated.growth(evidence)),
        "p_true": CALIBRATION.p_true(calibrated.kind_of(best, thresholds), best.score),
        "unexplained": evidence.unexplained,
        "unexplained_at_cm1": evidence.unexplained_at_cm1,
        "missing": evidence.missing,
        "missing_at_cm1": evidence.missing_at_cm1,
        **sums,
    }
