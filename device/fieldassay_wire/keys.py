"""Which keys are good enough to seal with, and how a key is named without giving it away.

Owns the size, the refusal of keys that anybody could guess (a key filled in by hand, copied from an
example or left at its default), and the fingerprint on labels and pages. Makes no keys.
"""

import hashlib

KEY_BYTES = 32
DISTINCT_LEAST = 12  # 32 random bytes have fewer distinct ones less than once in 10**25 keys
_LABEL = b"fieldassay key fingerprint"


def usable(key: bytes) -> bool:
    """False for a key of another length, or one with an obvious pattern."""
    if len(key) != KEY_BYTES or len(set(key)) < DISTINCT_LEAST:
        return False
    # Counting up, down or in any other fixed step, as in example keys.
    steps = {(key[i + 1] - key[i]) & 0xFF for i in range(KEY_BYTES - 1)}
    return len(steps) > DISTINCT_LEAST // 2


def fingerprint(key: bytes) -> str:
    """Eight hex digits in two groups; says which key it is and nothing that helps to find it."""
    text = hashlib.sha256(_LABEL + key).digest()[:4]
    digits = "".join(["%02x" % byte for byte in text])
    return digits[:4] + "-" + digits[4:]
