"""The only module that energises the laser. Carries out what the interlock's state machine says.

`enabled` (what we asked), `can_fire` (what the hardware allows) and light on the photodiode are
kept apart; where they disagree the fault latches. Emission exists only inside `with
laser.emission(...)`: every way out of it, exceptions and cancellation included, switches off. The
hardware one-shot ends emission after `max_on_ms` whatever happens here.
"""

import interlock as machine
from faults import fault

SETTLE_MS = 100  # the photodiode is not judged this soon after an edge
STRIKES = 3  # readings in a row that must disagree before it is a fault
LIGHT_PERMILLE = 500  # of the set power: less than this while on is "no light"
DARK_UW = 500  # more than this while off is "light"
IDLE_READS = 8  # while off, the laser driver is read at every n-th poll only

# Reasons of the state machine that have a text of their own in `faults`.
_REASONS = (
    "lid_open",
    "key_open",
    "unreadable",
    "cancel",
    "abort",
    "time_limit",
    "cut",
    "fault",
    "laser_light_missing",
    "laser_light_unexpected",
    "laser_unreadable",
    "warning_failed",
)


class Laser:
    def __init__(self, board, interlock, max_on_ms, ticks_ms):
        self.interlock = interlock
        self.on = False  # what we asked of the driver
        self.enabled = False  # what the driver says
        self.can_fire = False
        self.light_uw = 0
        self.mdegc = 0
        self.set_uw = 0
        self.on_ms = 0  # how long the last emission lasted
        self._board = board
        self._max_on_ms = max_on_ms
        self._ticks_ms = ticks_ms
        self._edge_ms = ticks_ms()
        self._fired_ms = self._edge_ms
        self._strikes = 0
        self._polls = 0
        self._off_failed = False

    # Read the interlock, apply the time limits, compare light with intention. Call every few ms.
    def poll(self):
        now_ms = self._ticks_ms()
        if self._off_failed:
            self.off()
        self._do(self.interlock.inputs(self._inputs(), now_ms))
        self._do(self.interlock.tick(self._ticks_ms()))
        self._polls += 1
        if self.on or self._polls % IDLE_READS == 0:
            self.read()
            self._judge()
        return self.interlock.state

    def press(self):
        now_ms = self._ticks_ms()
        self._do(self.interlock.inputs(self._inputs(), now_ms))
        self._do(self.interlock.press(now_ms))
        return self.interlock.state

    # Any other event of the table ("boot", "cancel", "fault" ...).
    def step(self, event, reason=""):
        self._do(self.interlock.step(event, self._ticks_ms(), reason))
        return self.interlock.state

    def warning_left_ms(self):
        return self.interlock.warning_left_ms(self._ticks_ms())

    def emission(self, power_uw):
        return _Emission(self, power_uw)

    # Change the power of an emission that is running; never starts one. UnitError if it cannot.
    def set_power(self, power_uw):
        self.set_uw = power_uw
        self._edge_ms = self._ticks_ms()
        try:
            self._board.laser.set_power_uw(power_uw)
        except Exception as error:
            self.step("fault", "laser_unreadable")
            self._log("laser_error", {"detail": repr(error)})
            raise self.why_stopped() from None

    def is_firing(self):
        return self.light_uw > DARK_UW

    # Never raises: an off that fails is tried again at every poll and latches the fault.
    def off(self):
        now_ms = self._ticks_ms()
        try:
            self._board.laser.off()
            self._off_failed = False
        except Exception as error:
            self._off_failed = True
            self.interlock.step("fault", now_ms, "laser_unreadable")
            self._log("laser_error", {"detail": "off failed: " + repr(error)})
        if self.on:
            self.on = False
            self._strikes = 0
            self.on_ms = machine.elapsed_ms(now_ms, self._fired_ms)
            self._edge_ms = now_ms
            self._log("off", {"on_ms": self.on_ms, "reason": self.interlock.reason})

    # Refresh enabled, can_fire, light_uw, mdegc. False if the driver does not answer.
    def read(self):
        try:
            self.enabled, self.can_fire, self.light_uw, self.mdegc = self._board.laser.read()
            return True
        except Exception:
            self.enabled = self.can_fire = False
            self.light_uw = -1
            return False

    def _inputs(self):
        try:
            return self._board.interlock()
        except Exception:
            return None  # unreadable counts as open

    def _do(self, action):
        if action == machine.TURN_OFF:
            self.off()
        elif action == machine.WARN:
            try:
                self._board.buzz("warning")
            except Exception as error:  # no light without a warning
                self._log("laser_error", {"detail": "no warning: " + repr(error)})
                self.step("fault", "warning_failed")

    def _judge(self):
        if machine.elapsed_ms(self._ticks_ms(), self._edge_ms) < SETTLE_MS:
            return
        code = ""
        if self.light_uw < 0:
            code = "laser_unreadable"
        elif self.on and not self.enabled:
            # The one-shot or the hardware interlock ended emission before we did.
            self.step("cut")
            self.off()
        elif self.on and self.light_uw * 1000 < self.set_uw * LIGHT_PERMILLE:
            code = "laser_light_missing"
        elif not self.on and (self.enabled or self.light_uw > DARK_UW):
            code = "laser_light_unexpected"
        self._strikes = self._strikes + 1 if code else 0
        if self._strikes >= STRIKES and self.interlock.state != machine.FAULT:
            self.step("fault", code)

    def _start(self, power_uw):
        self.poll()  # a reading of the interlock taken now, not the last one
        action = self.interlock.fire(self._ticks_ms())
        if action != machine.FIRE:
            self._do(action)
            raise self.why_stopped()
        try:
            self.set_power(power_uw)
            self._fired_ms = self._edge_ms = self._ticks_ms()
            self.on = True
            self._strikes = 0
            self._board.laser.fire(self._max_on_ms)
        except Exception as error:
            self.step("fault", "laser_unreadable")
            self._log("laser_error", {"detail": repr(error)})
            raise self.why_stopped() from None
        self._log("fire", {"power_uw": power_uw, "max_ms": self._max_on_ms})

    def _stop(self):
        self.step("done")
        self.off()

    # The UnitError that explains why emission is not, or no longer, allowed.
    def why_stopped(self):
        lock = self.interlock
        if lock.state == machine.FAULT:
            return fault(lock.reason if lock.reason in _REASONS else "fault")
        if not lock.closed:
            return fault(lock.open_why)
        return fault(lock.reason if lock.reason in _REASONS else "not_armed")

    def _log(self, kind, details):
        try:
            self._board.log(kind, details)
        except Exception:
            return  # a log that cannot be written must not keep the laser on


class _Emission:
    def __init__(self, laser, power_uw):
        self._laser = laser
        self._power_uw = power_uw

    def __enter__(self):
        try:
            self._laser._start(self._power_uw)
        except BaseException:
            self._laser.off()
            raise
        return self._laser

    def __exit__(self, kind, error, trace):
        self._laser._stop()
        return False
