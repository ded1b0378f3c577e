# Runs on MicroPython: flash image, provisioning, then the firmware's main. What a board's boot ROM,
# flash chip and technician do; no part of the firmware and no physics.
# mypy: ignore-errors
#   micropython firmware_boot.py BUS_PORT TOKEN FLASH_IMAGE DEVICE_DIR
import gc
import os
import sys

import vfs

BLOCK = 4096
BLOCKS = 1024


# Block device on a file, as NOR flash: littlefs sees every program and erase.
class Flash:
    def __init__(self, path):
        self.file = open(path, "r+b")  # noqa: SIM115 - stays open as a flash chip does
        self.erased = b"\xff" * BLOCK  # made once: a heap in pieces may not have 4 kB later
        self.ops = 0
        self.cut_after = None
        self.cut = None
        if self.file.seek(0, 2) != BLOCK * BLOCKS:
            raise OSError(5, path + " is no flash image of this board")

    def readblocks(self, block, buf, off=0):
        self.file.seek(block * BLOCK + off)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, off=0):
        self._count(block * BLOCK + off, buf)
        self.file.seek(block * BLOCK + off)
        self.file.write(buf)

    def ioctl(self, op, arg):
        if op == 3:
            self.file.flush()
        elif op == 4:
            return BLOCKS
        elif op == 5:
            return BLOCK
        elif op == 6:
            self._count(arg * BLOCK, self.erased)
            self.file.seek(arg * BLOCK)
            self.file.write(self.erased)
        return 0

    # The n-th operation is torn: its first half reaches the flash, then the power is gone.
    def _count(self, at, data):
        self.ops += 1
        if self.cut_after is not None and self.ops >= self.cut_after:
            self.file.seek(at)
            self.file.write(memoryview(data)[: len(data) // 2])
            self.file.flush()
            self.cut()


# The flash of this unit; a new one is made whole beside its place, so no power cut leaves half of
# one.
def insert(path):
    try:
        os.stat(path)
    except OSError:
        with open(path + ".tmp", "wb") as file:
            empty = b"\xff" * BLOCK
            for _ in range(BLOCKS):
                file.write(empty)
        new = Flash(path + ".tmp")
        vfs.VfsLfs2.mkfs(new)
        new.file.close()
        os.rename(path + ".tmp", path)
    return Flash(path)


# What a technician's provisioning tool does: write beside, rename, only if something changed.
def provision(board):
    wanted = board.call("provision")
    if wanted is None:
        return
    path = board.flash_root + "/settings.json"
    try:
        with open(path) as file:
            if file.read() == wanted:
                return
    except OSError:
        pass
    with open(path + ".tmp", "w") as file:
        file.write(wanted)
    os.rename(path + ".tmp", path)


def start(port, token, image, device):
    sys.path.insert(0, device)
    from boards.sim import Board

    board = Board(int(port), token)
    flash = insert(image)
    vfs.mount(vfs.VfsLfs2(flash), board.flash_root)
    provision(board)
    # From here on every program and erase counts, so that a cut's number means the same at each
    # boot.
    flash.ops = 0
    flash.cut = lambda: board.call("power_cut")
    flash.cut_after = board.cut_after_flash_ops
    import main

    gc.collect()
    main.main(board)


start(*sys.argv[1:5])
