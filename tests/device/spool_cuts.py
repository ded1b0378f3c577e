# Runs on MicroPython. Cuts the power at every program and erase operation of the spool on littlefs2
# (flash in RAM, bits can only be cleared by a program), remounts what is there, and checks.
# ruff: noqa: PTH123, PTH208, RUF005
# Prints one line per scenario: name, cut points tried, how often the new record was there.
import hashlib
import os
import sys

from cut_flash import every_cut
from spool import Spool, SpoolError

ROOT = "/cut/spool"


def content(seq, size):
    # Chunks of a record, each record different.
    block = hashlib.sha256(str(seq).encode()).digest() * 16
    sent = 0
    while sent < size:
        take = min(512, size - sent)
        yield memoryview(block)[:take]
        sent += take


def digest(seq, size):
    h = hashlib.sha256()
    for chunk in content(seq, size):
        h.update(chunk)
    return h.digest()


def enumerate_cuts(name, prepare, act, verify):
    found = every_cut(
        PROGSIZE, prepare, lambda: attempt(act), lambda done: verify(Spool(ROOT, 8), done)
    )
    print(name, PROGSIZE, *found)


def attempt(act):
    try:
        act()
    except (SpoolError, OSError):
        return False
    return True


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


SIZES = {1: 5000, 2: 700, 3: 16970, 9: 16970}


def three_records(_flash):
    spool = Spool(ROOT, 8)
    expect(spool.next_boot() == 1, "first boot")
    for seq in (1, 2, 3):
        spool.append(1, seq, content(seq, SIZES[seq]))


def check_records(spool, seqs):
    expect(spool.bad == 0, "a record was damaged")
    for seq in seqs:
        expect((1, seq) in spool.pending(), f"record {seq} is gone")
        expect(spool.digest(1, seq) == digest(seq, SIZES[seq]), f"record {seq} changed")


def verify_append(earlier):
    def verify(spool, finished):
        check_records(spool, earlier)
        there = (1, 9) in spool.pending()
        expect(there or not finished, "acknowledged record is gone")
        if there:
            check_records(spool, (9,))
        else:  # the repeat must succeed
            spool.append(1, 9, content(9, SIZES[9]))
        check_records(Spool(ROOT, 8), earlier + (9,))
        return there

    return verify


def append():
    Spool(ROOT, 8).append(1, 9, content(9, SIZES[9]))


def empty(_flash):
    Spool(ROOT, 8)


def release():
    expect(Spool(ROOT, 8).release(1, 2, digest(2, SIZES[2])), "release refused")


def verify_release(spool, finished):
    check_records(spool, (1, 3))
    gone = (1, 2) not in spool.pending()
    expect(gone or not finished, "released record came back")
    if not gone:
        check_records(spool, (2,))
        expect(spool.release(1, 2, digest(2, SIZES[2])), "second release refused")
    return gone


GIVEN = []


def boot():
    GIVEN.append(Spool(ROOT, 8).next_boot())


def verify_boot(spool, finished):
    check_records(spool, (1, 2, 3))
    given = [1] + GIVEN
    GIVEN.clear()
    first = spool.next_boot()
    second = spool.next_boot()
    expect(first > max(given) and second > first, f"boot number {first} again")
    return bool(len(given) > 1)


def left_over_tmp(flash):
    # A cut in the middle of an append leaves a .tmp; the scan that removes it is cut too.
    three_records(flash)
    with open(ROOT + "/00000001-00000009.tmp", "wb") as file:
        file.write(bytes(9000))


def scan():
    Spool(ROOT, 8)


def verify_scan(spool, _finished):
    check_records(spool, (1, 2, 3))
    expect(not [n for n in os.listdir(ROOT) if n.endswith(".tmp")], ".tmp left")
    return True


def damaged(flash):
    three_records(flash)
    name = next(n for n in os.listdir(ROOT) if n.startswith("00000001-00000002"))
    with open(ROOT + "/" + name, "r+b") as file:
        file.seek(100)
        file.write(b"?")


def verify_damaged(spool, _finished):
    expect(spool.bad == 1, "damage not seen")
    expect(len(os.listdir(ROOT)) == 4, "a damaged record was deleted")
    spool.bad = 0
    check_records(spool, (1, 3))
    return True


def first_start():
    boot()


def nothing(_flash):
    pass


def verify_first(spool, _finished):
    given = [0] + GIVEN
    GIVEN.clear()
    expect(spool.used == 0 and spool.bad == 0, "something from nothing")
    expect(spool.next_boot() > max(given), "boot number given twice")
    return len(given) > 1


if __name__ == "__main__":
    PROGSIZE = int(sys.argv[1])
    enumerate_cuts("first_start", nothing, first_start, verify_first)
    enumerate_cuts("append_first", empty, append, verify_append(()))
    enumerate_cuts("append_over_three", three_records, append, verify_append((1, 2, 3)))
    enumerate_cuts("release", three_records, release, verify_release)
    enumerate_cuts("boot_counter", three_records, boot, verify_boot)
    enumerate_cuts("scan_left_over", left_over_tmp, scan, verify_scan)
    enumerate_cuts("scan_damaged", damaged, scan, verify_damaged)
