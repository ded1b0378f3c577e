"""Fixtures of the simulator's tests: a hardware on a clock of its own, a bench from text."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldassay_sim.audit import Audit
from fieldassay_sim.bench import Bench
from fieldassay_sim.optics import Instrument
from fieldassay_sim.parts import Condition, Hardware
from fieldassay_sim.references import References
from fieldassay_sim.samples import GRID_CM1, Band, Fluorescence, Package, Part, Sample, from_bands
from fieldassay_sim.scenario import parse


class Clock:
    """Milliseconds that move only when told to."""

    def __init__(self) -> None:
        self.ms = 1000.0

    def __call__(self) -> float:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def one_band() -> Sample:
    """A sample of one band at 1000 cm-1 that no reference file is needed for."""
    curve = from_bands((Band(1000.0, 1.0, 4.0),), 40.0)
    return Sample("band", "one band", (Part("band", curve, 1.0),), fluorescence=Fluorescence(2.0))


@pytest.fixture(scope="session")
def no_package() -> Package:
    none = np.zeros_like(GRID_CM1)
    return Package("none", 1.0, none, none)


@pytest.fixture
def hardware(clock: Clock, one_band: Sample, no_package: Package) -> Hardware:
    """A unit's parts without process and bus; `hardware.said` is its event log."""
    said: list[tuple[str, dict[str, Any]]] = []
    state = Condition(sample=one_band, package=no_package)
    audit = Audit(8000.0)
    parts = Hardware(
        Instrument(seed=3),
        state,
        audit,
        lambda event, details: said.append((event, details)),
        clock,
    )
    parts.said = said  # type: ignore[attr-defined]
    parts.power_on()
    return parts


@pytest.fixture
def make_bench(sources_dir: Path, tmp_path: Path) -> Callable[[str], Bench]:
    """Bench of a scenario given as TOML text."""
    return lambda text: Bench(parse(text, tmp_path / "test.toml"), References(sources_dir))


FIRES_AT_BOOT = """
_main = main


def main(board, slots=None):
    board.laser.set_power_uw(1000)
    board.laser.fire(50)
    _main(board, slots)
"""


@pytest.fixture
def firing_at_boot(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real firmware, but it fires once at boot before its self-test."""
    device = tmp_path / "device"
    shutil.copytree(root / "device", device)
    with (device / "main.py").open("a", encoding="utf-8") as main:
        main.write(FIRES_AT_BOOT)
    monkeypatch.setenv("FIELDASSAY_DEVICE", str(device))
