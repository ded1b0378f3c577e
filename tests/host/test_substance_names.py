"""Finding the substance that a name, CAS number or InChIKey of a library means."""

from __future__ import annotations

import pytest
from fieldassay import substances
from fieldassay.errors import LibraryError
from fieldassay.substance_names import Finder, Found, Names, file_names, split_form, valid_cas
from hypothesis import given
from hypothesis import strategies as st

CATALOGUE = substances.load()


def find(*names: str, cas: str = "", inchikey: str = "") -> Found:
    return Finder(CATALOGUE.values()).find(Names(names, cas, inchikey))


@pytest.mark.parametrize(
    ("said", "substance", "by", "form"),
    [
        (("Acetone",), "acetone", "name", None),
        (("ACETONE ",), "acetone", "name", None),
        (("ethyl_acetate",), "ethyl-acetate", "name", None),
        (("4-ANPP",), "4-anilino-n-phenethylpiperidine", "name", None),
        (("Cocaine HCl",), "cocaine", "name", "hydrochloride"),
        (("Cocaine (free base)",), "cocaine", "name", "free base"),
        (("Heroin hydrochloride monohydrate",), "heroin-hydrochloride", "", "monohydrate"),
        (("α-PVP",), "alpha-pvp", "name", None),
        (("sample 7", "caffeine"), "caffeine", "name", None),
        (("thiamine hydrochloride",), "thiamine-hydrochloride", "name", "hydrochloride"),
        (("fructose-6-phosphate",), "fructose-6-phosphate", "", None),
        (("d-(+)-lactose monohydrate",), "lactose", "name", "monohydrate"),
        (("phlogiston HCl",), "phlogiston", "", "hydrochloride"),
    ],
)
def test_names(said: tuple[str, ...], substance: str, by: str, form: str | None) -> None:
    found = find(*said)
    assert (found.substance.id, found.by, found.form) == (substance, by, form)


def test_every_name_of_the_catalogue_finds_its_substance() -> None:
    finder = Finder(CATALOGUE.values())
    for info in CATALOGUE.values():
        for name in (info.id, info.name, info.name.upper(), *info.synonyms, *info.references):
            assert finder.find(Names((name,))).substance.id == info.id, name
        if info.cas:
            assert finder.find(Names(("x",), info.cas)).substance.id == info.id
        if info.inchikey:
            found = finder.find(Names(("x",), "", info.inchikey))
            assert (found.substance.id, found.by) == (info.id, "inchikey")


def test_identifiers_and_name_must_agree() -> None:
    with pytest.raises(LibraryError) as caught:
        find("acetone", cas=str(CATALOGUE["toluene"].cas))
    assert caught.value.code == "substance_conflict"


def test_a_strange_or_wrong_cas_is_flagged_and_the_name_counts() -> None:
    assert find("acetone", cas="67-64-2").flags == ("cas_invalid",)
    assert find("lactose", cas="5965-66-2").flags == ("cas_differs",)
    assert find("cocaine HCl", cas="53-21-4").flags == ()


def test_nothing_said_is_refused() -> None:
    with pytest.raises(LibraryError) as caught:
        find("", "  ")
    assert caught.value.code == "substance_not_named"


def test_the_unknown_gets_the_strictest_card_and_one_id() -> None:
    finder = Finder(CATALOGUE.values())
    first = finder.find(Names(("Novelamine batch 3",), "68-12-2")).substance
    assert (first.family, first.families) == ("unknown", ("unknown",))
    assert (first.hazard_card, first.cas) == ("default-strictest", "68-12-2")
    again = finder.find(Names(("Novelamine batch 4",), "68-12-2")).substance
    other = finder.find(Names(("Novelamine batch 3",))).substance
    assert again.id == first.id != other.id
    assert len({finder.find(Names((name,))).substance.id for name in ("!!", "??", "…")}) == 3


@given(st.lists(st.text(max_size=20), max_size=3), st.text(max_size=12), st.text(max_size=30))
def test_any_text_finds_something_or_is_a_typed_error(
    names: list[str], cas: str, inchikey: str
) -> None:
    finder = Finder(())
    try:
        found = finder.find(Names(tuple(names), cas, inchikey))
    except LibraryError as error:
        assert error.code == "substance_not_named"
    else:
        assert found.substance == finder.substances[found.substance.id]
        assert found.substance.id and found.substance.name


def test_check_digit_of_cas_numbers() -> None:
    assert valid_cas("CAS: 67-64-1") == "67-64-1"
    for text in ("", "67-64-2", "67641", "67-64-1-1", "a-64-1"):
        assert valid_cas(text) is None


def test_forms_and_file_names() -> None:
    assert split_form("X sodium salt") == ("x", "sodium salt")
    assert split_form("hydrochloride") == ("hydrochloride", None)
    assert file_names("acetone_2") == ("acetone_2", "acetone")
    assert file_names("sugar-b") == ("sugar-b", "sugar")
    assert file_names("MDMA") == ("MDMA",)


def test_accents_do_not_make_another_substance() -> None:
    finder = Finder(CATALOGUE.values())
    assert finder.find(Names(("Parac\u00e9tamol",))).substance.id == "acetaminophen"
    first = finder.find(Names(("\u5496\u5561\u56e0",))).substance
    second = finder.find(Names(("\u30ab\u30d5\u30a7\u30a4\u30f3",))).substance
    assert first.id != second.id and first.name == "\u5496\u5561\u56e0"
