# How long to wait before the next try: doubling, with jitter, between two bounds. Owns no clock
# and no task. The first failures are answered quickly (50 ms up to 2 s) because most cuts are
# short; only a peer that stays away is asked less and less often (up to 30 s). Jitter keeps a
# fleet that lost its broker at the same moment from coming back at the same moment.

import random

QUICK_TRIES = 10  # failures in a row that are still answered within quick_max_ms


class Backoff:
    def __init__(
        self, first_ms=50, quick_max_ms=2000, max_ms=30000, getrandbits=random.getrandbits
    ):
        self.first_ms = first_ms
        self.quick_max_ms = quick_max_ms
        self.max_ms = max_ms
        self.failures = 0
        self._base_ms = first_ms
        self._getrandbits = getrandbits

    # Something worked: the next failure is a new one.
    def reset(self):
        self.failures = 0
        self._base_ms = self.first_ms

    # Count a failure; the wait is uniform in [base/2, base], never 0 for a first_ms of 2 or more.
    def next_ms(self):
        base = self._base_ms
        self.failures += 1
        limit = self.quick_max_ms if self.failures < QUICK_TRIES else self.max_ms
        self._base_ms = min(base * 2, limit) if base < limit else base
        return base - (self._getrandbits(16) * (base // 2) >> 16)
