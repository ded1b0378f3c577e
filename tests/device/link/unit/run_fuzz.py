# Runs on MicroPython: connects again and again to a server that answers anything. Prints one JSON
# line for each connection: how it ended, what was delivered, the heap in use. Ends on "refused" by
# the operating system, that is when the server is gone.
#   run_fuzz.py FILE with {"port": ..., "timeout_ms": ...}
import asyncio
import gc
import json
import sys

import mqtt

with open(sys.argv[1]) as file:  # noqa: PTH123
    given = json.load(file)
got = []


def on_message(topic, payload, retain):
    got.append((len(topic), len(payload)))


async def one(client):
    await client.connect()
    await client.subscribe("a/#")
    publication = mqtt.Publication("b", 2, lambda: (b"ok",))
    try:
        await client.send(publication)
        while True:
            await client.service()
            await asyncio.sleep_ms(0)
    finally:
        client.forget(publication)


async def main():
    client = mqtt.Client(
        lambda: mqtt.connect_tcp("127.0.0.1", given["port"], None, 1000),
        "fuzzed",
        on_message,
        timeout_ms=given["timeout_ms"],
    )
    while True:
        got.clear()
        client._last_id = 0  # SUBSCRIBE is packet 1, the publication packet 2
        try:
            await one(client)
        except mqtt.MqttError as e:
            code, what = e.code, e.what
        if code == "network" and "REFUSED" in what:
            return
        gc.collect()
        print(json.dumps({"code": code, "what": what, "got": got, "heap": gc.mem_alloc()}))


asyncio.run(main())
