# SHA-512 (FIPS 180-4) for firmware that has SHA-256 only. The constants are computed as the
# standard defines them: fractions of square and cube roots of primes. Slow (one block is some
# thousand operations on heap integers), so give it little: see signature.py. Owns no state.

import struct

_M = (1 << 64) - 1


# The whole part of the n-th root, by Newton from above.
def _root(value, n):
    x = 1 << (208 // n + 1)  # above: every value here is less than 2**201 and a prime up to 409
    while True:
        y = ((n - 1) * x + value // x ** (n - 1)) // n
        if y >= x:
            return x
        x = y


def _primes(count):
    found = [2]
    n = 3
    while len(found) < count:
        if all(n % p for p in found):
            found.append(n)
        n += 1
    return found


def _constants():
    primes = _primes(80)
    start = [_root(p << 128, 2) & _M for p in primes[:8]]
    return start, [_root(p << 192, 3) & _M for p in primes]


def sha512(message):
    start, k = _constants()
    size = len(message)
    padded = bytes(message) + b"\x80" + bytes(-(size + 17) % 128) + (8 * size).to_bytes(16, "big")
    hashed = start
    for at in range(0, len(padded), 128):
        hashed = _block(hashed, k, padded[at : at + 128])
    return struct.pack(">8Q", *hashed)


def _block(start, k, block):
    w = list(struct.unpack(">16Q", block))
    a, b, c, d, e, f, g, h = start
    for i in range(80):
        if i >= 16:  # w is a ring of the last sixteen
            x, y = w[(i - 15) & 15], w[(i - 2) & 15]
            s0 = _turn(x, 1) ^ _turn(x, 8) ^ (x >> 7)
            s1 = _turn(y, 19) ^ _turn(y, 61) ^ (y >> 6)
            w[i & 15] = (w[i & 15] + s0 + w[(i - 7) & 15] + s1) & _M
        s1 = _turn(e, 14) ^ _turn(e, 18) ^ _turn(e, 41)
        t1 = h + s1 + ((e & f) ^ (~e & _M & g)) + k[i] + w[i & 15]
        s0 = _turn(a, 28) ^ _turn(a, 34) ^ _turn(a, 39)
        t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
        a, b, c, d, e, f, g, h = (t1 + t2) & _M, a, b, c, (d + t1) & _M, e, f, g
    return [(x + y) & _M for x, y in zip(start, (a, b, c, d, e, f, g, h))]  # noqa: B905


def _turn(x, n):
    return ((x >> n) | (x << (64 - n))) & _M
