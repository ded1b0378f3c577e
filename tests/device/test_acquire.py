"""Acquisition: exposure, sums, flags, and the laser off at every end."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
interlock = fixture.device_module("interlock")
laser_module = fixture.device_module("laser")
faults = fixture.device_module("faults")
acquire = fixture.device_module("acquire")
coadd = fixture.device_module("coadd")
frames = fixture.device_module("frames")

SETTINGS = {
    "laser": {"power_uw": 100000, "low_power_uw": 20000, "max_on_ms": 3000},
    "acquire": {
        "exposure_min_us": 1000,
        "exposure_max_us": 500000,
        "total_ms": 1000,
        "frames_max": 20,
        "dark_frames_max": 5,
        "target_permille": 700,
    },
}
BIAS = 200


async def no_wait(ms):
    await asyncio.sleep(0)


class Rig:
    """An armed unit; `rate` is the band's counts per ms at full power."""

    def __init__(self, rate, **limits):
        self.board = board = fixture.FakeBoard(pixels=64, full_scale=16000)
        self.settings = {**SETTINGS, "acquire": {**SETTINGS["acquire"], **limits}}
        lock = interlock.Interlock(3000, warning_ms=100)
        self.laser = laser_module.Laser(board, lock, 3000, board.ticks_ms)
        self.acquirer = acquire.Acquirer(
            board, self.laser, self.settings, frames.Frames(64), board.ticks_ms
        )
        self.rate = rate
        self.spikes = {}
        board.counts = self.counts
        self.laser.step("boot")
        self.laser.step("checks_ok")
        assert self.laser.press() == "armed"
        self.laser.answered("no", 100000)

    def counts(self, us, on):
        light = self.rate * us / 1000 * self.board.laser.power_uw / 100000 if on else 0
        values = [int(BIAS + light * max(0, 1 - abs(i - 30) / 8)) for i in range(64)]
        for i, value in self.spikes.get(len(self.board.exposures), {}).items():
            values[i] = value
        return values

    def measure(self, gentle=False):
        self.laser.answered("yes" if gentle else "no", 100000)

        async def sleep_ms(ms):
            self.board.now_ms += max(1, ms)
            self.laser.poll()
            await asyncio.sleep(0)

        asyncio.sleep_ms = sleep_ms  # MicroPython's name for it
        try:
            return asyncio.run(self.acquirer.measure(gentle))
        finally:
            del asyncio.sleep_ms
            assert not self.board.laser.enabled
            assert self.acquirer.phase == ""

    def lit(self):
        return [us for us, on in self.board.exposures if on]


def test_exposure_is_scaled_to_the_target_from_a_low_power_pre_shot():
    rig = Rig(rate=100)
    shot = rig.measure()
    top = max(rig.acquirer.raw) / shot.frames
    assert 0.6 * 16000 < top < 0.8 * 16000
    assert shot.saturated_pixels == 0
    powers = [call[2] for call in rig.board.laser.calls if call[1] == "power"]
    assert powers == [25000, 100000]
    assert len([c for c in rig.board.laser.calls if c[1] == "fire"]) == 1


def test_sums_are_exact_and_darks_are_dark_at_the_same_exposure():
    rig = Rig(rate=100)
    shot = rig.measure()
    n_light = shot.frames
    expected = rig.counts(shot.exposure_us, False)
    rig.board.laser.enabled, rig.board.laser.power_uw = True, 100000
    lit = rig.counts(shot.exposure_us, True)
    rig.board.laser.enabled = False
    assert list(rig.acquirer.raw) == [v * n_light for v in lit]
    assert list(rig.acquirer.dark) == [v * shot.dark_frames for v in expected]
    assert shot.dark_frames == min(n_light, 5)
    darks = rig.board.exposures[-shot.dark_frames :]
    assert darks == [(shot.exposure_us, False)] * shot.dark_frames


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 100000),
    st.integers(1000, 5000),
    st.integers(5000, 500000),
    st.integers(100, 2500),
    st.integers(1, 40),
)
def test_any_brightness_keeps_every_limit(rate, low, high, total_ms, frames_max):
    rig = Rig(
        rate, exposure_min_us=low, exposure_max_us=high, total_ms=total_ms, frames_max=frames_max
    )
    shot = rig.measure()
    assert low <= shot.exposure_us <= min(high, total_ms * 1000)
    assert 1 <= shot.frames <= frames_max
    assert shot.frames * shot.exposure_us <= max(total_ms * 1000, shot.exposure_us)
    assert rig.laser.on_ms < 3000
    brightest = BIAS + rate * shot.exposure_us / 1000
    if brightest < 16000:
        assert shot.saturated_pixels == 0
    elif rate * shot.exposure_us / 1000 * 0.8 > 16000:
        assert shot.exposure_us == low  # only the shortest exposure may saturate
        assert shot.saturated_frames == shot.frames


def test_cosmic_rays_neither_shorten_the_exposure_nor_count_as_saturation():
    quiet = Rig(rate=100)
    wanted = quiet.measure().exposure_us
    rig = Rig(rate=100)
    rig.spikes = {2: {50: 16000}, 3: {10: 16000}}
    shot = rig.measure()
    assert abs(shot.exposure_us - wanted) < wanted * 0.02
    assert shot.saturated_frames <= 1


def test_a_cosmic_ray_is_in_no_sum_and_is_told():
    """In the second light frame, and in the first dark frame; the sums are those without it."""
    quiet = Rig(rate=100)
    shot = quiet.measure()
    assert shot.frames > 3 and shot.dark_frames > 1 and shot.rejected_pixels == 0
    first_dark = len(quiet.board.exposures) - shot.dark_frames
    rig = Rig(rate=100)
    rig.spikes = {4: {50: 9000}, first_dark + 1: {20: 7000, 21: 3000}}
    hit = rig.measure()
    assert hit.rejected_pixels == 3
    assert list(rig.acquirer.raw) == list(quiet.acquirer.raw)
    assert list(rig.acquirer.dark) == list(quiet.acquirer.dark)


def test_a_sample_that_gets_brighter_halves_the_exposure():
    rig = Rig(rate=100)
    seen = []

    def brighter(n):
        seen.append(n)
        if rig.acquirer.phase == "light" and rig.board.laser.power_uw == 100000:
            rig.rate = 180

    rig.board.on_expose = brighter
    shot = rig.measure()
    assert shot.saturated_frames == 0
    assert max(rig.acquirer.raw) < 16000 * shot.frames


def test_a_dark_sample_is_flagged_low_and_gets_the_longest_exposure():
    rig = Rig(rate=0)
    shot = rig.measure()
    assert shot.low_signal
    assert shot.exposure_us == 500000
    assert not Rig(rate=50).measure().low_signal


@pytest.mark.parametrize("phase", ["warning", "light", "dark"])
@pytest.mark.parametrize(
    ("reading", "code"),
    [
        ({"lid": False, "key": True}, "lid_open"),
        ({"lid": True, "key": False}, "key_open"),
        (OSError(5), "unreadable"),
    ],
)
def test_opening_in_any_phase_ends_it(phase, reading, code):
    rig = Rig(rate=100)

    def opens(n):
        if rig.acquirer.phase == phase:
            rig.board.reading = reading

    rig.board.on_expose = opens
    with pytest.raises(faults.UnitError) as caught:
        rig.measure()
    assert caught.value.code == code
    assert caught.value.do_next


@pytest.mark.parametrize("phase", ["warning", "light", "dark"])
def test_stop_in_any_phase_ends_it(phase):
    rig = Rig(rate=100)

    def stops(n):
        if rig.acquirer.phase == phase:
            rig.acquirer.stop("cancel")

    rig.board.on_expose = stops
    with pytest.raises(faults.UnitError) as caught:
        rig.measure()
    assert caught.value.code == "cancel"
    rig.board.on_expose = None
    rig.board.now_ms += 1000
    rig.laser.poll()
    rig.laser.press()
    rig.laser.answered("no", 100000)
    assert rig.measure().frames > 1  # and the next one works


@pytest.mark.parametrize("n", range(1, 12))
def test_a_detector_that_fails_at_any_frame_ends_it(n):
    rig = Rig(rate=100)

    def fails(count):
        if count == n:
            raise OSError(5, "detector")

    rig.board.on_expose = fails
    with pytest.raises(faults.UnitError) as caught:
        rig.measure()
    assert caught.value.code == "detector_failed"


def test_a_slow_detector_cannot_stretch_emission_past_its_bound():
    rig = Rig(rate=1)

    def slow(n):
        rig.board.now_ms += 400  # every frame takes far longer than asked

    rig.board.on_expose = slow
    try:
        rig.measure()
    except faults.UnitError as error:
        assert error.code == "time_limit"
    assert rig.laser.on_ms < 3000 + 1000  # the frame that was running when time was up, no more


def test_cancellation_ends_it():
    rig = Rig(rate=100)

    async def run():
        async def sleep_ms(ms):
            rig.board.now_ms += max(1, ms)
            await asyncio.sleep(0)

        asyncio.sleep_ms = sleep_ms
        task = asyncio.create_task(rig.acquirer.measure(False))
        while rig.acquirer.phase != "light":
            await asyncio.sleep(0)
        assert rig.board.laser.enabled
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del asyncio.sleep_ms

    asyncio.run(run())
    assert not rig.board.laser.enabled


pixels = st.lists(st.integers(0, 65535), min_size=3, max_size=50)


@given(pixels, st.integers(1, 65535))
def test_add_counts_and_sums(frame, full):
    total = [7] * len(frame)
    assert coadd.add_plain(total, frame, len(frame), full, True) == sum(v >= full for v in frame)
    coadd.add_plain(total, frame, len(frame), full, False)
    assert total == [2 * v for v in frame]


@given(pixels)
def test_peak_is_the_best_run_of_three(frame):
    reference = frame[::-1]
    d = [a - b for a, b in zip(frame, reference, strict=True)]
    best = max(min(d[i : i + 3]) for i in range(len(d) - 2))
    assert coadd.peak_plain(frame, reference, len(frame)) == best


@given(st.lists(st.integers(0, 4000), min_size=8, max_size=60), st.randoms(use_true_random=False))
def test_noise_is_the_standard_deviation(first, random):
    import statistics

    second = [max(0, v + random.randint(-30, 30)) for v in first]
    d = [a - b for a, b in zip(first, second, strict=True)]
    expected = statistics.pstdev(d) / 2**0.5 * 1000
    assert abs(coadd.noise_milli(first, second, len(d)) - expected) <= 2


@pytest.mark.needs("micropython")
def test_viper_and_plain_agree_on_micropython(micropython):
    script = """
import random
from array import array
import coadd
random.seed(5)
assert coadd.add is not coadd.add_plain, "viper is not in use"
for n in (3, 64, 2048):
    for _ in range(5):
        full = random.randrange(1, 65536)
        t1 = array("I", bytes(4 * n)); t2 = array("I", bytes(4 * n))
        ref = array("I", [random.getrandbits(16) for _ in range(n)])
        for first in (True, False, False):
            frame = array("H", [random.getrandbits(16) for _ in range(n)])
            a = coadd.add(t1, frame, n, full, first)
            b = coadd.add_plain(t2, frame, n, full, first)
            assert a == b and t1 == t2, (a, b)
            assert coadd.peak(frame, ref, n) == coadd.peak_plain(frame, ref, n)
big = array("I", [65535 * 1000] * 4)
coadd.add(big, array("H", [65535] * 4), 4, 65535, False)
assert list(big) == [65535 * 1001] * 4
print("same")
"""
    assert micropython(script).stdout.strip() == "same"


def test_the_shot_says_what_the_laser_and_detector_did():
    shot = Rig(rate=100).measure()
    assert (shot.laser_set_uw, shot.laser_uw, shot.laser_mdegc) == (100000, 100000, 25000)
    assert shot.detector_mdegc == 25000


def test_a_bright_pre_shot_is_shortened_by_steps_until_it_says_something():
    rig = Rig(rate=5000)
    shot = rig.measure()
    assert rig.lit()[:2] == [20000, 2500]
    assert shot.saturated_frames == 0
    assert 0.6 * 16000 < max(rig.acquirer.raw) / shot.frames < 0.8 * 16000


@pytest.mark.parametrize(("pixels_full", "halved"), [(1, False), (2, True)])
def test_two_full_pixels_in_the_first_frame_halve_the_exposure(pixels_full, halved):
    wanted = Rig(rate=100).measure().exposure_us
    rig = Rig(rate=100)
    rig.spikes = {3: {50 + i: 16000 for i in range(pixels_full)}}  # 1 reference, 2 pre-shot
    assert rig.measure().exposure_us == (wanted // 2 if halved else wanted)


def test_frames_are_planned_to_end_before_the_margin():
    rig = Rig(rate=1, total_ms=2990, exposure_max_us=200000)
    shot = rig.measure()
    assert shot.frames > 5
    assert rig.laser.on_ms <= 3000 - acquire.MARGIN_MS + 10  # one read-out after the last exposure


def test_no_time_left_for_a_frame_is_said_not_divided_by():
    rig = Rig(rate=100)

    def slow(n):
        if rig.acquirer.phase == "light" and rig.board.laser.power_uw == 25000:
            for _ in range(29):  # the pre-shot ate what the margin leaves
                rig.board.now_ms += 100
                rig.laser.poll()

    rig.board.on_expose = slow
    with pytest.raises(faults.UnitError) as caught:
        rig.measure()
    assert caught.value.code == "time_limit"


def test_opened_during_the_last_light_frame_is_not_kept():
    rig = Rig(rate=100, frames_max=1)

    def opens(n):
        if rig.acquirer.phase == "light" and rig.board.laser.power_uw == 100000:
            rig.board.reading = {"lid": False, "key": True}

    rig.board.on_expose = opens
    with pytest.raises(faults.UnitError) as caught:
        rig.measure()
    assert caught.value.code == "lid_open"
    assert rig.board.exposures[-1][1]  # no dark frame was begun


class Heating(Rig):
    """A dark sample: its broad background follows the dose, in mW times ms of laser light."""

    def __init__(self, rise_per_dose, **limits):
        super().__init__(10, **limits)
        self.rise = rise_per_dose
        self.dose = 0.0
        self.degc_from_dose = None

    def counts(self, us, on):
        values = super().counts(us, on)
        if not on:
            return values
        dose = us / 1000 * self.board.laser.power_uw / 1000
        glow = (0.2 + self.rise * self.dose) * dose / 20
        self.dose += dose
        return [int(value + glow) for value in values]


def test_a_dark_sample_is_measured_in_pulses_of_low_power():
    rig = Heating(0)
    shot = rig.measure(gentle=True)
    assert shot.stopped == ""
    assert shot.frames > 1
    powers = {call[2] for call in rig.board.laser.calls if call[1] == "power"}
    assert powers == {5000, 20000, 0}
    assert (shot.laser_set_uw, shot.laser_uw) == (20000, 20000)
    assert rig.dose <= 20 * 3000


@pytest.mark.parametrize("rise", [0.1, 1, 100])
def test_a_sample_that_heats_is_not_lit_any_longer_and_what_was_seen_is_kept(rise):
    calm = Heating(0)
    calm.measure(gentle=True)
    rig = Heating(rise)
    shot = rig.measure(gentle=True)
    assert shot.stopped == "background_rising"
    assert rig.dose < calm.dose / 2
    assert shot.frames >= 1
    assert shot.dark_frames >= 1
    lit = [us for us, on in rig.board.exposures if on]
    assert lit[-shot.frames :] == [shot.exposure_us] * shot.frames
    darks = rig.board.exposures[-shot.dark_frames :]
    assert darks == [(shot.exposure_us, False)] * shot.dark_frames
    assert sum(rig.acquirer.raw) / shot.frames > sum(rig.acquirer.dark) / shot.dark_frames


def test_a_sample_that_is_not_dark_is_not_watched():
    assert Heating(1).measure(gentle=False).stopped == ""


def test_a_warmer_detector_stops_a_dark_sample():
    rig = Heating(0)
    rig.board.temperature_mdegc = lambda: 25000 + (4000 if rig.dose > 500 else 0)
    shot = rig.measure(gentle=True)
    assert shot.stopped == "temperature_rising"


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 100000), st.floats(0, 1), st.integers(0, 2000))
def test_no_steady_or_bleaching_sample_is_stopped(rate, floor, glow):
    """Bands and background of four decades; the background falls to `floor` of what it was."""
    rig = Rig(rate)
    plain = rig.counts
    lit = [0]

    def counts(us, on):
        values = plain(us, on)
        if not on:
            return values
        lit[0] += 1
        left = floor + (1 - floor) * 0.7 ** lit[0]
        light = glow * left * us / 1000 * rig.board.laser.power_uw / 100000
        return [int(value + light) for value in values]

    rig.board.counts = counts
    assert rig.measure(gentle=True).stopped == ""
