"""The rules of the verdict, one by one, without spectra."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fieldassay.decide import (
    CARDS_STRICTEST_FIRST,
    Component,
    Evidence,
    Named,
    Single,
    decide,
    hazard_card,
    load_thresholds,
)
from fieldassay.decide.evidence import FILES
from fieldassay.hazards.cards import load_cards
from fieldassay.verdict import Reason
from hypothesis import given, settings
from hypothesis import strategies as st

T = load_thresholds()
A, B, C = (Named(x, x.upper(), None) for x in "abc")
BAG = Named("polyethylene", "Polyethylene", None, packaging=True)
OIL = Named("oil", "Oil", None, natural=True)
WAX = Named("wax", "Wax", None, natural=True, chains=True)
SALT = Named("salt", "Salt", None, salt=True)
GOOD = Evidence(
    singles=[Single(A, 0.95, 10.0, 0.0), Single(B, 0.4, 10.0, 0.0)],
    mixture=(), mixture_score=0.0, mixture_shift_cm1=0.0, snr=500.0, informative_columns=800,
    range_cm1=1600.0, background_ratio=0.5, saturated=False, interrupted=False,
)  # fmt: skip


def part(named: Named, share: float = 0.5, gain: float = 300.0, bands: float = 10.0,
         rival: tuple[Named, float] | None = None, **more: float) -> Component:  # fmt: skip
    return Component(named, share, gain, bands, rival, **more)  # type: ignore[arg-type]


def summed(*parts: Component, score: float = 0.95, alone: float = 0.7) -> Evidence:
    singles = [Single(parts[0].named, alone, 10.0, 0.0)]
    return replace(GOOD, singles=singles, mixture=parts, mixture_score=score)


def outcome(evidence: Evidence) -> tuple[str, str, list[str]]:
    verdict = decide(evidence, T)
    return verdict.kind, verdict.reasons[0].code, [s.id for s in verdict.substances]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (GOOD, ("match", "fits_one_reference", ["a"])),
        (replace(GOOD, interrupted=True), ("inconclusive", "interrupted", [])),
        (replace(GOOD, saturated=True), ("inconclusive", "saturated", [])),
        (replace(GOOD, range_cm1=120.0), ("inconclusive", "range_too_small", [])),
        (replace(GOOD, snr=3.0), ("inconclusive", "low_signal", [])),
        (replace(GOOD, informative_columns=9), ("inconclusive", "low_signal", [])),
        (replace(GOOD, snr=3.0, background_ratio=30.0), ("inconclusive", "background_only", [])),
        (replace(GOOD, singles=[]), ("out_of_library", "nothing_fits", [])),
        (
            replace(GOOD, singles=[Single(A, 0.5, 9, 0)]),
            ("out_of_library", "nothing_fits", []),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.5, 9, 0)], snr=20.0),
            ("inconclusive", "too_weak_for_unknown", []),
        ),
        (replace(GOOD, singles=[Single(A, 0.72, 9, 0)]), ("inconclusive", "fits_in_part", [])),
        (
            replace(GOOD, singles=[Single(A, 0.93, 9, 0), Single(B, 0.91, 9, 0)]),
            ("inconclusive", "look_alikes", ["a", "b"]),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.81, 1.5, 0.0)]),
            ("inconclusive", "few_bands", ["a"]),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.90, 1.7, 6.0)]),
            ("match", "fits_one_reference", ["a"]),
        ),
        (  # under noise one band is left: hydrogen peroxide is ethanol moved by 4 cm-1
            replace(GOOD, singles=[Single(A, 0.98, 1.5, 4.0)]),
            ("inconclusive", "few_bands", ["a"]),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.90, 1.5, 1.0)]),
            ("inconclusive", "few_bands", ["a"]),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.97, 1.5, 1.0)]),
            ("match", "fits_one_reference", ["a"]),
        ),
        (  # an oil of the library in another state: rancid linseed oil
            replace(GOOD, singles=[Single(OIL, 0.52, 9, 0)]),
            ("inconclusive", "fits_in_part", []),
        ),
        (
            replace(GOOD, singles=[Single(OIL, 0.30, 9, 0)]),
            ("out_of_library", "nothing_fits", []),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.85, 9, 0)], unexplained=0.2),
            ("inconclusive", "band_contradicts", ["a"]),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.85, 9, 0)], missing=0.2),
            ("inconclusive", "band_contradicts", ["a"]),
        ),
        (replace(GOOD, unexplained=0.2), ("match", "fits_one_reference", ["a"])),
        (
            replace(GOOD, singles=[Single(SALT, 0.90, 1.5, 0.0)]),
            ("inconclusive", "few_bands", ["salt"]),
        ),
        (
            replace(GOOD, singles=[Single(SALT, 0.98, 1.5, 3.0)]),
            ("inconclusive", "few_bands", ["salt"]),
        ),
        (  # three parts of the axis and more say the same shift: the unit's
            replace(GOOD, singles=[Single(SALT, 0.92, 3.4, 6.0, 3.4, 0.3)]),
            ("match", "fits_one_reference", ["salt"]),
        ),
        (  # they do not say the same: another metal
            replace(GOOD, singles=[Single(SALT, 0.98, 3.4, 3.0, 3.4, 0.9)]),
            ("inconclusive", "few_bands", ["salt"]),
        ),
        (
            replace(GOOD, singles=[Single(SALT, 0.98, 1.5, 1.0)]),
            ("match", "fits_one_reference", ["salt"]),
        ),
        (
            replace(GOOD, singles=[Single(SALT, 0.95, 9.0, 6.0)]),
            ("match", "fits_one_reference", ["salt"]),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.5, 9, 0)], background_ratio=6.0),
            ("inconclusive", "background_over_bands", []),
        ),
        (
            replace(GOOD, singles=[Single(A, 0.55, 9, 0), Single(B, 0.30, 9, 0)]),
            ("inconclusive", "fits_in_part", []),
        ),
        (
            replace(GOOD, singles=[Single(OIL, 0.86, 20, 0)]),
            ("inconclusive", "natural_look_alike", ["oil"]),
        ),
        (
            replace(GOOD, singles=[Single(OIL, 0.95, 20, 0)]),
            ("match", "fits_one_reference", ["oil"]),
        ),
        (
            replace(GOOD, singles=[Single(BAG, 0.97, 10, 0)]),
            ("inconclusive", "only_packaging_seen", []),
        ),
        (summed(part(A), part(B)), ("mixture", "fits_sum_of_references", ["a", "b"])),
        (summed(part(A), part(BAG)), ("match", "fits_behind_packaging", ["a"])),
        (summed(part(BAG), part(A)), ("match", "fits_behind_packaging", ["a"])),
        (
            summed(part(A), part(BAG, misfit=50.0), score=0.88),
            ("match", "fits_behind_packaging", ["a"]),
        ),
        (summed(part(A), part(BAG), score=0.80), ("inconclusive", "fits_in_part", [])),
        (summed(part(BAG), part(WAX), alone=0.95), ("inconclusive", "only_packaging_seen", [])),
        (summed(part(A), part(BAG), part(WAX)), ("match", "fits_behind_packaging", ["a"])),
        (summed(part(A), part(WAX)), ("mixture", "fits_sum_of_references", ["a", "wax"])),
        (summed(part(BAG), part(BAG)), ("inconclusive", "only_packaging_seen", [])),
        (summed(part(A), part(BAG), part(B)), ("mixture", "fits_sum_of_references", ["a", "b"])),
        (
            summed(part(A), part(B, rival=(C, 1.0))),
            ("inconclusive", "part_in_doubt", ["a", "b", "c"]),
        ),
        (
            summed(part(A), part(B, rival=(C, 99.0))),
            ("mixture", "fits_sum_of_references", ["a", "b"]),
        ),
        (summed(part(A), part(B, strength=0.01)), ("inconclusive", "fits_in_part", [])),
        (summed(part(A), part(B, strength=0.1, gain=1.0)), ("inconclusive", "fits_in_part", [])),
        (summed(part(A), part(B), score=0.82), ("inconclusive", "fits_in_part", [])),
        (summed(part(A), part(B, bands=0.5)), ("inconclusive", "part_in_doubt", ["a", "b"])),
        (summed(part(A), part(B, agreement=0.2)), ("inconclusive", "part_in_doubt", ["a", "b"])),
        (summed(part(A), part(B, misfit=9.0)), ("inconclusive", "part_in_doubt", ["a", "b"])),
        (
            summed(part(A), part(OIL, agreement=0.7)),
            ("inconclusive", "part_in_doubt", ["a", "oil"]),
        ),
        (
            summed(part(A), part(B), part(C, agreement=0.2)),
            ("inconclusive", "part_in_doubt", ["a", "b", "c"]),
        ),
        (summed(part(A), part(B, gain=1.0), alone=0.93), ("match", "fits_one_reference", ["a"])),
        (summed(part(A), part(B), alone=0.93), ("mixture", "fits_sum_of_references", ["a", "b"])),
    ],
)
def test_rule(evidence: Evidence, expected: tuple) -> None:
    assert outcome(evidence) == expected


def test_a_wax_like_the_bag_is_said_and_never_named() -> None:
    verdict = decide(summed(part(BAG), part(WAX), alone=0.95), T)
    assert [r.text for r in verdict.reasons if r.code == "like_packaging"] == [
        "A part resembles Wax, which cannot be told from Polyethylene by its bands."
    ]


def test_what_is_too_faint_to_be_named_is_said_beside_the_match() -> None:
    faint = part(B, strength=0.1, agreement=0.6, rival=(C, 1.0))
    verdict = decide(summed(part(A), faint, alone=0.93), T)
    assert verdict.kind == "match"
    said = [r.text for r in verdict.reasons if r.code == "minor_component_suspected"]
    assert len(said) == 1
    assert "B or C" in said[0]
    packed = decide(summed(part(A), part(BAG, agreement=0.6, gain=1.0), alone=0.93), T)
    assert "minor_component_suspected" not in [r.code for r in packed.reasons]


def test_shares_leave_out_packaging_and_carry_their_interval() -> None:
    a = part(A, 0.4, share_interval=(0.3, 0.5))  # type: ignore[arg-type]
    b = part(B, 0.1, share_interval=(0.05, 0.15))  # type: ignore[arg-type]
    verdict = decide(summed(part(BAG, 0.5), a, b), T)
    assert [s.share for s in verdict.substances] == [0.8, 0.2]
    assert verdict.substances[1].share_interval == pytest.approx((0.1, 0.3))


names = st.sampled_from([A, B, C, BAG, OIL, SALT])
scores = st.floats(-1, 1)
evidences = st.builds(
    Evidence,
    singles=st.lists(
        st.builds(Single, names, scores, st.floats(0, 40), st.floats(-8, 8)), max_size=4
    ).map(lambda s: sorted(s, key=lambda x: -x.score)),
    mixture=st.lists(
        st.builds(Component, names, st.floats(0.01, 1), st.floats(-10, 1e4), st.floats(0, 40),
                  st.none() | st.tuples(names, st.floats(-10, 1e4)),
                  strength=st.floats(0, 1), agreement=st.floats(0, 1),
                  misfit=st.floats(0, 20)), max_size=3),
    mixture_score=scores, mixture_shift_cm1=st.floats(-8, 8), snr=st.floats(0, 1e5),
    informative_columns=st.integers(0, 2000), range_cm1=st.floats(-50, 2000),
    background_ratio=st.floats(0, 1e3), saturated=st.booleans(), interrupted=st.booleans(),
    notes=st.just((Reason("note", "A note."),)),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(evidences)
def test_what_holds_for_every_verdict(evidence: Evidence) -> None:
    verdict = decide(evidence, T)
    text = " ".join([*(r.text for r in verdict.reasons), verdict.do_next]).lower()
    for forbidden in ("safe", "clear", "negative", "harmless", "clean"):
        assert forbidden not in text
    codes = [r.code for r in verdict.reasons]
    assert "low_share_not_excluded" in codes
    assert codes[-1] == "note"
    assert verdict.do_next
    assert all(s.id != BAG.id for s in verdict.substances) or verdict.kind == "inconclusive"
    shares = [s.share for s in verdict.substances]
    if verdict.kind in ("match", "mixture"):
        assert sum(shares) == pytest.approx(1.0)
        assert not evidence.saturated and not evidence.interrupted
        assert "presumptive" in codes
        best = max([s.score for s in evidence.singles[:1]] + [evidence.mixture_score])
        assert best >= T.match["min_score"]
    else:
        assert all(share is None for share in shares)
    assert (verdict.kind == "match") <= (len(shares) == 1)
    assert (verdict.kind == "mixture") <= (len(shares) > 1)


def test_every_threshold_is_used_and_explained() -> None:
    """A number nobody reads is a lie in the file; each has a comment above it."""
    from importlib.resources import files

    base = files("fieldassay")
    folders = (base, base.joinpath("decide"), base.joinpath("families"))
    modules = [module for folder in folders for module in folder.iterdir()]
    code = "".join(m.read_text() for m in modules if m.name.endswith(".py"))
    for name in FILES:
        lines = base.joinpath("decide", name).read_text().splitlines()
        explained = False
        for line in lines[next(i for i, text in enumerate(lines) if text.startswith("[")) :]:
            if line.startswith("#"):
                explained = True
            elif "=" in line:
                assert explained, f"{line} has no sentence on its origin"
                assert f'"{line.split(" =")[0]}"' in code, f"{line} is never read"
            else:
                explained = False


def test_strictest_card_for_all_but_known_substances() -> None:
    cards = {"a": "low-hazard", "b": "toxic-solvent"}
    match, mixture = decide(GOOD, T), decide(summed(part(A), part(B)), T)
    assert hazard_card(match, cards) == "low-hazard"
    assert hazard_card(mixture, cards) == "toxic-solvent"
    assert hazard_card(match, {}) == "default-strictest"
    assert hazard_card(mixture, {"a": "low-hazard"}) == "default-strictest"
    assert hazard_card(decide(replace(GOOD, snr=1.0), T), cards) == "default-strictest"


def test_order_of_cards_agrees_with_the_cards() -> None:
    level = {card.id: card.level for card in load_cards()}
    levels = [level[card] for card in CARDS_STRICTEST_FIRST]
    assert levels == sorted(levels, reverse=True)
