# A firmware on trial, as the app sees it: confirmed when the self-test passed and the host was
# reached (or it ran long enough without one), given up when the self-test forbids measuring. What
# a slot is, is rom/slots.py's.

import asyncio
import time

LOOK_MS = 1000
ALONE_MS = 10 * 60000  # without a host a firmware must have run so long


class Updater:
    # slots: None where the firmware runs from a folder: then there is nothing to prove.
    def __init__(self, app, slots):
        self._app = app
        self._slots = slots
        self._started_ms = time.ticks_ms()

    # After every self-test; `bad`: it forbids measuring.
    def tested(self, bad):
        slots = self._slots
        if bad and slots is not None and slots.on_trial():
            slots.revert("its self-test failed")
            self._app.status.log("update_reverted", {"checks": self._app.checks})
            self._app.board.reset()

    async def run(self):
        while True:
            if self._slots is not None and self._slots.on_trial():
                self._prove()
            await asyncio.sleep_ms(LOOK_MS)

    def _prove(self):
        app = self._app
        alone = time.ticks_diff(time.ticks_ms(), self._started_ms) > ALONE_MS
        if app.testing or app.busy or not (app.link.online or alone):
            return
        self._slots.confirm()
        app.status.log("update_confirmed", {"host": app.link.online})
