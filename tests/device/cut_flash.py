# Runs on MicroPython. A flash in RAM whose power can be cut at any program or erase operation; bits
# can only be cleared by a program. Whose operations they are is the caller's.
import hashlib

import vfs

BLOCK = 4096
BLOCKS = 48
# How much of the interrupted operation gets through; garbage: half, and the rest is anything.
MODES = ("before", "half", "most", "garbage")


class Flash:
    def __init__(self):
        self.image = bytearray(b"\xff" * (BLOCK * BLOCKS))
        self.ops = 0
        self.cut_at = None
        self.mode = "before"
        self.dead = False

    def _cut(self, size):
        # How many of `size` bytes still get through; None: all of them.
        if self.dead:
            return 0
        self.ops += 1
        if self.cut_at is None or self.ops < self.cut_at:
            return None
        self.dead = True
        return {"before": 0, "half": size // 2, "most": size - 1, "garbage": size // 2}[self.mode]

    def _garble(self, at, size):
        # The cells that were changing hold anything: bits of a hash that depends on the place.
        while size > 0:
            noise = hashlib.sha256(str(at).encode()).digest()[:size]
            for i in range(len(noise)):
                self.image[at + i] &= noise[i]
            at += len(noise)
            size -= len(noise)

    def readblocks(self, n, buf, off=0):
        at = n * BLOCK + off
        buf[:] = memoryview(self.image)[at : at + len(buf)]

    def writeblocks(self, n, buf, off=0):
        at = n * BLOCK + off
        through = self._cut(len(buf))
        for i in range(len(buf) if through is None else through):
            if buf[i] & ~self.image[at + i]:
                raise AssertionError("program without erase")
            self.image[at + i] &= buf[i]
        if through and self.mode == "garbage":
            self._garble(at + through, len(buf) - through)
        return 0 if through is None else -5

    def ioctl(self, op, arg):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6:
            through = self._cut(BLOCK)
            size = BLOCK if through is None else through
            self.image[arg * BLOCK : arg * BLOCK + size] = b"\xff" * size
            if through and self.mode == "garbage":
                self._garble(arg * BLOCK, BLOCK)
            return 0 if through is None else -5
        return 0


def mounted(flash, progsize, work):
    # Mounts the image as it is, runs work(), unmounts.
    vfs.mount(vfs.VfsLfs2(flash, progsize=progsize), "/cut")
    try:
        return work()
    finally:
        vfs.umount("/cut")


def every_cut(progsize, prepare, act, verify):
    # prepare(flash) sets the flash up; act() is cut at each of its operations in each mode, and may
    # return False where it noticed; verify(finished) looks at what a restart finds and says whether
    # the new state is there. Returns (cut points, how often the new state was there).
    flash = Flash()
    vfs.VfsLfs2.mkfs(flash, progsize=progsize)
    mounted(flash, progsize, lambda: prepare(flash))
    base = bytes(flash.image)
    points = new = 0
    for mode in MODES:
        cut_at = 0
        finished = False
        while not finished:
            cut_at += 1
            flash.image[:] = base
            flash.dead, flash.mode, flash.cut_at, flash.ops = False, mode, cut_at, 0
            try:
                finished = mounted(flash, progsize, act) is not False and not flash.dead
            except OSError:
                finished = False
            points += not finished
            flash.dead, flash.cut_at = False, None
            try:
                new += bool(mounted(flash, progsize, lambda done=finished: verify(done)))
            except AssertionError as error:
                raise AssertionError(f"cut {mode} {cut_at}: {error}") from error
    return points, new
