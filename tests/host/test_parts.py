"""The rate at which a part of a sum may be a relative of what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fieldassay.decide import load_thresholds, parts
from fieldassay.decide.evidence import Component, Named
from fieldassay.evaluate import calibrate_parts
from fieldassay.library import Library
from hypothesis import given
from hypothesis import strategies as st

T = load_thresholds()
A, B = Named("a", "A", None), Named("b", "B", None)
SURE = Component(A, 0.3, 400.0, 3.0, (B, 380.0), strength=0.05, agreement=0.97, misfit=0.4)
RELATIVE = replace(SURE, rival=(B, 150.0), agreement=0.75, misfit=1.5)


def test_what_agrees_badly_with_a_rival_close_behind_is_a_relative() -> None:
    shipped = parts.load()
    assert shipped.p_relative(SURE) <= T.mixture["max_p_relative"] < shipped.p_relative(RELATIVE)


def test_the_shipped_ranks_can_carry_the_stated_rate() -> None:
    shipped = parts.load()
    assert list(shipped.doubts) == sorted(shipped.doubts)
    assert len(shipped.slopes) == 1 + len(parts.FEATURES)
    assert 1 / (1 + shipped.spectra) < T.mixture["max_p_relative"] / 5


@given(
    agreement=st.floats(0.0, 1.0), gain=st.floats(0.0, 1e9), lead=st.floats(-1e9, 1e9),
    misfit=st.floats(0.0, 1e6), strength=st.floats(0.0, 1.0),
)  # fmt: skip
def test_every_part_has_a_rate_and_a_closer_rival_never_lowers_it(
    agreement: float, gain: float, lead: float, misfit: float, strength: float
) -> None:
    part = Component(A, 0.3, gain, 3.0, (B, lead), strength=strength, agreement=agreement,
                     misfit=misfit)  # fmt: skip
    closer = replace(part, rival=(B, lead - 1.0))
    shipped = parts.load()
    assert 0.0 < shipped.p_relative(part) <= shipped.p_relative(closer) <= 1.0


def trial(true: Component | None, *false: Component, left_out: bool = False) -> object:
    return calibrate_parts.Trial("a", "unit", 4.0, left_out, true, false)


def test_a_calibration_ranks_the_false_parts_of_spectra_without_the_substance(
    library_path: object,
) -> None:
    library = Library.open(library_path)  # type: ignore[arg-type]
    known = [trial(SURE) for _ in range(20)]
    known += [trial(None, RELATIVE, left_out=True), trial(None, left_out=True)]
    made = parts.parse(calibrate_parts.fit(known, library))  # type: ignore[arg-type]
    assert made.spectra == 2
    assert len(made.doubts) == 1
    assert made.p_relative(SURE) == pytest.approx(1 / 3)
    assert made.p_relative(RELATIVE) == pytest.approx(2 / 3)
