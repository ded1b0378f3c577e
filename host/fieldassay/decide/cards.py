"""Which hazard card goes with a verdict."""

from __future__ import annotations

from collections.abc import Mapping

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


def hazard_card(verdict: Verdict, cards: Mapping[str, str]) -> str:
    """Id of the card for a verdict: the strictest one unless all that was found are substances.

    A class verdict names no substance, so it has the strictest card whatever its family is.

    Args:
        verdict: The verdict.
        cards: Card id of each substance id.
    """
    strictest = CARDS_STRICTEST_FIRST[0]
    if verdict.kind not in ("match", "mixture") or not verdict.substances:
        return strictest
    wanted = {cards.get(substance.id, strictest) for substance in verdict.substances}
    if not wanted <= set(CARDS_STRICTEST_FIRST):  # an agency's: how strict is not known here
        return strictest
    return next((card for card in CARDS_STRICTEST_FIRST if card in wanted), strictest)
