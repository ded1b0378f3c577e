# Runs on MicroPython: a flash chip in a file, as littlefs sees one.
# mypy: ignore-errors
import os

BLOCK = 4096


# Block device on a file, as NOR flash: every program and erase is counted. At operation number
# `cut_after` only the first half of the data reaches the flash, then `cut` takes the power away.
class Flash:
    def __init__(self, path):
        self.blocks = os.stat(path)[6] // BLOCK
        self.file = open(path, "r+b")  # noqa: SIM115 - stays open as a flash chip does
        self.erased = b"\xff" * BLOCK  # made once: a heap in pieces may not have 4 kB later
        self.ops = 0
        self.cut_after = None
        self.cut = None

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
            return self.blocks
        elif op == 5:
            return BLOCK
        elif op == 6:
            self._count(arg * BLOCK, self.erased)
            self.file.seek(arg * BLOCK)
            self.file.write(self.erased)
        return 0

    def _count(self, at, data):
        self.ops += 1
        if self.cut_after is not None and self.ops >= self.cut_after:
            self.file.seek(at)
            self.file.write(memoryview(data)[: len(data) // 2])
            self.file.flush()
            self.cut()


# A new flash, every cell erased; made beside its place, so that no power cut leaves half of one.
def make(path, blocks):
    with open(path + ".tmp", "wb") as file:
        erased = b"\xff" * BLOCK
        for _ in range(blocks):
            file.write(erased)
    os.rename(path + ".tmp", path)
