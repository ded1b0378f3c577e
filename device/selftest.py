"""What the unit finds out about itself before it may measure; the result goes into every record.

A failed laser, interlock or indicator check blocks measuring (FAULT); the others only flag. The
laser stays off throughout: a check that needs light is not made here. Runs at boot and when a
person resets a fault.
"""

import asyncio

import coadd
from laser import DARK_UW

BLOCKING = ("laser_off", "interlock", "indicator")
LAMP_S = 0.02  # the indicator has this long to follow
EXPOSURE_US = 20000
NOISE_PIXELS = 512
NOISE_FACTOR = 5  # measured read noise may be this many times the nominal one, either way
DARK_MAX_PERMILLE = 250  # of full scale
DETECTOR_MIN_MDEGC = -60000
DETECTOR_MAX_MDEGC = 60000


# {check: "pass"|"fail"|"skip"}; uses the acquirer's buffers.
async def run(board, laser, acquirer, settings):
    checks = {
        "laser_off": _word(_laser_off(laser)),
        "interlock": _word(_interlock(board)),
        "indicator": _word(await _indicator(board)),
        "flash": _word(_flash(board.flash_root)),
        "battery": _word(_battery(board, settings)),
        "detector_temperature": _word(_temperature(board)),
    }
    level, noise = await _dark(board, acquirer)
    checks["dark_level"] = level
    checks["read_noise"] = noise
    return checks


def blocked(checks):
    return any(checks.get(name) != "pass" for name in BLOCKING)


def _word(ok):
    return "pass" if ok else "fail"


def _laser_off(laser):
    laser.off()
    return laser.read() and not laser.enabled and laser.light_uw <= DARK_UW


# Readable is what counts here: an open lid is no defect.
def _interlock(board):
    try:
        reading = board.interlock()
        return isinstance(reading["lid"], bool) and isinstance(reading["key"], bool)
    except Exception:
        return False


# Lit when told and dark when told; a board without a readback can only be told.
async def _indicator(board):
    try:
        for lit in (True, False):
            board.indicate(lit)
            await asyncio.sleep(LAMP_S)
            if board.indicator() not in (lit, None):
                return False
        return True
    except Exception:
        return False
    finally:
        _dark_lamp(board)


def _dark_lamp(board):
    try:
        board.indicate(False)
    except Exception:
        return  # the check has failed already


def _flash(root):
    path = root + "/selftest"
    try:
        with open(path, "wb") as file:
            file.write(b"fieldassay")
        with open(path, "rb") as file:
            return file.read() == b"fieldassay"
    except OSError:
        return False


def _battery(board, settings):
    try:
        return board.battery_mv() >= settings["battery"]["empty_mv"]
    except OSError:
        return False


def _temperature(board):
    try:
        return DETECTOR_MIN_MDEGC <= board.detector.temperature_mdegc() <= DETECTOR_MAX_MDEGC
    except OSError:
        return False


# Two dark frames: their level, and the noise of their difference (a stuck converter has none).
async def _dark(board, acquirer):
    n = min(NOISE_PIXELS, board.pixels)
    try:
        await board.detector.expose(EXPOSURE_US, acquirer.frame)
        coadd.add(acquirer.dark, acquirer.frame, board.pixels, board.full_scale_counts, True)
        await board.detector.expose(EXPOSURE_US, acquirer.frame)
    except OSError:
        return "fail", "fail"
    level = coadd.level(acquirer.frame, board.pixels)
    level_ok = level > 0 and level * 1000 <= board.full_scale_counts * DARK_MAX_PERMILLE
    # thousandths of a count x milli-electrons per count = millionths of an electron
    noise_me = coadd.noise_milli(acquirer.frame, acquirer.dark, n) * board.gain_me_per_count // 1000
    nominal_me = board.read_noise_me
    noise_ok = nominal_me <= noise_me * NOISE_FACTOR and noise_me <= nominal_me * NOISE_FACTOR
    return _word(level_ok), _word(noise_ok)
