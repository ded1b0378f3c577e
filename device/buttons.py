"""Press edges from raw button readings: debounced, and a button held at power-up gives no edge."""

TRIGGER = 1
NEXT = 2
OK = 4
HOLD_MS = 1500


class Buttons:
    # `stable` equal readings in a row count as a position.
    def __init__(self, stable=2):
        self._stable = stable
        self._last = None
        self._same = 0
        self._position = None  # debounced bits; None until the first stable reading
        self._seen_up = 0  # buttons that were seen released since power-up
        self._ok_since_ms = None

    # Feed one reading; returns (bits pressed just now, True once when OK has been held).
    def feed(self, bits, now_ms):
        self._same = self._same + 1 if bits == self._last else 1
        self._last = bits
        if self._same < self._stable:
            return 0, False
        self._seen_up |= ~bits & 7
        before = self._position
        self._position = bits
        pressed = bits & ~before & self._seen_up if before is not None else 0
        held = False
        if not bits & OK:
            self._ok_since_ms = None
        elif pressed & OK:
            self._ok_since_ms = now_ms
        elif self._ok_since_ms is not None and now_ms - self._ok_since_ms >= HOLD_MS:
            self._ok_since_ms = None
            held = True
        return pressed, held
