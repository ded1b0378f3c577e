"""The laser's judge: sees every edge and every input, knows nothing of what the firmware believes.

Pure; all times are milliseconds on one monotonic clock and come in as arguments. Each rule that is
broken in an emission is listed once, with what was seen. The rules are the ones of
docs/reference/scenarios.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

INTERLOCK_MS = 20.0
IDLE_MS = 1000.0
TRIGGER_MS = 60_000.0
ABSOLUTE_ON_MS = 10_000.0
WARNING_MS = 2000.0
EARLY_MS = 5.0  # two clocks and their rounding

RULES = {
    "interlock_open": "enabled more than 20 ms after the lid or the key opened",
    "interlock_unreadable": "enabled more than 20 ms after the interlock became unreadable",
    "on_too_long": "enabled longer than the unit's settings allow, or longer than 10 s",
    "idle": "enabled for more than 1 s with no exposure running",
    "before_selftest": "fired after a boot before the self-test was done",
    "no_warning": "fired before the emission indicator was lit for the settings' warning time",
    "indicator_dark": "enabled more than 20 ms with the emission indicator dark",
    "no_trigger": "fired without a trigger press in the last 60 s",
}


_BAD = {"readable": "interlock_unreadable", "lamp": "indicator_dark"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: which, when, and the figure that broke it."""

    rule: str
    at_ms: float
    seen: str

    def as_dict(self) -> dict[str, object]:
        """For the event log and the panel."""
        return {"rule": self.rule, "at_ms": round(self.at_ms, 1), "seen": self.seen}


class Audit:
    """Follows one unit's laser.

    Args:
        max_on_ms: The on-time the unit's settings allow; never more than 10 s count.
        withheld_ms: Total time, ever growing, that this machine kept the simulator waiting. What it
            grew by while the interlock was open is not held against the firmware: a board has its
            own processor. At most 200 ms are forgiven.
        warning_ms: The warning before light that the unit's settings ask for.
    """

    def __init__(
        self,
        max_on_ms: float = ABSOLUTE_ON_MS,
        withheld_ms: Callable[[], float] = lambda: 0.0,
        warning_ms: float = WARNING_MS,
    ) -> None:
        self.max_on_ms = min(max_on_ms, ABSOLUTE_ON_MS)
        self.warning_ms = warning_ms
        self.violations: list[Violation] = []
        self.fired = 0
        self._withheld = withheld_ms
        self._on_since: float | None = None
        self._reported: set[str] = set()
        # Good inputs, and since when the others are bad; the lamp is one of them.
        self._bad_since: dict[str, tuple[float, float]] = {"lamp": (-IDLE_MS, 0.0)}
        self._lit_since: float | None = None
        self._busy_until = 0.0
        self._trigger_at: float | None = None
        self._selftest_done = False

    def boot(self, at_ms: float) -> None:
        """The firmware (re)started; the laser's power came back with it, so it is off."""
        self.off(at_ms)
        self._selftest_done = False

    def selftest_done(self) -> None:
        """The firmware reported the end of its self-test."""
        self._selftest_done = True

    def trigger(self, at_ms: float) -> None:
        """A person pressed the trigger."""
        self._trigger_at = at_ms

    def exposure(self, from_ms: float, to_ms: float) -> None:
        """The detector integrates in this span."""
        self._check(from_ms)
        self._busy_until = max(self._busy_until, to_ms)

    def interlock(self, at_ms: float, *, lid: bool, key: bool, readable: bool) -> None:
        """The true inputs changed: closed is True."""
        self._check(at_ms)
        for name, good in (("lid", lid), ("key", key), ("readable", readable)):
            self._input(name, good, at_ms)

    def indicator(self, at_ms: float, *, lit: bool) -> None:
        """The emission indicator is lit or dark, whatever the firmware asked of it."""
        self._check(at_ms)
        self._input("lamp", lit, at_ms)
        if not lit:
            self._lit_since = None
        elif self._lit_since is None:
            self._lit_since = at_ms

    def _input(self, name: str, good: bool, at_ms: float) -> None:
        if good:
            self._bad_since.pop(name, None)
        else:
            self._bad_since.setdefault(name, (at_ms, self._withheld()))

    def fire(self, at_ms: float, max_ms: float) -> None:
        """The firmware asserted the laser's enable for at most `max_ms`."""
        self._check(at_ms)
        self.fired += 1
        if self._on_since is None:
            self._on_since = at_ms
            self._reported.clear()
        if not self._selftest_done:
            self._break("before_selftest", at_ms, "no self-test since the boot")
        if self._trigger_at is None:
            self._break("no_trigger", at_ms, "the trigger was never pressed")
        elif at_ms - self._trigger_at > TRIGGER_MS:
            ago_s = (at_ms - self._trigger_at) / 1000.0
            self._break("no_trigger", at_ms, f"the last press was {ago_s:.1f} s ago")
        lit_ms = at_ms - self._lit_since if self._lit_since is not None else 0.0
        if lit_ms < self.warning_ms - EARLY_MS:
            self._break("no_warning", at_ms, f"the indicator was lit for {lit_ms:.0f} ms")
        if max_ms > self.max_on_ms:
            self._break("on_too_long", at_ms, f"asked for {max_ms:.0f} ms")
        self._check(at_ms)

    def off(self, at_ms: float) -> None:
        """The enable fell: by the firmware, the one-shot or a power cut."""
        self._check(at_ms)
        self._on_since = None

    def tick(self, at_ms: float) -> None:
        """Call every few ms while the laser is on: a rule may be broken by nothing happening."""
        self._check(at_ms)

    def _check(self, at_ms: float) -> None:
        if self._on_since is None:
            return
        if at_ms - self._on_since > self.max_on_ms:
            self._break("on_too_long", at_ms, f"on for {at_ms - self._on_since:.0f} ms")
        idle_ms = at_ms - max(self._on_since, self._busy_until)
        if idle_ms > IDLE_MS:
            self._break("idle", at_ms, f"no exposure for {idle_ms:.0f} ms")
        for name, (since, withheld) in self._bad_since.items():
            late_ms = at_ms - since - min(self._withheld() - withheld, 200.0)
            if late_ms > INTERLOCK_MS:
                self._break(
                    _BAD.get(name, "interlock_open"),
                    at_ms,
                    f"{name}: still enabled after {late_ms:.0f} ms",
                )

    def _break(self, rule: str, at_ms: float, seen: str) -> None:
        if rule not in self._reported:
            self._reported.add(rule)
            self.violations.append(Violation(rule, at_ms, seen))
