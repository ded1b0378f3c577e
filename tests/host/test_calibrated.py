"""The error rates behind a match: ranks, and a file that keeps what it says."""

from __future__ import annotations

import pytest
from fieldassay.decide import calibrated, load_thresholds
from fieldassay.decide.evidence import Named, Single
from fieldassay.evaluate import calibrate
from hypothesis import given
from hypothesis import strategies as st

T = load_thresholds()
MADE = calibrated.Calibration(
    id="test",
    unknown={"many_bands": (0.7, 0.6), "few_bands": (0.8,), "few_bands_salt": (), "natural": ()},
    unknown_substances=999,
    true_scores=(0.5, 0.9, 0.95),
    substances=76,
)


def test_ranks_are_counted_for_each_kind_and_added_over_kinds() -> None:
    assert MADE.p_other("many_bands", 0.71) == pytest.approx(4 / 1000)
    assert MADE.p_other("many_bands", 0.70) == pytest.approx(8 / 1000)
    assert MADE.p_other("many_bands", 0.10) == pytest.approx(12 / 1000)
    assert MADE.p_other("natural", 0.10) == pytest.approx(4 / 1000)
    assert MADE.p_true(0.4) == pytest.approx(1 / 4)
    assert MADE.p_true(0.92) == pytest.approx(3 / 4)


@given(kind=st.sampled_from(calibrated.KINDS), a=st.floats(0, 1), b=st.floats(0, 1))
def test_a_better_score_is_never_less_sure(kind: str, a: float, b: float) -> None:
    shipped = calibrated.load()
    low, high = sorted((a, b))
    assert 0.0 < shipped.p_other(kind, high) <= shipped.p_other(kind, low) <= 1.0
    assert 0.0 < shipped.p_true(low) <= shipped.p_true(high) <= 1.0


def test_the_shipped_file_can_carry_the_stated_error_rate() -> None:
    shipped = calibrated.load()
    for kind in calibrated.KINDS:
        assert list(shipped.unknown[kind]) == sorted(shipped.unknown[kind], reverse=True)
        assert shipped.p_other(kind, 1.0) <= T.match["max_p_other"]
    assert len(shipped.true_scores) > 100


def test_kinds() -> None:
    salt, plain = Named("s", "S", None, salt=True), Named("a", "A", None)
    oil = Named("o", "O", None, natural=True)
    kind = [calibrated.kind_of(Single(n, 0.9, b, 0.0), T)
            for n, b in ((plain, 9), (plain, 2), (salt, 9), (salt, 2), (oil, 2))]  # fmt: skip
    assert kind == ["many_bands", "few_bands", "many_bands", "few_bands_salt", "natural"]


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
    assert made["unknown"]["many_bands"] == [0.7]
    assert made["unknown"]["natural"] == [0.5]
    assert made["unknown_substances"] == 3  # a, b and d; c is no measurement to judge by
    assert made["true_scores"] == [0.9]
    calibrated.parse(made)
