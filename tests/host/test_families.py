"""Class verdicts on real spectra: each member of a family is left out of the library in turn.

The published table is in docs/explanation/class-verdicts.md; `-s` shows what is counted here.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from fieldassay import answers, families, formats, substances
from fieldassay.commands.identify import human
from fieldassay.decide import (
    Evidence,
    FamilyEvidence,
    Named,
    Single,
    decide,
    hazard_card,
    load_thresholds,
)
from fieldassay.errors import LibraryError
from fieldassay.families import model, profile, published
from fieldassay.hazards.cards import load_cards
from fieldassay.identify import identify
from fieldassay.library import Library
from fieldassay.spectrum import Axis, Spectrum
from fieldassay.verdict import Identification, Quality
from fieldassay.web import views

T = load_thresholds()
A, B = Named("a", "A", None), Named("b", "B", None)
NOTHING = Evidence(
    singles=[Single(A, 0.5, 10.0, 0.0)], mixture=(), mixture_score=0.0, mixture_shift_cm1=0.0,
    snr=500.0, informative_columns=800, range_cm1=1600.0, background_ratio=0.5, saturated=False,
    interrupted=False,
)  # fmt: skip
ESTERS = FamilyEvidence("ester", "esters", 0.003, True, frozenset({"a", "b"}), ("B", "A"))


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


@pytest.fixture(scope="module")
def measured(data_dir: Path) -> list[tuple[str, Spectrum]]:
    """Substance id and spectrum from four other 785 nm spectrometers."""
    names = {
        name.lower(): info.id
        for info in substances.load().values()
        for name in (info.id, info.name, *info.synonyms, *info.references)
    }
    found = []
    for path in sorted((data_dir / "raman-785-second-instrument/WP-01977_2025").glob("*.csv")):
        if truth := names.get(path.stem.lower()):
            found.append((truth, formats.read(path.read_bytes(), path.name)))
    multi = data_dir / "raman-multi-instrument"
    with (multi / "index.csv").open(encoding="utf-8") as index:
        for row in csv.DictReader(index):
            truth = names.get(row["substance"].lower())
            if truth and row["laser_nm"].startswith("785"):
                path = multi / row["file"]
                found.append((truth, formats.read(path.read_bytes(), path.name)))
    return found


@pytest.fixture(scope="module")
def left_out(
    library: Library, measured: list[tuple[str, Spectrum]]
) -> list[tuple[str, Identification]]:
    """One spectrum of each substance, identified without that substance in the library."""
    newest = dict(measured)
    return [(truth, identify(s, library.without([truth]))) for truth, s in newest.items()]


def belongs(library: Library, substance: str, result: Identification) -> bool:
    words = model.families_of(library, substance)
    found = result.verdict.family
    return found is not None and found.id in {families.slug(word) for word in words}


def test_left_out_members_are_given_their_family(
    library: Library, left_out: list[tuple[str, Identification]]
) -> None:
    named: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for truth, result in left_out:
        for word in model.families_of(library, truth):
            tried[word] += 1
            named[word] += result.verdict.kind == "class" and belongs(library, truth, result)
    for word, n in sorted(tried.items()):
        print(f"{word:26} {named[word]:2} of {n}")
    for word in ("monosubstituted benzene", "para-substituted benzene", "aromatic", "alkyl chain",
                 "ester", "fatty ester", "sugar", "ketone"):  # fmt: skip
        assert tried[word] >= 2 and named[word] >= 0.5 * tried[word], word


def test_a_wrong_family_is_rare(
    library: Library, left_out: list[tuple[str, Identification]]
) -> None:
    wrong = [
        (truth, result.verdict.family.id)
        for truth, result in left_out
        if result.verdict.family is not None and not belongs(library, truth, result)
    ]
    assert len(left_out) >= 55
    assert len(wrong) <= 1, wrong


def test_substances_in_the_library_are_still_called_by_name(
    library: Library, measured: list[tuple[str, Spectrum]]
) -> None:
    newest = dict(measured)
    kinds = Counter(identify(s, library).verdict.kind for s in newest.values())
    assert kinds["class"] <= 2 and kinds["match"] >= 0.9 * (len(newest) - 1)


@pytest.mark.parametrize(
    "name", ["AmmoniumNitrate", "AmmoniumChloride", "Sulfur", "SodiumPerchlorate"]
)
def test_outsiders_get_no_family(library: Library, data_dir: Path, name: str) -> None:
    files = sorted((data_dir / "raman-multi-instrument/spectra").glob(f"*{name}*.csv"))
    assert files
    for path in files:
        result = identify(formats.read(path.read_bytes(), path.name), library)
        assert result.verdict.kind != "class", path.name


def planted(library: Library, word: str, members: frozenset[str]) -> Library:
    """The library with a new family that only the catalogue knows."""
    changed = {
        key: replace(s, families=(*model.families_of(library, key), word)) if key in members else s
        for key, s in library.substances.items()
    }
    return replace(library, hash=f"{library.hash}+{word}", substances=MappingProxyType(changed))


def test_a_new_family_works_from_catalogue_words_alone(
    library: Library, measured: list[tuple[str, Spectrum]]
) -> None:
    """Ring-substituted benzenes under a word nobody has published bands for."""
    members = frozenset({"toluene", "benzyl-alcohol", "polystyrene", "ketoprofen", "metamizole"})
    bare = replace(
        library,
        hash=f"{library.hash}+bare",
        substances=MappingProxyType(
            {k: replace(s, family="", families=()) for k, s in library.substances.items()}
        ),
    )
    new = planted(bare, "newly scheduled", members)
    named = []
    for truth, spectrum in dict(measured).items():
        result = identify(spectrum, new.without([truth]))
        found = result.verdict.family
        if found is not None:
            assert (found.id, found.name) == ("newly-scheduled", "newly scheduled")
            assert set(found.nearest) <= {library.substances[m].name for m in members}
            named.append(truth)
    assert len(set(named) & members) >= 3 and len(set(named) - members) <= 1, named


def test_a_library_without_families_or_with_few_substances_has_no_model(library: Library) -> None:
    few = library.without(sorted(library.substances)[4:])
    assert families.model_of(few) is None


def test_the_model_is_deterministic(library: Library) -> None:
    numbers = (families.not_named(), T.family)
    one, two = model.build(library, *numbers), model.build(library, *numbers)
    assert one is not None and two is not None
    assert np.array_equal(one.others, two.others)
    assert list(one.families) == list(two.families)
    for word, family in one.families.items():
        for a, b in zip(family.views, two.families[word].views, strict=True):
            assert np.array_equal(a.there, b.there) and np.array_equal(a.lacking, b.lacking)


@pytest.mark.parametrize("shift", [-6.0, -3.0, 3.0, 6.0])
def test_an_axis_off_by_some_wavenumbers_keeps_the_family(
    library: Library, measured: list[tuple[str, Spectrum]], shift: float
) -> None:
    truth, spectrum = next((t, s) for t, s in measured if t == "toluene")
    moved = Spectrum(Axis(spectrum.axis.values + shift, "cm-1"), spectrum.intensity)
    result = identify(moved, library.without([truth]))
    assert result.verdict.family is None or belongs(library, truth, result)


def test_noise_gets_no_family(library: Library) -> None:
    rng = np.random.default_rng(4)
    axis = Axis(np.arange(300.0, 2300.0, 1.5), "cm-1")
    for _ in range(20):
        spectrum = Spectrum(axis, rng.normal(1000, 30, len(axis.values)))
        assert identify(spectrum, library).verdict.kind != "class"


@pytest.mark.parametrize("with_published", [True, False])
def test_the_p_value_counts_and_is_never_zero(with_published: bool) -> None:
    others = np.array([0.5, 1.0, 2.0, 3.0])
    outside = families.outsiders(with_published)
    total = len(others) + outside.substances + 1
    assert outside.substances > 200

    def p(strength: float, competing: int = 9) -> float:
        return families.p_value(strength, others, competing, with_published)

    assert p(99.0) == pytest.approx(1 / total)
    assert p(0.0) == 1.0
    assert p(float(outside.largest[-1]), 20) > p(float(outside.largest[-1]), 2)
    values = [p(x) for x in np.linspace(0.01, 6, 50)]
    assert values == sorted(values, reverse=True)


def test_profile_of_nothing_has_no_bands() -> None:
    empty = profile.of(np.zeros(500), None, (0, 500))
    assert empty.presence.shape == (len(profile.SCALES), profile.points(500))
    assert not empty.presence.any() and not empty.tops.size


# The file of published bands


def test_what_was_not_measured_neither_supports_nor_contradicts(library: Library) -> None:
    """A family that must show or lack a band is not named where that band was not measured."""
    acetate = next(e for e in library.entries if e.substance == "ethyl-acetate")
    linear = library.linear[acetate.row].astype(float)
    file = published.load()["ester"]
    whole = profile.of(linear, None, (acetate.first, acetate.last))
    assert published.agrees(file, whole, library)
    for last_cm1 in (1400, 1730):
        short = profile.of(linear, None, (acetate.first, last_cm1 - int(library.grid_cm1[0])))
        assert not published.agrees(file, short, library), last_cm1


def test_undecidable_words_have_a_reason_and_are_no_families(library: Library) -> None:
    known = families.model_of(library)
    assert known is not None
    for word, reason in families.undecidable().items():
        assert word in substances.vocabulary().families and len(reason) > 40
        assert word not in known.families


def test_published_bands_have_citations_and_sane_numbers() -> None:
    words = substances.vocabulary().families
    for word, file in published.load().items():
        assert word in words or word == "sulfate", word
        assert file.present
        for band in (*file.present, *file.absent):
            assert any(name in band.citation for name in ("Socrates", "Lin-Vien", "Nakamoto"))
            assert 0 <= band.tolerance_cm1 <= 10


@pytest.mark.parametrize(
    "change",
    [
        {"citation": ""}, {"from_cm1": 1800}, {"tolerance_cm1": 40}, {"height": 0},
        {"height": "x"}, {"from_cm1": -5},
    ],
)  # fmt: skip
def test_a_bad_band_is_refused(change: dict[str, object]) -> None:
    band = {
        "what": "C=O", "from_cm1": 1700, "to_cm1": 1720, "tolerance_cm1": 6, "height": 0.1,
        "citation": "Somebody 2001, page 1",
    }  # fmt: skip
    published.parse({"family": {"x": {"present": [band]}}})
    with pytest.raises(LibraryError, match="published bands") as caught:
        published.parse({"family": {"x": {"present": [{**band, **change}]}}})
    assert caught.value.code == "families_not_usable"


# The rule


def test_a_family_that_stands_out_is_a_class_verdict() -> None:
    verdict = decide(replace(NOTHING, families=(ESTERS,)), T)
    assert (verdict.kind, verdict.substances) == ("class", ())
    assert verdict.reasons[0].code == "belongs_to_family"
    assert "esters" in verdict.reasons[0].text and "not in the library" in verdict.reasons[0].text
    assert verdict.family is not None and verdict.family.p_value == 0.003


def test_a_family_above_the_stated_rate_is_not_named() -> None:
    weak = replace(ESTERS, p_value=0.0066)
    assert decide(replace(NOTHING, families=(weak,)), T).kind == "out_of_library"
    assert decide(replace(NOTHING, families=(ESTERS,), snr=15.0), T).kind == "inconclusive"
    rare = replace(ESTERS, log10_odds=0.9)
    assert decide(replace(NOTHING, families=(rare,)), T).kind == "out_of_library"


def test_a_family_within_the_most_evident_one_is_said() -> None:
    wide = replace(ESTERS, id="wide", p_value=0.002, members=frozenset({"a", "b", "c"}))
    for others, said in (((ESTERS,), "ester"), ((replace(ESTERS, p_value=0.02),), "wide")):
        family = decide(replace(NOTHING, families=(wide, *others)), T).family
        assert family is not None and family.id == said


def test_a_name_is_better_than_a_family() -> None:
    match = replace(NOTHING, singles=[Single(A, 0.95, 10.0, 0.0)], families=(ESTERS,))
    assert decide(match, T).kind == "match"


def test_look_alikes_of_one_family_are_that_family() -> None:
    alike = [Single(A, 0.92, 10.0, 0.0), Single(B, 0.91, 10.0, 0.0)]
    verdict = decide(replace(NOTHING, singles=alike, families=(replace(ESTERS, p_value=0.04),)), T)
    assert (verdict.kind, verdict.reasons[0].code) == ("class", "family_of_look_alikes")
    assert "A or B" in verdict.reasons[0].text
    strangers = replace(ESTERS, members=frozenset({"a", "z"}))
    assert decide(replace(NOTHING, singles=alike, families=(strangers,)), T).kind == "inconclusive"


def test_the_family_is_shown_where_a_substance_would_be() -> None:
    verdict = decide(replace(NOTHING, families=(ESTERS,)), T)
    quality = Quality(500.0, 0.0, False, (300.0, 2300.0))
    found = Identification(verdict, (), quality, "toxic-solvent", "sha256:0", "x")
    shown = found.as_dict()
    assert shown["verdict"] == "class" and shown["substances"] == []
    assert shown["family"] == {
        "id": "ester", "name": "esters", "p_value": 0.003, "nearest": ["B", "A"],
    }  # fmt: skip
    assert answers.family_name(shown) == "Esters"
    assert views.title(shown) == "Esters" and views.style(shown) == "class"
    spectrum = Spectrum(Axis(np.arange(300.0, 400.0), "cm-1"), np.ones(100))
    lines = human(Path("x.csv"), spectrum, found, load_cards())
    assert lines[1].split() == ["CLASS", "ALERT", "esters"]
    assert answers.family_name({"family": None}) == answers.family_name({}) == ""


def test_a_family_always_has_the_strictest_card() -> None:
    """What has no name may be anything: no card of a member is given to it."""
    verdict = decide(replace(NOTHING, families=(ESTERS,)), T)
    for cards in (
        {"a": "low-hazard", "b": "toxic-solvent"},
        {"a": "nitazene", "b": "nitazene"},
        {},
    ):
        assert hazard_card(verdict, cards) == "default-strictest"


def test_what_is_no_raman_spectrum_hardly_gets_a_family(library: Library) -> None:
    """Smoothed noise, lines at random and random walks: none is named, 2 of 70 a class at most."""
    random = np.random.default_rng(7)
    x = np.linspace(200.0, 2400.0, 1024)
    spectra = []
    for i in range(30):
        kernel = np.hanning(3 + i)
        noise = np.convolve(random.normal(size=1224), kernel, "same")[100:-100]
        spectra.append(500.0 + 300.0 * noise / noise.std() + random.normal(size=x.size))
    for _ in range(30):
        lines = np.full(x.size, 100.0)
        for _ in range(int(random.integers(1, 40))):
            height, width = 10.0 ** random.uniform(2, 4.7), random.uniform(2, 6)
            lines += height * np.exp(-0.5 * ((x - random.uniform(250, 2350)) / width) ** 2)
        spectra.append(random.poisson(lines) + random.normal(0, 5, x.size))
    for _ in range(10):
        walk = np.cumsum(random.normal(0, 10.0 ** random.uniform(0, 2), x.size))
        spectra.append(20_000.0 + walk)
    kinds = Counter(identify(Spectrum(Axis(x, "cm-1"), y), library).verdict.kind for y in spectra)
    print(f"no Raman spectra: {dict(kinds)}")
    assert kinds["match"] == kinds["mixture"] == 0
    assert kinds["class"] <= 2
