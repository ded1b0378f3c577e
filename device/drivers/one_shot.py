"""The laser enable with a maximum that hardware keeps: a state machine or the ESP32's RMT.

`fire(max_ms)` raises the enable for at most that long, `off()` drops it; after either the next
`fire` is refused until the pause has passed. The pin needs a pull-down resistor: it floats from
reset until here. Not tested on hardware.
"""

import errno
import time

PAUSE_MS = 90


class _OneShot:
    def __init__(self):
        self._free_ms = time.ticks_add(time.ticks_ms(), PAUSE_MS)

    def _claim(self, max_ms, longest_ms):
        if not 1 <= max_ms <= longest_ms:
            raise OSError(errno.EINVAL, "emission must be 1 to %d ms" % longest_ms)
        now_ms = time.ticks_ms()
        if time.ticks_diff(self._free_ms, now_ms) > 0:
            raise OSError(errno.EAGAIN, "the one-shot is not ready")
        self._free_ms = time.ticks_add(now_ms, max_ms + PAUSE_MS)

    def _pause(self):
        self._free_ms = time.ticks_add(time.ticks_ms(), PAUSE_MS)


# RP2350: `program` is one_shot_pio.one_shot, `machine` an rp2.StateMachine of its own. The pause is
# in the program too, so it holds even for whoever goes round this class.
class PioOneShot(_OneShot):
    TICK_HZ = 6250
    LONGEST_MS = 65536 * 1000 // TICK_HZ

    def __init__(self, machine, program, pin):
        self._machine = machine
        machine.init(program, freq=self.TICK_HZ, sideset_base=pin)
        machine.active(1)
        super().__init__()

    def fire(self, max_ms):
        if self._machine.tx_fifo():
            raise OSError(errno.EAGAIN, "the one-shot has a request waiting")
        self._claim(max_ms, self.LONGEST_MS)
        self._machine.put(max_ms * self.TICK_HZ // 1000 - 1)

    # The first instruction drops the pin.
    def off(self):
        self._machine.restart()
        self._pause()


# ESP32-S3: the RMT sends one high pulse from its own memory. `make()` gives an esp32.RMT on `pin`
# with clock_div=255 and idle level low. Its memory of 48 symbols holds 95 pieces and the end; more
# would need the processor. One emission is bounded by hardware; the pause only by this class, so a
# board on which Python must not be trusted with that needs a monostable before the driver.
class RmtOneShot(_OneShot):
    TICK_HZ = 80000000 // 255
    PIECE_TICKS = 32767
    PIECES = 95
    LONGEST_MS = PIECES * PIECE_TICKS * 1000 // TICK_HZ

    def __init__(self, make, pin):
        self._make = make
        self._pin = pin
        self._rmt = None
        pin.init(pin.OUT, value=0)
        super().__init__()

    def fire(self, max_ms):
        self._claim(max_ms, self.LONGEST_MS)
        ticks = max_ms * self.TICK_HZ // 1000
        pieces = [self.PIECE_TICKS] * (ticks // self.PIECE_TICKS)
        if ticks % self.PIECE_TICKS:
            pieces.append(ticks % self.PIECE_TICKS)
        self._release()
        self._rmt = self._make()
        self._rmt.write_pulses(pieces, [1] * len(pieces))

    def off(self):
        self._pin.init(self._pin.OUT, value=0)  # takes the pin from the RMT at once
        self._release()
        self._pause()

    def _release(self):
        if self._rmt is not None:
            self._rmt.deinit()
            self._rmt = None
