"""One unit's hardware on a clock of its own: laser, gate, exposure, buttons, clock, faults."""

from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np
import pytest
from fieldassay_sim.bus import Refused
from fieldassay_sim.fingers import Fingers
from fieldassay_sim.laser import Laser, Timeline
from fieldassay_sim.samples import Fluorescence


def counts(hardware, clock, exposure_us=100_000):
    hardware.handle("expose_start", [exposure_us])
    clock.ms += exposure_us / 1000
    assert hardware.handle("expose_ready", [])
    return np.frombuffer(hardware.handle("expose_read", []).data, dtype="<u2").astype(float)


def fire(hardware, clock, power_uw=100_000, max_ms=5000):
    hardware.press("trigger")
    hardware.handle("log", ["selftest", {}])
    hardware.handle("indicate", [True])
    clock.ms += 2000
    hardware.handle("laser_power", [power_uw])
    hardware.handle("laser_fire", [max_ms])
    clock.ms += 5


def band(frame, hardware):
    axis = hardware.instrument.shift_cm1()
    return frame[np.abs(axis - 1000.0) < 8].max() - np.median(frame)


def test_light_needs_the_laser_and_scales_with_power(hardware, clock):
    assert band(counts(hardware, clock), hardware) < 100
    fire(hardware, clock, 50_000)
    half = band(counts(hardware, clock), hardware)
    hardware.handle("laser_power", [100_000])
    full = band(counts(hardware, clock), hardware)
    assert full == pytest.approx(2 * half, rel=0.1)
    hardware.handle("laser_off", [])
    assert band(counts(hardware, clock), hardware) < 100


def test_the_one_shot_ends_emission_in_the_middle_of_an_exposure(hardware, clock):
    fire(hardware, clock, max_ms=5000)
    whole = band(counts(hardware, clock), hardware)
    hardware.handle("laser_off", [])
    fire(hardware, clock, max_ms=55)  # 5 ms before the exposure, 50 ms into it
    half = band(counts(hardware, clock), hardware)
    assert half == pytest.approx(whole / 2, rel=0.1)
    assert hardware.handle("laser_read", [])[0] is False
    assert hardware.audit.violations == []


def test_hardware_takes_the_light_away_when_the_lid_opens_but_the_enable_is_the_firmwares(
    hardware, clock
):
    fire(hardware, clock)
    assert hardware.handle("laser_read", [])[:3] == [True, True, 98_500]
    hardware.set_interlock(lid=False)
    enabled, can_fire, light_uw, _ = hardware.handle("laser_read", [])
    assert (enabled, can_fire, light_uw) == (True, False, 0)
    assert hardware.handle("interlock", []) == {"lid": False, "key": True}
    clock.ms += 30
    hardware.settle()
    assert [v.rule for v in hardware.audit.violations] == ["interlock_open"]


def test_the_open_lid_lets_room_light_in(hardware, clock):
    dark = np.median(counts(hardware, clock))
    hardware.set_interlock(lid=False)
    assert np.median(counts(hardware, clock)) > dark + 20


def test_faults_reach_the_firmware_as_errors(hardware, clock):
    hardware.condition.detector_failing = True
    with pytest.raises(Refused) as caught:
        hardware.handle("expose_start", [1000])
    assert caught.value.number == errno.EIO
    hardware.condition.detector_failing = False
    hardware.set_interlock(unreadable=True)
    with pytest.raises(Refused) as caught:
        hardware.handle("interlock", [])
    assert caught.value.number == errno.EIO
    hardware.condition.detector_saturated = True
    assert np.all(counts(hardware, clock, 1000) == 65535)


def test_a_broken_indicator_stays_dark_and_the_judge_knows(hardware, clock):
    hardware.handle("indicate", [True])
    assert hardware.handle("indicator", []) is True
    hardware.condition.indicator_broken = True
    hardware.note_condition("indicator_broken", True)
    assert hardware.handle("indicator", []) is False
    fire(hardware, clock)
    clock.ms += 20
    hardware.settle()
    assert [v.rule for v in hardware.audit.violations] == ["no_warning", "indicator_dark"]
    hardware.power_on()
    hardware.condition.indicator_broken = False
    assert hardware.handle("indicator", []) is False  # a reset makes it dark


def test_a_frame_can_be_read_once_and_only_when_it_is_over(hardware, clock):
    with pytest.raises(Refused):
        hardware.handle("expose_read", [])
    hardware.handle("expose_start", [50_000])
    clock.ms += 49
    assert not hardware.handle("expose_ready", [])
    with pytest.raises(Refused):
        hardware.handle("expose_read", [])
    clock.ms += 1
    hardware.handle("expose_read", [])
    with pytest.raises(Refused):
        hardware.handle("expose_read", [])


def test_unknown_operations_are_refused(hardware):
    with pytest.raises(Refused) as caught:
        hardware.handle("self_destruct", [])
    assert caught.value.number == errno.ENOSYS
    with pytest.raises(Refused):
        hardware.handle("handle", [])


def test_an_unset_clock_says_so_until_it_is_set_and_forgets_with_the_power(hardware):
    hardware.condition.clock = "unset"
    unix_ms, quality = hardware.handle("clock", [])
    assert quality == "unset"
    assert unix_ms < 10_000_000
    hardware.handle("clock_set", [1_800_000_000_000])
    unix_ms, quality = hardware.handle("clock", [])
    assert quality == "synced"
    assert abs(unix_ms - 1_800_000_000_000) < 60_000
    hardware.power_on()
    assert hardware.handle("clock", [])[1] == "unset"


def test_the_display_is_cut_to_eight_rows_of_twenty_six(hardware):
    hardware.handle("display", [[["x" * 40, "ok"]] * 12])
    assert hardware.outputs.rows == [["x" * 26, "ok"]] * 8


def test_bleaching_starts_afresh_with_every_placed_sample(hardware, clock, no_package, one_band):
    from dataclasses import replace

    from fieldassay_sim.samples import Fluorescence

    glow = replace(one_band, fluorescence=Fluorescence(30.0, bleach_j=0.05, floor=0.1))
    hardware.place(glow, no_package)
    fire(hardware, clock)
    fresh = np.median(counts(hardware, clock))
    clock.ms += 2000
    used = np.median(counts(hardware, clock))
    hardware.place(glow, no_package)
    again = np.median(counts(hardware, clock))
    assert used < 0.6 * fresh
    assert again == pytest.approx(fresh, rel=0.1)


def polled(fingers, from_ms, to_ms, every_ms):
    return [fingers.poll(ms) for ms in range(from_ms, to_ms, every_ms)]


def test_a_press_lasts_long_enough_for_slow_polling_and_then_ends():
    for every_ms in (4, 20, 100):
        fingers = Fingers()
        fingers.press("trigger", 0)
        seen = polled(fingers, 0, 1500, every_ms)
        assert seen.count(1) >= 3, every_ms
        assert seen[-1] == 0


def test_two_presses_are_two_edges():
    fingers = Fingers()
    fingers.press("next", 0)
    fingers.press("next", 1)
    seen = polled(fingers, 0, 1000, 10)
    edges = sum(1 for a, b in zip([0, *seen], seen, strict=False) if a == 0 and b == 2)
    assert edges == 2


def test_a_press_that_nobody_polls_is_lost():
    fingers = Fingers()
    fingers.press("trigger", 0)
    assert polled(fingers, 6000, 6500, 20) == [0] * 25


def test_a_timeline_knows_its_mean_over_any_span():
    line = Timeline(0.0)
    line.set(100, 10.0)
    line.set(200, 0.0)
    assert line.mean(0, 400) == pytest.approx(2.5)
    assert line.mean(100, 200) == 10.0
    assert line.mean(50, 150) == pytest.approx(5.0)
    assert line.mean(300, 300) == 0.0


def test_the_laser_power_is_limited():
    laser = Laser()
    laser.set_power(0, 10**9)
    assert laser.power_uw == 500_000


def test_a_bleached_spot_stays_bleached_after_many_shots_and_a_new_spot_glows(
    hardware, clock, one_band, no_package
):
    glowing = replace(one_band, fluorescence=Fluorescence(rate_per_ms=50.0, bleach_j=1.0))
    hardware.place(glowing, no_package)

    def shot():
        hardware.handle("laser_power", [100_000])
        hardware.handle("laser_fire", [100])
        hardware.handle("expose_start", [50_000])
        clock.ms += 50.0
        hardware.handle("expose_ready", [])
        counts = hardware.handle("expose_read", [])
        hardware.handle("laser_off", [])
        clock.ms += 50.0
        return float(np.frombuffer(counts.data, "<u2").astype(float).mean())

    levels = [shot() for _ in range(900)]  # 4.5 J
    assert levels[899] < levels[400] < levels[100] < levels[0]
    hardware.place(glowing, no_package)
    assert shot() == pytest.approx(levels[0], rel=0.01)


def test_an_unreadable_interlock_leaves_the_gate_open_so_that_the_firmware_must_refuse(
    hardware, clock
):
    hardware.set_interlock(unreadable=True)
    fire(hardware, clock)
    enabled, can_fire, light_uw, _ = hardware.handle("laser_read", [])
    assert (enabled, can_fire) == (True, True)
    assert light_uw > 0
    hardware.set_interlock(key=False)
    assert hardware.handle("laser_read", [])[1:3] == [False, 0]
