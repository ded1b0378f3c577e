"""Keeps the display up to date: gathers what it shows from the app and sends what changed."""

import asyncio

import display
import interlock as machine
from faults import fault

PERIOD_MS = 150


class Screen:
    def __init__(self, app):
        self._app = app
        self._rows = None

    async def run(self):
        while True:
            self._app.status.battery()
            self.show()
            await asyncio.sleep_ms(PERIOD_MS)

    def show(self):
        app = self._app
        view = app.officer.view()
        if app.interlock.state == machine.FAULT:
            error = app.laser.why_stopped()
            view["screen"] = "fault"
            if app.interlock.reason == "checks_failed":
                error = fault("selftest_failed")
            view["what"], view["do_next"] = error.what, error.do_next
        view["unit"] = app.settings["unit"]
        view["battery_low"] = 0 < app.status.battery_mv < app.settings["battery"]["low_mv"]
        view["online"] = app.link.online
        view["used"] = app.spool.used
        view["capacity"] = app.spool.capacity
        view["phase"] = app.acquirer.phase
        view["permille"] = app.acquirer.done_permille
        view["left_ms"] = app.laser.warning_left_ms()
        rows = display.rows(view)
        if rows != self._rows:
            self._rows = rows
            try:
                app.board.display(rows)
            except OSError:
                self._rows = None  # try again at the next turn
