"""The simulator's detector: start an exposure over the bus, wait for its end, fetch the pixels."""

import asyncio
import errno
import time

POLL_MS = 3
LATE_MS = 2000  # a detector that is not ready so long after the end of an exposure is broken


class Detector:
    def __init__(self, call, into_bytes):
        self._call = call
        self._into_bytes = into_bytes  # copies bytes into an array, as the port can

    async def expose(self, exposure_us, into):
        self._call("expose_start", exposure_us)
        await asyncio.sleep_ms(exposure_us // 1000)
        end_ms = time.ticks_ms()
        while not self._call("expose_ready"):
            if time.ticks_diff(time.ticks_ms(), end_ms) > LATE_MS:
                raise OSError(errno.ETIMEDOUT)
            await asyncio.sleep_ms(POLL_MS)
        self._into_bytes(into, self._call("expose_read").data)

    def temperature_mdegc(self):
        return self._call("detector_mdegc")
