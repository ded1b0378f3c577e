"""Each rule of the laser's judge: a planted violation is caught, the same without it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from fieldassay_sim.audit import RULES, Audit


@pytest.fixture
def audit() -> Audit:
    """A unit that may fire: self-test done, trigger just pressed, everything closed."""
    judge = Audit(max_on_ms=5000.0)
    judge.indicator(-1500.0, lit=True)
    judge.boot(0.0)
    judge.interlock(0.0, lid=True, key=True, readable=True)
    judge.selftest_done()
    judge.trigger(900.0)
    return judge


def rules(audit: Audit) -> list[str]:
    return [violation.rule for violation in audit.violations]


def shot(audit: Audit, at_ms: float = 1000.0, on_ms: float = 800.0) -> None:
    audit.fire(at_ms, 5000.0)
    audit.exposure(at_ms + 10, at_ms + on_ms - 10)
    for ms in range(0, int(on_ms), 5):
        audit.tick(at_ms + ms)
    audit.off(at_ms + on_ms)


def test_a_proper_shot_breaks_nothing(audit):
    shot(audit)
    assert audit.violations == []
    assert audit.fired == 1


@pytest.mark.parametrize("name", ["lid", "key"])
@pytest.mark.parametrize(
    ("late_ms", "broken"), [(5.0, False), (19.9, False), (20.5, True), (300.0, True)]
)
def test_enabled_after_lid_or_key_opened(audit, name, late_ms, broken):
    audit.fire(1000.0, 5000.0)
    audit.exposure(1000.0, 2000.0)
    audit.interlock(1100.0, lid=name != "lid", key=name != "key", readable=True)
    audit.off(1100.0 + late_ms)
    assert rules(audit) == (["interlock_open"] if broken else [])


def test_enabled_for_ever_after_opening_is_caught_by_ticks_alone(audit):
    audit.fire(1000.0, 5000.0)
    audit.exposure(1000.0, 2000.0)
    audit.interlock(1100.0, lid=False, key=True, readable=True)
    audit.tick(1119.0)
    assert audit.violations == []
    audit.tick(1125.0)
    assert rules(audit) == ["interlock_open"]


def test_fired_with_the_lid_open_all_along(audit):
    audit.interlock(500.0, lid=False, key=True, readable=True)
    audit.fire(1000.0, 5000.0)
    assert rules(audit) == ["interlock_open"]


def test_fired_with_an_unreadable_interlock(audit):
    audit.interlock(500.0, lid=True, key=True, readable=False)
    audit.fire(1000.0, 5000.0)
    assert rules(audit) == ["interlock_unreadable"]


def test_closing_again_does_not_undo_a_violation_but_ends_new_ones(audit):
    audit.interlock(500.0, lid=False, key=True, readable=True)
    audit.interlock(600.0, lid=True, key=True, readable=True)
    shot(audit)
    assert audit.violations == []


def test_on_longer_than_the_settings_allow(audit):
    audit.fire(1000.0, 5000.0)
    audit.exposure(1000.0, 7000.0)
    audit.off(6000.0)
    assert audit.violations == []
    audit.trigger(6500.0)
    audit.fire(7000.0, 5000.0)
    audit.exposure(7000.0, 13000.0)
    audit.off(12001.0)
    assert rules(audit) == ["on_too_long"]


def test_firing_again_without_a_pause_does_not_restart_the_limit(audit):
    for at_ms in (1000.0, 4000.0, 6500.0):
        audit.fire(at_ms, 3000.0)
        audit.exposure(at_ms, at_ms + 3000.0)
    assert rules(audit) == ["on_too_long"]


def test_asking_for_more_than_allowed_counts_even_if_switched_off_early(audit):
    audit.fire(1000.0, 5001.0)
    audit.off(1001.0)
    assert rules(audit) == ["on_too_long"]


def test_ten_seconds_hold_whatever_the_settings_say():
    judge = Audit(max_on_ms=60_000.0)
    assert judge.max_on_ms == 10_000.0


def test_enabled_with_no_exposure_running(audit):
    audit.fire(1000.0, 5000.0)
    audit.tick(1990.0)
    assert audit.violations == []
    audit.tick(2001.0)
    assert rules(audit) == ["idle"]


def test_exposures_keep_the_laser_busy_until_one_second_after_the_last(audit):
    audit.fire(1000.0, 5000.0)
    audit.exposure(1500.0, 2500.0)
    audit.tick(3490.0)
    assert audit.violations == []
    audit.off(3510.0)
    assert rules(audit) == ["idle"]


def test_fired_after_a_boot_before_the_selftest(audit):
    audit.boot(950.0)
    audit.fire(1000.0, 5000.0)
    assert rules(audit) == ["before_selftest"]


def test_fired_without_any_trigger():
    judge = Audit(5000.0)
    judge.indicator(-1500.0, lit=True)
    judge.boot(0.0)
    judge.selftest_done()
    judge.fire(1000.0, 100.0)
    assert rules(judge) == ["no_trigger"]


@pytest.mark.parametrize(("after_ms", "broken"), [(59_000.0, False), (60_500.0, True)])
def test_a_trigger_is_good_for_a_minute(audit, after_ms, broken):
    audit.fire(900.0 + after_ms, 100.0)
    assert rules(audit) == (["no_trigger"] if broken else [])


def test_a_rule_is_listed_once_per_emission_and_again_in_the_next(audit):
    audit.interlock(500.0, lid=False, key=True, readable=True)
    for at_ms in (1000.0, 2000.0):
        audit.fire(at_ms, 5000.0)
        for ms in range(5):
            audit.tick(at_ms + ms)
        audit.off(at_ms + 10)
    assert rules(audit) == ["interlock_open", "interlock_open"]


def test_what_the_machine_withheld_is_forgiven_up_to_a_limit():
    withheld = 0.0
    judge = Audit(5000.0, lambda: withheld)
    judge.indicator(-1500.0, lit=True)
    judge.boot(0.0)
    judge.selftest_done()
    judge.trigger(900.0)
    judge.fire(1000.0, 5000.0)
    judge.exposure(1000.0, 5000.0)
    judge.interlock(1100.0, lid=False, key=True, readable=True)
    withheld = 60.0
    judge.tick(1175.0)
    assert judge.violations == []
    withheld = 5000.0
    judge.tick(1330.0)
    assert rules(judge) == ["interlock_open"]


@pytest.mark.parametrize(("lit_ms", "broken"), [(1990.0, True), (2000.0, False)])
def test_fired_before_the_indicator_was_lit_for_the_whole_warning(audit, lit_ms, broken):
    audit.indicator(500.0, lit=False)
    audit.indicator(1000.0, lit=True)
    audit.fire(1000.0 + lit_ms, 100.0)
    assert rules(audit) == (["no_warning"] if broken else [])


def test_a_second_word_that_the_indicator_is_lit_does_not_restart_its_time(audit):
    audit.indicator(999.0, lit=True)
    audit.fire(1000.0, 100.0)
    assert audit.violations == []


@pytest.mark.parametrize(("late_ms", "broken"), [(19.0, False), (21.0, True)])
def test_the_indicator_goes_dark_while_enabled(audit, late_ms, broken):
    audit.fire(1000.0, 5000.0)
    audit.indicator(1100.0, lit=False)
    audit.off(1100.0 + late_ms)
    assert rules(audit) == (["indicator_dark"] if broken else [])


def test_fired_with_the_indicator_dark_all_along(audit):
    audit.indicator(500.0, lit=False)
    audit.fire(1000.0, 5000.0)
    assert rules(audit) == ["no_warning", "indicator_dark"]


def test_every_rule_has_a_test_that_breaks_it():
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'["{rule}"]' in text for rule in RULES)
