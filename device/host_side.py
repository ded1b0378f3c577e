"""What the host says to the app and what the unit tells it: receipts, verdicts, commands, state.

A command can ask, answer and stop; nothing here arms the laser.
"""

import asyncio
import time

TELEMETRY_MS = 60000


class HostSide:
    def __init__(self, app):
        self._app = app
        self._told = None  # what the last state message was made from

    # The link has checked the receipt and the spool has freed the slot.
    def on_receipt(self, message):
        number = (message["boot"], message["seq"])
        kept = message["status"] == "quarantined"
        self._app.officer.delivered(number, message["status"])
        details = {"sha256": message["sha256"].hex(), "status": message["status"]}
        self._app.status.log("kept_for_review" if kept else "delivered", labelled(number, details))
        self._app.screen.show()

    def on_verdict(self, message):
        number = (message["boot"], message["seq"])
        newest = number == self._app.officer.number
        self._app.officer.judged(number, message)
        self._app.screen.show()
        details = {"verdict": message["verdict"], "last_frame_to_verdict_ms": None}
        last_ms = self._app.last_frame_ms
        if newest and last_ms is not None:
            details["last_frame_to_verdict_ms"] = time.ticks_diff(time.ticks_ms(), last_ms)
            self._app.last_frame_ms = None  # a repeated verdict is no second measurement of time
        self._app.status.log("verdict", labelled(number, details))
        self._app.status.buzz("verdict")

    def on_command(self, message):
        command, args = message["command"], message["args"]
        if command == "set_time":
            self._set_time(args["time_ms"])
        elif command == "request_measurement":
            self._app.laser.step("request")  # by the table it moves nothing
            self._app.officer.request = True
            if self._app.officer.screen in ("saved", "refused"):
                self._app.officer.ready()
            self._app.status.buzz("request")
        elif command == "set_answers":
            self._app.officer.answer(args)
        elif command == "abort":
            self._app.stop("abort")
        self._app.status.log("command", {"command": command, "n": message["n"]})
        self._app.screen.show()

    def _set_time(self, wanted_ms):
        status = self._app.status
        why = status.time_refusal(wanted_ms)
        if why:
            status.log("time_refused", {"reason": why, "time_ms": wanted_ms})
            return
        self._app.board.set_clock(wanted_ms)
        self._app.link.state_changed()

    def state_fields(self):
        return self._app.status.state_fields(self._app.testing, self._app.busy)

    def tell_state(self):
        app = self._app
        state = app.status.state(app.testing, app.busy)
        now = (state, app.interlock.closed, app.spool.used)
        if now != self._told:
            self._told = now
            self._app.link.state_changed()

    async def tell_often(self):
        while True:
            try:
                self._app.link.telemetry(self._app.status.telemetry_fields(self._app.link.counters))
            except OSError as error:
                self._app.status.log("telemetry_failed", {"detail": repr(error)})
            await asyncio.sleep_ms(TELEMETRY_MS)


def labelled(number, details):
    details["boot"], details["seq"] = number
    return details
