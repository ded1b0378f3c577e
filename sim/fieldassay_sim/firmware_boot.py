# Runs on MicroPython: flash image, provisioning, then the firmware's main. What a board's boot ROM,
# flash chip and technician do; no part of the firmware and no physics.
# mypy: ignore-errors
#   micropython firmware_boot.py BUS_PORT TOKEN FLASH_IMAGE DEVICE_DIR
import gc
import os
import sys

import vfs
from flash_file import BLOCK, Flash, make

BLOCKS = 1024
ROOT = "/flash"


# The flash of this unit; a new one is formatted beside its place, so no power cut leaves half of
# one.
def insert(path):
    try:
        os.stat(path)
    except OSError:
        make(path + ".new", BLOCKS)
        new = Flash(path + ".new")
        vfs.VfsLfs2.mkfs(new)
        new.file.close()
        os.rename(path + ".new", path)
    if os.stat(path)[6] != BLOCK * BLOCKS:
        raise OSError(5, path + " is no flash image of this board")
    return Flash(path)


# What a technician's provisioning tool does: write each file, only if something changed.
def provision(board):
    from whole_file import write

    wanted = board.call("provision") or {}
    for name in sorted(wanted):
        path = board.flash_root + "/" + name
        try:
            with open(path) as file:
                if file.read() == wanted[name]:
                    continue
        except OSError:
            pass
        write(path, wanted[name])


# As main.py of a unit's flash does; a flash without slots runs the folder itself.
def choose(device):
    try:
        os.stat(ROOT + "/slot.json")
    except OSError:
        return device, None
    sys.path.insert(0, device + "/rom")
    from slots import Slots

    sys.path.pop(0)
    slots = Slots(ROOT)
    name = slots.choose()
    if not name:
        raise OSError(5, "no firmware on this flash is whole")
    return ROOT + "/" + name, slots


def start(port, token, image, device):
    flash = insert(image)
    vfs.mount(vfs.VfsLfs2(flash), ROOT)
    folder, slots = choose(device)
    gc.collect()
    sys.path.insert(0, folder)
    from boards.sim import Board

    board = Board(int(port), token)
    provision(board)
    # From here on every program and erase counts, so that a cut's number means the same at each
    # boot.
    flash.ops = 0
    flash.cut = lambda: board.call("power_cut")
    flash.cut_after = board.cut_after_flash_ops
    import main

    gc.collect()
    main.main(board, slots)


start(*sys.argv[1:5])
