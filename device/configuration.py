"""Reads what the unit was given, settings and calibration, and forgets how to check it.

The tables and the code that checks them take 20 kB that the unit needs for measuring: they are
unloaded once both files are read.
"""

import gc
import sys

_MODULES = ("settings", "calibration", "checked_file", "fieldassay_wire.keys")


# (settings, calibration), checked and completed; or the UnitError of the file that is wrong.
def load(board):
    import calibration
    import settings

    try:
        return (
            settings.load(board.flash_root + "/settings.json"),
            calibration.load(board.flash_root + "/calibration.json", board.pixels),
        )
    finally:
        del settings, calibration
        for name in _MODULES:
            sys.modules.pop(name, None)
        gc.collect()
