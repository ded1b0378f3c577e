# Runs on MicroPython: publishes numbered messages with the bare Client until each has its PUBACK,
# reconnecting as link.py would. Prints one JSON line at the end.
#   run_client.py FILE with {"port": ..., ...}
import asyncio
import gc
import json
import sys
import time

import mqtt
from backoff import Backoff

with open(sys.argv[1]) as file:  # noqa: PTH123
    given = json.load(file)
count, size, window = given["count"], given["size"], given.get("window", 1)
buffer = bytearray(1000)
errors = {}
got = []
ticks = 0
heap = []


def open_socket():
    tls = None
    if "ca" in given:
        tls = mqtt.tls_context(bytes.fromhex(given["ca"]))
    return mqtt.connect_tcp(given.get("host", "127.0.0.1"), given["port"], tls, 3000)


def on_message(topic, payload, retain):
    got.append((topic, len(payload), retain))


client = mqtt.Client(
    open_socket,
    given.get("client_id", "unit"),
    on_message,
    given.get("user", ""),
    given.get("password", ""),
    given.get("keepalive_s", 30),
    given.get("timeout_ms", 2000),
)
client._last_id = given.get("first_id", 0)
if "will" in given:
    client.will = (given["will"], b"gone", 1, True)


def blocks(number):
    left = size - 4
    yield number.to_bytes(4, "big")
    while left > 0:
        yield memoryview(buffer)[: min(left, 1000)]
        left -= 1000


def publication(number):
    return mqtt.Publication(given.get("topic", "chaos/x"), size, lambda: blocks(number))


async def ticker():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep_ms(10)


async def session(todo, flying):
    await client.connect()
    if "subscribe" in given:
        await client.subscribe(given["subscribe"])
    for p in flying:  # again, with the same packet id and DUP
        if not p.acked:
            await client.send(p)
    nap = 0
    while todo or flying:
        moved = await client.service()
        while flying and flying[0].acked:
            flying.pop(0)
            moved = True
        while todo and len(flying) < window:
            p = publication(todo[0])
            flying.append(p)
            todo[0] += 1
            if todo[0] == count:
                todo.pop()
            if todo and todo[0] % 50 == 0:
                gc.collect()
                heap.append(gc.mem_alloc())
            await client.send(p)
        nap = 0 if moved else min(nap + 1, 5)
        await asyncio.sleep_ms(nap)
    while len(got) < given.get("expect", 0):
        await client.service()
        await asyncio.sleep_ms(1)
    await client.disconnect()


async def main():
    beside = asyncio.create_task(ticker())
    backoff = Backoff()
    todo, flying = ([0] if count else []), []
    failures = 0
    while True:
        before = len(flying), todo[0] if todo else count
        try:
            await session(todo, flying)
            break
        except mqtt.MqttError as e:
            errors[e.code] = errors.get(e.code, 0) + 1
            if given.get("last_words"):
                print(json.dumps({"code": e.code, "what": e.what}))
            failures += 1
            if failures >= given.get("tries", 1000000):
                break
            if before != (len(flying), todo[0] if todo else count):
                backoff.reset()
            await asyncio.sleep_ms(backoff.next_ms())
    beside.cancel()
    return not todo and not flying


started = time.ticks_ms()
done = asyncio.run(main())
gc.collect()
print(
    json.dumps(
        {
            "done": done,
            "errors": errors,
            "got": got,
            "ticks": ticks,
            "ms": time.ticks_diff(time.ticks_ms(), started),
            "heap": heap,
            "inflight": client.inflight,
            "stray": client.stray_acks,
            "session_present": client.session_present,
        }
    )
)
