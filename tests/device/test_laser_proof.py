"""The laser's promises on the whole machine: failing hardware, random histories."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

HERE = Path(__file__).parent


def beside(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fixture = beside("firmware_fixture")
hardware = beside("laser_hardware")
MODULES = [fixture.device_module(n) for n in ("interlock", "laser", "buttons", "faults")]
ERRORS = (OSError, MemoryError, KeyboardInterrupt)
SEEDS = (1, 2, 3, 4)
STEPS = 1500


@pytest.mark.parametrize("error", ERRORS)
def test_every_call_of_the_hardware_may_fail_and_the_laser_is_off(error):
    assert hardware.inject_all(*MODULES, error) > 100


def test_random_histories_keep_the_promises_and_reach_light():
    runs = [hardware.storm(*MODULES, seed, STEPS) for seed in SEEDS]
    assert sum(fires for fires, _ in runs) > 50
    reached = {state for _, states in runs for state, _ in states}
    assert reached == {"safe", "armed", "emitting", "cooldown", "fault"}


@pytest.mark.needs("micropython")
def test_the_same_on_micropython(micropython):
    here = [hardware.inject_all(*MODULES, error) for error in ERRORS]
    here += [
        [fires, [list(pair) for pair in states]]
        for fires, states in (hardware.storm(*MODULES, seed, STEPS) for seed in SEEDS)
    ]
    script = f"""
import interlock, laser, buttons, faults, json, laser_hardware as hardware
mods = interlock, laser, buttons, faults
runs = [hardware.inject_all(*mods, e) for e in (OSError, MemoryError, KeyboardInterrupt)]
runs += [hardware.storm(*mods, seed, {STEPS}) for seed in {SEEDS}]
print(json.dumps(runs))
"""
    there = micropython(script, heap="256K", path=(fixture.DEVICE, HERE))
    assert json.loads(there.stdout) == here


class AnyHistory(RuleBasedStateMachine):
    """Every rule ends with a look of the guard, and every look is judged by the hardware."""

    @initialize()
    def boot(self):
        self.unit = hardware.Unit(*MODULES)
        self.unit.boot()

    @rule(action=st.integers(0, len(hardware.ACTIONS) - 1), n=st.integers(0, 0xFFFF))
    def act(self, action, n):
        hardware.ACTIONS[action](self.unit, n)
        self.unit.look(1)

    @rule(n=st.integers(0, 0xFFFF))
    def shoot(self, n):
        hardware._shot(self.unit, n)
        self.unit.look(1)

    def teardown(self):
        if hasattr(self, "unit"):
            self.unit.hardware.off_broken = False
            self.unit.stop()
            self.unit.look(1)
            assert not self.unit.hardware.enabled() or self.unit.lock.state == "emitting"


@pytest.mark.parametrize("name", ["interlock", "laser"])
def test_no_mutant_of_a_guard_survives(name):
    count, left = beside("laser_mutants").survivors(name)
    assert count > 90
    assert left == []


# 250 histories of 50 steps.
TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
