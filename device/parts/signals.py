"""Buzzer (PWM) and vibration motor: patterns played by a one-shot timer.

play(pattern) returns at once; a new pattern replaces the one that runs. Unknown names are refused
with an OSError, because a warning that does not sound must keep the laser off.
"""

import errno

_ON = 1 << 15  # half of the PWM's period is loudest

# (hertz, ms): 0 Hz is a pause. Two different things must not sound alike.
WARNING = ((2700, 150), (0, 100)) * 8  # as long as the laser's warning of 2 s
PATTERNS = {
    "warning": WARNING,
    "refused": ((400, 150), (0, 80), (400, 150)),
    "saved": ((1800, 80), (0, 60), (2400, 120)),
    "verdict": ((2400, 80), (0, 60), (2400, 80), (0, 60), (2400, 250)),
    "request": ((1800, 300),),
    "fault": ((400, 600), (0, 200)) * 3,
}


class Signals:
    # `start(ms, then)` runs `then(timer)` once after ms; `motor` may be None.
    def __init__(self, pwm, start, motor=None):
        self._pwm = pwm
        self._start = start
        self._motor = motor
        self._steps: tuple = ()
        self._at = 0
        self._then = self._next  # bound once: a timer's callback must not allocate
        self.silence()

    def play(self, name):
        steps = PATTERNS.get(name)
        if steps is None:
            raise OSError(errno.EINVAL, "no such pattern: " + name)
        self._steps = steps
        self._at = 0
        self._next(None)

    def silence(self):
        self._steps = ()
        self._sound(0)

    def _next(self, _timer):
        if self._at >= len(self._steps):
            self.silence()
            return
        hertz, ms = self._steps[self._at]
        self._at += 1
        self._sound(hertz)
        self._start(ms, self._then)

    def _sound(self, hertz):
        if hertz:
            self._pwm.freq(hertz)
        self._pwm.duty_u16(_ON if hertz else 0)
        if self._motor is not None:
            self._motor.value(1 if hertz else 0)
