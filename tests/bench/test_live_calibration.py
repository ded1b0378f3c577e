"""Calibrating a unit at its port: a known wrong axis, a lamp, polystyrene, and what comes out.

Simulated optics behind real MicroPython; the person's steps are done by a thread.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from fieldassay import cli
from fieldassay.bench.repl import Repl
from fieldassay.calibrate.lamps import lamp
from fieldassay.calibrate.standards import standard
from fieldassay_sim.board_hardware import BoardHardware
from fieldassay_sim.optics import Instrument
from fieldassay_sim.parts import Condition
from fieldassay_sim.samples import GRID_CM1, Band, Package, Part, Sample, from_bands

spec = importlib.util.spec_from_file_location(
    "bench_service_fixtures", Path(__file__).with_name("test_service.py")
)
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)

pytestmark = pytest.mark.needs("micropython")
# What the unit truly is ...
TRUE = Instrument(seed=5, excitation_nm=784.62, offset_cm1=0.0, drift_cm1_per_degc=0.0)
# ... and what it believes: shifted by 1.3 nm, stretched by 1 %, the laser 0.38 nm off.
BELIEVED = json.dumps(
    {
        "id": "old",
        "date": "2026-01-15",
        "excitation_pm": 785_000,
        "coefficients_nm": ["801.8", "8.75e-2", "-2.4e-6", "-1.0e-10"],
    }
).encode()


def polystyrene() -> Sample:
    known = standard("polystyrene")
    bands = tuple(
        Band(float(at), float(height), 4.0)
        for at, height in zip(known.shift_cm1, known.strength, strict=True)
    )
    return Sample("ps", "polystyrene", (Part("ps", from_bands(bands, 300.0), 1.0),))


def neon() -> tuple[tuple[float, float], ...]:
    lines = lamp("neon")
    return tuple(
        (float(nm), 5e3 * float(strength))
        for nm, strength in zip(lines.nm, lines.strength, strict=True)
    )


@pytest.fixture
def parts():
    none = np.zeros_like(GRID_CM1)
    condition = Condition(sample=None, package=Package("none", 1.0, none, none))
    with BoardHardware(TRUE, condition) as hardware:
        yield hardware


@pytest.fixture
def port(make_board, parts, root):
    board = make_board(bus=parts.bus, heap="512K", blocks=512, on_power_loss=parts.power_on)
    with Repl(board.port) as repl:
        repl.enter()
        repl.files.sync(shared.firmware_files(root), "/a")
        repl.put("/main.py", shared.MAIN)
        repl.put("/settings.json", shared.UNIT.settings_json().encode())
        repl.put("/calibration.json", BELIEVED)
    return board.port


def person(parts, monkeypatch):
    """Does what is asked: lamp on, sample in, trigger."""

    def do(step=""):
        def change(hardware):
            hardware.condition.lamp = neon() if "neon" in step else ()
            if "holder" in step:
                hardware.place(polystyrene(), hardware.condition.package)

        parts.do(change)
        if "holder" in step:
            shared.press_when(parts, "Service measurement")
        return ""

    monkeypatch.setattr("builtins.input", do)


COMMAND = ["unit", "calibrate", "bench-1", "--lamp", "neon=live", "--standard", "polystyrene=live"]


def test_a_wrong_axis_and_laser_are_put_right_at_the_port(
    port, parts, monkeypatch, tmp_path, capsys
):
    person(parts, monkeypatch)
    command = [*COMMAND, "--port", port, "--home", str(tmp_path / "home"), "--id", "new"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "press the unit's own trigger" in said and "written to the unit" in said
    with Repl(port) as repl:
        repl.enter(soft_reset=True)
        found = json.loads(repl.get("/calibration.json"))
        assert not repl.files.exists("/calibration.json.new")
    pixels = np.arange(TRUE.pixels, dtype=float)
    coefficients = np.array([float(c) for c in found["coefficients_nm"]])
    nm = np.polynomial.polynomial.polyval(pixels, coefficients)
    laser_nm = found["excitation_pm"] / 1000.0
    off = (1e7 / laser_nm - 1e7 / nm) - TRUE.shift_cm1()
    inside = (TRUE.shift_cm1() > 300) & (TRUE.shift_cm1() < 1700)
    assert np.sqrt(np.mean(off[inside] ** 2)) < 0.1
    assert abs(laser_nm - TRUE.excitation_nm) < 0.05
    believed = json.loads(BELIEVED)
    before_nm = np.polynomial.polynomial.polyval(
        pixels, np.array([float(c) for c in believed["coefficients_nm"]])
    )
    before = (1e7 / 785.0 - 1e7 / before_nm) - TRUE.shift_cm1()
    assert np.sqrt(np.mean(before[inside] ** 2)) > 10.0
    from fieldassay_sim import detector as simulated

    hot = set(np.flatnonzero(simulated.pattern(TRUE).dark > 10.0))
    assert set(found["hot_pixels"]) == hot
    assert parts.audit.fired == 1 and not parts.audit.violations


def test_a_dead_lamp_leaves_the_unit_as_it_was(port, parts, monkeypatch, tmp_path, capsys):
    person(parts, monkeypatch)
    monkeypatch.setattr(f"{__name__}.neon", lambda: ())
    assert cli.main([*COMMAND, "--port", port, "--home", str(tmp_path / "home")]) == 1
    assert "calibration_too_few_lines" in capsys.readouterr().err
    with Repl(port) as repl:
        repl.enter(soft_reset=True)
        assert repl.get("/calibration.json") == BELIEVED


def test_another_unit_is_refused_before_anything_is_measured(
    port, parts, monkeypatch, tmp_path, capsys
):
    person(parts, monkeypatch)
    command = [*COMMAND, "--port", port, "--home", str(tmp_path / "home")]
    command[2] = "other"
    assert cli.main(command) == 1
    assert "unit_has_other_identity" in capsys.readouterr().err
    assert parts.audit.fired == 0


def test_live_needs_a_port(tmp_path, capsys):
    assert cli.main([*COMMAND, "--home", str(tmp_path / "home")]) == 1
    assert "--port" in capsys.readouterr().err
