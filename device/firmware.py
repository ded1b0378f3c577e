"""Which firmware this is: the version and one SHA-256 over its files, equal on unit and computer.

The hash covers every .py and .mpy file under the folder of this file, in the order of their paths:
path, a zero byte, size as text, a zero byte, content. The folder rom/ is not part of it: it stands
beside the slots on a unit. Streamed; no file is held in memory.
"""

import hashlib
import os

VERSION = "0.1.0"


# {"version": text, "sha256": 32 bytes}
def describe(folder=None):
    root = folder or __file__.rpartition("/")[0] or "."
    digest = hashlib.sha256()
    block = bytearray(512)
    for name in _files(root):
        path = root + "/" + name
        digest.update(b"%s\0%d\0" % (name.encode(), os.stat(path)[6]))
        with open(path, "rb") as file:
            while True:
                got = file.readinto(block)
                if not got:
                    break
                digest.update(memoryview(block)[:got])
    return {"version": VERSION, "sha256": digest.digest()}


def _files(root):
    found = []
    folders = [""]
    while folders:
        folder = folders.pop()
        for name in os.listdir(root + "/" + folder if folder else root):
            path = folder + "/" + name if folder else name
            if name == "rom" or (name.startswith(("_", ".")) and name != "__init__.py"):
                continue
            if os.stat(root + "/" + path)[0] & 0x4000:
                folders.append(path)
            elif name.endswith((".py", ".mpy")):
                found.append(path)
    found.sort()
    return found
