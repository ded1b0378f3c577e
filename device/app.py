"""The asyncio task graph: guard, measuring, link, watchdog, display, telemetry. Owns no pin.

Order of promises: "saved" is shown after the spool's rename, "delivered" after the host's receipt,
a verdict after both. A command from the network can ask, answer and stop; it never arms. Any task
that ends ends the app: `main` then has the laser off.
"""

import asyncio
import gc
import time

import display
import firmware
import interlock as machine
import measurement
import selftest
import settings as settings_file
from acquire import Acquirer
from buttons import NEXT, OK, TRIGGER, Buttons
from faults import fault
from fieldassay_wire import mac0
from laser import Laser
from link import Link
from officer import Officer
from spool import Spool
from status import Status

GUARD_IDLE_MS = 20
GUARD_ACTIVE_MS = 4
GUARD_LATE_MS = 1000  # the watchdog is not fed when the guard is later than this
WATCHDOG_MS = 500
DISPLAY_MS = 150
TELEMETRY_MS = 60000


def run(board, frames):
    asyncio.run(App(board, frames).run())


class App:
    def __init__(self, board, frames):
        self.board = board
        self.settings = settings = settings_file.load(board.flash_root + "/settings.json")
        laser = settings["laser"]
        self.interlock = machine.Interlock(laser["max_on_ms"], laser["warning_ms"])
        self.laser = Laser(board, self.interlock, laser["max_on_ms"], time.ticks_ms)
        self.acquirer = Acquirer(board, self.laser, settings, frames, time.ticks_ms)
        self.firmware = firmware.describe()
        self.status = Status(board, self.interlock, self.laser, self.firmware)
        self.spool = Spool(
            board.flash_root + "/spool", settings["spool"]["capacity"], board.feed_watchdog
        )
        self.boot = self.spool.next_boot()
        self.seq = 0
        self.key = bytes.fromhex(settings["key"])
        self.officer = Officer()
        self.buttons = Buttons()
        self.checks = {}
        frames.give_reserve()
        self.link = Link(
            settings,
            board,
            self.spool,
            self.key,
            self.boot,
            self._state_fields,
            self._on_verdict,
            self._on_receipt,
            self._on_command,
            self.status.log,
            quiet=self._is_lit,
        )
        self._guard_ms = time.ticks_ms()
        self._go = asyncio.Event()
        self._busy = False
        self._early = False
        self._testing = True
        self._shot = None  # the task that measures
        self._stop_error = None  # why the guard cancelled it
        self._last_frame_ms = None  # ticks, of the newest measurement
        self._rows = None
        self._told = None  # what the last state message was made from

    async def run(self):
        self.status.log("boot", {"boot": self.boot, "firmware": self.firmware["version"]})
        self._show()
        self.laser.step("boot")
        await self._selftest()
        await asyncio.gather(
            self._guard(),
            self._measuring(),
            self.link.run(),
            self._watchdog(),
            self._showing(),
            self._telemetry(),
        )

    async def _selftest(self):
        self._testing = True
        self.officer.screen = "starting"
        self.checks = await selftest.run(self.board, self.laser, self.acquirer, self.settings)
        bad = selftest.blocked(self.checks)
        self.status.log(
            "selftest", {"ok": "fail" not in self.checks.values(), "checks": self.checks}
        )
        self.laser.step("checks_failed" if bad else "checks_ok")
        failed = [name for name in sorted(self.checks) if self.checks[name] == "fail"]
        self.officer.ready("Self-test: " + ", ".join(failed) if failed else "")
        self._testing = False

    # --- guard: interlock, laser and buttons, every few ms -------------------------------------

    async def _guard(self):
        fault_told = ""
        while True:
            state = self.laser.poll()
            problem = self.acquirer.problem()
            if problem and self._shot is not None and not self._shot.done():
                self._stop_error = problem
                self._shot.cancel()
            reason = self.interlock.reason if state == machine.FAULT else ""
            if reason and reason != fault_told:
                lit = {"light_uw": self.laser.light_uw, "set_uw": self.laser.set_uw}
                self.status.log("fault", {"code": reason, "checks": self.checks, "laser": lit})
                self.status.buzz("fault")
            fault_told = reason
            self._read_buttons()
            if self._early and state != machine.COOLDOWN:
                self._early = False  # what the pause led to instead needs a press of its own
                if state == machine.SAFE:
                    self._trigger()
            self._tell_state()
            self._guard_ms = time.ticks_ms()
            idle = state in (machine.SAFE, machine.FAULT, machine.OFF) and not self._busy
            await asyncio.sleep_ms(GUARD_IDLE_MS if idle else GUARD_ACTIVE_MS)

    def _read_buttons(self):
        try:
            bits = self.board.buttons()
        except OSError:
            bits = 0
        pressed, held = self.buttons.feed(bits, time.ticks_ms())
        if held and self.interlock.state == machine.FAULT and not self._testing:
            self.laser.step("reset")
            self._testing = True
            self._go.set()
        if self._busy:
            if pressed & (NEXT | OK):
                self._stop("cancel")
        elif pressed & TRIGGER:
            self._trigger()
        elif pressed & NEXT:
            self.officer.press_next()
            self._show()
        elif pressed & OK:
            self.officer.press_ok()
            self._show()

    # The laser is on or about to be: the guard must not wait for anything.
    def _is_lit(self):
        return self.laser.on or self.interlock.state in (machine.ARMED, machine.EMITTING)

    def _stop(self, code):
        if self.acquirer.phase:
            self.acquirer.stop(code)
            self.laser.step("cancel", code)

    # A press edge of the trigger: the only way to light.
    def _trigger(self):
        # Pressed in the fraction of a second the laser rests: the press counts when that is over.
        self._early = self.interlock.state == machine.COOLDOWN
        if self._early:
            return
        refusal = self._refusal()
        if refusal is None and self.laser.press() != machine.ARMED:
            refusal = self.laser.why_stopped().code
        if refusal is not None:
            self.status.count("refused")
            self.status.log("refused", {"reason": refusal})
            self.status.buzz("refused")
            self.officer.refused(fault(refusal))
            self._show()
            return
        self._busy = True
        self.officer.measuring()
        self._go.set()

    def _refusal(self):
        if self._testing:
            return "selftest_running"
        if selftest.blocked(self.checks):
            return "selftest_failed"
        if self.interlock.state == machine.FAULT:
            return self.laser.why_stopped().code
        if self.spool.used >= self.spool.capacity:
            return "spool_full"
        if self.status.battery() < self.settings["battery"]["empty_mv"]:
            return "battery_flat"
        return None

    # --- measuring --------------------------------------------------------------------------------

    async def _measuring(self):
        while True:
            await self._go.wait()
            self._go.clear()
            if self._testing:
                await self._selftest()
                continue
            try:
                await self._measure()
            except Exception as error:
                if not hasattr(error, "do_next"):
                    raise
                self.status.count("stopped")
                reason = {"reason": error.code, "what": error.what}  # type: ignore[attr-defined]
                self.status.log("stopped", reason)
                self.status.buzz("refused")
                self.officer.refused(error)
            finally:
                self._busy = False
                self._shot = None
            self._show()

    async def _measure(self):
        gc.collect()
        self._stop_error = None
        self._show()
        self._shot = asyncio.create_task(self.acquirer.measure())
        try:
            shot = await self._shot
        except asyncio.CancelledError:
            if self._stop_error is None:
                raise  # the app itself is ending
            raise self._stop_error from None
        self._last_frame_ms = shot.last_frame_ms
        self._save(shot)

    def _save(self, shot):
        gc.collect()
        board = self.board
        unix_ms, clock = self.status.clock()
        number = (self.boot, self.seq + 1)
        message = measurement.build(
            board,
            self.settings,
            self.firmware,
            self.checks,
            shot,
            self.acquirer,
            number,
            (unix_ms, clock, self.status.uptime()),
            self.officer,
            self.status.battery(),
        )
        self.seq = number[1]  # spent even if the flash fails: it may have kept these bytes
        digest = self._append(number, message)
        self.status.count("measured")
        self.officer.saved(number, message["flags"])
        self.link.measured(number[0], number[1])
        self.status.log("saved", _number(number, {"sha256": digest.hex()}))
        self._show()
        self.status.buzz("saved")

    # A heap in pieces is no reason to lose a measurement: collect and try once more.
    def _append(self, number, message):
        for _ in range(2):
            sealed = mac0.seal_chunks("measurement", self.key, self.settings["unit"], message)
            try:
                return self.spool.append(number[0], number[1], sealed)
            except MemoryError:
                gc.collect()
        raise fault("spool_failed")

    # --- what the host says -----------------------------------------------------------------------

    # The link has checked the receipt and the spool has freed the slot.
    def _on_receipt(self, message):
        number = (message["boot"], message["seq"])
        kept = message["status"] == "quarantined"
        self.officer.delivered(number, message["status"])
        details = {"sha256": message["sha256"].hex(), "status": message["status"]}
        self.status.log("kept_for_review" if kept else "delivered", _number(number, details))
        self._show()

    def _on_verdict(self, message):
        number = (message["boot"], message["seq"])
        newest = number == self.officer.number
        self.officer.judged(number, message)
        self._show()
        details = {"verdict": message["verdict"], "last_frame_to_verdict_ms": None}
        if newest and self._last_frame_ms is not None:
            waited_ms = time.ticks_diff(time.ticks_ms(), self._last_frame_ms)
            details["last_frame_to_verdict_ms"] = waited_ms
            self._last_frame_ms = None  # a repeated verdict is no second measurement of time
        self.status.log("verdict", _number(number, details))
        self.status.buzz("verdict")

    def _on_command(self, message):
        command, args = message["command"], message["args"]
        if command == "set_time":
            self.board.set_clock(args["time_ms"])
            self.link.state_changed()
        elif command == "request_measurement":
            self.laser.step("request")  # by the table it moves nothing
            self.officer.request = True
            if self.officer.screen in ("saved", "refused"):
                self.officer.ready()
            self.status.buzz("request")
        elif command == "set_answers":
            self.officer.answer(args)
        elif command == "abort":
            self._stop("abort")
        self.status.log("command", {"command": command, "n": message["n"]})
        self._show()

    # --- what the unit tells ----------------------------------------------------------------------

    def _state_fields(self):
        return self.status.state_fields(self._testing, self._busy)

    def _tell_state(self):
        now = (self.status.state(self._testing, self._busy), self.interlock.closed, self.spool.used)
        if now != self._told:
            self._told = now
            self.link.state_changed()

    async def _telemetry(self):
        while True:
            try:
                self.link.telemetry(self.status.telemetry_fields(self.link.counters))
            except OSError as error:
                self.status.log("telemetry_failed", {"detail": repr(error)})
            await asyncio.sleep_ms(TELEMETRY_MS)

    async def _watchdog(self):
        while True:
            if time.ticks_diff(time.ticks_ms(), self._guard_ms) < GUARD_LATE_MS:
                self.board.feed_watchdog()
            await asyncio.sleep_ms(WATCHDOG_MS)

    async def _showing(self):
        while True:
            self.status.battery()
            self._show()
            await asyncio.sleep_ms(DISPLAY_MS)

    def _show(self):
        view = self.officer.view()
        if self.interlock.state == machine.FAULT:
            error = self.laser.why_stopped()
            view["screen"] = "fault"
            if self.interlock.reason == "checks_failed":
                error = fault("selftest_failed")
            view["what"], view["do_next"] = error.what, error.do_next
        view["unit"] = self.settings["unit"]
        view["battery_low"] = 0 < self.status.battery_mv < self.settings["battery"]["low_mv"]
        view["online"] = self.link.online
        view["used"] = self.spool.used
        view["capacity"] = self.spool.capacity
        view["phase"] = self.acquirer.phase
        view["permille"] = self.acquirer.done_permille
        view["left_ms"] = self.laser.warning_left_ms()
        rows = display.rows(view)
        if rows != self._rows:
            self._rows = rows
            try:
                self.board.display(rows)
            except OSError:
                self._rows = None  # try again at the next turn


def _number(number, details):
    details["boot"], details["seq"] = number
    return details
