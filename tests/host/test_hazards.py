"""Hazard cards: the data lint (sources, codes, words, lengths) and which card a verdict gets."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import combinations_with_replacement

import pytest
from fieldassay import decide, substances
from fieldassay.errors import LibraryError
from fieldassay.hazards import cards as cards_module
from fieldassay.hazards.cards import ALWAYS, NO_DATA, Card, Cards, load_cards, parse
from fieldassay.verdict import VERDICT_KINDS, Substance, Verdict

FOLDER = files("fieldassay.hazards")
DOCUMENTS = {
    f.name: tomllib.loads(f.read_text(encoding="utf-8"))
    for f in FOLDER.iterdir()
    if f.name.endswith(".toml")
}
SHARED = DOCUMENTS.pop("shared.toml")
CARDS = load_cards()

# Hazard statement codes of GHS; combined ones are written as single codes.
GHS = {
    *range(200, 209), 210, 211, *range(220, 233), 240, 241, 242, 250, 251, 252, 260, 261,
    *range(270, 273), *range(280, 285), 290, *range(300, 306), *range(310, 321), *range(330, 337),
    340, 341, 350, 351, *range(360, 363), *range(370, 374), 400, 401, 402, *range(410, 414), 420,
}  # fmt: skip
FORBIDDEN = re.compile(
    r"\b(safe|safely|safety|clear|cleared|clearance|harmless|deadly|lethal|fatal|kill\w*|horr\w+|"
    r"terr\w+|panic\w*|extremely dangerous|one touch)\b",
    re.IGNORECASE,
)
SYNTHESIS = re.compile(
    r"\b(reflux\w*|yield\w*|recrystalli\w*|distil\w*|catalys\w*|reagent\w*|stoichiom\w*|synthes\w*|"
    r"reduc(e|ed|tion) (of|with)|equivalents?|molar|cook(s|ed|ing)?|recipe\w*|"
    r"react (it|them) with)\b",
    re.IGNORECASE,
)


def all_rows() -> list[tuple[str, dict[str, str]]]:
    rows = [("shared.toml", row) for row in SHARED["sentence"]]
    for name, document in DOCUMENTS.items():
        for key in ("lines", "sentence", "ghs", "un"):
            rows += [(name, row) for row in document.get(key, ())]
    return rows


def test_there_is_one_file_a_card_named_after_it() -> None:
    assert len(DOCUMENTS) == len(CARDS) >= 20
    for name, document in DOCUMENTS.items():
        assert name == f"{document['id']}.toml"


def test_every_sentence_has_a_source_and_a_status() -> None:
    for name, row in all_rows():
        assert row["source"] in SHARED["sources"], (name, row)
        assert row["status"] in ("verified", "needs_review"), (name, row)
        assert not (row["source"] == "from-memory" and row["status"] == "verified"), (name, row)
        assert not (row["source"] == "niosh" and row["status"] == "verified"), "read on a mirror"
    for key, source in SHARED["sources"].items():
        assert set(source) == {"citation", "url", "accessed"}, key
        assert source["accessed"].startswith("20") or key == "from-memory"


def test_every_source_and_shared_sentence_is_used() -> None:
    assert {row["source"] for _, row in all_rows()} == set(SHARED["sources"])
    used = {each for document in DOCUMENTS.values() for each in document["shared"]}
    assert used == {row["id"] for row in SHARED["sentence"]}


def test_words() -> None:
    for name, row in all_rows():
        for pattern in (FORBIDDEN, SYNTHESIS):
            assert not pattern.search(row["text"]), (name, row["text"])
    for card in CARDS:
        assert not FORBIDDEN.search(card.title) and not SYNTHESIS.search(card.title)
        for line in card.lines:
            assert not FORBIDDEN.search(line)
    assert FORBIDDEN.search("It is safe.") and SYNTHESIS.search("heat under reflux")


def test_codes_have_the_right_form() -> None:
    for name, document in DOCUMENTS.items():
        for row in document.get("ghs", ()):
            assert re.fullmatch(r"H\d{3}", row["text"]), name
            assert int(row["text"][1:]) in GHS, (name, row["text"])
        for row in document.get("un", ()):
            assert re.fullmatch(r"UN \d{4}", row["text"]), name


def test_naloxone_text_is_the_same_everywhere_and_follows_local_protocol() -> None:
    for name, document in DOCUMENTS.items():
        for row in document.get("sentence", ()):
            if "aloxone" in row["text"]:
                assert row["text"].endswith("Follow local protocol."), name
    advice = [r for r in SHARED["sentence"] if r["section"] == "naloxone" and "dose" not in r["id"]]
    assert advice and all(r["text"].endswith("Follow local protocol.") for r in advice)


@pytest.mark.parametrize("card", list(CARDS), ids=lambda c: c.id)
def test_lines_fit_a_display(card: Card) -> None:
    assert 1 <= len(card.unit_lines()) <= 4
    assert all(0 < len(line) <= 26 and line.isascii() for line in card.unit_lines())
    assert card.headline == card.lines[0]


@pytest.mark.parametrize("card", list(CARDS), ids=lambda c: c.id)
def test_only_verified_text_is_shown(card: Card) -> None:
    verified = {row["text"] for _, row in all_rows() if row["status"] == "verified"}
    waiting = {sentence.text for sentence in card.review}
    shown_sources = {source.id for source in card.sources}
    assert "from-memory" not in shown_sources and "niosh" not in shown_sources
    assert {s.id for s in card.sections} >= set(ALWAYS)
    for section in card.sections:
        assert section.lines
        for line in section.lines:
            if line != NO_DATA and not line.startswith("Codes: "):
                assert line in verified and line not in waiting
    for code in (*card.ghs, card.un):
        assert code not in waiting


def test_every_catalogue_substance_has_an_existing_card() -> None:
    catalogue = substances.load()
    assert len(catalogue) > 70
    known = {card.id for card in CARDS}
    assert {info.hazard_card for info in catalogue.values()} <= known
    for info in catalogue.values():
        assert CARDS.for_identification("match", [info.id]).id == info.hazard_card


def test_the_unknown_gets_the_strictest_card() -> None:
    for kind in (*VERDICT_KINDS, "pending", "", "nonsense"):
        if kind not in ("match", "mixture"):
            assert CARDS.for_identification(kind, ["lactose"]).id == "default-strictest"
    for kind in ("match", "mixture"):
        assert CARDS.for_identification(kind, []).id == "default-strictest"
        assert CARDS.for_identification(kind, ["no-such-thing"]).id == "default-strictest"
        assert CARDS.for_identification(kind, ["lactose", "??"]).id == "default-strictest"
    assert CARDS.get("no-such-card") is CARDS.strictest
    assert CARDS.strictest.level == max(card.level for card in CARDS)


def test_a_mixture_gets_the_strictest_of_its_parts() -> None:
    assert CARDS.for_identification("mixture", ["lactose", "acetone"]).id == "flammable-solvent"
    assert CARDS.for_identification("mixture", ["acetone", "lactose"]).id == "flammable-solvent"
    assert CARDS.for_identification("mixture", ["acetone", "toluene"]).id == "toxic-solvent"
    for first in substances.load().values():
        both = CARDS.for_identification("mixture", [first.id, "lactose"])
        assert both.level >= CARDS.get(first.hazard_card).level


def test_the_core_and_the_cards_choose_the_same_card() -> None:
    """`identify` names a card in its result, pages and units ask the cards: both agree."""
    catalogue = substances.load()
    card_of = {info.id: info.hazard_card for info in catalogue.values()}
    one_of_each = list({card: each for each, card in card_of.items()}.values())
    for kind in VERDICT_KINDS:
        for pair in combinations_with_replacement(one_of_each, 2):
            named = tuple(Substance(each, each, None) for each in dict.fromkeys(pair))
            verdict = Verdict(kind, named, (), "")
            chosen = CARDS.for_identification(kind, [s.id for s in named])
            assert decide.hazard_card(verdict, card_of) == chosen.id, (kind, pair)


AGENCY = """
id = "fentanyl-related"
title = "Our card"
level = 93
shared = ["naloxone-when"]
[sources.order-7]
citation = "Standing order 7"
url = ""
accessed = "2026-11-01"
[[lines]]
text = "Call the duty officer."
source = "order-7"
status = "verified"
"""


def test_an_agency_replaces_a_card() -> None:
    card = load_cards([AGENCY]).get("fentanyl-related")
    assert card.title == "Our card" and card.lines == ("Call the duty officer.",)
    assert str(card.sources[0]) == "Standing order 7 (read 2026-11-01)"


@pytest.mark.parametrize(
    "broken",
    [
        AGENCY.replace('source = "order-7"', 'source = "order-8"'),
        AGENCY.replace('status = "verified"', 'status = "checked"'),
        AGENCY.replace("Call the duty officer.", "Call the duty officer at once, now."),
        AGENCY.replace("level = 93", 'level = "high"'),
        AGENCY.replace("level = 93", "level = 101"),  # nothing is stricter than the strictest
        AGENCY.replace("level = 93", "level = 93\ncolour = 1"),
        AGENCY.replace("naloxone-when", "naloxone-if"),
        AGENCY.replace('title = "Our card"', ""),
        "no toml",
    ],
)
def test_a_broken_card_is_one_typed_error(broken: str) -> None:
    with pytest.raises(LibraryError) as error:
        load_cards([broken])
    assert error.value.code == "hazard_cards_not_usable"


def test_a_card_with_nothing_verified_says_so() -> None:
    document = {
        "id": "x", "title": "X", "level": 5, "shared": [],
        "lines": [{"text": "Later.", "source": "from-memory", "status": "needs_review"}],
        "sentence": [
            {"section": "do", "text": "Later.", "source": "from-memory", "status": "needs_review"}
        ],
    }  # fmt: skip
    card = parse(document, SHARED)
    assert card.lines == cards_module.NO_DATA_LINES
    assert {s.id: s.lines for s in card.sections} == {
        "protect": (NO_DATA,), "do": (NO_DATA,), "exposure": (NO_DATA,), "disposal": (NO_DATA,),
    }  # fmt: skip
    with pytest.raises(LibraryError):
        Cards([card], {})
