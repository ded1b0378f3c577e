"""Boards: pins and buses only, no logic. Each file has one class `Board` with the same offers.

name, pixels, full_scale_counts, gain_me_per_count, read_noise_me, excitation_pm, flash_root;
detector (see detectors/); laser.set_power_uw(uw), .fire(max_ms) (hardware one-shot), .off(),
.read() -> (enabled, can_fire, photodiode_uw, temperature_mdegc), where can_fire is what the
hardware's own gate of lid and key allows; interlock() -> {"lid", "key"} and, where there is a nose
contact, "nose": True is closed; indicate(lit) switches the emission indicator, indicator() -> its
readback, True lit, False dark, None on a board without one; buttons() -> bits 1 trigger, 2 next,
4 ok; battery_mv(); clock() -> (unix_ms, "unset"|"rtc"|"synced"); set_clock(unix_ms); display(rows
of (text, style)); buzz(pattern); feed_watchdog(); log(kind, details); open_socket(host, port, tls);
set_wifi(settings["wifi"]); unique_id() -> bytes; reset(), the laser first; rest(): the firmware has
ended, the watchdog must not start it again. Whatever cannot be read raises OSError.
tests/device/board_contract.py is the same list, executed on every board.
"""

import errno
import sys

# (sys.platform, what is in the interpreter's name of the machine, module here)
BOARDS = (
    ("rp2", "Pico 2 W", "pico2w"),
    ("esp32", "ESP32S3", "esp32s3"),
)


# The name of the module of the board this runs on; OSError on any other.
def which(platform=sys.platform, machine=sys.implementation._machine):
    for port, part, name in BOARDS:
        if platform == port and part in machine:
            return name
    raise OSError(errno.ENODEV, "this firmware has no board for " + machine)


# The board this runs on. Importing its module drives the laser's enable low before anything else.
# A virtual board has no chip: it says in a module of its own where its hardware is simulated.
def here():
    try:
        import simulated_bus  # type: ignore[import-not-found]
    except ImportError:
        pass
    else:
        from boards.sim import Board

        board = Board(simulated_bus.port, simulated_bus.token)
        board.flash_root = ""
        return board
    return __import__("boards." + which(), None, None, ("Board",)).Board()
