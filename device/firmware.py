"""Which firmware this is: the version and one SHA-256 over its files, equal on unit and computer.

The hash covers every .py and .mpy file under the folder of this file, in the order of their paths:
path, a zero byte, size as text, a zero byte, content. The folder rom/ is not part of it: it stands
beside the slots on a unit. Streamed; no file is held in memory.
"""

import gc
import hashlib
import os

VERSION = "0.1.0"


# {"version": text, "sha256": 32 bytes}
def describe(folder=None):
    root = folder or __file__.rpartition("/")[0] or "."
    gc.collect()
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


# Paths in the order of their text, one folder's names in memory at a time: a list of all would need
# a piece of heap that a unit may not have. A folder sorts as its name with the slash.
def _files(root, folder=""):
    names = []
    for name in os.listdir(root + "/" + folder[:-1] if folder else root):
        if name == "rom" or (name.startswith(("_", ".")) and name != "__init__.py"):
            continue
        if os.stat(root + "/" + folder + name)[0] & 0x4000:
            names.append(name + "/")
        elif name.endswith((".py", ".mpy")):
            names.append(name)
    names.sort()
    for name in names:
        if name[-1] == "/":
            yield from _files(root, folder + name)
        else:
            yield folder + name
