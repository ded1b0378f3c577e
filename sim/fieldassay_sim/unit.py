"""One simulated unit: hardware, bus and the interpreter that runs the firmware.

Owns the process, power cuts and the flash image file. What the firmware may do is decided by the
firmware.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldassay_sim.audit import Audit
from fieldassay_sim.bus import Bus
from fieldassay_sim.errors import BusError, SetupError
from fieldassay_sim.events import EventLog
from fieldassay_sim.interpreter import device_dir, firmware_command
from fieldassay_sim.optics import Instrument
from fieldassay_sim.parts import Condition, Hardware

TICK_S = 0.005
RESTART_S = 0.4
WATCHDOG_MS = 8000.0  # as the boards' chips; it starts with the first feeding after a boot
CRASH_RESTART_S = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class UnitConfig:
    """What makes one unit: identity, broker, instrument, settings beyond the defaults."""

    name: str
    key_hex: str
    broker_host: str
    broker_port: int
    instrument: Instrument = field(default_factory=Instrument)
    settings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def settings_json(self) -> str:
        """The settings.json a technician would provision."""
        document: dict[str, Any] = {
            "unit": self.name,
            "key": self.key_hex,
            "broker": {"host": self.broker_host, "port": self.broker_port, "tls": False},
        }
        for section, values in self.settings.items():
            document.setdefault(section, {}).update(values)
        return json.dumps(document, sort_keys=True)

    def calibration_json(self) -> str:
        """The calibration.json a technician would have measured."""
        document: dict[str, Any] = {
            "id": f"{self.name}-sim-1",
            "date": "2026-01-15",
            "excitation_pm": round(self.instrument.excitation_nm * 1000),
            "coefficients_nm": [f"{c:.12g}" for c in self.instrument.coefficients_nm],
            "resolution_cm1": f"{self.instrument.width_cm1:g}",
        }
        return json.dumps(document, sort_keys=True)


class Unit:
    """A running unit. `start`, use `hardware`, `stop`.

    Args:
        config: What it is.
        condition: What is under its probe.
        folder: Keeps `<name>.flash` and `<name>.events.jsonl`; survives restarts.
    """

    def __init__(self, config: UnitConfig, condition: Condition, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.flash = folder / f"{config.name}.flash"
        self.events = EventLog(config.name, folder / f"{config.name}.events.jsonl")
        self.boots = 0
        self.power_cuts = 0
        self.crashes = 0
        self.watchdog_resets = 0
        self._lag_ms = 0.0  # how long this machine has kept the event loop waiting, in total
        laser = config.settings.get("laser", {})
        self.audit = Audit(
            laser.get("max_on_ms", 8000), lambda: self._lag_ms, laser.get("warning_ms", 2000)
        )
        self.hardware = Hardware(config.instrument, condition, self.audit, self.events.emit)
        self.hardware.provision = {
            "settings.json": config.settings_json(),
            "calibration.json": config.calibration_json(),
        }
        self._told = 0
        self._token = secrets.token_hex(16)
        self._bus = Bus(self._token, self.hardware.handle, self.cut_power, self._bus_broken)
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._cut = False

    @property
    def pid(self) -> int | None:
        """Process id of the interpreter, None while it is off."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def link_up(self) -> bool:
        """Whether the firmware is on the bus."""
        return self._bus.connected

    async def start(self) -> None:
        """Open the bus and boot the firmware.

        Raises:
            SetupError: No interpreter or no firmware on this machine.
        """
        firmware_command(0, "", self.flash, device_dir())  # complain before anything is open
        self._port = await self._bus.start()
        self._tasks = [
            asyncio.create_task(self._tick()),
            asyncio.create_task(self._supervise()),
        ]

    async def stop(self) -> None:
        """End the interpreter and close everything; safe to call twice."""
        self._stopping = True
        self._kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None:
            await self._process.wait()
        await self._bus.stop()
        self.hardware.settle()
        self._report_violations()
        self.events.close()

    def cut_power(self) -> None:
        """Take the power away now: SIGKILL, laser dark, and power back after a moment."""
        self.power_cuts += 1
        self.hardware.cut_after_flash_ops = None
        self.events.emit("power_cut")
        self._reset()

    def _reset(self) -> None:
        self._cut = True
        self.hardware.op_laser_off()
        self._kill()

    def cut_power_at_flash_op(self, count: int) -> None:
        """From the next boot on, cut the power at the `count`-th program or erase."""
        self.hardware.cut_after_flash_ops = count
        self.events.emit("power_cut_armed", {"flash_op": count})

    async def _tick(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK_S)
            late_ms = max(0.0, (time.monotonic() - before - TICK_S) * 1000.0)
            self._lag_ms += late_ms
            self.hardware.settle()
            self._watch(late_ms)
            self._report_violations()

    def _watch(self, late_ms: float) -> None:
        """The watchdog: it does not run while this machine keeps the simulator waiting."""
        fed_ms = self.hardware.outputs.watchdog_at_ms
        if fed_ms is None or self.pid is None or self._cut:
            return
        self.hardware.outputs.watchdog_at_ms = fed_ms + late_ms
        if self.hardware.starved_ms() > WATCHDOG_MS:
            self.watchdog_resets += 1
            self.events.emit("watchdog_reset")
            self._reset()

    async def _supervise(self) -> None:
        while not self._stopping:
            self._cut = False
            self.hardware.power_on()
            command = firmware_command(self._port, self._token, self.flash, device_dir())
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"},
                start_new_session=True,
                cwd=self.flash.parent,
            )
            self.boots += 1
            self.events.emit("power_on", {"pid": self._process.pid})
            assert self._process.stdout is not None
            await self._console(self._process.stdout)
            status = await self._process.wait()
            self._bus.drop()
            if self._is_stopping():
                return
            if self._cut:
                await asyncio.sleep(RESTART_S)
                continue
            self.hardware.op_laser_off()
            self.events.emit("firmware_ended", {"status": status})
            wait_s = CRASH_RESTART_S[min(self.crashes, len(CRASH_RESTART_S) - 1)]
            self.crashes += 1
            await asyncio.sleep(wait_s)

    def _is_stopping(self) -> bool:  # a method: it changes while another line awaits
        return self._stopping

    async def _console(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the reader's limit
                continue
            if not line:
                return
            self.events.emit("console", {"text": line.decode("utf-8", "replace").rstrip()})

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def _bus_broken(self, error: BusError) -> None:
        self.events.emit("bus_broken", error.as_dict())

    def _report_violations(self) -> None:
        while self._told < len(self.audit.violations):
            self.events.emit("violation", self.audit.violations[self._told].as_dict())
            self._told += 1


def read_keys(path: Path) -> dict[str, str]:
    """Unit names and their keys from `units.json`: {"unit": "64 hex digits"}.

    Raises:
        SetupError: The file is missing or says something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(
            "keys_missing",
            f"The key file {path} cannot be read ({error.strerror}); a unit without a key "
            "is refused by the host.",
            "Type: fieldassay unit add sim-1, and pass the file it names with --keys.",
        ) from error
    except ValueError as error:
        raise SetupError(
            "keys_damaged",
            f"The key file {path} is not JSON.",
            "Restore it or add the units again.",
        ) from error
    good = isinstance(document, dict) and all(
        isinstance(key, str) and len(key) == 64 and set(key) <= set("0123456789abcdefABCDEF")
        for key in document.values()
    )
    if not good:
        raise SetupError(
            "keys_damaged",
            f"The key file {path} is not a table of unit names to keys of 64 hex digits.",
            "Restore it or add the units again.",
        )
    return {str(unit): str(key) for unit, key in document.items()}


def random_flash_op(seed: int, below: int = 80) -> int:
    """A flash operation to cut the power at, from a seed."""
    return random.Random(seed).randint(1, below)  # noqa: S311 - a reproducible fault, no secret
