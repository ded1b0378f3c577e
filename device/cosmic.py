"""Cosmic rays, found by comparing a frame with the frames before it, before it is added to them.

A hit is in one frame only and sharper than any line of the spectrometer: two pixels away on either
side nothing has changed by a quarter as much. A sample that bleaches, drifts or warms up changes
whole bands, so it is left alone; so is a hit that is hardly above the noise. Where nothing is found
frame and sum stay as they are. The loop has a viper twin, as in `coadd`.
"""

SIGMAS2 = 36  # a change of six standard deviations, squared
SIDE = 2  # pixels away; a line of the spectrometer is five pixels wide or more at half its height
SHARP = 4  # how much more the pixel has changed than both pixels SIDE away


# What a read noise in milli-electrons is in counts squared, at least the converter's own step.
def noise_counts2(read_noise_me, gain_me_per_count):
    return max(1, min(1 << 20, (read_noise_me // gain_me_per_count) ** 2))


# `total` (array 'I') holds `taken` >= 1 frames, `frame` (array 'H') is the next. A hit in `frame`
# is replaced by the mean of the frames before; a hit that is in `total` by the frame. Returns the
# number of pixels replaced. `read2` is noise_counts2.
def reject_plain(total, frame, n, taken, gain_me, read2):
    replaced = 0
    i = SIDE
    while i < n - SIDE:
        change = frame[i] - total[i] // taken
        if _is_noise(change, total[i] // taken, frame[i], taken, gain_me, read2):
            i += 1
            continue
        side = max(
            abs(frame[i - SIDE] - total[i - SIDE] // taken),
            abs(frame[i + SIDE] - total[i + SIDE] // taken),
        )
        if side * SHARP >= abs(change):
            i += 1
            continue
        # With the neighbours that share the hit.
        for k in range(i - 1, i + 2):
            mean = total[k] // taken
            there = frame[k] - mean
            if (there > 0) == (change > 0) and not _is_noise(
                there, mean, frame[k], taken, gain_me, read2
            ):
                if change > 0:
                    frame[k] = mean
                else:
                    total[k] = frame[k] * taken
                replaced += 1
        i += 1
    return replaced


# Whether shot and read noise explain the change; all numbers stay below 2**31.
def _is_noise(change, mean, value, taken, gain_me, read2):
    size = min(abs(change), 32767)
    calm = mean if change > 0 else value
    limit = SIGMAS2 * (min(calm * 1000 // gain_me, 1 << 24) + read2)
    return size * size <= limit + limit // taken


try:
    from cosmic_viper import reject
except (ImportError, SyntaxError):  # CPython, or a port without the viper emitter
    reject = reject_plain
