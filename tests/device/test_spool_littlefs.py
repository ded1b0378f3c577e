"""The spool on littlefs2 under MicroPython: a full flash, and 100 measurements in 256 kB."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.needs("micropython")

FLASH = """
import gc, os, sys, vfs
class Flash:  # a file as block device, as the simulator has it
    def __init__(self, path, blocks):
        self.blocks = blocks
        with open(path, "wb") as f:
            for _ in range(blocks):
                f.write(b"\\xff" * 4096)
        self.file = open(path, "r+b")
    def readblocks(self, n, buf, off=0):
        self.file.seek(n * 4096 + off)
        self.file.readinto(buf)
    def writeblocks(self, n, buf, off=0):
        self.file.seek(n * 4096 + off)
        self.file.write(buf)
    def ioctl(self, op, arg):
        return {4: self.blocks, 5: 4096}.get(op, 0)
flash = Flash(sys.argv[1], int(sys.argv[2]))
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash), "/flash")
from spool import Spool, SpoolFull, SpoolError
"""

FULL = (
    FLASH
    + """
spool = Spool("/flash/spool", 100)
spool.next_boot()
digests = []
def chunks(seq):
    for _ in range(10):
        yield bytes([seq]) * 1000
while True:
    try:
        digests.append(spool.append(1, len(digests), chunks(len(digests))))
    except SpoolFull as e:
        assert "no room" in e.what, e.what
        break
assert 3 < len(digests) < 100
def check():
    again = Spool("/flash/spool", 100)
    assert again.bad == 0
    assert again.pending() == spool.pending(), again.pending()
    for boot, seq in again.pending():
        assert again.digest(boot, seq) == digests[seq]
    assert not [n for n in os.listdir("/flash/spool") if n.endswith(".tmp")]
check()
for _ in range(3):  # refusing again does no harm
    try:
        spool.append(1, 99, chunks(99))
        raise AssertionError("fitted")
    except SpoolFull:
        pass
check()
first = spool.pending()[0]
assert spool.release(1, 0, digests[0])
digests.append(spool.append(1, len(digests), chunks(len(digests))))
assert first not in spool.pending()
check()
print("records", len(digests) - 1)
"""
)

HUNDRED = (
    FLASH
    + """
from array import array
from fieldassay_wire import cbor, mac0, messages
pixels = 2048
raw, dark = array("I", range(pixels)), array("I", bytes(4 * pixels))
U32 = cbor.TypedArray.U32
def message(seq):
    raw[0] = seq
    return {
        "v": 1, "unit": "unit-7", "boot": 1, "seq": seq, "time_ms": 0, "clock": "unset",
        "uptime_ms": 1, "exposure_us": 1000, "frames": 10, "dark_frames": 10,
        "raw": cbor.TypedArray(U32, raw), "dark": cbor.TypedArray(U32, dark),
        "full_scale_counts": 65535, "saturated_pixels": 0, "flags": ["clock_unset"],
        "gain_me_per_count": 1500, "read_noise_me": 8000, "excitation_pm": 785000,
        "laser_set_uw": 100000, "laser_uw": 99000, "laser_mdegc": 25000, "detector_mdegc": -5000,
        "calibration": {"id": "c1", "date": "2026-11-01", "coefficients_nm": ["785.1", "0.09"]},
        "selftest": {"ok": True, "checks": {"dark": "pass"}},
        "firmware": {"version": "0.1.0", "sha256": bytes(32)},
        "answers": {"packaging": "", "sample": ""}, "series": 0, "spot": 0, "battery_mv": 3900,
    }
key = b"k" * 32
spool = Spool("/flash/spool", 100)
digests, lowest = bytearray(3200), 1 << 30  # one object: no fragmentation made by the test
for seq in range(100):
    m = message(seq)
    messages.check("measurement", m)
    sealed = mac0.seal_chunks("measurement", key, "unit-7", m)
    digests[32 * seq : 32 * seq + 32] = spool.append(1, seq, sealed)
    lowest = min(lowest, gc.mem_free())
try:
    spool.append(1, 100, [b"x"])
    raise AssertionError("101 of 100")
except SpoolFull as e:
    assert "100 slots" in e.what
del spool
spool = Spool("/flash/spool", 100)
assert spool.used == 100 and spool.bad == 0
assert spool.pending() == [(1, seq) for seq in range(100)]
sealed, filled = bytearray(spool.size(1, 42)), 0
for block in spool.open_blocks(1, 42, 2048):
    sealed[filled : filled + len(block)] = block
    filled += len(block)
assert filled == len(sealed) > 16900
kind, kid, payload = mac0.open_sealed(sealed, key)
m = messages.parse(kind, payload)
assert m["seq"] == 42 and m["raw"].data[0] == 42 and len(m["dark"]) == pixels
for seq in range(100):
    assert not spool.release(1, seq, bytes(32))
    assert spool.release(1, seq, digests[32 * seq : 32 * seq + 32])
assert spool.used == 0
gc.collect()
print("free at the lowest", lowest, "at the end", gc.mem_free())
"""
)


def test_full_flash_refuses_and_loses_nothing(micropython, tmp_path):
    done = micropython(FULL, tmp_path / "flash.img", 24)
    assert done.stdout.startswith("records ")


def test_a_hundred_measurements_in_a_256k_heap(micropython, tmp_path):
    done = micropython(HUNDRED, tmp_path / "flash.img", 1024, heap="256K")
    assert done.stdout.startswith("free at the lowest ")
