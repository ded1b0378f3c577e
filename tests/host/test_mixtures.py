"""Sums of substances: real spectra added in counts, covers, properties of the scatter model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fieldassay import decide, mixtures
from fieldassay.evaluate.distort import band_area
from fieldassay.formats import read
from fieldassay.identify import Context, Identification, _scene, identify
from fieldassay.library import Library
from fieldassay.scatter import STEP, Sampled, Scatter, widened
from fieldassay.spectrum import Axis, Spectrum
from hypothesis import given, settings
from hypothesis import strategies as st

UNIT = "raman-multi-instrument/spectra/WP-00340_{}.csv"
FILES = {
    "acetaminophen": "Acetaminophen-19", "acetone": "Acetone-18", "caffeine": "Caffeine-03",
    "toluene": "Toluene-16", "isopropanol": "Isopropanol-21", "sucrose": "Sucrose-19",
    "methanol": "Methanol-19",
}  # fmt: skip


@pytest.fixture(scope="module")
def library(library_path: Path) -> Library:
    return Library.open(library_path)


@pytest.fixture(scope="module")
def measured(data_dir: Path) -> dict[str, Spectrum]:
    paths = {name: data_dir / UNIT.format(file) for name, file in FILES.items()}
    return {name: read(path.read_bytes(), path.name) for name, path in paths.items()}


def mixed(measured: dict[str, Spectrum], **parts: float) -> Spectrum:
    """A sum in which each substance has this part of the band area."""
    first = measured[next(iter(parts))]
    x = first.axis.values
    total = np.zeros(x.size)
    for name, share in parts.items():
        y = measured[name].intensity
        total += y * (share * 1e6 / band_area(x, y))
    return Spectrum(Axis(x, "cm-1"), total, "counts")


def named(found: Identification) -> set[str]:
    verdict = found.verdict
    return {s.id for s in verdict.substances} if verdict.kind in ("match", "mixture") else set()


@pytest.mark.parametrize(
    ("major", "minor"),
    [("acetaminophen", "toluene"), ("caffeine", "acetone"), ("acetone", "isopropanol"),
     ("toluene", "acetaminophen"), ("sucrose", "toluene"), ("methanol", "caffeine")],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.5, 0.2, 0.1])
def test_a_component_of_a_tenth_is_found_and_nothing_else_named(
    library: Library, measured: dict[str, Spectrum], major: str, minor: str, share: float
) -> None:
    found = identify(mixed(measured, **{major: 1.0 - share, minor: share}), library)
    assert named(found) == {major, minor}
    part = next(s for s in found.verdict.substances if s.id == minor)
    assert part.share == pytest.approx(share, abs=0.1)
    assert part.share_interval is not None
    low, high = part.share_interval
    assert low <= part.share <= high
    assert sum(s.share or 0.0 for s in found.verdict.substances) == pytest.approx(1.0)


def test_a_short_list_of_a_big_library_holds_the_components(
    library: Library, measured: dict[str, Spectrum], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixtures, "SHORTLIST", 16)
    for major, minor in (("acetaminophen", "toluene"), ("acetone", "caffeine")):
        found = identify(mixed(measured, **{major: 0.85, minor: 0.15}), library)
        assert named(found) == {major, minor}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_pure_substance_stays_one(
    library: Library, measured: dict[str, Spectrum], name: str
) -> None:
    assert named(identify(measured[name], library)) == {name}


def test_three_substances_in_one_sum(library: Library, measured: dict[str, Spectrum]) -> None:
    found = identify(mixed(measured, caffeine=0.5, acetone=0.3, toluene=0.2), library)
    assert named(found) == {"caffeine", "acetone", "toluene"}


def test_what_is_not_in_the_library_gets_no_name_in_a_sum(
    library: Library, measured: dict[str, Spectrum]
) -> None:
    without = library.without(["caffeine"])
    for share in (0.5, 0.2, 0.1):
        sum_of_two = mixed(measured, acetone=1.0 - share, caffeine=share)
        assert named(identify(sum_of_two, without)) <= {"acetone"}


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_packaging_is_seen_and_never_the_finding(
    library: Library, measured: dict[str, Spectrum], share: float
) -> None:
    row = next(e.row for e in library.entries if e.substance == "polyethylene")
    entry = library.entries[row]
    x = library.grid_cm1[entry.first : entry.last]
    bag = library.raw[row, entry.first : entry.last].astype(np.float64)
    own = measured["caffeine"]
    over = np.interp(own.axis.values, x, bag)
    scale = share / (1.0 - share) * band_area(own.axis.values, own.intensity)
    over *= scale / band_area(own.axis.values, over)
    found = identify(
        Spectrum(own.axis, own.intensity + over, "counts"),
        library,
        Context(packaging="polyethylene"),
    )
    assert named(found) == {"caffeine"}
    assert "packaging_seen" in [r.code for r in found.verdict.reasons]
    only = identify(Spectrum(Axis(x, "cm-1"), bag, "counts"), library)
    assert only.verdict.reasons[0].code == "only_packaging_seen"


def test_more_of_a_component_never_gives_it_less_share(
    library: Library, measured: dict[str, Spectrum]
) -> None:
    shares = []
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        scene = _scene(mixed(measured, acetone=1.0 - part, toluene=part), library)
        found = mixtures.find(scene, scene.singles(120), library)
        assert found is not None
        of = {library.entries[p.row].substance: p.share for p in found.parts}
        shares.append(of["toluene"])
    assert shares == sorted(shares)


def test_doubt_between_two_sums_is_listed() -> None:
    a, b, c = (decide.Named(x, x.upper(), None) for x in "abc")
    evidence = decide.Evidence(
        singles=[decide.Single(a, 0.9, 10.0, 0.0)],
        mixture=[
            decide.Component(a, 0.7, 500.0, 9.0, None),
            decide.Component(b, 0.3, 90.0, 4.0, (c, 3.0)),
        ],
        mixture_score=0.95, mixture_shift_cm1=0.0, snr=100.0, informative_columns=500,
        range_cm1=1500.0, background_ratio=0.1, saturated=False, interrupted=False,
    )  # fmt: skip
    t = decide.load_thresholds()
    assert decide.alternatives(evidence, t) == (("a", "b"), ("a", "c"))
    assert decide.decide(evidence, t).kind != "mixture"


def sampled_sum(library: Library, weights: dict[int, float], noise: float) -> Sampled:
    columns = np.arange(40, 1900, STEP)
    whole = sum(w * library.linear[row].astype(np.float64) for row, w in weights.items())
    assert isinstance(whole, np.ndarray)
    strongest = float(np.abs(whole).max())
    return Sampled(
        columns, whole[columns], np.full(columns.size, noise * strongest), strongest, whole
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 79), min_size=1, max_size=4, unique=True),
       st.floats(0.2, 5.0), st.floats(1e-4, 1e-2))  # fmt: skip
def test_a_fit_of_the_true_components_gives_their_weights(
    library: Library, rows: list[int], first: float, noise: float
) -> None:
    """Whatever the changes could do: where none is needed, the weights are those of the sum."""
    rows = [r for r in rows if len({library.entries[q].substance for q in rows}) == len(rows)]
    if not rows:
        return
    weights = {row: first * (1.0 + i) for i, row in enumerate(rows)}
    model = Scatter(library)
    fit = model.fit(
        sampled_sum(library, weights, noise), [model.component(row, 0.0) for row in rows]
    )
    assert fit.weights == pytest.approx(list(weights.values()), rel=0.05)
    assert fit.misfit < 0.1
    for place in range(len(rows) if len(rows) > 1 else 0):
        other = fit.without(place)
        direct, _ = model.gains(
            other, fit.components[place].column[None, np.arange(40, 1900, STEP)].astype(np.float32)
        )
        assert direct[0] > 0.0  # what was taken out is what is missing
        assert other.misfit >= fit.misfit


def test_a_fit_does_not_depend_on_the_order_of_components(library: Library) -> None:
    model = Scatter(library)
    sampled = sampled_sum(library, {3: 1.0, 30: 0.4, 60: 0.2}, 1e-3)
    one = model.fit(sampled, [model.component(row, 1.0) for row in (3, 30, 60)])
    two = model.fit(sampled, [model.component(row, 1.0) for row in (60, 3, 30)])
    assert two.weights == pytest.approx(one.weights[[2, 0, 1]])
    assert two.evidence == pytest.approx(one.evidence)


def test_broadening_of_many_is_that_of_one(library: Library) -> None:
    model = Scatter(library)
    columns = np.arange(60, 1900, STEP)
    rows = np.arange(len(library.entries))
    many = model.broadened(rows, columns, 3.5)
    for row in (0, 17, 60):
        one = model.component(row, 3.5).column[columns]
        assert many[row] == pytest.approx(one, abs=0.01 * float(np.abs(one).max()))


def test_width_follows_the_fitted_change_and_stays_in_range() -> None:
    assert widened(3.0, 0.0) == 3.0
    assert widened(3.0, 1.0) > 3.0 > widened(3.0, -1.0)
    assert widened(0.5, -9.0) == 0.0
    assert widened(6.0, 9.0) == 6.0
