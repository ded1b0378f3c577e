# Ed25519 signatures (RFC 8032): verification only. Not constant in time, so it must never sign.
#
# Strict: the signature's s is below the group's order, R is compared as bytes (so only its
# canonical encoding fits), the key is a canonical point and of no small order. No state. What is
# signed for a release is `signed_bytes`: short, so that it costs one block of SHA-512 (see
# docs/adr/0055-ed25519-verified-in-python.md).

from sha512 import sha512

P = (1 << 255) - 19
ORDER = (1 << 252) + 27742317777372353535851937790883648493
D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
ROOT = 19681161376707505956807079304988542015446066515923890162744021073123829784752  # of -1
BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960
CONTEXT = b"fieldassay-fw-1"  # 15 bytes: with R, key and a SHA-256 it fills one block exactly


# What is signed for a manifest with this SHA-256.
def signed_bytes(manifest_sha256):
    return CONTEXT + manifest_sha256


def verify(public_key, message, signature):
    if len(public_key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    key = _point(public_key)
    if key is None or _small(key):
        return False
    r = bytes(signature[:32])
    h = int.from_bytes(sha512(r + bytes(public_key) + bytes(message)), "little") % ORDER
    x, y, z, t = key
    minus = (P - x, y, z, P - t)
    return _packed(_sum(s, _point(BASE_Y.to_bytes(32, "little")), h, minus)) == r


# Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z: RFC 8032 5.1.4.
def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = p[3] * q[3] % P * (2 * D) % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(p):
    x, y, z, _ = p
    a = x * x % P
    b = y * y % P
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = 2 * z * z + g
    e %= P
    f %= P
    return e * f % P, g * h % P, f * g % P, e * h % P


# m times p plus n times q, one doubling for both.
def _sum(m, p, n, q):
    both = _add(p, q)
    total = (0, 1, 1, 0)
    for i in range(252, -1, -1):
        total = _double(total)
        pick = (m >> i) & 1 | ((n >> i) & 1) << 1
        if pick:
            total = _add(total, (p, q, both)[pick - 1])
    return total


# The point of 32 bytes, None if there is none or another encoding is the canonical one.
def _point(data):
    y = int.from_bytes(data, "little")
    odd, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    v3 = v * v * v % P
    x = u * v3 * _power(u * v3 * v3 * v % P, (P - 5) // 8) % P
    if (v * x * x - u) % P:
        x = x * ROOT % P
        if (v * x * x - u) % P:
            return None
    if x == 0 and odd:
        return None
    if x & 1 != odd:
        x = P - x
    return x, y, 1, x * y % P


def _small(p):
    for _ in range(3):
        p = _double(p)
    return p[0] == 0 and p[1] == p[2]


def _packed(p):
    inverse = _power(p[2], P - 2)
    x = p[0] * inverse % P
    return ((p[1] * inverse % P) | (x & 1) << 255).to_bytes(32, "little")


# pow(x, n, P), which some boards are built without.
def _power(x, n):
    result = 1
    while n:
        if n & 1:
            result = result * x % P
        x = x * x % P
        n >>= 1
    return result
