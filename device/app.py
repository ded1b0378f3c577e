"""The asyncio task graph: guard, measuring, link, watchdog, display, telemetry. Owns no pin.

Order of promises: "saved" is shown after the spool's rename, "delivered" after the host's receipt,
a verdict after both. A command from the network can ask, answer and stop; it never arms. Any task
that ends ends the app: `main` then has the laser off.
"""

import asyncio
import gc
import time

import firmware
import interlock as machine
import measurement
import selftest
from acquire import Acquirer
from buttons import NEXT, OK, TRIGGER, Buttons
from faults import fault
from fieldassay_wire import mac0
from host_side import HostSide, labelled
from laser import Laser
from link import Link
from officer import Officer
from screen import Screen
from spool import Spool
from status import Status
from updater import Updater

GUARD_IDLE_MS = 20
GUARD_ACTIVE_MS = 4
GUARD_LATE_MS = 1000  # the watchdog is not fed when the guard is later than this
WATCHDOG_MS = 500


def run(board, frames, given, slots=None):
    asyncio.run(App(board, frames, given, slots).run())


class App:
    # `given` is (settings, calibration), `slots` is rom/slots.py's or None.
    def __init__(self, board, frames, given, slots=None):
        self.board = board
        self.settings, self.calibration = given
        settings = self.settings
        board.set_wifi(settings.get("wifi"))
        laser = settings["laser"]
        self.interlock = machine.Interlock(laser["max_on_ms"], laser["warning_ms"])
        self.laser = Laser(board, self.interlock, laser["max_on_ms"], time.ticks_ms)
        self.acquirer = Acquirer(board, self.laser, settings, frames, time.ticks_ms)
        self.firmware = firmware.describe()
        self.status = Status(board, self.interlock, self.laser, self.firmware)
        self.status.earliest_ms = settings["earliest_ms"]
        self.spool = Spool(
            board.flash_root + "/spool", settings["spool"]["capacity"], board.feed_watchdog
        )
        self.boot = self.spool.next_boot()
        self.seq = 0
        self.key = bytes.fromhex(settings["key"])
        self.officer = Officer()
        self.buttons = Buttons()
        self.screen = Screen(self)
        self.checks = {}
        self._host = HostSide(self)
        self.updater = Updater(self, slots)
        frames.give_reserve()
        self.link = Link(
            settings,
            board,
            self.spool,
            self.key,
            self.boot,
            self._host.state_fields,
            self._host.on_verdict,
            self._host.on_receipt,
            self._host.on_command,
            self.status.log,
            quiet=self._is_lit,
        )
        self._guard_ms = time.ticks_ms()
        self._go = asyncio.Event()
        self.busy = False
        self._early = False
        self.testing = True
        self._shot = None  # the task that measures
        self._stop_error = None  # why the guard cancelled it
        self.last_frame_ms = None  # ticks, of the newest measurement

    async def run(self):
        self.status.log("boot", {"boot": self.boot, "firmware": self.firmware["version"]})
        self.screen.show()
        self.laser.step("boot")
        await self._selftest()
        await asyncio.gather(
            self._guard(),
            self._measuring(),
            self.link.run(),
            self._watchdog(),
            self.screen.run(),
            self._host.tell_often(),
            self.updater.run(),
        )

    async def _selftest(self):
        self.testing = True
        self.officer.screen = "starting"
        self.checks = await selftest.run(self.board, self.laser, self.acquirer, self.settings)
        bad = selftest.blocked(self.checks)
        self.status.log(
            "selftest", {"ok": "fail" not in self.checks.values(), "checks": self.checks}
        )
        self.laser.step("checks_failed" if bad else "checks_ok")
        failed = [name for name in sorted(self.checks) if self.checks[name] == "fail"]
        self.officer.ready("Self-test: " + ", ".join(failed) if failed else "")
        self.testing = False
        self.updater.tested(bad)

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
            self._host.tell_state()
            self._guard_ms = time.ticks_ms()
            idle = state in (machine.SAFE, machine.FAULT, machine.OFF) and not self.busy
            await asyncio.sleep_ms(GUARD_IDLE_MS if idle else GUARD_ACTIVE_MS)

    def _read_buttons(self):
        try:
            bits = self.board.buttons()
        except OSError:
            bits = 0
        pressed, held = self.buttons.feed(bits, time.ticks_ms())
        if held and self.interlock.state == machine.FAULT and not self.testing:
            self.laser.step("reset")
            self.testing = True
            self._go.set()
        blind = self.testing or self.interlock.state == machine.FAULT
        if self.busy:
            if pressed & (NEXT | OK):
                self.stop("cancel")
        elif pressed & TRIGGER:
            if blind:
                self._trigger()  # says why not
            elif self.officer.screen in ("ask", "same"):
                self.officer.press_trigger()
                self.screen.show()
            elif self.officer.ask():
                self.screen.show()
            else:
                self._trigger()
        elif blind:
            pass  # nobody sees what such a press would answer
        elif pressed & NEXT:
            self.officer.press_next()
            self.screen.show()
        elif pressed & OK:
            self.officer.press_ok()
            self.screen.show()

    # The laser is on or about to be: the guard must not wait for anything.
    def _is_lit(self):
        return self.laser.on or self.interlock.state in (machine.ARMED, machine.EMITTING)

    def stop(self, code):
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
            self.screen.show()
            return
        self.busy = True
        self.officer.measuring()
        self._go.set()

    def _refusal(self):
        if self.testing:
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
            if self.testing:
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
                self.busy = False
                self._shot = None
            self.screen.show()

    async def _measure(self):
        gc.collect()
        self._stop_error = None
        self.screen.show()
        dark_sample = self.officer.answers().get("dark_sample", "unknown")
        self.laser.answered(dark_sample, self.settings["laser"]["power_uw"])
        self._shot = asyncio.create_task(self.acquirer.measure(self.officer.gentle()))
        try:
            shot = await self._shot
        except asyncio.CancelledError:
            if self._stop_error is None:
                raise  # the app itself is ending
            raise self._stop_error from None
        self.last_frame_ms = shot.last_frame_ms
        self._save(shot)
        if shot.stopped:
            raise fault(shot.stopped)

    def _save(self, shot):
        gc.collect()
        board = self.board
        unix_ms, clock = self.status.clock()
        number = (self.boot, self.seq + 1)
        message = measurement.build(
            board,
            self.settings,
            self.calibration,
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
        self.status.log("saved", labelled(number, {"sha256": digest.hex()}))
        self.screen.show()
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

    async def _watchdog(self):
        while True:
            if time.ticks_diff(time.ticks_ms(), self._guard_ms) < GUARD_LATE_MS:
                self.board.feed_watchdog()
            await asyncio.sleep_ms(WATCHDOG_MS)
