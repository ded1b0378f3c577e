"""The per-pixel loops: co-add a frame, find its strongest band, measure its level and noise.

Owns nothing but arithmetic on arrays the caller preallocated. The two hot loops have a viper twin
(`coadd_viper.py`), used where the port compiles it; the tests hold both to the same results.
"""


# total (array 'I') = frame (array 'H') if first else total + frame; returns pixels >= full_scale.
def add_plain(total, frame, n, full_scale, first):
    full = 0
    for i in range(n):
        value = frame[i]
        if value >= full_scale:
            full += 1
        total[i] = value if first else total[i] + value
    return full


# Largest height above the reference that three neighbouring pixels share: a line of the sample is
# that wide, a cosmic ray or a hot pixel is not. May be negative.
def peak_plain(frame, reference, n):
    best = -(1 << 20)
    a = frame[0] - reference[0]
    b = frame[1] - reference[1]
    for i in range(2, n):
        c = frame[i] - reference[i]
        low = min(a, b, c)
        if low > best:
            best = low
        a = b
        b = c
    return best


# The same for sums: height of the strongest band in raw/frames above dark/dark_frames, in counts.
def peak_of_sums(raw, frames, dark, dark_frames, n):
    best = -(1 << 20)
    a = b = best
    for i in range(n):
        c = raw[i] // frames - dark[i] // dark_frames
        low = min(a, b, c)
        if low > best:
            best = low
        a = b
        b = c
    return best


# Mean of the first `n` values, rounded down.
def level(values, n):
    total = 0
    for i in range(n):
        total += values[i]
    return total // n


# Noise of one frame in thousandths of a count, from two frames taken under the same conditions:
# rms of the difference over sqrt(2). Offsets and fixed pattern drop out.
def noise_milli(first, second, n):
    total = squares = 0
    for i in range(n):
        d = first[i] - second[i]
        total += d
        squares += d * d
    variance = (squares * n - total * total) * 500000 // (n * n)  # millicounts squared, halved
    return _root(variance)


def _root(value):
    if value < 2:
        return max(0, value)
    guess = 1 << ((value.bit_length() if hasattr(value, "bit_length") else 64) // 2 + 1)
    while True:
        better = (guess + value // guess) // 2
        if better >= guess:
            return guess
        guess = better


try:
    from coadd_viper import add, peak
except (ImportError, SyntaxError):  # CPython, or a port without the viper emitter
    add, peak = add_plain, peak_plain
