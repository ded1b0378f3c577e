"""Viper twin of `cosmic.reject_plain`; imported by `cosmic` only.

A port without the emitter fails this import and `cosmic` keeps the plain loop.
"""

import micropython


@micropython.viper
def reject(total: ptr32, frame: ptr16, n: int, taken: int, gain_me: int, read2: int) -> int:  # noqa: F821
    replaced = 0
    i = 2
    while i < n - 2:
        mean = int(total[i]) // taken
        change = int(frame[i]) - mean
        size = change
        calm = mean
        if change < 0:
            size = 0 - change
            calm = int(frame[i])
        near = size
        if size > 32767:
            size = 32767
        noise = calm * 1000 // gain_me
        if noise > 16777216:
            noise = 16777216
        limit = 36 * (noise + read2)
        if size * size > limit + limit // taken:
            before = int(frame[i - 2]) - int(total[i - 2]) // taken
            after = int(frame[i + 2]) - int(total[i + 2]) // taken
            if before < 0:
                before = 0 - before
            if after < 0:
                after = 0 - after
            if before < after:
                before = after
            if before * 4 < near:
                k = i - 1
                while k < i + 2:
                    mean = int(total[k]) // taken
                    there = int(frame[k]) - mean
                    size = there
                    calm = mean
                    if there < 0:
                        size = 0 - there
                        calm = int(frame[k])
                    if size > 32767:
                        size = 32767
                    noise = calm * 1000 // gain_me
                    if noise > 16777216:
                        noise = 16777216
                    limit = 36 * (noise + read2)
                    if size * size > limit + limit // taken:
                        if change > 0 and there > 0:
                            frame[k] = mean
                            replaced += 1
                        if change < 0 and there < 0:
                            total[k] = int(frame[k]) * taken
                            replaced += 1
                    k += 1
        i += 1
    return replaced
