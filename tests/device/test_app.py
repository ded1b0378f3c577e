"""The whole firmware on real MicroPython in its heap, with boot file, flash image and a bench.

No broker here: what the unit promises without a network. `test_app_link.py` has the host's side.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest
from fieldassay_wire import mac0, messages

pytestmark = pytest.mark.needs("micropython")


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bus = load("firmware_bus")
fixture = load("firmware_fixture")


@pytest.fixture
def program(tool):
    return tool("micropython")


@pytest.fixture
def bench(tmp_path, program):
    with bus.Bench(tmp_path) as bench:
        yield bench.boot(program).ready()


def records(files):
    return {path: data for path, data in files.items() if path.endswith(".rec")}


def opened(sealed):
    kind, kid, payload = mac0.open_sealed(sealed, bytes.fromhex(bus.KEY))
    assert (kind, kid) == ("measurement", b"bench-1")
    return messages.parse(kind, payload)


def test_boot_press_saved_with_the_right_content(bench):
    bench.press(2)  # NEXT: packaging "none"
    bench.press()
    saved = bench.wait_log("saved")
    bench.wait_screen("SAVED ON THE UNIT")
    (sealed,) = records(bench.end()).values()
    assert hashlib.sha256(sealed).hexdigest() == saved["sha256"]
    m = opened(sealed)
    assert (m["unit"], m["boot"], m["seq"]) == ("bench-1", 1, 1) == ("bench-1", *number(saved))
    assert (m["time_ms"], m["clock"]) == (1_790_000_000_000, "rtc")
    assert m["flags"] == []
    assert m["answers"] == {"packaging": "none", "sample": "", "dark_sample": "no"}
    assert (m["series"], m["spot"], m["battery_mv"]) == (1, 1, 3900)
    assert (m["gain_me_per_count"], m["read_noise_me"]) == (4000, 10000)
    assert (m["full_scale_counts"], m["excitation_pm"]) == (65535, 785000)
    assert m["laser_set_uw"] == m["laser_uw"] == 100000
    assert (m["laser_mdegc"], m["detector_mdegc"]) == (26000, 25000)
    known = {name: value for name, value in bus.CALIBRATION.items() if name != "excitation_pm"}
    assert m["calibration"] == known
    assert m["selftest"]["ok"] is True
    assert set(m["selftest"]["checks"].values()) == {"pass"}
    firmware = fixture.device_module("firmware").describe(str(fixture.DEVICE))
    assert m["firmware"] == firmware
    # what was exposed is what is said
    lit = [us for us, on in bench.exposures if on]
    assert lit[-m["frames"] :] == [m["exposure_us"]] * m["frames"]
    assert bench.exposures[-m["dark_frames"] :] == [(m["exposure_us"], False)] * m["dark_frames"]
    raw, dark = as_u32(m["raw"]), as_u32(m["dark"])
    assert len(raw) == len(dark) == 2048
    band = raw[700] / m["frames"]
    assert abs(band - 1004 - 2000 * m["exposure_us"] / 1000) < 10
    assert 0.6 * 65535 < band < 0.85 * 65535
    assert abs(sum(dark) / 2048 / m["dark_frames"] - 1004) < 1
    assert all(span < 3000 for span in bench.on_spans_ms)


def as_u32(values):
    return memoryview(bytes(values.data)).cast("I").tolist()


def number(details):
    return details["boot"], details["seq"]


def test_the_laser_is_off_before_anything_else(tmp_path, program):
    order = []
    with bus.Bench(tmp_path) as bench:
        bench.hook = lambda op, args: order.append(op)
        bench.boot(program).ready()
    assert order.index("laser_off") < order.index("log")
    assert first(order) == "laser_off"
    assert "laser_fire" not in order


def first(order):
    return next(op for op in order if op not in ("hello", "provision"))


def test_two_measurements_two_boots_number_themselves(tmp_path, program):
    with bus.Bench(tmp_path) as bench:
        bench.boot(program).ready()
        for count in (1, 2):
            bench.press()
            assert number(bench.wait_log("saved", count)) == (1, count)
        bench.wait_screen("SAVED")
        bench.end()
    with bus.Bench(tmp_path) as again:
        again.boot(program).ready()
        again.press()
        assert number(again.wait_log("saved")) == (2, 1)
        assert len(records(again.end())) == 3


def test_lid_opened_in_the_middle_of_an_exposure(bench):
    def opens(op, args):
        if op == "expose_ready" and bench.lit and len(bench.exposures) > 6:
            bench.lid = False

    bench.hook = opens
    bench.press()
    stopped = bench.wait_log("stopped")
    assert stopped["reason"] == "lid_open"
    bench.wait_screen("NOT MEASURED")
    assert "Close the lid" in bench.screen.replace("\n", " ")
    assert not bench.lit
    assert not bench.logs("saved")
    bench.hook = lambda op, args: None
    bench.press()
    assert bench.wait_log("refused")["reason"] == "lid_open"
    bench.lid = True
    bench.press()
    bench.wait_log("saved")
    assert len(bench.fires) == 2
    assert len(records(bench.end())) == 1


def test_the_officer_stops_it_with_a_button(bench):
    def holds_ok(op, args):
        if op == "expose_ready" and bench.lit:
            bench.buttons = 4

    bench.hook = holds_ok
    bench.press()
    assert bench.wait_log("stopped")["reason"] == "cancel"
    assert not bench.lit
    assert not bench.logs("saved")


def test_interlock_that_cannot_be_read_never_fires(bench):
    bench.unreadable = True
    bench.press()
    assert bench.wait_log("refused")["reason"] == "unreadable"
    bench.wait_screen("NOT MEASURED")
    assert not bench.fires
    bench.unreadable = False
    bench.press()
    bench.wait_log("saved")


def test_interlock_that_becomes_unreadable_while_emitting_latches_until_ok_is_held(bench):
    def breaks(op, args):
        if op == "expose_ready" and bench.lit:
            bench.unreadable = True

    bench.hook = breaks
    bench.press()
    assert bench.wait_log("fault")["code"] == "unreadable"
    assert not bench.lit
    bench.hook = lambda op, args: None
    bench.unreadable = False
    bench.wait_screen("FAULT")
    bench.press()
    assert bench.wait_log("refused")["reason"] == "unreadable"
    assert len(bench.fires) == 1
    bench.press(4, hold_s=1.8)
    bench.wait_log("selftest", 2)
    bench.wait_screen("READY")
    bench.press()
    bench.wait_log("saved")


def test_a_press_during_the_pause_does_not_outlive_a_fault(bench):
    """Pressed while the laser rests, then a fault: after its reset only a new press may light."""
    failed = []

    def hook(op, args):
        if op == "expose_ready" and bench.lit and not bench.logs("stopped"):
            bench.buttons = 4
        if op == "log" and args[0] == "stopped":
            bench.buttons = 1
        if op == "laser_off" and bench.logs("stopped") and not failed:
            failed.append(True)
            raise OSError(5, "driver")

    bench.hook = hook
    bench.press()
    assert bench.wait_log("fault")["code"] == "laser_unreadable"
    assert failed
    bench.buttons = 0
    bench.wait_screen("FAULT")
    bench.press(4, hold_s=1.8)
    bench.wait_log("selftest", 2)
    bench.wait_screen("READY")
    seen = bench.ops["buttons"]
    bench.wait(lambda: bench.ops["buttons"] > seen + 20)  # 20 polls of the guard in SAFE
    assert len(bench.fires) == 1
    assert "READY" in bench.screen
    bench.press()
    bench.wait_log("saved")


def test_a_buzzer_that_fails_refuses_the_measurement_and_not_the_unit(bench):
    """No sound, no warning: then no light either."""

    def mute(op, args):
        if op == "buzz":
            raise OSError(5, "buzzer")

    bench.hook = mute
    bench.press()
    assert bench.wait_log("fault")["code"] == "warning_failed"
    bench.wait_screen("FAULT")
    assert not bench.fires
    bench.hook = lambda op, args: None
    bench.press(4, hold_s=1.8)
    bench.wait_log("selftest", 2)
    bench.wait_screen("READY")
    bench.press()
    bench.wait_log("saved")


def test_a_laser_driver_that_fails_at_boot_is_said(tmp_path, program):
    def dead(op, args):
        if op == "laser_off":
            raise OSError(5, "driver")

    with bus.Bench(tmp_path) as bench:
        bench.hook = dead
        bench.boot(program)
        bench.wait_screen("FAULT")
        assert "driver" in bench.screen
        assert "technician" in bench.screen.replace("\n", " ")
        assert not bench.fires


def test_a_driver_that_fails_between_two_powers_is_not_called_a_detector(bench):
    def fails(op, args):
        if op == "laser_power" and bench.lit:
            raise OSError(5, "driver")

    bench.hook = fails
    bench.press()
    assert bench.wait_log("stopped")["reason"] == "laser_unreadable"
    assert not bench.lit
    bench.wait_screen("The laser driver does not")


def test_a_detector_that_is_never_ready_fails_the_check_and_ends_the_wait(tmp_path, program):
    with bus.Bench(tmp_path) as bench:
        bench._expose_ready = lambda now: False
        bench.boot(program).ready()
        checks = bench.logs("selftest")[0]["checks"]
        assert (checks["dark_level"], checks["read_noise"]) == ("fail", "fail")
        bench.press()
        assert bench.wait_log("stopped")["reason"] == "detector_failed"
        assert not bench.fires


def test_nothing_that_may_block_happens_while_the_laser_is_on(bench):
    """The broker's port is closed: it is tried again and again, but never while lit."""
    lit = []

    def watch(op, args):
        if op == "log" and bench.lit:
            lit.append(args[0])

    bench.hook = watch
    for count in (1, 2, 3):
        bench.press()
        bench.wait_log("saved", count)
    bench.wait_log("link_down", 3)
    assert lit == ["fire"] * 3


def test_interlock_unreadable_at_boot_blocks_with_a_fault(tmp_path, program):
    with bus.Bench(tmp_path) as bench:
        bench.unreadable = True
        bench.boot(program)
        assert bench.wait_log("selftest")["checks"]["interlock"] == "fail"
        bench.wait(lambda: bench.ops.get("buttons", 0) > 3)
        bench.wait_screen("FAULT")
        bench.unreadable = False
        bench.press()
        assert bench.wait_log("refused")["reason"] == "selftest_failed"
        assert not bench.fires


def test_detector_failure_is_shown_and_the_next_one_works(bench):
    def fails(op, args):
        if op == "expose_read" and bench.lit:
            raise OSError(5, "cable")

    bench.hook = fails
    bench.press()
    assert bench.wait_log("stopped")["reason"] == "detector_failed"
    assert not bench.lit
    bench.wait_screen("The detector did not")
    bench.hook = lambda op, args: None
    bench.press()
    bench.wait_log("saved")


def test_battery_flat_and_low(bench):
    bench.battery_mv = 3299
    bench.press()
    assert bench.wait_log("refused")["reason"] == "battery_flat"
    bench.battery_mv = 3400
    bench.press()
    bench.wait_log("saved")
    (sealed,) = records(bench.end()).values()
    assert opened(sealed)["flags"] == ["battery_low"]


def test_spool_full_refuses_and_keeps_what_it_has(tmp_path, program):
    settings = json.loads(json.dumps(bus.SETTINGS))
    settings["spool"] = {"capacity": 2}
    with bus.Bench(tmp_path, settings) as bench:
        bench.boot(program).ready()
        for count in (1, 2):
            bench.press()
            bench.wait_log("saved", count)
        bench.press()
        assert bench.wait_log("refused")["reason"] == "spool_full"
        bench.wait_screen("The memory is full")
        assert "Nothing is lost" in bench.screen.replace("\n", " ")
        assert len(bench.fires) == 2
        assert len(records(bench.end())) == 2


def test_saturation_and_an_unset_clock_are_flagged(bench):
    bench.rate = 1e7
    bench.clock = [12345, "unset"]
    bench.press()
    bench.wait_log("saved")
    bench.wait_screen("saturated")
    (sealed,) = records(bench.end()).values()
    m = opened(sealed)
    assert m["exposure_us"] == 1000
    assert {"saturated", "clock_unset"} <= set(m["flags"])
    assert m["saturated_pixels"] >= 10
    assert m["time_ms"] == 0


def test_twelve_in_a_row_fit_in_the_heap(bench):
    for count in range(1, 13):
        bench.press()
        bench.wait_log("saved", count)
        bench.wait_screen("SAVED")
    assert not bench.logs("fault")
    assert len(records(bench.end())) == 12


@pytest.mark.parametrize(
    ("settings", "code", "shown"),
    [
        ({**bus.SETTINGS, "colour": "blue"}, "settings_unknown_key", "colour"),
        (
            {**bus.SETTINGS, "laser": {"max_on_ms": 60000}},
            "settings_out_of_range",
            "laser.max_on_ms",
        ),
        ("{", "settings_damaged", "cannot be read"),
    ],
)
def test_wrong_settings_are_shown_and_nothing_runs(tmp_path, program, settings, code, shown):
    with bus.Bench(tmp_path, settings) as bench:
        bench.boot(program)
        fault = bench.wait_log("fault")
        assert fault["code"] == code
        bench.wait_screen("FAULT  LASER OFF")
        assert shown in bench.screen.replace("\n", " ").replace("  ", " ")
        assert "technician" in bench.screen
        assert not bench.fires


def test_however_long_the_reason_the_advice_is_shown(tmp_path, program):
    settings = {**bus.SETTINGS, "x" * 300: 1}
    with bus.Bench(tmp_path, settings) as bench:
        bench.boot(program)
        bench.wait_screen("FAULT  LASER OFF")
        assert "A technician must" in bench.screen


def test_a_broken_firmware_file_ends_with_the_laser_off_and_a_fault(tmp_path, program, monkeypatch):
    import shutil

    copy = tmp_path / "device"
    shutil.copytree(fixture.DEVICE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "link.py").write_text("this is not python\n")
    monkeypatch.setattr(bus, "DEVICE", copy)
    order = []
    with bus.Bench(tmp_path) as bench:
        bench.hook = lambda op, args: order.append(op)
        bench.boot(program)
        assert bench.wait_log("fault")["code"] == "firmware_stopped"
        bench.wait_screen("FAULT  LASER OFF")
    assert first(order) == "laser_off"
