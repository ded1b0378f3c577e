"""One unit's hardware as the firmware finds it on the bus.

Owns the state a person or a scenario changes and every bus operation. Computes counts with `optics`
and `detector`, tells `audit` every laser edge. Processes, files and sockets are `unit`'s.
"""

from __future__ import annotations

import errno
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fieldassay_wire.cbor import TypedArray

from fieldassay_sim import detector, optics
from fieldassay_sim.audit import Audit
from fieldassay_sim.bus import PowerCut, Refused
from fieldassay_sim.fingers import PRESS_MS, Fingers
from fieldassay_sim.laser import Laser, Timeline
from fieldassay_sim.samples import Package, Sample

LEAK_CLOSED = 0.0005  # part of the room light that gets in with the lid closed
CLOCKS = ("unset", "rtc", "synced")
ROWS, COLUMNS = 8, 26


@dataclass
class Condition:
    """What a person or a scenario may change while the unit runs."""

    sample: Sample | None = None
    package: Package | None = None
    lid: bool = True
    key: bool = True
    battery_mv: int = 3900
    detector_mdegc: int = 25_000
    laser_mdegc: int = 25_000
    room_light: float = 1.0
    lamp: tuple[tuple[float, float], ...] = ()  # as in `optics.lamp_light`
    clock: str = "rtc"
    interlock_unreadable: bool = False
    indicator_broken: bool = False
    detector_failing: bool = False
    detector_saturated: bool = False


@dataclass
class Exposure:
    """The exposure that runs or waits to be read."""

    from_ms: float
    to_ms: float
    read: bool = False


@dataclass
class Outputs:
    """What the firmware shows and does, for the panel."""

    rows: list[list[str]] = field(default_factory=list)
    buzzes: int = 0
    indicator: bool = False
    watchdog_at_ms: float | None = None  # not running yet
    last_read_at_ms: float = 0.0


class Hardware:
    """The parts of one unit.

    Args:
        instrument: Optics and detector as built.
        condition: What is under the probe and how the unit is.
        audit: The laser's judge.
        emit: Called with (event, details) for the event log.
        now_ms: Monotonic clock in ms.
    """

    def __init__(
        self,
        instrument: optics.Instrument,
        condition: Condition,
        audit: Audit,
        emit: Callable[[str, dict[str, Any]], object],
        now_ms: Callable[[], float] = lambda: time.monotonic() * 1000.0,
    ) -> None:
        self.instrument = instrument
        self.condition = condition
        self.audit = audit
        self.laser = Laser()
        self.outputs = Outputs()
        self.on_fire: list[Callable[[], None]] = []
        self.provision: dict[str, str] = {}
        self.cut_after_flash_ops: int | None = None
        self.frames = 0
        self._emit = emit
        self._now = now_ms
        self._pattern = detector.pattern(instrument)
        self._room = Timeline(self._room_level())
        self._fingers = Fingers()
        self._exposure: Exposure | None = None
        self._light_before = 0.0  # the laser's mW times ms before this sample was placed
        self._clock_offset_ms: int | None = None
        self._ops: dict[str, Callable[..., Any]] = {
            name.removeprefix("op_"): getattr(self, name) for name in dir(self) if name[:3] == "op_"
        }

    # --- what people and scenarios do -----------------------------------------------------------

    def press(self, button: str, hold_ms: float = PRESS_MS) -> None:
        """Press and let go a button: "trigger", "next" or "ok"."""
        now = self._now()
        self._fingers.press(button, now, hold_ms)
        if button == "trigger":
            self.audit.trigger(now)
        self._emit("press", {"button": button, "hold_ms": hold_ms})

    def place(self, sample: Sample | None, package: Package) -> None:
        """Put another sample under the probe; its spot has seen no light yet."""
        self.condition.sample, self.condition.package = sample, package
        self._light_before = self.laser.output_mw.until(self._now())
        self._emit("place", {"sample": sample.id if sample else "", "packaging": package.kind})

    def set_interlock(
        self, *, lid: bool | None = None, key: bool | None = None, unreadable: bool | None = None
    ) -> None:
        """Open or close the lid or the key (True is closed), or break the interlock's wire."""
        state = self.condition
        state.lid = state.lid if lid is None else lid
        state.key = state.key if key is None else key
        if unreadable is not None:
            state.interlock_unreadable = unreadable
        now = self._now()
        self.settle(now)
        readable = not state.interlock_unreadable
        self.audit.interlock(now, lid=state.lid, key=state.key, readable=readable)
        self.laser.gate(now, state.lid and state.key)
        self._room.set(now, self._room_level())
        self._emit("interlock", {"lid": state.lid, "key": state.key, "readable": readable})

    def note_condition(self, name: str, value: object) -> None:
        """The condition was changed from outside: record it and let room light follow."""
        self._room.set(self._now(), self._room_level())
        self._show_indicator()
        self._emit("condition", {name: value})

    def power_on(self) -> None:
        """Power came back: outputs off, nothing pressed, a clock without battery unset."""
        now = self._now()
        self.settle(now)
        self.laser.off(now)
        self.audit.boot(now)
        state = self.condition
        self.audit.interlock(
            now, lid=state.lid, key=state.key, readable=not state.interlock_unreadable
        )
        self._exposure = None
        self.op_indicate(False)
        self._fingers.clear()
        if state.clock != "rtc":
            self._clock_offset_ms = None
        self.outputs.rows = []
        self.outputs.watchdog_at_ms = None

    def starved_ms(self) -> float:
        """How long the watchdog has not been fed; 0 while it has not been started."""
        fed = self.outputs.watchdog_at_ms
        return 0.0 if fed is None else self._now() - fed

    def settle(self, now: float | None = None) -> None:
        """Let the one-shot and the audit catch up with the clock; call it every few ms."""
        now = self._now() if now is None else now
        expired = self.laser.expired_at(now)
        if expired is not None:
            self.audit.off(expired)
            self.laser.off(expired)
            self._emit("laser", {"edge": "one_shot_off"})
        self.audit.tick(now)

    # --- the bus --------------------------------------------------------------------------------

    def handle(self, op: str, args: list[Any]) -> Any:
        """Run one bus operation; Refused is what the firmware sees as OSError."""
        if op not in self._ops:
            raise Refused(errno.ENOSYS, f"the simulator has no operation {op}")
        self.settle()
        return self._ops[op](*args)

    def op_hello(self, _token: str) -> dict[str, Any]:
        """Constants of this detector, and where a scenario cuts the power."""
        unit = self.instrument
        return {
            "pixels": unit.pixels,
            "full_scale_counts": detector.FULL_SCALE_COUNTS,
            "gain_me_per_count": round(unit.gain_e_per_count * 1000),
            "read_noise_me": round(unit.read_noise_e * 1000),
            "excitation_pm": round(unit.excitation_nm * 1000),
            "cut_after_flash_ops": self.cut_after_flash_ops,
        }

    def op_provision(self) -> dict[str, str]:
        """The files a technician put on the unit: name to text."""
        return self.provision

    def op_laser_power(self, power_uw: int) -> None:
        """Set the laser's power."""
        self.laser.set_power(self._now(), _whole(power_uw))

    def op_laser_fire(self, max_ms: int) -> None:
        """Assert the enable."""
        now = self._now()
        max_ms = _whole(max_ms)
        self.audit.fire(now, max_ms)
        self.laser.fire(now, max_ms)
        self._emit("laser", {"edge": "on", "max_ms": max_ms, "power_uw": self.laser.power_uw})
        for action in self.on_fire:
            action()

    def op_laser_off(self) -> None:
        """Take the enable away."""
        now = self._now()
        if self.laser.enabled:
            self._emit("laser", {"edge": "off"})
        self.audit.off(now)
        self.laser.off(now)

    def op_laser_read(self) -> list[Any]:
        """Enabled, can fire, photodiode in microwatts, diode temperature."""
        state = self.condition
        lit = self.laser.output_mw.value > 0
        can_fire = state.lid and state.key  # the gate's own wires: it does not help the firmware
        photodiode_uw = round(self.laser.output_mw.value * 1000.0 * 0.985) if lit else 0
        heating = 1200 if lit else 0
        return [self.laser.enabled, can_fire, photodiode_uw, state.laser_mdegc + heating]

    def op_interlock(self) -> dict[str, bool]:
        """Lid and key, closed is True."""
        if self.condition.interlock_unreadable:
            raise Refused(errno.EIO, "the interlock does not answer")
        return {"lid": self.condition.lid, "key": self.condition.key}

    def op_indicate(self, lit: bool) -> None:
        """Switch the emission indicator; a broken one stays dark."""
        self.outputs.indicator = bool(lit)
        self._show_indicator()

    def op_indicator(self) -> bool:
        """Whether the indicator's own light sensor sees it lit."""
        return self.outputs.indicator and not self.condition.indicator_broken

    def _show_indicator(self) -> None:
        self.audit.indicator(self._now(), lit=self.op_indicator())

    def op_expose_start(self, exposure_us: int) -> None:
        """Begin one exposure."""
        if self.condition.detector_failing:
            raise Refused(errno.EIO, "the detector does not answer")
        exposure_us = _whole(exposure_us)
        if not 1 <= exposure_us <= 60_000_000:
            raise Refused(errno.EINVAL, f"exposure of {exposure_us} us")
        now = self._now()
        self._exposure = Exposure(now, now + exposure_us / 1000.0)
        self.audit.exposure(now, self._exposure.to_ms)

    def op_expose_ready(self) -> bool:
        """Whether the exposure is over."""
        return self._exposure is not None and self._now() >= self._exposure.to_ms

    def op_expose_read(self) -> TypedArray:
        """The counts of the finished exposure, once."""
        if self.condition.detector_failing:
            raise Refused(errno.EIO, "the detector does not answer")
        exposure = self._exposure
        if exposure is None or exposure.read or self._now() < exposure.to_ms:
            raise Refused(errno.EAGAIN, "no finished exposure")
        exposure.read = True
        self.outputs.last_read_at_ms = self._now()
        return TypedArray(TypedArray.U16, array("H", self.counts(exposure).tobytes()))

    def op_detector_mdegc(self) -> int:
        """Detector temperature."""
        return self.condition.detector_mdegc

    def op_buttons(self) -> int:
        """Buttons that are down: 1 trigger, 2 next, 4 ok."""
        return self._fingers.poll(self._now())

    def op_battery_mv(self) -> int:
        """Battery voltage."""
        return self.condition.battery_mv

    def op_clock(self) -> list[Any]:
        """Unix time in ms and its quality; an unset clock counts from power-on and says so."""
        if self._clock_offset_ms is not None:
            return [_unix_ms() + self._clock_offset_ms, "synced"]
        if self.condition.clock == "unset":
            return [round(self._now()), "unset"]
        return [_unix_ms(), self.condition.clock]

    def op_clock_set(self, unix_ms: int) -> None:
        """Set the clock."""
        self._clock_offset_ms = _whole(unix_ms) - _unix_ms()

    def op_display(self, rows: list[Any]) -> None:
        """Show rows of [text, style]."""
        shown = [[str(text)[:COLUMNS], str(style)] for text, style in rows[:ROWS]]
        if shown != self.outputs.rows:
            self.outputs.rows = shown
            self._emit("display", {"rows": [text for text, _ in shown]})

    def op_buzz(self, pattern: Any) -> None:
        """Sound the buzzer."""
        self.outputs.buzzes += 1
        self._emit("buzz", {"pattern": str(pattern)})

    def op_watchdog(self) -> None:
        """The firmware is alive."""
        self.outputs.watchdog_at_ms = self._now()

    def op_log(self, kind: str, details: Any) -> None:
        """A line of the firmware's log for technicians."""
        if kind == "selftest":
            self.audit.selftest_done()
        self._emit("log", {"kind": kind, "details": details})

    def op_power_cut(self) -> None:
        """A scenario's power cut at a flash operation."""
        raise PowerCut

    # --- physics --------------------------------------------------------------------------------

    def counts(self, exposure: Exposure) -> Any:
        """Counts of one exposure, u16 of shape (pixels,), from the light there was meanwhile."""
        state = self.condition
        duration_ms = exposure.to_ms - exposure.from_ms
        mean_mw = self.laser.output_mw.mean(exposure.from_ms, exposure.to_ms)
        degc = state.detector_mdegc / 1000.0
        room = self._room.mean(exposure.from_ms, exposure.to_ms)
        light = optics.ambient_light(self.instrument, room)
        if state.lamp:
            light = light + optics.lamp_light(self.instrument, state.lamp)
        if state.detector_saturated:
            light = light + 1e9
        if mean_mw > 0 and state.package is not None:
            dose_j = (self.laser.output_mw.until(exposure.from_ms) - self._light_before) * 1e-6
            light = light + mean_mw * optics.laser_light(
                self.instrument, state.sample, state.package, dose_j, degc
            )
        self.frames += 1
        return detector.expose(
            self.instrument,
            self._pattern,
            light * (duration_ms / 1000.0),
            duration_ms / 1000.0,
            degc,
            self.frames,
        )

    def _room_level(self) -> float:
        return self.condition.room_light * (LEAK_CLOSED if self.condition.lid else 1.0)


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(errno.EINVAL, f"{value!r} is no whole number")
    return value
