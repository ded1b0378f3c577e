"""Reads what the unit was given, settings and calibration, and forgets how to check it.

The tables and the code that checks them take 20 kB that the unit needs for measuring: they are
unloaded once both files are read.
"""

import gc
import sys

_MODULES = ("settings", "calibration", "checked_file", "clock_trust", "fieldassay_wire.keys")


# (settings, calibration), checked and completed; or the UnitError of the file that is wrong.
def load(board):
    import calibration
    import clock_trust
    import settings

    try:
        given = settings.load(board.flash_root + "/settings.json")
        given["earliest_ms"] = clock_trust.earliest_ms(given.pop("provisioned"))
        clock_trust.raise_port_clock(given["earliest_ms"])
        return (
            given,
            calibration.load(board.flash_root + "/calibration.json", board.pixels),
        )
    finally:
        del settings, calibration, clock_trust
        for name in _MODULES:
            sys.modules.pop(name, None)
        gc.collect()
