"""A TCP proxy that misbehaves on purpose, for the tests of the unit's link and of the whole system.

Every connection gets one fault, drawn from the list with a seeded generator; the same seed gives
the same sequence of faults and limits. Prints one JSON line when it listens (`{"listening": port}`)
and one for each fault that struck. Knows nothing about MQTT.

    python chaos_proxy.py TARGET_PORT [--listen PORT] [--seed N] [--faults cut-up,cut-down,...]
        [--after MIN MAX] [--delay-ms N] [--every N]

Faults, "after" a number of bytes of both directions together, drawn between --after MIN MAX:
    cut-up    reset at the client's next bytes; those beyond the number never arrive
    cut-down  the same at the server's next bytes
    swallow   let the client's bytes through, keep the server's, then reset: lost acknowledgements
    stall     neither side gets another byte and nobody is told: a half-open connection
    delay     every piece waits --delay-ms; nothing is lost
    dribble   bytes arrive one at a time in both directions, for the first "after" bytes
    refuse    reset at once
    none      an honest connection
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import socket
import struct
import sys
from collections.abc import Callable

FAULTS = ("cut-up", "cut-down", "swallow", "stall", "delay", "dribble", "refuse", "none")
SWALLOW_MS = 300
PIECE = 16384


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a network that drops the connection does; no lingering bytes."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class ChaosProxy:
    """Forward connections to `target` on the loopback, each with one fault.

    Args:
        target: port of the honest server.
        faults: names out of FAULTS to draw from.
        seed: of the sequence of faults and byte counts.
        after: smallest and largest number of bytes before a fault strikes.
        delay_ms: for the fault `delay`.
        every: only each n-th connection has a fault; the others are honest.
        note: called with a dict for each connection and each fault that struck.
    """

    def __init__(
        self,
        target: int,
        faults: tuple[str, ...],
        seed: int = 0,
        after: tuple[int, int] = (0, 100_000),
        delay_ms: int = 20,
        every: int = 1,
        note: Callable[[dict[str, object]], None] = lambda event: None,
    ) -> None:
        unknown = set(faults) - set(FAULTS)
        if unknown or not faults:
            raise ValueError(f"faults must be out of {', '.join(FAULTS)}, not {sorted(unknown)}")
        self.target = target
        self.faults = faults
        self.after = after
        self.delay_ms = delay_ms
        self.every = every
        self.note = note
        self._random = random.Random(seed)
        self._connections = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> asyncio.Server:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        return await asyncio.start_server(self.serve, "127.0.0.1", port)

    async def serve(self, client: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        """One connection from accept to end; the proxy's own end cancels it quietly."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(client, client_out)

    async def _serve(self, client: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        number = self._connections
        self._connections += 1
        fault = self._random.choice(self.faults)
        after = self._random.randint(*self.after)
        if number % self.every != self.every - 1:
            fault = "none"
        if fault == "refuse":
            self.note({"connection": number, "fault": fault})
            reset(client_out)
            return
        try:
            server, server_out = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            reset(client_out)
            return
        for writer in (client_out, server_out):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.update((client_out, server_out))
        line = _Line(fault, after, self.delay_ms)
        pumps = [
            asyncio.ensure_future(line.pump(client, server_out, up=True)),
            asyncio.ensure_future(line.pump(server, client_out, up=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if line.struck:
                self.note(
                    {
                        "connection": number,
                        "fault": fault,
                        "after": after,
                        "up": line.up,
                        "down": line.down,
                    }
                )
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            reset(client_out)
            reset(server_out)
            self._open.difference_update((client_out, server_out))

    def hang_up(self) -> None:
        """Reset every connection that is open now, a stalled one too."""
        for writer in list(self._open):
            reset(writer)


class _Line:
    """The two directions of one connection and when its fault strikes."""

    def __init__(self, fault: str, after: int, delay_ms: int) -> None:
        self.fault = fault
        self.after = after
        self.delay_ms = delay_ms
        self.up = 0
        self.down = 0
        self.struck = False

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                room = self.after - self.up - self.down
                if up:
                    self.up += len(data)
                else:
                    self.down += len(data)
                if not await self.forward(data, room, writer, up):
                    return

    async def forward(self, data: bytes, room: int, writer: asyncio.StreamWriter, up: bool) -> bool:
        """Pass one piece on; False ends the connection. `room`: bytes before the fault."""
        if self.fault == ("cut-up" if up else "cut-down") and len(data) > room:
            self.struck = True
            writer.write(data[: max(room, 0)])
            await writer.drain()
            return False
        if self.fault == "swallow" and not up and room < 0:
            self.struck = True
            await asyncio.sleep(SWALLOW_MS / 1000)
            return False
        if self.fault == "stall" and len(data) > room:
            self.struck = True
            while not writer.transport.is_closing():  # until a side gives up or the proxy ends
                await asyncio.sleep(0.02)
            return False
        if self.fault == "delay":
            self.struck = True
            await asyncio.sleep(self.delay_ms / 1000)
        if self.fault == "dribble" and room > 0:
            self.struck = True
            for i in range(min(room, len(data))):
                writer.write(data[i : i + 1])
                await writer.drain()
                await asyncio.sleep(0)
            data = data[room:]
        if data:
            writer.write(data)
            await writer.drain()
        return True


async def run(proxy: ChaosProxy, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await proxy.start(port)
    print(json.dumps({"listening": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=int, help="port of the server on 127.0.0.1")
    parser.add_argument("--listen", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", default="cut-up,cut-down,swallow")
    parser.add_argument("--after", type=int, nargs=2, default=(0, 100_000), metavar=("MIN", "MAX"))
    parser.add_argument("--delay-ms", type=int, default=20)
    parser.add_argument("--every", type=int, default=1, help="each n-th connection has a fault")
    given = parser.parse_args()
    proxy = ChaosProxy(
        given.target,
        tuple(given.faults.split(",")),
        given.seed,
        tuple(given.after),
        given.delay_ms,
        given.every,
        lambda event: print(json.dumps(event), flush=True),
    )
    asyncio.run(run(proxy, given.listen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
