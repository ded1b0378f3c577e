# Runs on MicroPython. Cuts the power at every program and erase operation while calibration.json is
# written on littlefs2, remounts what is there, and reads it as the unit does.
# ruff: noqa: PTH123, UP032
# Prints one line per scenario: name, cut points tried, how often the new file was there.
import json
import sys

import calibration
import whole_file
from cut_flash import every_cut
from faults import UnitError

PROGSIZE = int(sys.argv[1])
PATH = "/cut/calibration.json"


def document(name):
    # Larger than a flash page, as one with many hot pixels is.
    given = {"id": name, "date": "2026-02-03", "excitation_pm": 785000}
    given["coefficients_nm"] = ["800.5", "0.0866", "-2.4e-6"]
    given["hot_pixels"] = list(range(0, 1900, 19))
    return given


def write(name):
    whole_file.write(PATH, json.dumps(document(name)))


def found():
    # The name in the file as the unit reads it; None: no file.
    try:
        read = calibration.load(PATH, 2048)
    except UnitError as error:
        if error.code != "calibration_missing":
            raise
        return None
    if read["hot_pixels"] != document("")["hot_pixels"]:
        raise AssertionError("another content")
    return read["id"]


def act():
    try:
        write("new")
    except OSError:
        return False
    return True


def enumerate_cuts(name, prepare, old):
    def verify(finished):
        got = found()
        if got not in (old, "new") or (finished and got != "new"):
            raise AssertionError("finished {}: {}".format(finished, got))
        # The next write must succeed whatever was left over.
        if not act() or found() != "new":
            raise AssertionError("the repeat failed")
        return got == "new"

    print(name, PROGSIZE, *every_cut(PROGSIZE, lambda _: prepare(), act, verify))


def left_over():
    write("old")
    with open(PATH + ".new", "w") as file:
        file.write('{"id": "half')


enumerate_cuts("first", lambda: None, None)
enumerate_cuts("replaced", lambda: write("old"), "old")
enumerate_cuts("left_over", left_over, "old")
