"""The laser's state machine: which event in which state leads where, and the action that follows.

Pure: no pins, no clock, no files; readings and times come in as arguments, actions go out as
words. `laser.py` carries the actions out and is the only module that energises anything. An input
that cannot be read counts as open, and so does a hold. Nothing a network message can cause appears
in the table as a way to ARMED or EMITTING: only a press edge of the trigger with every input closed
arms, and only ARMED can emit, after the indicator was seen lit for the whole warning.
"""

OFF = "off"
SELFTEST = "selftest"
SAFE = "safe"
ARMED = "armed"  # trigger pressed; the warning (light, sound, display) runs before any emission
EMITTING = "emitting"
COOLDOWN = "cooldown"
FAULT = "fault"  # latched: left only by `reset`, which a person at the unit does
STATES = (OFF, SELFTEST, SAFE, ARMED, EMITTING, COOLDOWN, FAULT)

# Actions. "off" is harmless to repeat, so every way out of ARMED or EMITTING carries it.
NONE = ""
TURN_OFF = "off"
WARN = "warn"
FIRE = "fire"

_stay = None  # table shorthand: same state, no action


def _row(*cells):
    row = {}
    for i in range(len(STATES)):
        row[STATES[i]] = (STATES[i], NONE) if cells[i] is _stay else cells[i]
    return row


_off = (OFF, TURN_OFF)
_test = (SELFTEST, TURN_OFF)
_safe = (SAFE, TURN_OFF)
_cool = (COOLDOWN, TURN_OFF)
_fault = (FAULT, TURN_OFF)
_arm = (ARMED, WARN)
_emit = (EMITTING, FIRE)

# One row per event, one column per state. Opening the lid or key while EMITTING is an everyday
# event: laser off, back to SAFE, the reason is shown and a new press is needed. An interlock that
# becomes *unreadable* while ARMED or EMITTING is a defect: laser off and FAULT.
TABLE = {
    # event            OFF     SELFTEST  SAFE    ARMED   EMITTING  COOLDOWN  FAULT
    "boot": _row(_test, _fault, _fault, _fault, _fault, _fault, _stay),
    "checks_ok": _row(_off, _safe, _stay, _safe, _fault, _stay, _stay),
    "checks_failed": _row(_fault, _fault, _fault, _fault, _fault, _fault, _stay),
    "closed": _row(_stay, _stay, _stay, _stay, _stay, _stay, _stay),
    "opened": _row(_off, _stay, _stay, _safe, _safe, _stay, _stay),
    "unreadable": _row(_off, _stay, _stay, _fault, _fault, _stay, _stay),
    "press": _row(_stay, _stay, _arm, _stay, _stay, _stay, _stay),
    "press_open": _row(_stay, _stay, _stay, _safe, _safe, _stay, _stay),
    "request": _row(_stay, _stay, _stay, _stay, _stay, _stay, _stay),
    "fire": _row(_off, _test, _safe, _emit, _stay, _cool, _fault),
    "done": _row(_off, _test, _safe, _safe, _cool, _cool, _fault),
    "cancel": _row(_stay, _stay, _stay, _safe, _cool, _stay, _stay),
    "deadline": _row(_off, _fault, _stay, _safe, _cool, _safe, _stay),
    "cut": _row(_stay, _stay, _stay, _safe, _cool, _stay, _stay),
    "fault": _row(_fault, _fault, _fault, _fault, _fault, _fault, _fault),
    "reset": _row(_off, _stay, _stay, _stay, _stay, _stay, _test),
}
EVENTS = tuple(TABLE)

# A tick counter may wrap; comparing modulo 2**30 is right for MicroPython's 30-bit and larger
# counters.
_PERIOD = 1 << 30
_HALF = 1 << 29


def elapsed_ms(now_ms, since_ms):
    return ((now_ms - since_ms + _HALF) & (_PERIOD - 1)) - _HALF


# Every board has lid and key; a nose contact counts from the first reading that has it.
NEEDED = ("lid", "key")
INPUTS = ("lid", "key", "nose")
INDICATOR_MS = 100  # the indicator may disagree with what was asked for this long, but never lit
LOOK_MS = 100  # of a warning, time counts as lit if the guard looked at least this often
GAP_MS = 1000  # armed or emitting, the guard looks at least this often, or it is not guarding


class Interlock:
    # `warning_ms` is how long the warning must have run before emission, `max_on_ms` the longest
    # emission, `armed_ms` how long a press stays valid after the warning, `cooldown_ms` the pause.
    def __init__(self, max_on_ms, warning_ms=2000, armed_ms=5000, cooldown_ms=200):
        self.state = OFF
        self.closed = False
        # Why not closed: "lid_open", "key_open", "nose_open", "unreadable", or the hold; or "".
        self.open_why = "unreadable"
        self.held = ""  # why nobody may arm now, such as an update; or ""
        self.reason = ""  # why the machine left ARMED or EMITTING, or is in FAULT
        self.since_ms = 0
        self.lit_ms = None  # since when the indicator was seen lit in this warning
        self._wrong_ms = None  # since when the indicator disagrees
        self._seen_ms = 0  # the last look at the clock
        self._nose = False  # whether this board has a nose contact
        self._warning_ms = warning_ms
        self._limits_ms = {
            ARMED: warning_ms + armed_ms,
            EMITTING: max_on_ms,
            COOLDOWN: cooldown_ms,
        }

    # Any event, by name. Returns the action to carry out now.
    def step(self, event, now_ms, reason=""):
        state, action = TABLE[event][self.state]
        if state == EMITTING and self.state == ARMED and not self.may_emit(now_ms):
            # Unreachable by `fire`; kept so that no edit elsewhere can make emission with an open
            # interlock or without the whole warning.
            state, action = SAFE, TURN_OFF
        if state != self.state:
            self.state = state
            self.since_ms = self._seen_ms = now_ms
            self._wrong_ms = None
            if state != EMITTING:
                self.lit_ms = None
                self.reason = reason or event
        return action

    # A reading {"lid": bool, "key": bool} with or without "nose", or None where it could not be
    # read. Only True is closed; an input that was there and is missing now is unreadable.
    def inputs(self, reading, now_ms):
        why = self._why_open(reading)
        if not why:
            why = self.held
        self.open_why = why
        self.closed = not why
        if not why:
            return self.step("closed", now_ms)
        return self.step("unreadable" if why == "unreadable" else "opened", now_ms, why)

    def _why_open(self, reading):
        if not isinstance(reading, dict):
            return "unreadable"
        for name in reading:
            if name not in INPUTS:
                return "unreadable"
        for name in NEEDED:
            if name not in reading:
                return "unreadable"
        if "nose" in reading:
            self._nose = True
        elif self._nose:
            return "unreadable"
        for name in INPUTS:
            if name in reading and reading[name] is not True:
                return name + "_open"
        return ""

    # Nobody can arm until `release`; armed or emitting ends now. For updates and service.
    def hold(self, why, now_ms):
        self.held = self.open_why = why
        self.closed = False
        return self.step("opened", now_ms, why)

    # The next reading of the inputs decides again.
    def release(self):
        self.held = ""

    # What the emission indicator's readback says: True lit, False dark, anything else unreadable.
    # It must be lit while ARMED and EMITTING and dark otherwise; in FAULT it may tell what it will.
    def indicator(self, lit, now_ms):
        wanted = self.state in (ARMED, EMITTING)
        if lit is not True:
            self.lit_ms = None
        elif wanted and self.lit_ms is None:
            self.lit_ms = now_ms
        if self.state == FAULT or lit is wanted:
            self._wrong_ms = None
            return NONE
        if self._wrong_ms is None:
            self._wrong_ms = now_ms
        wrong_ms = elapsed_ms(now_ms, self._wrong_ms)
        if self.state == EMITTING or not 0 <= wrong_ms < INDICATOR_MS:
            return self.step("fault", now_ms, "indicator_failed")
        return NONE

    # A press edge of the trigger (released before, pressed now). A trigger held at power-up is no
    # edge.
    def press(self, now_ms):
        return self.step("press" if self.closed else "press_open", now_ms)

    # Acquisition asks for light. Refused (no action) until the warning has run its full time.
    def fire(self, now_ms):
        action = self.tick(now_ms)
        if action != NONE or (self.state == ARMED and not self.may_emit(now_ms)):
            return action
        return self.step("fire", now_ms)

    # Call often: time limits of the present state, and whether the clock can be believed. A clock
    # that runs back is a defect; one that leapt, or a guard that did not look, ends arming or
    # emission.
    def tick(self, now_ms):
        gap_ms = elapsed_ms(now_ms, self._seen_ms)
        self._seen_ms = now_ms
        if self.state in (ARMED, EMITTING):
            if gap_ms < 0:
                return self.step("fault", now_ms, "clock_jumped")
            if gap_ms > GAP_MS:
                return self.step("cancel", now_ms, "guard_late")
            if gap_ms > LOOK_MS and self.lit_ms is not None:
                # Nobody saw it lit meanwhile, or the clock leapt.
                self.lit_ms = (self.lit_ms + gap_ms) & (_PERIOD - 1)
        limit_ms = self._limits_ms.get(self.state)
        if limit_ms is None or 0 <= elapsed_ms(now_ms, self.since_ms) < limit_ms:
            return NONE
        return self.step("deadline", now_ms, "time_limit")

    # Whether everything emission needs is there: all inputs closed, and the whole warning.
    def may_emit(self, now_ms):
        return self.state == ARMED and self.closed and self.warning_left_ms(now_ms) == 0

    # 0 once the indicator has been seen lit for the whole warning.
    def warning_left_ms(self, now_ms):
        if self.state != ARMED:
            return 0
        if self.lit_ms is None:
            return self._warning_ms
        return max(0, self._warning_ms - elapsed_ms(now_ms, self.lit_ms))
