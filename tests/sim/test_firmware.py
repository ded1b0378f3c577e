"""The real firmware on the real MicroPython in its heap, against the model: boot to "saved".

A broker is not there: what needs one is tested in tests/system.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fieldassay_sim.errors import SetupError
from fieldassay_sim.play import Player
from fieldassay_sim.unit import Unit, UnitConfig, read_keys

pytestmark = pytest.mark.needs("micropython")
KEY_HEX = "b3f09c1e57d24a86e1703c9b58fa2d64907e1bc25fd8463ac07b91e2f4685d3a"
QUICK = (
    "[settings.laser]\nwarning_ms = 100\n"
    "[settings.acquire]\ntotal_ms = 200\nexposure_max_us = 100000\ndark_frames_max = 2\n"
)
ACETONE = 'title = "t"\nseed = 3\n[samples.acetone]\nreference = "acetone"\n' + QUICK
HANG_S = 60.0


def make_unit(bench, folder: Path) -> Unit:
    config = UnitConfig(
        name="sim-1",
        key_hex=KEY_HEX,
        broker_host="127.0.0.1",
        broker_port=9,  # discard: nobody listens
        instrument=bench.instrument(0),
        settings=bench.scenario.settings,
    )
    return Unit(config, bench.condition(0), folder)


def scan(bench, folder, *steps):
    """Boot, do the steps, stop: (results, unit)."""

    async def work():
        unit = make_unit(bench, folder)
        await unit.start()
        try:
            player = Player(bench, unit, HANG_S, verdicts=False)
            await player.ready()
            return [await player.step(n, step) for n, step in enumerate(steps, 1)], unit
        finally:
            await unit.stop()

    return asyncio.run(work())


def logged(unit, kind):
    return [e["details"] for e in unit.events.recent if e["event"] == "log" and e["kind"] == kind]


def test_boot_to_ready_then_trigger_then_saved_and_no_rule_broken(make_bench, tmp_path):
    results, unit = scan(make_bench(ACETONE), tmp_path, {"title": "scan"})
    assert results[0]["outcome"] == "saved"
    assert (results[0]["boot"], results[0]["seq"]) == (1, 1)
    assert unit.audit.fired == 1
    assert unit.audit.violations == []
    assert logged(unit, "selftest")[0]["ok"] is True
    assert unit.flash.stat().st_size == 4096 * 1024
    assert (unit.boots, unit.crashes) == (1, 0)
    assert unit.pid is None


def test_the_flash_survives_a_restart_and_numbers_go_on(make_bench, tmp_path):
    bench = make_bench(ACETONE)
    scan(bench, tmp_path, {"title": "first"})
    results, unit = scan(bench, tmp_path, {"title": "second"})
    assert (results[0]["boot"], results[0]["seq"]) == (2, 1)
    assert "2/100" in unit.hardware.outputs.rows[0][0]


def test_no_light_with_the_lid_open_or_the_interlock_unreadable(make_bench, tmp_path):
    results, unit = scan(
        make_bench(ACETONE),
        tmp_path,
        {"title": "open", "set": {"lid": "open"}},
        {"title": "unreadable", "set": {"lid": "closed", "interlock_unreadable": True}},
    )
    assert [r["outcome"] for r in results] == ["refused", "refused"]
    assert unit.audit.fired == 0


def test_the_lid_opening_in_an_exposure_stops_it_in_time(make_bench, tmp_path):
    slow = ACETONE.replace("total_ms = 200", "total_ms = 2000")
    results, unit = scan(
        make_bench(slow), tmp_path, {"title": "lid", "lid_opens_after_fire_ms": 150}
    )
    assert results[0]["outcome"] == "stopped"
    assert unit.audit.fired == 1
    assert unit.audit.violations == []
    assert not unit.hardware.laser.enabled


def test_a_power_cut_while_emitting_ends_dark_and_boots_again(make_bench, tmp_path):
    results, unit = scan(
        make_bench(ACETONE),
        tmp_path,
        {"title": "cut", "power_cut_after_fire_ms": 60},
        {"title": "again"},
    )
    assert [r["outcome"] for r in results] == ["power_cut", "saved"]
    assert unit.boots == 2
    assert unit.audit.violations == []
    assert results[1]["boot"] == 2


def test_a_state_folder_with_a_very_long_path(make_bench, tmp_path):
    folder = tmp_path / ("a" * 150) / ("b" * 150)
    results, unit = scan(make_bench(ACETONE), folder, {"title": "saved"})
    assert [r["outcome"] for r in results] == ["saved"]
    assert unit.crashes == 0


@pytest.mark.parametrize("flash_op", [1, 7, 19])
def test_a_power_cut_at_a_flash_operation_leaves_a_unit_that_boots_and_measures(
    make_bench, tmp_path, flash_op
):
    results, unit = scan(
        make_bench(ACETONE),
        tmp_path,
        {"title": "cut", "power_cut_at_flash_op": flash_op},
        {"title": "again"},
    )
    assert [r["outcome"] for r in results] == ["power_cut", "saved"]
    assert unit.power_cuts == 2  # the restart that arms it, and the cut itself


def test_the_firmware_dies_with_the_simulator(make_bench, tmp_path, sources_dir):
    keys = tmp_path / "units.json"
    keys.write_text(json.dumps({"sim-1": KEY_HEX}), encoding="utf-8")
    command = [sys.executable, "-m", "fieldassay_sim", "run", "--keys", str(keys)]
    command += ["--state-dir", str(tmp_path), "--sources", str(sources_dir), "--panel-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        assert "panel http://127.0.0.1:" in simulator.stdout.readline()
        child = wait_for_pid(tmp_path / "sim-1.events.jsonl")
        simulator.send_signal(signal.SIGKILL)
    wait_until_gone(child)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_cleanly(tmp_path, sources_dir, how):
    keys = tmp_path / "units.json"
    keys.write_text(json.dumps({"sim-1": KEY_HEX}), encoding="utf-8")
    command = [sys.executable, "-m", "fieldassay_sim", "run", "--keys", str(keys)]
    command += ["--state-dir", str(tmp_path), "--sources", str(sources_dir), "--panel-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as simulator:
        assert simulator.stdout is not None
        simulator.stdout.readline()
        child = wait_for_pid(tmp_path / "sim-1.events.jsonl")
        simulator.send_signal(how)
        _, errors = simulator.communicate(timeout=HANG_S)
    assert simulator.returncode == 0
    assert errors == ""
    wait_until_gone(child)


def wait_for_pid(log: Path) -> int:
    import time

    end = time.monotonic() + HANG_S
    while time.monotonic() < end:
        if log.exists():
            lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
            if any(line.get("kind") == "selftest" for line in lines):
                return next(line["pid"] for line in lines if line["event"] == "power_on")
        time.sleep(0.05)
    pytest.fail("the firmware did not come up")


def wait_until_gone(pid: int) -> None:
    import time

    end = time.monotonic() + HANG_S
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"the interpreter {pid} is still there")


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "keys_missing"), ("[", "keys_damaged"), ('{"a": "short"}', "keys_damaged")],
)
def test_unusable_key_files_say_what_to_type(tmp_path, content, code):
    path = tmp_path / "units.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        read_keys(path)
    assert caught.value.code == code
