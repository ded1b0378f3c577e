"""The whole laser (`Laser`, `Interlock`, `Buttons`) on hardware that fails, judged by what is true.

Runs on CPython and on MicroPython, unchanged. `Hardware` is pins, lamp and clock as they really
are; it keeps the truth that the promises are about and never asks the firmware what it believes.
"""

MAX_ON, WARNING, FULL_UW, LOW_UW = 700, 300, 100000, 20000
PERIOD = 1 << 30
START = PERIOD - 5000  # the tick counter wraps during a run


class Hardware:
    def __init__(self):
        self.now = 0
        self.inputs = {"lid": True, "key": True}
        self.unreadable = False
        self.lamp = False
        self.lamp_broken = False
        self.lamp_stuck = False
        self.light = None  # what the photodiode says instead of the truth
        self.off_broken = False
        self.asked = False  # what the enable pin was told
        self.power = 0
        self.shot_end = 0
        self.on_since = 0
        self.lit_since = None
        self.pressed = False  # a press edge since the last light
        self.dark_sample = ""
        self.fires = 0
        self.calls = 0
        self.fail_at = 0
        self.error = OSError
        self.laser = self

    # --- truth ---

    def closed(self):
        return all(value is True for value in self.inputs.values()) and not self.unreadable

    def enabled(self):
        return self.asked and self.now < self.shot_end

    def lit(self):
        return (self.lamp or self.lamp_stuck) and not self.lamp_broken

    # What must hold right after the guard has looked, whatever happened before.
    def judge(self):
        self.see()
        if self.enabled() and not self.off_broken:
            assert self.closed(), "I2: enabled with an input open"
            assert self.lit(), "I7: enabled with the indicator dark"
            assert self.now - self.on_since < MAX_ON, "I3: on too long"
            assert self.power <= self.permitted(), "I8: more than the answer permits"

    def permitted(self):
        return FULL_UW if self.dark_sample == "no" else LOW_UW

    def see(self):
        if not self.lit():
            self.lit_since = None
        elif self.lit_since is None:
            self.lit_since = self.now

    # --- what the firmware calls ---

    def ticks_ms(self):
        return (START + self.now) & (PERIOD - 1)

    def _call(self):
        self.calls += 1
        if self.calls == self.fail_at:
            raise self.error()

    def set_power_uw(self, power_uw):
        self._call()
        self.power = power_uw

    def fire(self, max_ms):
        self._call()
        self.see()
        assert self.closed(), "I1: fired with an input open"
        assert self.lit_since is not None, "I1: fired with the indicator dark"
        assert self.now - self.lit_since >= WARNING, "I1: fired before the end of the warning"
        assert self.pressed, "I5: fired without a press of its own"
        assert self.power <= self.permitted(), "I8: more than the answer permits"
        self.pressed = False
        self.fires += 1
        self.asked = True
        self.on_since = self.now
        self.shot_end = self.now + max_ms

    def off(self):
        self._call()
        if self.off_broken:
            raise OSError(5)
        self.asked = False

    def read(self):
        self._call()
        on = self.enabled()
        light = self.power if on else 0
        return on, self.closed(), light if self.light is None else self.light, 25000

    def interlock(self):
        self._call()
        if self.unreadable:
            raise OSError(5)
        return dict(self.inputs)

    def indicate(self, lit):
        self._call()
        self.lamp = lit
        self.see()

    def indicator(self):
        self._call()
        return self.lit()

    def buzz(self, pattern):
        self._call()

    def log(self, kind, details):
        self._call()


# One unit as `app` wires it: buttons to press edges, a guard that polls.
class Unit:
    def __init__(self, machine, laser, buttons, faults):
        self.m = machine
        self.hardware = Hardware()
        self.lock = machine.Interlock(MAX_ON, WARNING, 1000, 200)
        self.laser = laser.Laser(self.hardware, self.lock, MAX_ON, self.hardware.ticks_ms)
        self.buttons = buttons.Buttons()
        self.bits = 0
        self.emission = None
        self.UnitError = faults.UnitError
        self.states = {}

    def boot(self):
        self.laser.step("boot")
        self.laser.step("checks_ok")

    # The clock moves, then the guard looks once.
    def look(self, ms=5):
        self.hardware.now += ms
        self.hardware.see()
        state = self.laser.poll()
        pressed, held = self.buttons.feed(self.bits, self.hardware.ticks_ms())
        if pressed & 1 and self.emission is None:
            self.hardware.pressed = True
            self.hardware.dark_sample = ""
            state = self.laser.press()
        if held and state == self.m.FAULT:
            self.boot_again()
        self.hardware.judge()
        self.states[self.lock.state] = self.states.get(self.lock.state, 0) + 1

    def boot_again(self):
        self.laser.step("reset")
        self.laser.step("checks_ok")

    def answer(self, dark_sample):
        if self.emission is None:
            self.hardware.dark_sample = dark_sample if self.lock.state == self.m.ARMED else ""
            self.laser.answered(dark_sample, FULL_UW)
            if self.lock.state != self.m.ARMED:
                self.laser.off()

    def start(self, power_uw):
        if self.emission is not None:
            return
        emission = self.laser.emission(power_uw)
        try:
            emission.__enter__()
            self.emission = emission
        except self.UnitError:
            assert self.hardware.off_broken or not self.hardware.enabled(), "refused, yet enabled"

    def stop(self):
        if self.emission is not None:
            self.emission.__exit__(None, None, None)
            self.emission = None
            assert self.hardware.off_broken or not self.hardware.enabled(), "ended, yet enabled"

    def set_power(self, power_uw):
        if self.emission is not None:
            try:
                self.laser.set_power(power_uw)
            except self.UnitError:
                assert self.hardware.off_broken or not self.hardware.enabled()


# What may happen, each a function of the unit and a number 0..2**16-1.
def _shot(unit, n):
    if n % 3:
        _reset(unit, n)
    for unit.bits in (0, 0, 1, 1, 0):
        unit.look()
    unit.answer(("no", "yes", "unknown", "")[n % 4])
    for _ in range(WARNING // 20 + (n // 4) % 8 - 1):
        unit.look(20)
    unit.start((LOW_UW, LOW_UW, LOW_UW, FULL_UW)[(n // 64) % 4])


def _reset(unit, n):
    for name in ("unreadable", "lamp_broken", "lamp_stuck", "off_broken"):
        setattr(unit.hardware, name, False)
    unit.hardware.light = None
    unit.hardware.inputs = {"lid": True, "key": True}
    unit.laser.release()
    unit.stop()
    unit.bits = 0
    unit.look()
    unit.look()
    unit.bits = 4
    for _ in range(20):
        unit.look(100)
    unit.bits = 0
    unit.look(50)
    unit.look(50)


def _input(unit, n):
    inputs = dict(unit.hardware.inputs)
    inputs[("lid", "key", "nose")[n % 3]] = (True, False, 1, None)[(n // 3) % 4]
    unit.hardware.inputs = inputs
    unit.look(1)


def _bounce(unit, n):
    for at in range(n % 12):
        unit.hardware.inputs = {"lid": at % 2 == 0, "key": True}
        unit.look(1)


def _switch(name):
    def act(unit, n):
        setattr(unit.hardware, name, n % 2 == 0)
        unit.look(1)

    return act


def _light(unit, n):
    unit.hardware.light = (None, 0, 5000, 400000)[n % 4]
    for _ in range(n % 30):
        unit.look(10)


def _event(unit, n):
    names = ("request", "cancel", "cut", "done", "fault")
    unit.laser.step(names[n % 5])


def _hold(unit, n):
    if n % 2:
        unit.laser.hold("updating")
        unit.look(1)
    else:
        unit.laser.release()


ACTIONS = (
    _shot,
    _shot,
    _shot,
    _shot,
    _shot,
    _reset,
    lambda unit, n: unit.look(n % 40),
    lambda unit, n: [unit.look(20) for _ in range(n % 50)],
    lambda unit, n: unit.look(n % 3000),  # a guard that is late
    lambda unit, n: unit.stop(),
    lambda unit, n: unit.set_power(n * 4),
    lambda unit, n: setattr(unit, "bits", n % 8),
    _input,
    _bounce,
    _switch("unreadable"),
    _switch("lamp_broken"),
    _switch("lamp_stuck"),
    _switch("off_broken"),
    _light,
    _event,
    _hold,
)


# A long random run, the same on every interpreter. Returns (fires, looks by state).
def storm(machine, laser, buttons, faults, seed, steps):
    unit = Unit(machine, laser, buttons, faults)
    unit.boot()
    for _ in range(steps):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        ACTIONS[(seed >> 8) % len(ACTIONS)](unit, seed >> 14)
    return unit.hardware.fires, sorted(unit.states.items())


# One shot with the n-th call of the hardware failing by `error`; returns whether there was an n-th.
def inject(machine, laser, buttons, faults, error, n):
    unit = Unit(machine, laser, buttons, faults)
    hardware = unit.hardware
    unit.boot()
    hardware.calls = 0
    hardware.fail_at, hardware.error = n, error
    try:
        for unit.bits in (0, 0, 1, 1, 0):  # held at power-up would be no press
            unit.look()
        unit.answer("no")
        for _ in range(WARNING // 10 + 1):
            unit.look(10)
        with unit.laser.emission(25000):
            for _ in range(5):
                unit.look(10)
            unit.laser.set_power(FULL_UW)
            for _ in range(5):
                unit.look(10)
    except unit.UnitError:
        pass
    except error:
        unit.laser.off()  # what `main` does with anything that ends the app
    assert not hardware.enabled(), "on after the end"
    happened = hardware.calls >= n
    assert happened or hardware.fires == 1, "without a failure there is light"
    return happened


def inject_all(machine, laser, buttons, faults, error):
    n = 1
    while inject(machine, laser, buttons, faults, error, n):
        n += 1
    return n - 1
