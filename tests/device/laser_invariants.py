"""The laser's promises I1 to I7 on every transition that its state machine can make.

Runs on CPython and on MicroPython, unchanged; gets the module `interlock` as an argument.
The model is the real `Interlock` with small time limits, so that the search is finite and exact:
time counts in units, and an age beyond every limit is one age. Beside it runs a witness, which
knows what was really pressed, read and lit; the promises are said in the witness's words.
"""

# In units of time. GAP, INDICATOR and LOOK replace the module's limits while the search runs.
MAX_ON, WARNING, ARMED, COOLDOWN, GAP, INDICATOR, LOOK = 4, 2, 3, 1, 3, 2, 2
OLD = 7  # older than every limit
PERIOD = 1 << 30  # of MicroPython's tick counter

CLOSED = {"lid": True, "key": True}
READINGS = (
    CLOSED,
    {"lid": False, "key": True},
    {"lid": True, "key": False},
    {"lid": True, "key": 1},
    {"lid": True},
    {"lid": True, "key": True, "nose": True},
    {"lid": True, "key": True, "nose": False},
    {"lid": True, "key": True, "door": True},
    None,
)
NAMES = ("boot", "checks_ok", "checks_failed", "request", "done", "cancel", "cut", "fault", "reset")
# What can happen: a reading, what the indicator's sensor says, an event by name, a call, and time:
# "wait" passes without a look at the clock, "look" passes and the guard looks. A clock that runs
# back by more than has passed since the last look is noticed; by less it is not, and then only the
# hardware one-shot counts the true time.
STEPS = (
    [("inputs", r) for r in READINGS]
    + [("indicator", lit) for lit in (True, False, None)]
    + [("event", name) for name in NAMES]
    + [("press", 0), ("fire", 0), ("hold", 0), ("release", 0)]
    + [("wait", 1), ("look", 0), ("look", 1), ("look", GAP + 1), ("look", -1)]
)


# The machine and its witness, restored from a `key`. The ages are measured from `now`.
class Case:
    def __init__(self, m, key, now):
        self.m = m
        self.lock = lock = m.Interlock(MAX_ON, WARNING, ARMED, COOLDOWN)
        (lock.state, lock.closed, lock.held, lock._nose, since, lit, wrong, seen) = key[:8]
        lock.since_ms = ticks(now - since)
        lock.lit_ms = None if lit is None else ticks(now - lit)
        lock._wrong_ms = None if wrong is None else ticks(now - wrong)
        lock._seen_ms = ticks(now - seen)
        # The witness: was the trigger pressed for this arming, how long has every look at the lamp
        # found it lit, how long has the laser been on, has the last reading of the inputs been
        # closed.
        self.pressed, self.lamp, self.on, self.inputs = key[8:]
        self.now = now

    def key(self):
        m, lock, now = self.m, self.lock, self.now
        timed = lock.state in (m.ARMED, m.EMITTING)
        limited = timed or lock.state == m.COOLDOWN
        return (
            lock.state,
            lock.closed,
            lock.held,
            lock._nose,
            age(now, lock.since_ms) if limited else 0,
            None if lock.lit_ms is None else age(now, lock.lit_ms),
            None if lock._wrong_ms is None else age(now, lock._wrong_ms),
            age(now, lock._seen_ms) if timed else 0,
            self.pressed,
            self.lamp,
            self.on,
            self.inputs,
        )

    # One step, then every promise.
    def take(self, kind, value):
        m, lock = self.m, self.lock
        before = lock.state
        now = ticks(self.now)
        unseen = age(now, lock._seen_ms)
        action = ""
        if kind == "inputs":
            action = lock.inputs(value, now)
            self.inputs = is_closed(value) and ("nose" in value or not lock._nose)
        elif kind == "indicator":
            action = lock.indicator(value, now)
        elif kind == "event":
            action = lock.step(value, now)
        elif kind == "press":
            action = lock.press(now)
        elif kind == "fire":
            action = lock.fire(now)
        elif kind == "hold":
            action = lock.hold("updating", now)
        elif kind == "release":
            lock.release()
        else:
            self.now += value
            if self.lamp is not None:
                self.lamp = max(-2, min(OLD, self.lamp + value))
            if before == m.EMITTING:
                self.on = max(-2, min(OLD, self.on + value))
            if kind == "look":
                action = lock.tick(ticks(self.now))
        self.check(kind, value, before, action, unseen)
        self.note(kind, value)

    def check(self, kind, value, before, action, unseen):
        m, lock = self.m, self.lock
        after = lock.state
        hot = (m.ARMED, m.EMITTING)
        what = (kind, value, before, after, action)
        # I1: light only from ARMED, with all inputs closed, the indicator seen lit for the
        # whole warning, and a press of its own.
        if action == m.FIRE or (after == m.EMITTING and before != m.EMITTING):
            assert (kind, before, after, action) == ("fire", m.ARMED, m.EMITTING, m.FIRE), what
            assert self.inputs and lock.closed and not lock.held, what
            assert self.lamp is not None and self.lamp >= WARNING, what
            assert self.pressed, what
        # I2: any input lost: not armed, not emitting, and told to be off.
        if (kind == "inputs" and not lock.closed) or kind == "hold":
            assert after not in hot, what
        if before in hot and after not in hot:
            assert action == m.TURN_OFF, what
        if not (self.inputs and not lock.held):
            assert after not in hot or kind == "release", what
        # I3: a look at the clock at or after the limit, at one that ran back, or at one that was
        # not looked at for too long, ends light.
        if kind == "look":
            assert not (after == m.EMITTING and self.on >= MAX_ON), what
            assert not (after in hot and not 0 <= unseen + value <= GAP), what
        # I5 and I6: nothing arms but a press edge with everything closed, in SAFE.
        if after == m.ARMED and before != m.ARMED:
            assert (kind, before, action) == ("press", m.SAFE, m.WARN), what
            assert self.inputs and not lock.held, what
        if (kind, value) == ("event", "request"):
            assert (after, action) == (before, m.NONE), what
        # I7: a dark indicator never goes with light; one that disagrees for long is a fault.
        if kind == "indicator":
            assert not (after == m.EMITTING and value is not True), what
            wrong = lock._wrong_ms
            assert wrong is None or age(self.now, wrong) < INDICATOR or after == m.FAULT, what
            if value is (after in hot):
                assert wrong is None or after == m.FAULT, what
        # A fault is latched.
        if before == m.FAULT:
            assert after == m.FAULT or (kind, value) == ("event", "reset"), what
        if after == m.FAULT and before != m.FAULT:
            assert action == m.TURN_OFF, what

    def note(self, kind, value):
        m, lock = self.m, self.lock
        if lock.state not in (m.ARMED, m.EMITTING):
            self.pressed, self.lamp, self.on = False, None, 0
        elif kind == "press" and lock.state == m.ARMED:
            self.pressed = True
        if kind == "indicator" and lock.state in (m.ARMED, m.EMITTING):
            if value is not True:
                self.lamp = None
            elif self.lamp is None:
                self.lamp = 0


def is_closed(reading):
    if not isinstance(reading, dict) or "lid" not in reading or "key" not in reading:
        return False
    for name in reading:
        if name not in ("lid", "key", "nose") or reading[name] is not True:
            return False
    return True


def ticks(time):
    return time & (PERIOD - 1)


def age(now, then):
    return max(-2, min(OLD, (now - then + PERIOD // 2) % PERIOD - PERIOD // 2))


# Every state that any sequence of steps can reach. Returns (transitions, states, depth, fires,
# names of the machine's states that were reached).
def search(m, now=0):
    kept = m.GAP_MS, m.INDICATOR_MS, m.LOOK_MS
    m.GAP_MS, m.INDICATOR_MS, m.LOOK_MS = GAP, INDICATOR, LOOK
    try:
        start = (m.OFF, False, "", False, 0, None, None, 0, False, None, 0, False)
        seen = {start}
        front = [start]
        count = depth = fires = 0
        while front:
            after = []
            for key in front:
                for kind, value in STEPS:
                    case = Case(m, key, now)
                    case.take(kind, value)
                    count += 1
                    if case.lock.state == m.EMITTING and key[0] == m.ARMED:
                        fires += 1
                    reached = case.key()
                    if reached not in seen:
                        seen.add(reached)
                        after.append(reached)
            front = after
            depth += 1
        return count, len(seen), depth, fires, sorted({key[0] for key in seen})
    finally:
        m.GAP_MS, m.INDICATOR_MS, m.LOOK_MS = kept
