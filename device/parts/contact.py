"""A changeover contact of the interlock (lid, key), read by two inputs that must disagree.

Closed: `made` high and `rest` low. Open: the other way round. Anything else is a broken wire, a
short or the contact on its way: open for at most TRAVEL_MS, then an OSError. This is the firmware's
eye only: the same switch cuts the laser's enable in hardware.
"""

import errno
import time

TRAVEL_MS = 50


class Contact:
    # Inputs with pull-down; the common terminal is at 3.3 V.
    def __init__(self, made, rest, ticks_ms=time.ticks_ms):
        self._made = made
        self._rest = rest
        self._ticks_ms = ticks_ms
        self._travelling = False
        self._since_ms = 0

    def closed(self):
        made = self._made.value()
        if made != self._rest.value():
            self._travelling = False
            return bool(made)
        now_ms = self._ticks_ms()
        if not self._travelling:
            self._travelling = True
            self._since_ms = now_ms
        elif time.ticks_diff(now_ms, self._since_ms) > TRAVEL_MS:
            raise OSError(errno.EIO, "contact gives two equal levels")
        return False
