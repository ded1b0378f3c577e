"""Which hazard card goes with a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fieldassay.verdict import Verdict

CARDS_STRICTEST_FIRST = (
    "default-strictest",
    "ultra-potent-opioid",
    "fentanyl-related",
    "nitazene",
    "opioid-precursor",
    "phosphine",
    "white-phosphorus",
    "sedative-adulterant",
    "benzodiazepine-nps",
    "amphetamine-type-stimulant",
    "cathinone",
    "synthetic-cannabinoid",
    "piperidine",
    "stimulant-precursor",
    "iodine",
    "acetic-anhydride",
    "hydrochloric-acid",
    "toxic-solvent",
    "red-phosphorus",
    "corrosive",
    "flammable-solvent",
    "medicine",
    "irritant",
    "polymer",
    "low-hazard",
)


def hazard_card(
    verdict: Verdict, cards: Mapping[str, str], family_members: Collection[str] = ()
) -> str:
    """Id of the card for a verdict: the strictest one unless known substances or a family is found.

    Args:
        verdict: The verdict.
        cards: Card id of each substance id.
        family_members: Substance ids of the family of a class verdict: the strictest of theirs.
    """
    strictest = CARDS_STRICTEST_FIRST[0]
    found = [substance.id for substance in verdict.substances]
    if verdict.kind == "class":
        found = list(family_members)
    if verdict.kind not in ("match", "mixture", "class") or not found:
        return strictest
    wanted = {cards.get(substance, strictest) for substance in found}
    if not wanted <= set(CARDS_STRICTEST_FIRST):  # an agency's: how strict is not known here
        return strictest
    return next((card for card in CARDS_STRICTEST_FIRST if card in wanted), strictest)
