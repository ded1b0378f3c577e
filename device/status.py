"""What the unit tells about itself: state and telemetry fields, battery, uptime, the log.

Reads the board and the app's parts, changes nothing. A log or gauge that fails never stops the
unit.
"""

import gc
import time

import interlock as machine
from logbook import Logbook

BACK_MAX_MS = 300000  # a clock that a host set goes back by no more


class Status:
    def __init__(self, board, lock, laser, firmware):
        self.battery_mv = 0
        self.earliest_ms = 0  # a running clock that shows less was lost
        self.counters = {"measured": 0, "refused": 0, "stopped": 0}
        self._board = board
        self._interlock = lock
        self._laser = laser
        self._firmware = firmware
        self._logbook = Logbook(board.flash_root)
        self._uptime_at = time.ticks_ms()
        self._uptime_ms = 0

    def count(self, name):
        self.counters[name] += 1

    # (state of the wire format, fault code or "")
    def state(self, testing, busy):
        if self._interlock.state == machine.FAULT:
            return "fault", self._interlock.reason
        if testing:
            return "init", ""
        return ("measuring" if busy else "ready"), ""

    def state_fields(self, testing, busy):
        time_ms, clock = self.clock()
        state, reason = self.state(testing, busy)
        return {
            "state": state,
            "interlock": self._interlock.state,
            "fault": reason,
            "battery_mv": self.battery(),
            "time_ms": time_ms,
            "clock": clock,
            "firmware": self._firmware,
        }

    def telemetry_fields(self, more_counters):
        time_ms, _ = self.clock()
        counters = dict(more_counters)
        counters.update(self.counters)
        return {
            "time_ms": time_ms,
            "uptime_ms": self.uptime(),
            "detector_mdegc": self._board.detector.temperature_mdegc(),
            "laser_mdegc": self._laser.mdegc,
            "battery_mv": self.battery(),
            "free_heap": gc.mem_free(),
            "counters": counters,
        }

    # (unix ms, quality); the time is 0 while it is unknown.
    def clock(self):
        try:
            unix_ms, quality = self._board.clock()
        except OSError:
            return 0, "unset"
        if unix_ms < self.earliest_ms:
            quality = "unset"
        return (0 if quality == "unset" else unix_ms), quality

    # Why a host may not set this time; "" if it may. Backwards only a little: a replayed or forged
    # time must not make old certificates good again. A clock that only kept running ("rtc") may be
    # far ahead and is put right.
    def time_refusal(self, wanted_ms):
        now_ms, quality = self.clock()
        if wanted_ms < self.earliest_ms:
            return "before_provisioning"
        if quality == "synced" and wanted_ms < now_ms - BACK_MAX_MS:
            return "backwards"
        return ""

    # Millivolts; 0 while the gauge cannot be read, which refuses to measure like an empty battery.
    def battery(self):
        try:
            self.battery_mv = self._board.battery_mv()
        except OSError:
            self.battery_mv = 0
        return self.battery_mv

    # Ticks wrap; called at least every minute, this does not.
    def uptime(self):
        now = time.ticks_ms()
        self._uptime_ms += time.ticks_diff(now, self._uptime_at)
        self._uptime_at = now
        return self._uptime_ms

    def log(self, kind, details):
        try:
            self._board.log(kind, details)
        except OSError:
            pass  # a full or broken log must not stop the unit
        try:
            self._logbook.add(kind, details, self.clock())
        except (OSError, MemoryError):
            pass

    def buzz(self, pattern):
        try:
            self._board.buzz(pattern)
        except OSError:
            pass  # the display says the same
