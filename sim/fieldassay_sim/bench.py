"""From a scenario's words to things: samples as curves, instruments, each unit's condition.

Reads reference files through `references`; knows nothing of processes and steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fieldassay_sim import samples
from fieldassay_sim.optics import Instrument
from fieldassay_sim.parts import Condition, Hardware
from fieldassay_sim.references import RATE_WITHOUT_EXPOSURE_PER_MS, References, read_file
from fieldassay_sim.samples import Band, Fluorescence, Part, Sample
from fieldassay_sim.scenario import Scenario


class Bench:
    """The samples and instruments of one scenario.

    Args:
        scenario: A checked scenario.
        references: Where reference spectra come from.

    Raises:
        SpectrumError: A reference or file of the scenario is missing or unreadable.
    """

    def __init__(self, scenario: Scenario, references: References) -> None:
        self.scenario = scenario
        self.references = references
        self.packages = {kind: samples.package(kind, references) for kind in samples.PACKAGINGS}
        curves = {
            sample_id: self._curve(sample)
            for sample_id, sample in scenario.samples.items()
            if "mixture" not in sample
        }
        self.samples = {
            sample_id: self._sample(sample_id, sample, curves)
            for sample_id, sample in scenario.samples.items()
        }

    def standard(self, name: str) -> Sample:
        """A shift standard that every bench has, from the reference of that name.

        Raises:
            SpectrumError: The reference is missing.
        """
        curve = samples.on_grid(self.references.get(name))
        return Sample(id=name, title=name.capitalize(), parts=(Part(name, curve, 1.0),))

    def _curve(self, sample: Mapping[str, Any]) -> samples.Floats:
        if "reference" in sample:
            return samples.on_grid(self.references.get(sample["reference"]))
        if "file" in sample:
            return samples.on_grid(read_file(self.scenario.path.parent / sample["file"]))
        if "bands" in sample:
            bands = tuple(Band(*map(float, band)) for band in sample["bands"])
            rate = float(sample.get("rate_per_ms", RATE_WITHOUT_EXPOSURE_PER_MS))
            return samples.from_bands(bands, rate)
        return np.zeros_like(samples.GRID_CM1)

    def _sample(
        self, sample_id: str, sample: Mapping[str, Any], curves: Mapping[str, samples.Floats]
    ) -> Sample:
        named = sample.get("mixture", [{"sample": sample_id, "weight": 1.0}])
        return Sample(
            id=sample_id,
            title=sample.get("title", sample_id),
            parts=tuple(
                Part(part["sample"], curves[part["sample"]], float(part["weight"]))
                for part in named
            ),
            strength=float(sample.get("strength", 1.0)),
            fluorescence=Fluorescence(
                **{key: float(value) for key, value in sample.get("fluorescence", {}).items()}
            ),
        )

    def names(self) -> list[str]:
        """Unit names of the fleet; one default name without a fleet."""
        fleet = self.scenario.fleet
        prefix = fleet.get("prefix", "sim-")
        return [f"{prefix}{number}" for number in range(1, fleet.get("units", 1) + 1)]

    def instrument(self, index: int, seed: int | None = None) -> Instrument:
        """Instrument of the fleet's unit `index` (0 is the scenario's own, unvaried).

        Args:
            index: Number in the fleet.
            seed: Replaces the scenario's seed.
        """
        values = dict(self.scenario.instrument)
        if "coefficients_nm" in values:
            values["coefficients_nm"] = tuple(float(c) for c in values["coefficients_nm"])
        base = Instrument(seed=(self.scenario.seed if seed is None else seed) + index, **values)
        if index == 0:
            return base
        vary, rng = self.scenario.fleet.get("vary", {}), self._rng(index, seed)
        spread = {key: float(rng.uniform(-1, 1)) * vary.get(key, 0.0) for key in _VARIED}
        return replace(
            base,
            width_cm1=max(2.0, base.width_cm1 + spread["width_cm1"]),
            offset_cm1=base.offset_cm1 + spread["offset_cm1"],
            tilt=float(np.clip(base.tilt + spread["tilt"], -0.9, 0.9)),
            throughput=base.throughput * (1.0 + spread["throughput"]),
            dark_e_per_s=base.dark_e_per_s * (1.0 + spread["dark_e_per_s"]),
        )

    def condition(self, index: int, seed: int | None = None) -> Condition:
        """How the fleet's unit `index` is when it starts; without a sample named, the first one."""
        state = Condition(package=self.packages["none"])
        given = dict(self.scenario.condition)
        if "sample" not in given and self.samples:
            given["sample"] = next(iter(self.samples))
        spread = self.scenario.fleet.get("vary", {}).get("detector_degc", 0.0)
        if index and spread:
            warmer = float(self._rng(index, seed).uniform(-1, 1)) * spread
            given["detector_degc"] = given.get("detector_degc", 25.0) + warmer
        for key, value in given.items():
            name, converted = self._converted(key, value)
            setattr(state, name, converted)
        return state

    def change(self, hardware: Hardware, changes: Mapping[str, Any]) -> None:
        """Change keys of [condition] on a running unit, as a hand or a fault would."""
        if "sample" in changes or "packaging" in changes:
            state = hardware.condition
            sample = self.samples.get(changes["sample"]) if "sample" in changes else state.sample
            package = state.package or self.packages["none"]
            if "packaging" in changes:
                package = self.packages[changes["packaging"]]
            hardware.place(sample, package)
        lid, key = changes.get("lid"), changes.get("key")
        unreadable = changes.get("interlock_unreadable")
        if lid is not None or key is not None or unreadable is not None:
            hardware.set_interlock(
                lid=None if lid is None else lid == "closed",
                key=None if key is None else key == "closed",
                unreadable=unreadable,
            )
        for name, value in changes.items():
            if name not in _BY_HAND:
                setattr(hardware.condition, *self._converted(name, value))
                hardware.note_condition(name, value)

    def _converted(self, key: str, value: Any) -> tuple[str, Any]:
        if key == "sample":
            return "sample", self.samples.get(value)
        if key == "packaging":
            return "package", self.packages[value]
        if key in ("lid", "key"):
            return key, value == "closed"
        if key in ("detector_degc", "laser_degc"):
            return key.replace("degc", "mdegc"), round(value * 1000)
        return key, value

    def _rng(self, index: int, seed: int | None) -> np.random.Generator:
        return np.random.default_rng([self.scenario.seed if seed is None else seed, 0xF0, index])


_VARIED = ("width_cm1", "offset_cm1", "tilt", "throughput", "dark_e_per_s")
_BY_HAND = ("sample", "packaging", "lid", "key", "interlock_unreadable")
