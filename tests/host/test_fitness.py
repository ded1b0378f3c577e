"""Fitness for duty: the check, the rule, and that an unfit unit names nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from fieldassay import fitness
from fieldassay.calibrate import check
from fieldassay.calibrate.standards import standard
from fieldassay.duty import Duty
from fieldassay.errors import SetupError
from fieldassay.frame import Calibration, Exposure, Frame
from fieldassay.store import Store
from fieldassay.verdict import Candidate, Identification, Quality, Reason, Substance, Verdict

DAY_MS = fitness.DAY_MS
COEFFICIENTS_NM = (800.5, 8.66e-2, -2.4e-6, -1.0e-10)
PIXELS = 2048


def polystyrene(
    offset_cm1: float = 0.4,
    width_cm1: float = 9.0,
    strength: float = 1500.0,
    dark: float = 900.0,
    calibration: str = "cal-1",
    seed: int = 1,
) -> Frame:
    """A measurement of polystyrene by a unit whose bands lie `offset_cm1` too high."""
    nm = np.polynomial.polynomial.polyval(np.arange(PIXELS, dtype=float), np.array(COEFFICIENTS_NM))
    shift = 1e7 / 785.0 - 1e7 / nm
    known, rng = standard("polystyrene"), np.random.default_rng(seed)
    light = np.full(PIXELS, 300.0)
    for at, height in zip(known.shift_cm1, known.strength, strict=True):
        light += strength * height * np.exp(-2.77 * ((shift - at - offset_cm1) / width_cm1) ** 2)
    frames = 10
    raw = rng.poisson(np.maximum((light + dark) * frames, 0.0))
    return Frame(
        unit="unit-1",
        boot=1,
        seq=seed,
        time_ms=0,
        clock="unset",
        exposure=Exposure(100_000, frames, frames, 65535, 0, 4000, 12000),
        raw=raw.astype(np.uint32),
        dark=rng.poisson(np.full(PIXELS, dark * frames)).astype(np.uint32),
        flags=(),
        excitation_pm=785_000,
        calibration=Calibration(calibration, "2026-01-01", COEFFICIENTS_NM),
        answers=MappingProxyType({}),
        sha256=b"\0" * 32,
        message=MappingProxyType({"laser_uw": 100_000, "firmware": {"sha256": b"\1" * 32}}),
    )


def failed(result: check.Check) -> set[str]:
    return {item.name for item in result.items if not item.passed}


def test_a_good_unit_passes_with_every_figure() -> None:
    result = check.check(polystyrene())
    assert result.passed, result
    values = {item.name: item for item in result.items}
    assert set(values) == set(check.limits()) - {"intensity_ratio"}
    assert values["shift_mean_abs_cm1"].value == pytest.approx(0.4, abs=0.3)
    assert values["width_cm1"].value == pytest.approx(9.0, rel=0.15)
    assert all(limit["source"] for limit in check.limits().values())


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ({"offset_cm1": 6.0}, {"shift_mean_abs_cm1", "shift_worst_abs_cm1"}),
        ({"width_cm1": 24.0}, {"width_cm1"}),
        ({"strength": 30.0}, {"snr"}),
        ({"dark": 20_000.0}, {"dark_level_share"}),
    ],
)
def test_what_is_wrong_is_named(fault: dict[str, float], names: set[str]) -> None:
    result = check.check(polystyrene(**fault))  # type: ignore[arg-type]
    assert not result.passed
    assert names <= failed(result) or result.reason


def test_another_sample_is_no_check() -> None:
    frame = polystyrene(strength=0.0)
    result = check.check(frame)
    assert not result.passed
    assert "Polystyrene" in result.reason


def test_a_dirty_window_shows_against_the_last_check() -> None:
    first = check.check(polystyrene())
    rate = next(i.value for i in first.items if i.name == "intensity_e_per_mj")
    assert "intensity_ratio" in failed(check.check(polystyrene(strength=500.0), rate))
    assert check.check(polystyrene(seed=2), rate).passed


LAST = fitness.LastCheck(1000 * DAY_MS, True, "cal-1", "aa", "unit-1-1-1")


@pytest.mark.parametrize(
    ("last", "calibration", "days_later", "state"),
    [
        (None, "cal-1", 0.0, "never_checked"),
        (dataclasses.replace(LAST, passed=False), "cal-1", 0.0, "failed"),
        (LAST, "cal-1", 6.99, "fit"),
        (LAST, "cal-1", 7.0, "overdue"),
        (LAST, "cal-2", 1.0, "recalibrated"),
        (LAST, None, 1.0, "fit"),
    ],
)
def test_the_rule(
    last: fitness.LastCheck | None, calibration: str | None, days_later: float, state: str
) -> None:
    now_ms = 1000 * DAY_MS + int(days_later * DAY_MS)
    found = fitness.judge("unit-1", last, calibration, "aa", now_ms, 7.0)
    assert found.state == state
    assert found.fit == (state == "fit")
    assert found.fit or "unit verify unit-1" in found.do_next
    assert fitness.from_dict(found.as_dict()) == found


def test_other_firmware_is_noted_and_changes_nothing() -> None:
    found = fitness.judge("unit-1", LAST, "cal-1", "bb", LAST.made_ms, 7.0)
    assert found.fit
    assert "firmware" in found.note


def identified(kind: Any) -> Identification:
    reasons = (Reason("presumptive", "P."), Reason("low_share_not_excluded", "L."))
    return Identification(
        Verdict(kind, (Substance("acetone", "Acetone", None),), reasons, "Do."),
        (Candidate("acetone", "Acetone", 0.99),),
        Quality(100.0, 0.0, False, (300.0, 1800.0)),
        "flammable",
        "sha256:0",
        "a",
        alternatives=(("acetone",),),
    )


@pytest.mark.parametrize("kind", ["match", "mixture", "class", "out_of_library"])
def test_an_unfit_unit_names_nothing_and_keeps_its_candidates(kind: str) -> None:
    unfit = fitness.judge("unit-1", None, None, "", 0, 7.0)
    said = fitness.limited(identified(kind), unfit)
    assert said.verdict.kind == "inconclusive"
    assert said.verdict.substances == ()
    assert [r.code for r in said.verdict.reasons] == ["unit_not_fit", "low_share_not_excluded"]
    assert "acetone" not in json.dumps([said.verdict.do_next, said.alternatives]).lower()
    assert said.candidates == identified(kind).candidates
    assert said.hazard_card == "default-strictest"
    assert said.as_dict()["fitness"]["state"] == "never_checked"


def test_a_fit_unit_says_what_was_found() -> None:
    fit = fitness.judge("unit-1", LAST, "cal-1", "aa", LAST.made_ms, 7.0)
    said = fitness.limited(identified("match"), fit)
    assert said.verdict == identified("match").verdict
    assert said.as_dict()["fitness"]["fit"] is True


def test_from_check_to_fit_to_overdue(tmp_path: Path) -> None:
    now = [1000 * DAY_MS]
    settings = tmp_path / "fitness.toml"
    settings.write_text("interval_days = 2\n")
    with Store.open(tmp_path / "evidence.db") as store:
        duty = Duty(store, settings, lambda: now[0])
        frame = polystyrene()
        assert duty.of_unit("unit-1").state == "never_checked"
        assert duty.limited(frame, identified("match")).verdict.kind == "inconclusive"
        kept = duty.check(frame)
        assert kept["passed"] and kept["due_ms"] == now[0] + 2 * DAY_MS
        assert duty.limited(frame, identified("match")).verdict.kind == "match"
        assert duty.of_unit("unit-2").state == "never_checked"
        other = polystyrene(calibration="cal-2")
        assert duty.limited(other, identified("match")).verdict.kind == "inconclusive"
        now[0] += 2 * DAY_MS
        assert duty.of_unit("unit-1").state == "overdue"
        assert not duty.check(polystyrene(offset_cm1=8.0, seed=3))["passed"]
        assert duty.of_unit("unit-1").state == "failed"
        assert [c["passed"] for c in store.checks("unit-1", 9)] == [False, True]


def test_a_check_is_never_changed(tmp_path: Path) -> None:
    with Store.open(tmp_path / "evidence.db") as store:
        store.add_check(check.check(polystyrene()).as_dict(), 1)
        for statement in ("UPDATE unit_check SET passed = 1", "DELETE FROM unit_check"):
            # what a careless caller could do
            with pytest.raises(sqlite3.IntegrityError, match="append-only"), store._writing() as db:
                db.execute(statement)
        assert len(store.checks("unit-1", 9)) == 1


@pytest.mark.parametrize("text", ["", "interval_days = 0", "interval_days = true", "nonsense"])
def test_an_unreadable_interval_is_said_so(text: str) -> None:
    with pytest.raises(SetupError) as caught:
        fitness.interval_days(text)
    assert caught.value.code == "fitness_unreadable"


def test_every_limit_is_documented(root: Path) -> None:
    page = (root / "docs" / "reference" / "performance-check.md").read_text(encoding="utf-8")
    page = page.split("## Figures and limits")[1].split("## What a calibration")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE))
    for name, limit in check.limits().items():
        words = [
            f"{word} {limit[key]:g}"
            for key, word in (("at_least", "at least"), ("at_most", "at most"))
            if key in limit
        ]
        assert rows[name].strip() == ", ".join(words), name
    whole = (root / "docs" / "reference" / "performance-check.md").read_text(encoding="utf-8")
    assert f"older than {fitness.interval_days():g} days" in whole


def test_the_certificate_says_what_was_measured(tmp_path: Path) -> None:
    from fieldassay.calibration import spectrum_of
    from fieldassay.certificate import certificate

    frame = polystyrene()
    with Store.open(tmp_path / "evidence.db") as store:
        duty = Duty(store, tmp_path / "none.toml", lambda: 1000 * DAY_MS)
        result = duty.check(frame)
    spectrum = spectrum_of(frame)
    curve = (spectrum.axis.values.tolist(), spectrum.intensity.tolist())
    paper = certificate(result, curve, "0.1.0")
    assert paper.startswith(b"%PDF-")
    assert paper == certificate(result, curve, "0.1.0"), "the same check gives the same paper"
    text = b"".join(
        zlib.decompress(part)
        for part in re.findall(
            rb"/FlateDecode[^>]*>>\s*stream\r?\n(.*?)\r?\nendstream", paper, re.S
        )
        if b"BT" in _inflated(part)
    ).decode("latin-1")
    for word in ("PASSED: unit unit-1", "cal-1 of 2026-01-01", "01" * 32, "1972-10-04"):
        assert word in text, word


def _inflated(part: bytes) -> bytes:
    try:
        return zlib.decompress(part)
    except zlib.error:
        return b""


def test_the_command_keeps_the_check_and_the_paper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fieldassay import cli
    from fieldassay.commands import record, unit_verify

    class Facts:
        record_id, unit, boot, seq, time_ms, clock, flags = (
            "unit-1-1-1",
            "unit-1",
            1,
            1,
            0,
            "unset",
            (),
        )

    with Store.open(tmp_path / "evidence.db") as store:
        store.add_measurement(b"sealed", Facts(), 1)
    monkeypatch.setattr(record, "frame_of", lambda _record: polystyrene())
    assert unit_verify is not None
    arguments = ["unit", "verify", "unit-1", "--home", str(tmp_path)]
    assert cli.main(arguments) == 0
    assert "unit-1 passed" in capsys.readouterr().out
    monkeypatch.setattr(record, "frame_of", lambda _record: polystyrene(offset_cm1=8.0))
    assert cli.main(arguments) == 1
    with Store.open_read_only(tmp_path / "evidence.db") as store:
        assert [c["passed"] for c in store.checks("unit-1", 5)] == [False, True]
    assert len(list((tmp_path / "checks").glob("unit-1-check-*.pdf"))) == 2
