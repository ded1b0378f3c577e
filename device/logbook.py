"""The technician's log on flash: events that matter, a line of JSON each, in two bounded files.

A line is closed before the next thing happens, so a cut costs at most the line being written; a
torn line is skipped when read. To spare the flash only KINDS are kept, the same event is written
again only after REPEAT_MS (with how often it came), and one start of the unit writes at most
BUDGET lines. What is not here goes to the board's own log only. Owns `log/` of the flash.
"""

import json
import os
import time

KINDS = (
    "boot", "selftest", "fault", "stopped", "update", "calibration", "time_refused",
    "kept_for_review",
)  # fmt: skip
FILE_BYTES = 16 * 1024  # two such files; a full one is about 100 lines
LINE_BYTES = 400
BUDGET = 200
REPEAT_MS = 600000
_SAME = 8  # so many different events are remembered to find repetitions


class Logbook:
    def __init__(self, root, ticks_ms=time.ticks_ms):
        self._folder = root + "/log"
        self._new = self._folder + "/new.jsonl"
        self._old = self._folder + "/old.jsonl"
        self._ticks_ms = ticks_ms
        self._left = BUDGET
        self._recent: list = []  # [kind and details, ticks when written, repetitions since]

    # `clock` is (unix ms, quality). OSError when the flash cannot be written.
    def add(self, kind, details, clock):
        if kind not in KINDS or self._left <= 0:
            return
        told = json.dumps([kind, details])
        repeated = self._repeated(told)
        if repeated is None:
            return
        self._left -= 1
        entry = {"time_ms": clock[0], "clock": clock[1], "kind": kind, "details": details}
        if repeated:
            entry["repeated"] = repeated
        if not self._left:
            entry["last"] = True  # of this start: the budget is used up
        line = json.dumps(entry)
        if len(line) > LINE_BYTES:
            entry["details"] = {"cut": told[: LINE_BYTES // 4]}
            line = json.dumps(entry)
        self._write(line + "\n")

    # How often it came since it was written last; None: it is too soon to write it again.
    def _repeated(self, told):
        now_ms = self._ticks_ms()
        for known in self._recent:
            if known[0] == told:
                if 0 <= time.ticks_diff(now_ms, known[1]) < REPEAT_MS:
                    known[2] += 1
                    return None
                repeated = known[2]
                known[1], known[2] = now_ms, 0
                return repeated
        if len(self._recent) >= _SAME:
            self._recent.pop(0)
        self._recent.append([told, now_ms, 0])
        return 0

    # The new line first ends whatever a cut has left of the one before.
    def _write(self, line):
        size = _size(self._new)
        if size is None:
            _make_folder(self._folder)
            size = 0
        elif size + len(line) > FILE_BYTES:
            os.rename(self._new, self._old)  # replaces the old one in one step
            size = 0
        torn = size and not _ends_with_newline(self._new, size)
        with open(self._new, "a") as file:
            if torn:
                file.write("\n")
            file.write(line)

    # The last `count` entries, oldest first.
    def tail(self, count):
        found: list = []
        for path in (self._old, self._new):
            try:
                with open(path, "rb") as file:
                    for line in file:
                        entry = _entry(line)
                        if entry is not None:
                            found.append(entry)
                            if len(found) > count:
                                found.pop(0)
            except OSError:
                pass  # not there yet
        return found


def _entry(line):
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "kind" in entry else None


def _size(path):
    try:
        return os.stat(path)[6]
    except OSError:
        return None


def _make_folder(path):
    try:
        os.mkdir(path)
    except OSError:
        pass  # it is there; if not, opening the file says so


def _ends_with_newline(path, size):
    with open(path, "rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"
