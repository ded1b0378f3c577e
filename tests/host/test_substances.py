"""The catalogue: complete, consistent, and no claim shown as a fact that nobody verified."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

import pytest
from fieldassay import substances
from fieldassay.errors import LibraryError
from fieldassay.hazards.cards import load_cards

ROW = {
    "id": "a", "name": "A", "synonyms": [], "identity": "verified", "family": "x",
    "hazard_card": "default-strictest", "references": ["A"],
}  # fmt: skip


def test_ids_names_and_identifiers_are_well_formed() -> None:
    names: set[str] = set()
    for info in substances.load().values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", info.id)
        assert info.inchikey is None or re.fullmatch(r"[A-Z]{14}-[A-Z]{10}-[A-Z]", info.inchikey)
        assert info.identity == "unverified" or (info.cas and info.inchikey)
        for name in {n.lower() for n in (info.name, *info.synonyms)}:
            assert name not in names, f"{name} names two substances"
            names.add(name)


def test_cas_check_digits() -> None:
    for info in substances.load().values():
        if info.cas:
            digits = info.cas.replace("-", "")
            weighted = sum(i * int(d) for i, d in enumerate(reversed(digits[:-1]), 1))
            assert weighted % 10 == int(digits[-1]), info.cas


def test_inchikeys_and_cas_are_of_one_substance_each() -> None:
    for field in ("inchikey", "cas"):
        values = [v for s in substances.load().values() if (v := getattr(s, field))]
        assert len(values) == len(set(values))


def test_every_hazard_card_exists() -> None:
    cards = load_cards()
    known = {card.id for card in cards}
    assert {info.hazard_card for info in substances.load().values()} <= known


def test_packaging_polymers_are_marked() -> None:
    marked = {info.id for info in substances.load().values() if info.packaging}
    assert marked == {
        "polyethylene", "polypropylene", "polystyrene", "polyethylene-terephthalate", "ptfe",
    }  # fmt: skip


def test_every_claim_is_unverified_until_somebody_checked_it() -> None:
    """Nothing in the catalogue is verified yet, so nothing may be shown as a fact."""
    catalogue = substances.load()
    claimed = [info for info in catalogue.values() if info.claims]
    assert len(claimed) == 172  # 217 of the compiled list less 45 that nobody claims anything of
    assert all(info.verified_claims() == () for info in catalogue.values())
    assert {claim.source for info in claimed for claim in info.claims} == {
        "compiled list, unverified"
    }


def test_the_catalogue_holds_drugs_precursors_and_cutting_agents() -> None:
    catalogue = substances.load()
    assert len(catalogue) == 76 + 198
    roles = Counter(role for info in catalogue.values() for role in info.roles)
    assert (roles["precursor"], roles["cutting agent"], roles["packaging"]) == (33, 45, 5)
    families = Counter(family for info in catalogue.values() for family in info.families)
    assert (families["fentanyl"], families["nitazene"], families["cathinone"]) == (17, 9, 15)
    assert families["synthetic cannabinoid"] == 18
    assert catalogue["fentanyl"].families == ("fentanyl", "opioid")
    assert catalogue["acetone"].roles == ("precursor", "solvent")


def test_families_and_roles_are_of_the_vocabulary_and_all_of_it_is_used() -> None:
    words = substances.vocabulary()
    catalogue = substances.load().values()
    assert {f for info in catalogue for f in info.families} == set(words.families) - {"unknown"}
    assert {r for info in catalogue for r in info.roles} == set(words.roles)
    assert all(info.families[0] == info.family for info in catalogue)
    assert all(("packaging" in info.roles) == info.packaging for info in catalogue)


@pytest.mark.parametrize(
    "known", [{"families": {"y": "ys"}}, {"families": {"x": "xs"}, "roles": {}}]
)
def test_a_word_outside_the_vocabulary_is_refused(known: dict) -> None:
    row = {**ROW, "roles": ["solvent"]}
    with pytest.raises(LibraryError, match="unknown"):
        substances.parse({"schema": 1, "substance": [row], **known})


def test_verified_claims_are_the_ones_shown() -> None:
    claims = [
        {"claim": "x", "verification": "verified", "source": "s"},
        {"claim": "y", "verification": "unverified", "source": "s"},
    ]
    info = substances.parse({"schema": 1, "substance": [{**ROW, "claims": claims}]})["a"]
    assert [claim.claim for claim in info.verified_claims()] == ["x"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": 2, "substance": [ROW]},
        {"schema": 1, "substance": [ROW, ROW]},
        {"schema": 1, "substance": [ROW, {**ROW, "id": "b"}]},
        {"schema": 1, "substance": [{**ROW, "surprise": 1}]},
        {"schema": 1, "substance": [{**ROW, "identity": "sure"}]},
        {"schema": 1, "substance": [{**ROW, "claims": [{"claim": "x"}]}]},
        {"schema": 1, "substance": [{**ROW, "families": ["y", "x"]}]},
        {"schema": 1, "substance": [{"id": "a"}]},
    ],
)
def test_a_wrong_catalogue_is_refused(document: dict) -> None:
    with pytest.raises(LibraryError) as caught:
        substances.parse(document)
    assert caught.value.code == "catalogue_not_usable"


def test_the_file_names_its_identifier_source() -> None:
    text = files("fieldassay").joinpath("substances.toml").read_text(encoding="utf-8")
    assert "identifier_source = " in text
