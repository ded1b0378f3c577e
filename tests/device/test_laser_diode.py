"""The laser head's driver by recorded bus dialogues, on real MicroPython; no hardware."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FAKES = Path(__file__).with_name("fakes")
DEVICE = Path(__file__).resolve().parents[2] / "device"
pytestmark = pytest.mark.needs("micropython")

START = """
import json, time, rp2
from laser_parts import Adc, DacOnI2c, Pin, Rmt
from drivers.laser_diode import LaserDiode
from drivers.mcp4725 import Mcp4725
from drivers.one_shot import PAUSE_MS, PioOneShot, RmtOneShot
from drivers.one_shot_pio import one_shot

said = rp2.dialogue
enable, gate = Pin(said, 15), Pin(said, 14, 1)
bus = DacOnI2c(said)
light, heat = Adc(1000), Adc(32768)
calibration = {
    "power_codes": [[1000, 400], [100000, 2380], [450000, 3780]],
    "photodiode_zero": 1000, "photodiode_uw": 500000,
    "ntc_ohm": 10000, "ntc_beta": 3950, "ntc_series_ohm": 10000,
}

def tried(call, *args):
    try:
        return call(*args)
    except OSError as error:
        return ["OSError"] + [str(arg) for arg in error.args]

def pio():
    return LaserDiode(PioOneShot(rp2.StateMachine(4), one_shot, enable), Mcp4725(bus), light, heat,
                      enable, gate, calibration)

def rested():
    time.sleep_ms(PAUSE_MS + 5)

answers = []
def note(value): answers.append(value)
"""


@pytest.fixture
def dialogue(micropython):
    """Run lines after START: (what the driver said to the buses, what the script noted)."""

    def run(body):
        script = START + body + "\nprint(json.dumps([said, answers]))\n"
        return json.loads(micropython(script, path=(FAKES, DEVICE)).stdout)

    return run


def short(said):
    return [[*entry[:2], {}] if entry[0] == "init" else entry for entry in said]


def test_a_shot_sets_power_then_enables_then_drops_the_enable_first(dialogue):
    said, answers = dialogue(
        "laser = pio()\nrested()\nlaser.set_power_uw(100000)\nlaser.fire(2000)\nlaser.off()"
    )
    assert answers == []
    assert short(said) == [
        ["init", 4, {}],
        ["active", 4, True],
        ["i2c", 0x60, [0, 0]],  # whatever the DAC's memory held
        ["restart", 4],
        ["i2c", 0x60, [0, 0]],
        ["i2c", 0x60, [2380 >> 8, 2380 & 255]],
        ["put", 4, [12499]],  # 12500 ticks of 160 us
        ["restart", 4],
        ["i2c", 0x60, [0, 0]],
    ]
    assert said[0][3] == {"sideset_base": 15}
    assert said[0][4] == {"freq": 6250}


def test_no_emission_without_a_power_and_none_after_off(dialogue):
    said, answers = dialogue(
        "laser = pio()\nrested()\nnote(tried(laser.fire, 100))\n"
        "laser.set_power_uw(1000)\nlaser.off()\nrested()\nnote(tried(laser.fire, 100))"
    )
    assert [answer[-1] for answer in answers] == ["no power set"] * 2
    assert not [entry for entry in said if entry[0] == "put"]


@pytest.mark.parametrize("max_ms", [-5, 0, 10486, 2**31])
def test_durations_the_hardware_cannot_bound_are_refused(dialogue, max_ms):
    said, answers = dialogue(
        f"laser = pio()\nrested()\nlaser.set_power_uw(1000)\nnote(tried(laser.fire, {max_ms}))"
    )
    assert answers[0][0] == "OSError"
    assert not [entry for entry in said if entry[0] == "put"]


def test_a_second_request_is_refused_while_one_runs_and_in_the_pause(dialogue):
    _, answers = dialogue(
        "laser = pio()\nlaser.set_power_uw(1000)\nnote(tried(laser.fire, 30))\nrested()\n"
        "note(tried(laser.fire, 30))\nnote(tried(laser.fire, 30))\nlaser.off()\n"
        "laser.set_power_uw(1000)\nnote(tried(laser.fire, 30))\nrested()\n"
        "note(tried(laser.fire, 30))"
    )
    assert [answer and answer[-1] for answer in answers] == [
        "the one-shot is not ready", None, "the one-shot is not ready",
        "the one-shot is not ready", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("uw", "code"),
    [
        (0, 0),
        (1000, 400),
        (50500, 1390),
        (100000, 2380),
        (450000, 3780),
        (999, None),
        (450001, None),
    ],
)
def test_power_goes_through_the_calibration_and_never_outside_it(dialogue, uw, code):
    _, answers = dialogue(f"laser = pio()\nnote(tried(laser.set_power_uw, {uw}))\nnote(bus.code)")
    assert answers[1] == (code or 0)
    assert (answers[0] is None) == (code is not None)


def test_a_dac_that_does_not_take_its_value_gives_no_emission(dialogue):
    _, answers = dialogue(
        "laser = pio()\nrested()\nlaser.set_power_uw(1000)\nbus.deaf = True\n"
        "note(tried(laser.set_power_uw, 100000))\nnote(tried(laser.fire, 100))"
    )
    assert [answer[-1] for answer in answers] == ["DAC did not take its value", "no power set"]


def test_off_drops_the_enable_although_the_dac_is_broken_and_says_so(dialogue):
    said, answers = dialogue(
        "laser = pio()\nrested()\nlaser.set_power_uw(1000)\nlaser.fire(500)\nbus.broken = True\n"
        "note(tried(laser.off))\nbus.broken = False\nrested()\nnote(tried(laser.fire, 100))"
    )
    assert answers[0] == ["OSError", "5"]
    assert answers[1][-1] == "no power set"
    assert ["restart", 4] in said[said.index(["put", 4, [3124]]) :]


def test_enabled_can_fire_light_and_temperature_are_read_each_for_itself(dialogue):
    _, answers = dialogue(
        """
laser = pio()
note(laser.read())
enable.level = 1; light.reading = 33000; heat.reading = 16000
note(laser.read())
gate.level = 0; light.reading = 0
note(laser.read())
"""
    )
    assert answers[0][:3] == [False, True, 0]
    assert answers[0][3] == pytest.approx(25000, abs=10)
    assert answers[1][:3] == [True, True, 246153]
    assert answers[1][3] == pytest.approx(52800, abs=20)  # 3230 ohm by the beta formula
    assert answers[2][:3] == [True, False, 0]


@pytest.mark.parametrize(
    "state", ["light.reading = 65535", "heat.reading = 0", "heat.reading = 65535"]
)
def test_a_reading_at_its_end_is_no_reading(dialogue, state):
    _, answers = dialogue(f"laser = pio()\n{state}\nnote(tried(laser.read))")
    assert answers[0][0] == "OSError"


def test_the_rmt_sends_one_pulse_no_longer_than_asked_and_off_takes_the_pin(dialogue):
    said, answers = dialogue(
        "shot = RmtOneShot(lambda: Rmt(said), enable)\nrested()\nshot.fire(250)\n"
        "note(tried(shot.fire, 250))\nshot.off()\nrested()\nnote(tried(shot.fire, 9950))\n"
        "note(RmtOneShot.LONGEST_MS)"
    )
    assert answers[0][-1] == "the one-shot is not ready"
    assert "emission must be" in answers[1][-1]
    assert answers[2] == 95 * 32767 * 1000 // 313725
    pulses = [entry for entry in said if entry[0] == "pulses"]
    assert len(pulses) == 1
    _, durations, levels = pulses[0]
    assert set(levels) == {1}
    assert max(durations) <= 32767
    assert 249.9 < sum(durations) * 255 / 80_000 <= 250
    assert said[-2:] == [["pin", 15, "out", 0], ["rmt_deinit"]]


@pytest.mark.parametrize(
    "change",
    [
        "calibration['power_codes'] = []",
        "calibration['power_codes'] = [[1000, 400], [900, 500]]",
        "calibration['power_codes'] = [[1000, 400], [2000, 300]]",
        "calibration['power_codes'] = [[1000, 4096]]",
        "calibration['power_codes'] = [[-1, 4]]",
        "calibration['power_codes'] = [['1', 4]]",
        "calibration['power_codes'] = [7]",
        "calibration['power_codes'] = None",
        "calibration['photodiode_uw'] = 0",
        "del calibration['ntc_beta']",
    ],
)
def test_a_calibration_without_sense_gives_no_laser_and_the_enable_is_low(dialogue, change):
    said, answers = dialogue(f"{change}\nnote(tried(pio))")
    assert answers == [["OSError", "22", "laser calibration makes no sense"]]
    assert ["restart", 4] in said
    assert not [entry for entry in said if entry[0] == "put"]
