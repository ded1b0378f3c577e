# Runs on MicroPython. Cuts the power at every flash operation of two entries of the logbook, the
# second of which changes files, in four ways; prints the cut points tried.
import sys

import vfs
from logbook import Logbook
from spool_cuts import MODES, Flash

PROGSIZE = int(sys.argv[1])
OLD = [{"n": n, "text": "x" * 300} for n in range(52)]  # a file that is nearly full
NEW = [{"n": 100, "text": "y" * 300}, {"n": 101, "text": "z" * 300}]


def ticks():
    return 0


def mounted(flash, work, *args):
    vfs.mount(vfs.VfsLfs2(flash, progsize=PROGSIZE), "/cut")
    try:
        return work(*args)
    finally:
        vfs.umount("/cut")


def fill():
    book = Logbook("/cut", ticks)
    for details in OLD[:-1]:
        book.add("fault", details, (0, "unset"))


def add(written):
    book = Logbook("/cut", ticks)
    try:
        for details in NEW:
            book.add("fault", details, (5, "rtc"))
            written.append(details)
    except OSError:
        return False
    return True


def check(written):
    seen = [entry["details"] for entry in Logbook("/cut", ticks).tail(1000)]
    assert seen[: len(OLD) - 1] == OLD[:-1], "an old entry is gone"
    new = seen[len(OLD) - 1 :]
    assert new == NEW[: len(new)] and len(new) >= len(written), "an entry is damaged or gone"
    book = Logbook("/cut", ticks)
    book.add("boot", {"after": "the cut"}, (6, "rtc"))
    assert book.tail(1)[0]["details"] == {"after": "the cut"}
    assert len(book.tail(1000)) == len(seen) + 1


flash = Flash()
vfs.VfsLfs2.mkfs(flash, progsize=PROGSIZE)
mounted(flash, fill)
base = bytes(flash.image)
points = 0
for mode in MODES:
    cut_at, finished = 0, False
    while not finished:
        cut_at += 1
        flash.image[:] = base
        flash.dead, flash.mode, flash.cut_at, flash.ops = False, mode, cut_at, 0
        written: list = []
        try:
            finished = mounted(flash, add, written) and not flash.dead
        except OSError:
            finished = False
        points += not finished
        flash.dead, flash.cut_at = False, None
        mounted(flash, check, written)
print(points)
