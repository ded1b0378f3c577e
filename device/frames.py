"""The three big buffers of a measurement, allocated while the heap is still in one piece.

20 kB at 2,048 pixels; nothing else of that size is ever allocated. `frame` holds one exposure,
`raw` and `dark` the sums that go to the host. Once all modules are loaded, a reserve keeps room for
the link, which is made later.
"""

import gc
from array import array

RESERVE_BYTES = 28 * 1024  # an inbound packet of 16 kB, and blocks of a flash sector


class Frames:
    def __init__(self, pixels):
        self._reserve = bytearray()
        self.frame = array("H", bytes(2 * pixels))
        self.raw = array("I", bytes(4 * pixels))
        self.dark = array("I", bytes(4 * pixels))

    # Call when the modules are loaded: compiling them needs the room before.
    def hold_reserve(self):
        gc.collect()
        self._reserve = bytearray(RESERVE_BYTES)

    # Call right before the link is made.
    def give_reserve(self):
        self._reserve = bytearray()
        gc.collect()
