"""Three push buttons to ground: a changed level counts when it has held still for SETTLE_MS.

Gives bits as `buttons` of a board does (1 trigger, 2 next, 4 ok). What is a press, what is held,
is decided by the firmware's `buttons`, not here.
"""

import time

SETTLE_MS = 8


class Keys:
    # `pins` in the order of the bits; inputs with pull-up, low while pressed.
    def __init__(self, pins, ticks_ms=time.ticks_ms):
        self._pins = pins
        self._ticks_ms = ticks_ms
        self._steady = 0
        self._raw = 0
        self._since_ms = ticks_ms()

    def bits(self):
        raw = 0
        for at in range(len(self._pins)):
            if not self._pins[at].value():
                raw |= 1 << at
        now_ms = self._ticks_ms()
        if raw != self._raw:
            self._raw = raw
            self._since_ms = now_ms
        elif raw != self._steady and time.ticks_diff(now_ms, self._since_ms) >= SETTLE_MS:
            self._steady = raw
        return self._steady
