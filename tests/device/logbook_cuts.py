# Runs on MicroPython. Cuts the power at every flash operation of two entries of the logbook, the
# second of which changes files, in four ways; prints the cut points tried.
import sys

from cut_flash import every_cut
from logbook import Logbook

PROGSIZE = int(sys.argv[1])
OLD = [{"n": n, "text": "x" * 300} for n in range(52)]  # a file that is nearly full
NEW = [{"n": 100, "text": "y" * 300}, {"n": 101, "text": "z" * 300}]


def ticks():
    return 0


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


written: list = []  # of the attempt that is running, as far as the book said so


def attempt():
    written.clear()
    return add(written)


print(every_cut(PROGSIZE, lambda _: fill(), attempt, lambda _: check(written))[0])
