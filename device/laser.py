"""The only module that energises the laser. Carries out what the interlock's state machine says.

`enabled` (what we asked), `can_fire` (what the hardware allows) and light on the photodiode are
kept apart; where they disagree the fault latches. Emission exists only inside `with
laser.emission(...)`: every way out of it, exceptions, cancellation and a break from the console
included, switches off. The hardware one-shot ends emission after `max_on_ms` whatever happens here.
More than LOW_UW needs the officer's "no" to the question whether the sample is dark, given for this
emission. The indicator is lit from the press on and for as long as the laser may be on.
"""

import interlock as machine
from faults import TEXTS, fault

SETTLE_MS = 100  # the photodiode is not judged this soon after an edge
STRIKES = 3  # readings in a row that must disagree before it is a fault
LIGHT_PERMILLE = 500  # of the set power: less than this while on is "no light"
EXCESS_PERMILLE = 1500  # more than this and DARK_UW on top while on is "too much light"
DARK_UW = 500  # more than this while off is "light"
LOW_UW = 20000  # the most for a sample that is dark, or of which nobody said that it is not
OFF_TRIES = 3
IDLE_READS = 8  # while off, the laser driver is read at every n-th poll only

# With one of these open the hardware must not allow light.
_OPEN = ("lid_open", "key_open", "nose_open")


class Laser:
    def __init__(self, board, interlock, max_on_ms, ticks_ms):
        self.interlock = interlock
        self.on = False  # what we asked of the driver
        self.enabled = False  # what the driver says
        self.can_fire = False
        self.light_uw = 0
        self.mdegc = 0
        self.set_uw = 0
        self.limit_uw = LOW_UW  # the most this emission may have
        self.on_ms = 0  # how long the last emission lasted
        self._board = board
        self._max_on_ms = max_on_ms
        self._ticks_ms = ticks_ms
        self._edge_ms = ticks_ms()
        self._fired_ms = self._edge_ms
        self._strikes = 0
        self._polls = 0
        self._off_failed = False
        self._indicated = False  # what the indicator was told last

    # Read the interlock and indicator, apply the time limits, compare light with intention. Call
    # every few ms.
    def poll(self):
        now_ms = self._ticks_ms()
        if self._off_failed:
            self.off()
        self._do(self.interlock.inputs(self._inputs(), now_ms))
        self._do(self.interlock.tick(self._ticks_ms()))
        self._polls += 1
        looks = self._polls % IDLE_READS == 0
        if looks or self.interlock.state in (machine.ARMED, machine.EMITTING):
            self._see_indicator()
        if looks or self.on:
            self.read()
            self._judge()
        return self.interlock.state

    def press(self):
        now_ms = self._ticks_ms()
        self._do(self.interlock.inputs(self._inputs(), now_ms))
        self._do(self.interlock.press(now_ms))
        if self.interlock.state == machine.ARMED:
            self._see_indicator()
        return self.interlock.state

    # Nobody can arm until `release`, and light ends now: for updates ("updating") and a technician
    # ("service").
    def hold(self, why):
        self._do(self.interlock.hold(why, self._ticks_ms()))

    def release(self):
        self.interlock.release()

    # What the officer said to "is the sample dark or coloured?": call it while ARMED, it holds for
    # this emission. Only "no" permits more than LOW_UW.
    def answered(self, dark_sample, full_uw):
        if not self.on:
            self.limit_uw = full_uw if dark_sample == "no" else min(full_uw, LOW_UW)

    # Any other event of the table ("boot", "cancel", "fault" ...).
    def step(self, event, reason=""):
        self._do(self.interlock.step(event, self._ticks_ms(), reason))
        return self.interlock.state

    def warning_left_ms(self):
        return self.interlock.warning_left_ms(self._ticks_ms())

    def emission(self, power_uw):
        return _Emission(self, power_uw)

    # Change the power of an emission that is running; never starts one. UnitError if it cannot.
    # More than the permitted power is a defect of whoever asks.
    def set_power(self, power_uw):
        if not 0 <= power_uw <= self.limit_uw:
            self.step("fault", "laser_power_refused")
            raise self.why_stopped()
        self.set_uw = power_uw
        self._edge_ms = self._ticks_ms()
        try:
            self._board.laser.set_power_uw(power_uw)
        except Exception as error:
            self.step("fault", "laser_unreadable")
            self._log_error("", error)
            raise self.why_stopped() from None

    def is_firing(self):
        return self.light_uw > DARK_UW

    # Ends arming and emission. An off that fails latches the fault and is tried again, now and at
    # every poll. Raises nothing but what is no Exception (a break from the console), and that only
    # after the laser was told.
    def off(self):
        broke = failed = None
        for _ in range(OFF_TRIES):
            try:
                self._board.laser.off()
                self._off_failed = False
                break
            except BaseException as error:
                failed = error
                self._off_failed = True
                if not isinstance(error, Exception):
                    broke = error
        now_ms = self._ticks_ms()
        self.limit_uw = LOW_UW  # an answer is good for one emission
        self.interlock.step("done", now_ms)  # neither armed nor emitting any more
        if failed is not None and failed is not broke:
            self.interlock.step("fault", now_ms, "laser_unreadable")
            self._log_error("off failed: ", failed)
        if self.on:
            self.on = False
            self._strikes = 0
            self.on_ms = machine.elapsed_ms(now_ms, self._fired_ms)
            self._edge_ms = now_ms
            self._log("off", "on_ms", self.on_ms, "reason", self.interlock.reason)
        if not self._off_failed and self._indicated:
            self._indicate(False)
        if broke is not None:
            raise broke

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

    # The lamp that says "laser on or about to be". False if it cannot be told.
    def _indicate(self, lit):
        self._indicated = True  # if this fails, nobody knows: `off` tells it again
        try:
            self._board.indicate(lit)
            self._indicated = lit
            return True
        except Exception as error:
            self._log_error("indicator: ", error)
            return False

    # A board without a readback says None: then what it was told is all that is known.
    def _see_indicator(self):
        try:
            lit = self._board.indicator()
            if lit is None:
                lit = self._indicated
        except Exception:
            lit = None
        self._do(self.interlock.indicator(lit, self._ticks_ms()))

    def _do(self, action):
        if action == machine.TURN_OFF:
            self.off()
        elif action == machine.WARN:
            if not self._indicate(True):
                self.step("fault", "indicator_failed")
                return
            try:
                self._board.buzz("warning")
            except Exception as error:  # no light without a warning
                self._log_error("no warning: ", error)
                self.step("fault", "warning_failed")

    def _judge(self):
        # Below 0 is an edge of more than six days ago, or a clock that jumped: judge.
        if 0 <= machine.elapsed_ms(self._ticks_ms(), self._edge_ms) < SETTLE_MS:
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
        elif self.on and (self.light_uw - DARK_UW) * 1000 > self.set_uw * EXCESS_PERMILLE:
            code = "laser_light_excess"
        elif not self.on and (self.enabled or self.light_uw > DARK_UW):
            code = "laser_light_unexpected"
        elif self.can_fire and self.interlock.open_why in _OPEN:
            code = "laser_gate_stuck"
        self._strikes = self._strikes + 1 if code else 0
        if self._strikes >= STRIKES and self.interlock.state != machine.FAULT:
            self.step("fault", code)

    def _start(self, power_uw):
        self.poll()  # a reading of the interlock taken now, not the last one
        if not self.read():
            self.step("cancel", "laser_unreadable")
        elif not self.can_fire:
            self.step("cut")
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
            self._log_error("", error)
            raise self.why_stopped() from None
        self._log("fire", "power_uw", power_uw, "max_ms", self._max_on_ms)

    # The UnitError that explains why emission is not, or no longer, allowed.
    def why_stopped(self):
        lock = self.interlock
        if lock.state == machine.FAULT:
            return fault(lock.reason if lock.reason in TEXTS else "fault")
        if not lock.closed:
            return fault(lock.open_why)
        return fault(lock.reason if lock.reason in TEXTS else "not_armed")

    # A log that cannot be written, or a heap too full to say it, must not keep the laser on: so
    # the dict is made in here.
    def _log(self, kind, name, value, other, other_value):
        try:
            self._board.log(kind, {name: value, other: other_value})
        except Exception:
            return

    def _log_error(self, what, error):
        try:
            self._board.log("laser_error", {"detail": what + repr(error)})
        except Exception:
            return


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
        self._laser.off()
        return False
