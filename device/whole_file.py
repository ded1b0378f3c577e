"""Replaces a file as a whole: written beside as .new, closed, renamed.

After a power cut at any moment the file is the old one or the new one; a .new that is left over is
nobody's file and is written over the next time.
"""

import os


def write(path, data):
    beside = path + ".new"
    with open(beside, "w" if isinstance(data, str) else "wb") as file:
        if file.write(data) != len(data):
            raise OSError(28)  # no room on the flash
    os.rename(beside, path)
