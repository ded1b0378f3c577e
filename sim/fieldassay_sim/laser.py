"""The laser head: enable, one-shot, the hardware gate of lid and key, and the light it gave when.

A model of hardware only. The firmware's use of it is judged by `audit`.
"""

from __future__ import annotations

from collections import deque

POWER_LIMIT_UW = 500_000


class Timeline:
    """A value that changes in steps: its integral since the start, its mean over recent spans."""

    def __init__(self, value: float = 0.0) -> None:
        # From when, the value from then on, and the integral up to then.
        self._steps: deque[tuple[float, float, float]] = deque([(0.0, value, 0.0)], maxlen=512)

    @property
    def value(self) -> float:
        """The value now."""
        return self._steps[-1][1]

    def set(self, at_ms: float, value: float) -> None:
        """From `at_ms` on it is `value`; earlier than the last step counts as the last step."""
        if value != self.value:
            at_ms = max(at_ms, self._steps[-1][0])
            self._steps.append((at_ms, value, self.until(at_ms)))

    def until(self, at_ms: float) -> float:
        """Value times ms from the start to `at_ms`, which is within the last 512 changes."""
        for start, value, before in reversed(self._steps):
            if start <= at_ms:
                return before + value * (at_ms - start)
        return self._steps[0][2]

    def integral(self, from_ms: float, to_ms: float) -> float:
        """Value times ms over the span."""
        return self.until(to_ms) - self.until(from_ms)

    def mean(self, from_ms: float, to_ms: float) -> float:
        """Mean value over the span; 0 for an empty one."""
        return self.integral(from_ms, to_ms) / (to_ms - from_ms) if to_ms > from_ms else 0.0


class Laser:
    """Driver, diode and photodiode. Light needs the enable *and* a closed lid and key."""

    def __init__(self) -> None:
        self.power_uw = 0
        self.enabled = False
        self.one_shot_end_ms = 0.0
        self.output_mw = Timeline()
        self._gate = True

    def set_power(self, at_ms: float, power_uw: int) -> None:
        """Set the power in microwatts, 0..500000."""
        self.power_uw = max(0, min(power_uw, POWER_LIMIT_UW))
        self._drive(at_ms)

    def fire(self, at_ms: float, max_ms: int) -> None:
        """Assert the enable; hardware takes it away after `max_ms`."""
        self.enabled = True
        self.one_shot_end_ms = at_ms + max_ms
        self._drive(at_ms)

    def off(self, at_ms: float) -> None:
        """Take the enable away."""
        self.enabled = False
        self._drive(at_ms)

    def gate(self, at_ms: float, closed: bool) -> None:
        """The hardware interlock: no light with the lid or key open, whatever the enable says."""
        self._gate = closed
        self._drive(at_ms)

    def expired_at(self, at_ms: float) -> float | None:
        """When the one-shot ended, if it did by `at_ms` and nothing turned the laser off before."""
        return self.one_shot_end_ms if self.enabled and at_ms >= self.one_shot_end_ms else None

    def _drive(self, at_ms: float) -> None:
        self.output_mw.set(at_ms, self.power_uw / 1000.0 if self.enabled and self._gate else 0.0)
