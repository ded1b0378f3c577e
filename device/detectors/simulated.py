"""The simulator's detector: start an exposure over the bus, wait for its end, fetch the pixels."""

import asyncio

POLL_MS = 3


class Detector:
    def __init__(self, call, into_bytes):
        self._call = call
        self._into_bytes = into_bytes  # copies bytes into an array, as the port can

    async def expose(self, exposure_us, into):
        self._call("expose_start", exposure_us)
        await asyncio.sleep_ms(exposure_us // 1000)
        while not self._call("expose_ready"):
            await asyncio.sleep_ms(POLL_MS)
        self._into_bytes(into, self._call("expose_read").data)

    def temperature_mdegc(self):
        return self._call("detector_mdegc")
