# Runs on MicroPython: the real Link and the real Spool on a folder, no more of the firmware.
# Fills the spool, runs the link until `until` holds, prints JSON lines: events, then the result.
#   run_link.py FILE with {"port": ..., ...}
import asyncio
import gc
import json
import sys
import time
from array import array

import mqtt
from fieldassay_wire import cbor, mac0
from link import Link
from spool import Spool

with open(sys.argv[1]) as file:  # noqa: PTH123
    given = json.load(file)
unit = given.get("unit", "u1")
key = bytes.fromhex(given["key"])
pixels = given.get("pixels", 2048)
spool = Spool(given["root"], given.get("capacity", 400))
boot = spool.next_boot()
raw = array("I", range(pixels))
receipts = 0
heap = []


def measure(seq):
    message = {"v": 1, "unit": unit, "boot": boot, "seq": seq}
    message["raw"] = message["dark"] = cbor.TypedArray(cbor.TypedArray.U32, raw)
    spool.append(boot, seq, mac0.seal_chunks("measurement", key, unit, message))


def say(kind, details):
    print(json.dumps({"event": kind, "details": details}))


class Board:
    def open_socket(self, host, port, tls):
        return mqtt.connect_tcp(host, port, tls, 3000)


def state():
    return {
        "state": "ready",
        "interlock": "SAFE",
        "fault": "",
        "battery_mv": 4000,
        "time_ms": 0,
        "clock": "unset",
        "firmware": {"version": "0", "sha256": bytes(32)},
    }


def on_receipt(message):
    global receipts
    receipts += 1
    if given.get("say_receipts"):
        say("receipt", [message["boot"], message["seq"], message["status"]])
    if receipts % 50 == 0:
        gc.collect()
        heap.append(gc.mem_alloc())


link = Link(
    {
        "unit": unit,
        "broker": {
            "host": "127.0.0.1",
            "port": given["port"],
            "tls": False,
            "ca_der_hex": "",
            "user": given.get("user", ""),
            "password": given.get("password", ""),
        },
    },
    Board(),
    spool,
    key,
    boot,
    state,
    lambda m: say("verdict", [m["boot"], m["seq"], m["verdict"]]),
    on_receipt,
    lambda m: say("command", [m["n"], m["command"], m["args"]]),
    say if given.get("verbose") else (lambda kind, details: None),
    receipt_timeout_ms=given.get("receipt_timeout_ms", 10000),
    receipt_timeout_max_ms=given.get("receipt_timeout_max_ms", 300000),
    timeout_ms=given.get("timeout_ms", 2000),
    keepalive_s=given.get("keepalive_s", 30),
)


def reached(until):
    if until == "empty":
        return spool.used == 0
    name, number = until
    return link.counters.get(name, 0) >= number


async def main():
    count = given.get("count", 0)
    at_once = min(count, given.get("at_once", count))  # the rest follows as slots become free
    for seq in range(at_once):
        measure(seq)
    task = asyncio.create_task(link.run())
    fresh = given.get("fresh_after")  # measure one more when so many receipts came
    while at_once < count or not reached(given["until"]):
        if at_once < count and spool.used < 50:
            measure(at_once)
            link.measured(boot, at_once)
            at_once += 1
        if fresh is not None and receipts >= fresh:
            fresh = None
            measure(9999)
            link.measured(boot, 9999)
        await asyncio.sleep_ms(5)
    link.stop()
    await task


started = time.ticks_ms()
asyncio.run(main())
gc.collect()
print(
    json.dumps(
        {
            "result": True,
            "boot": boot,
            "pending": spool.pending(),
            "counters": link.counters,
            "receipts": receipts,
            "ms": time.ticks_diff(time.ticks_ms(), started),
            "heap": heap,
            "free": gc.mem_free(),
        }
    )
)
