"""The simulator bus: frames of 4-byte length + CBOR over loopback TCP, one server each.

Owns framing, the token and the answer's shape. What an operation does is the handler's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
from collections.abc import Callable
from typing import Any

from fieldassay_wire.cbor import decode, encode
from fieldassay_wire.errors import WireError

from fieldassay_sim.errors import BusError

MAX_REQUEST_BYTES = 65536
Handler = Callable[[str, list[Any]], Any]


class Refused(Exception):  # noqa: N818 - an answer, not a defect
    """An operation fails as it would on hardware: the firmware sees OSError(number)."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


class PowerCut(Exception):  # noqa: N818 - an event, not a defect
    """The operation ends the unit's power: it gets no answer."""


def answer(handler: Handler, request: Any) -> bytes:
    """Run one request; the encoded answer `[0, value]` or `[errno, text]`.

    Raises:
        BusError: The request is no `[op, args...]`.
        PowerCut: The handler says so.
    """
    if not isinstance(request, list) or not request or not isinstance(request[0], str):
        raise BusError(
            "bus_request_malformed",
            "A request on the simulator bus is not [op, args...].",
            "Check that device/boards/sim.py and this simulator are of the same version.",
        )
    try:
        return encode([0, handler(request[0], request[1:])])
    except Refused as refused:
        return encode([refused.number, refused.text])
    except (TypeError, ValueError, KeyError, IndexError) as error:
        return encode([errno.EINVAL, f"{request[0]}: {error}"])


class Bus:
    """Serves one unit. A new connection with the right token replaces the old one.

    Args:
        token: What the firmware must say first, in `hello`.
        handler: Called with the operation and its arguments, in the event loop.
        on_power_cut: Called once when an operation cut the power.
        on_broken: Called with a BusError when bytes made no sense; the connection is then closed.
    """

    def __init__(
        self,
        token: str,
        handler: Handler,
        on_power_cut: Callable[[], None],
        on_broken: Callable[[BusError], None],
    ) -> None:
        self._token = token
        self._handler = handler
        self._on_power_cut = on_power_cut
        self._on_broken = on_broken
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.requests = 0

    @property
    def connected(self) -> bool:
        """Whether a firmware that said hello is connected."""
        return self._writer is not None

    async def start(self) -> int:
        """Listen on a free loopback port and return it."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the server and the connection."""
        if self._server is not None:
            self._server.close()
        self.drop()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def drop(self) -> None:
        """Close the firmware's connection; without it the firmware ends."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except PowerCut:
            self._on_power_cut()
        except (BusError, WireError) as error:
            if isinstance(error, WireError):
                error = BusError("bus_bytes_malformed", error.what, error.do_next)
            self._on_broken(error)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            if self._writer is writer:
                self._writer = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted = False
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            if size > MAX_REQUEST_BYTES:
                raise BusError(
                    "bus_request_too_long",
                    f"A request of {size} bytes came over the simulator bus.",
                    "Check that device/boards/sim.py and this simulator are of the same version.",
                )
            request = decode(await reader.readexactly(size))
            if not greeted:
                if not self._is_hello(request):
                    await _send(writer, encode([errno.EACCES, "hello with the token comes first"]))
                    return
                greeted = True
                self.drop()
                self._writer = writer
            self.requests += 1
            await _send(writer, answer(self._handler, request))

    def _is_hello(self, request: Any) -> bool:
        return (
            isinstance(request, list)
            and len(request) == 2
            and request[0] == "hello"
            and isinstance(request[1], str)
            and hmac.compare_digest(request[1].encode(), self._token.encode())
        )


async def _send(writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(len(payload).to_bytes(4, "big") + payload)
    await writer.drain()
