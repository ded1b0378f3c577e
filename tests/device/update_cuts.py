# Runs on MicroPython. Cuts the power at every program and erase operation of an update on
# littlefs2, in four ways, then starts from what is there: always the old or the new firmware,
# whole.
# ruff: noqa: PTH123, PTH208
# Prints one line per scenario: name, cut points tried, how often the new firmware started.
import os
import sys
from binascii import unhexlify

from cut_flash import every_cut
from slots import Slots
from update import Update

PROGSIZE = int(sys.argv[1])
ROOT = "/cut"
STEP = 1024


def read(path):
    with open(path, "rb") as file:
        return file.read()


KEY = unhexlify(read(sys.argv[2] + "/key").decode())
BUNDLES = {1: read(sys.argv[2] + "/one.fafw"), 2: read(sys.argv[2] + "/two.fafw")}


def head_of(data):
    return data[: 106 + int.from_bytes(data[6:10], "big")]


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def receive(slots, number):
    update = Update(slots, [KEY], "sim", lambda: (0, "unset"))
    data = BUNDLES[number]
    update.begin(head_of(data))
    while True:
        wanted = update.wanted(STEP)
        if wanted is None:
            break
        update.block(wanted[0], data[wanted[0] : wanted[0] + wanted[1]])
    update.finish()


def start():
    slots = Slots(ROOT)
    name = slots.choose()
    expect(name in ("a", "b"), "neither firmware starts")
    expect(slots.whole(name), "what starts is not whole")
    expect(read(ROOT + "/" + name + "/main.py") == b"N = %d\n" % slots.sequence(), "mixed files")
    return slots


def old_confirmed():
    slots = Slots(ROOT)
    slots.running = "b"  # the factory's: nothing runs yet
    receive(slots, 1)
    slots = start()
    slots.confirm()
    expect(slots.running == "a" and slots.sequence() == 1, "first firmware")


def new_installed():
    old_confirmed()
    receive(start(), 2)


def half_there():
    old_confirmed()
    slots = start()
    update = Update(slots, [KEY], "sim", lambda: (0, "unset"))
    data = BUNDLES[2]
    update.begin(head_of(data))
    for _ in range(4):
        at, size = update.wanted(STEP)
        update.block(at, data[at : at + size])
    update.abandon()
    with open(ROOT + "/b/stray.py", "w") as file:
        file.write("raise SystemExit\n")


def tried():
    new_installed()
    expect(start().running == "b", "the trial starts")


def install():
    receive(start(), 2)


def confirm():
    slots = start()
    expect(slots.on_trial(), "no trial")
    slots.confirm()


def revert():
    start().revert("self-test")


# After any cut: something starts; the update can be done again and then the new one runs.
def verify_install(finished):
    slots = start()
    new = slots.sequence() == 2
    expect(new or not finished, "an installed firmware does not start")
    if not new:
        receive(slots, 2)
        slots = start()
    expect(slots.sequence() == 2 and slots.on_trial(), "the repeat failed")
    expect(
        "stray.py" not in os.listdir(ROOT + "/" + slots.running), "a stray file stays in the slot"
    )
    slots.confirm()
    expect(start().sequence() == 2, "confirmed, but not started")
    return new


def verify_confirm(finished):
    slots = start()
    expect(slots.sequence() == 2, "lost a whole firmware")
    confirmed = not slots.on_trial()
    expect(confirmed or not finished, "confirmed, but on trial")
    expect(not confirmed or slots.state["minimum"] == 1, "the minimum is not raised")
    return confirmed


def verify_revert(finished):
    slots = start()
    expect(slots.sequence() == 1 or not finished, "reverted, but the new one started")
    if slots.sequence() == 2:
        expect(slots.on_trial(), "confirmed by a cut")
        return True
    return False


# Three starts of a trial that never confirms itself lead back, wherever one of them is cut.
def three_starts():
    start()
    start()


def verify_three_starts(_finished):
    for _ in range(3):
        slots = start()
    slots = start()
    expect(slots.sequence() == 1 and not slots.on_trial(), "the trial goes on for ever")
    return False


def enumerate_cuts(name, prepare, act, verify):
    print(name, PROGSIZE, *every_cut(PROGSIZE, lambda _: prepare(), act, verify))


enumerate_cuts("install", old_confirmed, install, verify_install)
enumerate_cuts("resume", half_there, install, verify_install)
enumerate_cuts("confirm", new_installed, confirm, verify_confirm)
enumerate_cuts("revert", tried, revert, verify_revert)
enumerate_cuts("trial_starts", new_installed, three_starts, verify_three_starts)
