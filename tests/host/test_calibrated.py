"""The error rates behind a match: ranks, and a file that keeps what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fieldassay import decide
from fieldassay.decide import calibrated, load_thresholds
from fieldassay.decide.evidence import Evidence, Named, Single
from fieldassay.evaluate import calibrate
from hypothesis import given
from hypothesis import strategies as st

T = load_thresholds()
MADE = calibrated.Calibration(
    id="test",
    unknown=(0.02, -0.01, -0.3),
    unknown_substances=999,
    true_scores={"a": (0.5, 0.9, 0.95), "b": (0.8,), calibrated.NATURAL: (0.3, 0.6)},
    substances=frozenset(f"s{i}" for i in range(76)),
)


def evidence(score: float, substances: int = 76, others: int = 0) -> Evidence:
    best = Single(Named("a", "A", None), score, 9.0, 0.0)
    return Evidence(
        singles=[best], mixture=(), mixture_score=0.0, mixture_shift_cm1=0.0, snr=100.0,
        informative_columns=400, range_cm1=1800.0, background_ratio=0.1, saturated=False,
        interrupted=False, library_substances=substances, library_others=others,
    )  # fmt: skip


def test_ranks_are_those_of_the_whole_rule() -> None:
    assert MADE.p_other(0.03) == pytest.approx(1 / 1000)
    assert MADE.p_other(0.02) == pytest.approx(2 / 1000)
    assert MADE.p_other(-0.5) == pytest.approx(4 / 1000)
    assert MADE.p_other(None) == 1.0  # another rule stops it: every unknown substance reaches that
    assert MADE.p_other(0.03, 3.0) == pytest.approx(3 / 1000)
    assert MADE.p_other(0.03, 0.1) == pytest.approx(1 / 1000)  # a smaller library: no discount


def test_true_ranks_are_those_of_the_worst_instrument() -> None:
    assert MADE.p_true("many_bands", 0.4) == pytest.approx(1 / 2)  # b has one spectrum
    assert MADE.p_true("many_bands", 0.85) == pytest.approx(1.0)
    assert MADE.p_true("natural", 0.4) == pytest.approx(2 / 3)


@given(a=st.floats(-1, 1), b=st.floats(-1, 1), times=st.floats(1, 100))
def test_a_better_fit_is_never_less_sure(a: float, b: float, times: float) -> None:
    shipped = calibrated.load()
    low, high = sorted((a, b))
    assert 0.0 < shipped.p_other(high) <= shipped.p_other(low) <= 1.0
    assert shipped.p_other(low) <= shipped.p_other(low, times) <= 1.0
    for kind in calibrated.KINDS:
        assert 0.0 < shipped.p_true(kind, low) <= shipped.p_true(kind, high) <= 1.0


def test_the_shipped_file_can_carry_the_stated_error_rate() -> None:
    shipped = calibrated.load()
    assert list(shipped.unknown) == sorted(shipped.unknown, reverse=True)
    assert shipped.p_other(1.0) <= T.match["max_p_other"]
    assert shipped.p_true("many_bands", 0.0) <= T.unknown["max_p_true"]
    assert sum(len(own) for own in shipped.true_scores.values()) > 100


@given(
    ranks=st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=2, max_size=40),
    part=st.floats(0.01, 1.0),
)
def test_a_rank_is_right_as_often_as_it_says(ranks: list[float | None], part: float) -> None:
    """Each of n substances against the others: at most the part p gets p or less (conformal)."""
    n = len(ranks)
    small = 0
    for i, own in enumerate(ranks):
        rest = [x for j, x in enumerate(ranks) if j != i and x is not None]
        made = replace(MADE, unknown=sorted(rest, reverse=True), unknown_substances=n - 1)
        small += made.rank(own) <= part
    assert small <= part * n + 1e-9


def test_a_larger_library_says_so_and_asks_for_more() -> None:
    same, large = evidence(0.95), evidence(0.95, substances=760, others=684)
    assert calibrated.other_library(same) == ()
    assert calibrated.other_library(large)[0].code == "library_not_calibrated"
    assert calibrated.other_library(evidence(0.95, others=30))
    assert calibrated.growth(large) == pytest.approx(10.0)
    assert calibrated.growth(evidence(0.95, substances=10)) == 1.0
    few, many = (decide.probabilities(e, T)["p_other"] for e in (same, large))
    assert many == pytest.approx(10 * few)
    said = {r.code: r.text for r in decide.decide(large, T).reasons}
    assert "10.0 times" in said["error_rate"] and "library_not_calibrated" in said
    assert "library_not_calibrated" not in {r.code for r in decide.decide(same, T).reasons}
    edge = T.match["min_score"] + 0.04
    assert decide.decide(evidence(edge), T).kind == "match"
    assert decide.decide(evidence(edge, substances=760), T).kind != "match"


def test_kinds() -> None:
    salt, plain = Named("s", "S", None, salt=True), Named("a", "A", None)
    oil = Named("o", "O", None, natural=True)
    kind = [
        calibrated.kind_of(Single(n, 0.9, b, 0.0), T)
        for n, b in ((plain, 9), (plain, 2), (plain, 1), (salt, 9), (salt, 1), (oil, 1))
    ]
    assert kind == [
        "many_bands", "few_bands", "one_band", "many_bands", "few_bands_salt", "natural"
    ]  # fmt: skip


def asked(
    substance: str,
    score: float,
    stopped: bool = False,
    good: bool = True,
    truth: frozenset[str] = frozenset(),
    kind: str = "many_bands",
) -> calibrate.Asked:
    return calibrate.Asked(
        substance, truth, "unit", kind, score, "first", stopped=stopped, good=good, clear=good
    )


def test_fitting_counts_substances_and_not_spectra(library_path: object) -> None:
    from fieldassay.library import Library

    null = [
        asked("a", 0.6), asked("a", 0.7), asked("b", 0.9, stopped=True),
        asked("c", 0.99, good=False), asked("d", 0.5, kind="natural"),
    ]  # fmt: skip
    true = [asked("t", 0.9, truth=frozenset({"first"})), asked("t", 0.2, truth=frozenset({"x"}))]
    made = calibrate.fit(null, true, Library.open(library_path))
    floor = T.match["min_score"]
    expected = [0.7 - floor, 0.5 - T.match["natural_min_score"]]
    assert made["unknown"] == pytest.approx(expected, abs=2e-4)
    assert made["unknown_substances"] == 3  # a, b and d; c is no measurement to judge by
    assert made["true_scores"] == {"unit": [0.9]}
    calibrated.parse(made)
