"""Rule: no substance can be named, but does the family of one?"""

from __future__ import annotations

from fieldassay.decide.evidence import Evidence, FamilyEvidence, Thresholds
from fieldassay.decide.single import one_substance
from fieldassay.decide.wording import NO_CLEARANCE, PRESUMPTIVE
from fieldassay.verdict import Family, Reason, Verdict

# Verdicts that a family may say more than: the first reason is one of these.
OPEN_TO_FAMILIES = frozenset(
    {
        "nothing_fits", "too_weak_for_unknown", "fits_in_part", "look_alikes",
        "natural_look_alike", "few_bands", "band_contradicts", "background_over_bands",
    }
)  # fmt: skip
DO_NEXT = (
    "Treat it like the most dangerous member of the family or worse, keep the package closed and "
    "send a sample to the laboratory, which can tell the substance."
)


def open_to_families(verdict: Verdict) -> bool:
    """True if families are worth looking at for this verdict."""
    return verdict.reasons[0].code in OPEN_TO_FAMILIES


def family(e: Evidence, t: Thresholds) -> Verdict | None:
    """A class verdict if a family stands out, or if all that fit alike are of one family."""
    if not e.families or e.snr < t.family["min_snr"]:
        return None
    doubt = one_substance(e, t)
    if doubt is not None:
        return _of_doubt(doubt, e, t)
    evident = [
        f for f in e.families
        if f.p_value <= t.family["max_p_value"] and f.log10_odds >= t.family["min_log10_odds"]
    ]  # fmt: skip
    if not evident:
        return None
    if not e.singles or e.singles[0].score < t.family["min_score"]:
        return None  # unlike everything in the library, relatives included
    # A family within the best one says both.
    within = (f for f in evident if f.members < evident[0].members)
    best = next(within, evident[0])
    return _class(
        best,
        Reason(
            "belongs_to_family",
            f"It belongs to the family of {best.name}; the exact substance is not in the library."
            + (f" Most like it: {', '.join(best.nearest)}." if best.nearest else ""),
        ),
        t,
    )


def _of_doubt(doubt: Verdict, e: Evidence, t: Thresholds) -> Verdict | None:
    """What fits cannot be told apart or is not sure: its family, if it is one and stands out."""
    if not open_to_families(doubt) or not doubt.substances:
        return None
    fitting = {substance.id for substance in doubt.substances}
    shared = [f for f in e.families if fitting <= f.members]
    several = len(fitting) > 1 or doubt.reasons[0].code == "natural_look_alike"
    limit = t.family["look_alike_max_p_value" if several else "max_p_value"]
    if not shared or shared[0].p_value > limit:
        return None
    best = shared[0]
    seen = " or ".join(substance.name for substance in doubt.substances)
    return _class(
        best,
        Reason(
            "family_of_look_alikes",
            f"It belongs to the family of {best.name}. It fits {seen}, but which member it is, or "
            "whether it is one that is not in the library, cannot be told.",
        ),
        t,
    )


def _class(found: FamilyEvidence, reason: Reason, t: Thresholds) -> Verdict:
    rate = max(found.p_value, t.family["stated_rate"])
    how = Reason(
        "error_rate",
        f"Of substances outside the family, about {100 * rate:.0f} in 100 look like this.",
    )
    return Verdict(
        kind="class",
        substances=(),
        reasons=(reason, how, NO_CLEARANCE, PRESUMPTIVE),
        do_next=DO_NEXT,
        family=Family(found.id, found.name, found.p_value, found.nearest),
    )
