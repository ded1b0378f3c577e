"""What a technician's computer asks a unit over its serial line; every answer is one line of JSON.

The raw prompt runs these after it has stopped the firmware, which leaves the laser off. Nothing
that comes over the line can start an emission: `measure(light=True)` waits for the trigger of the
unit itself, and from there on interlock, laser and acquisition are the firmware's own. Arrays
follow the line as base64, a line for each 768 bytes. Moving files is the computer's business.
"""

import asyncio
import binascii
import gc
import json
import os
import sys
import time

TRIGGER_WAIT_MS = 60000
POLL_MS = 4
LINE_BYTES = 768  # of an array


# The board this runs on; on a virtual one its parts are behind a bus.
def open_board():
    import boards

    return boards.here()


def _say(answer):
    print(json.dumps(answer))


def _error(error):
    what = getattr(error, "what", None) or repr(error)
    do_next = getattr(error, "do_next", None) or "Type: fieldassay unit doctor"
    return {"code": getattr(error, "code", None) or "unit_failed", "what": what, "do_next": do_next}


# What can be told although something else is broken; `None` or an "error" where it cannot.
def info():
    board = _tried(open_board)
    root = getattr(board, "flash_root", "")
    answer: dict = {"board": getattr(board, "name", None), "free_heap_bytes": 0, "errors": {}}
    answer.update({"machine": sys.implementation._machine, "error": None})
    answer["interpreter"] = ".".join([str(n) for n in sys.implementation.version[:3]])
    if isinstance(board, Exception):
        answer["errors"]["board"] = _error(board)
        board = None
    for name, ask in (
        ("settings", lambda: _settings(root)),
        ("calibration", lambda: _calibration(root, board)),
        ("firmware", _firmware),
        ("spool", lambda: _spool(root)),
        ("clock", lambda: list(board.clock())),
        ("battery_mv", lambda: board.battery_mv()),  # noqa: PLW0108 - may be no board
        ("slot", lambda: _slot(root)),
    ):
        got = _tried(ask) if board or name in ("firmware", "slot", "spool") else None
        if isinstance(got, Exception):
            answer["errors"][name] = _error(got)
            got = None
        answer[name] = got
    facts = os.statvfs(root or "/")
    answer["free_flash_bytes"] = facts[0] * facts[3]
    gc.collect()
    answer["free_heap_bytes"] = gc.mem_free()
    _say(answer)


def _tried(ask):
    try:
        return ask()
    except Exception as error:
        return error


# Never the key, the Wi-Fi or the password.
def _settings(root):
    import settings

    given = settings.load(root + "/settings.json")
    return {"unit": given["unit"], "broker": given["broker"]["host"], "tls": given["broker"]["tls"]}


def _calibration(root, board):
    import calibration

    given = calibration.load(root + "/calibration.json", board.pixels)
    return {"id": given["id"], "date": given["date"]}


def _firmware():
    import firmware

    known = firmware.describe()
    return {"version": known["version"], "sha256": binascii.hexlify(known["sha256"]).decode()}


def _spool(root):
    try:
        used = len([name for name in os.listdir(root + "/spool") if name.endswith(".rec")])
    except OSError:
        used = 0
    import settings

    return {"used": used, "capacity": settings.load(root + "/settings.json")["spool"]["capacity"]}


def _slot(root):
    with open(root + "/slot.json") as file:
        return json.load(file)


# The last `count` entries of the technician's log, at most 100.
def log(count=50):
    from logbook import Logbook

    board = _tried(open_board)
    entries = Logbook(getattr(board, "flash_root", "")).tail(min(count, 100))
    _say({"entries": entries, "error": None})


# Sums of `frames` exposures of `exposure_us`: with the laser off, or, after a press of the unit's
# own trigger, a whole measurement with that exposure.
def measure(light, exposure_us, frames):
    session = None
    try:
        session = _Session(exposure_us, frames)
        _say_arrays(*asyncio.run(session.run(light)))
    except Exception as error:
        _say({"error": _error(error)})
    finally:
        # A break leaves the event loop without unwinding the tasks in it: the last word is here.
        if session is not None:
            session.laser.off()


def _say_arrays(answer, arrays):
    answer["error"] = None
    answer["arrays"] = [[name, len(arrays[name]), 4] for name in sorted(arrays)]
    _say(answer)
    for name in sorted(arrays):
        view = memoryview(bytes(arrays[name]))
        for at in range(0, len(view), LINE_BYTES):
            print(binascii.b2a_base64(bytes(view[at : at + LINE_BYTES])).decode(), end="")


class _Session:
    def __init__(self, exposure_us, frames):
        import interlock
        from acquire import Acquirer
        from frames import Frames
        from laser import LOW_UW, Laser
        from settings import load

        self.board = board = open_board()
        board.laser.off()
        self.settings = settings = load(board.flash_root + "/settings.json")
        limits = settings["acquire"]
        limits["exposure_min_us"] = limits["exposure_max_us"] = exposure_us
        limits["frames_max"] = limits["dark_frames_max"] = frames
        limits["total_ms"] = exposure_us * frames // 1000 + 1
        max_on_ms = settings["laser"]["max_on_ms"]
        # Nobody answers here whether the sample is dark: it is measured as a dark one.
        settings["laser"]["power_uw"] = min(settings["laser"]["power_uw"], LOW_UW)
        self.exposure_us, self.frames = exposure_us, frames
        buffers = Frames(board.pixels)
        self.machine = interlock.Interlock(max_on_ms, settings["laser"]["warning_ms"])
        self.laser = Laser(board, self.machine, max_on_ms, time.ticks_ms)
        self.acquirer = Acquirer(board, self.laser, settings, buffers, time.ticks_ms)

    async def run(self, light):
        return await (self._lit() if light else self._dark())

    async def _dark(self):
        import coadd

        board, most = self.board, 0
        for taken in range(self.frames):
            await board.detector.expose(self.exposure_us, self.acquirer.frame)
            full = coadd.add(
                self.acquirer.raw,
                self.acquirer.frame,
                board.pixels,
                board.full_scale_counts,
                taken == 0,
            )
            most = max(most, full)
        answer = self._answer(self.exposure_us, self.frames, most)
        answer["detector_mdegc"] = board.detector.temperature_mdegc()
        return answer, {"raw": self.acquirer.raw}

    async def _lit(self):
        import selftest
        from faults import fault

        self.laser.step("boot")
        checks = await selftest.run(self.board, self.laser, self.acquirer, self.settings)
        self.board.log("selftest", {"ok": "fail" not in checks.values(), "checks": checks})
        self.laser.step("checks_failed" if selftest.blocked(checks) else "checks_ok")
        await self._pressed()
        task = asyncio.create_task(self.acquirer.measure(True))
        while not task.done():
            self.laser.poll()
            problem = self.acquirer.problem()
            if problem:
                task.cancel()
                try:
                    await task
                except (Exception, asyncio.CancelledError):
                    pass  # `problem` is why
                raise problem
            await asyncio.sleep_ms(POLL_MS)
        shot = await task
        if shot.stopped:
            raise fault(shot.stopped)
        answer = self._answer(shot.exposure_us, shot.frames, shot.saturated_pixels)
        answer["dark_frames"] = shot.dark_frames
        answer["laser_uw"] = shot.laser_uw
        answer["detector_mdegc"] = shot.detector_mdegc
        return answer, {"raw": self.acquirer.raw, "dark": self.acquirer.dark}

    # The only way to light: a press edge of the unit's own trigger, here as in the app.
    async def _pressed(self):
        from buttons import TRIGGER, Buttons
        from faults import UnitError
        from interlock import ARMED

        buttons = Buttons()
        self.board.display([("Service measurement", ""), ("Press the trigger", "")])
        began_ms = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began_ms) < TRIGGER_WAIT_MS:
            self.laser.poll()
            pressed, _ = buttons.feed(self.board.buttons(), time.ticks_ms())
            if pressed & TRIGGER:
                if self.laser.press() != ARMED:
                    raise self.laser.why_stopped()
                self.laser.answered("unknown", self.settings["laser"]["power_uw"])
                return
            self.board.feed_watchdog()
            await asyncio.sleep_ms(POLL_MS)
        raise UnitError(
            "trigger_missing", "Nobody pressed the trigger.", "Repeat, and press it at the unit."
        )

    def _answer(self, exposure_us, frames, saturated_pixels):
        return {
            "exposure_us": exposure_us,
            "frames": frames,
            "pixels": self.board.pixels,
            "full_scale_counts": self.board.full_scale_counts,
            "saturated_pixels": saturated_pixels,
        }
