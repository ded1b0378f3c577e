"""Viper twins of `coadd.add_plain` and `coadd.peak_plain`; imported by `coadd` only.

A port without the emitter fails this import and `coadd` keeps the plain loops.
"""

import micropython


@micropython.viper
def add(total: ptr32, frame: ptr16, n: int, full_scale: int, first: bool) -> int:  # noqa: F821
    full = 0
    for i in range(n):
        value = int(frame[i])
        if value >= full_scale:
            full += 1
        if first:
            total[i] = value
        else:
            total[i] = int(total[i]) + value
    return full


@micropython.viper
def peak(frame: ptr16, reference: ptr32, n: int) -> int:  # noqa: F821
    best = -1048576
    a = int(frame[0]) - int(reference[0])
    b = int(frame[1]) - int(reference[1])
    i = 2
    while i < n:
        c = int(frame[i]) - int(reference[i])
        low = a
        if b < low:
            low = b
        if c < low:
            low = c
        if low > best:
            best = low
        a = b
        b = c
        i += 1
    return best
