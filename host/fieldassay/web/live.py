"""Server-sent events: the feed of the host, told to one browser.

The stream only says that something changed; the page then asks for the list. So a page that was cut
off misses nothing: it asks again on every `hello`, the first event of each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

RETRY_MS = 1500
HEARTBEAT_S = 15.0  # below the idle limits of common proxies
TYPES = frozenset({"measurement", "verdict", "unit", "quarantine", "store", "lost", "bench"})


def encode(name: str, data: Mapping[str, Any]) -> str:
    """One event in the format of the HTML standard, 9.2.6; JSON keeps the data on one line."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


async def stream(
    events: AsyncIterator[Mapping[str, Any]], heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[str]:
    """Tell `events` until the browser leaves or the feed closes.

    Args:
        events: A subscription to the feed; closed when the stream ends.
        heartbeat_s: Seconds of silence after which a comment is sent: dead connections are noticed.

    Yields:
        Text of the stream: first `hello`, then one event for each event of the feed.
    """
    upcoming = asyncio.ensure_future(anext(events))
    try:
        await asyncio.sleep(0)  # the subscription stands before the browser is told to look
        yield f"retry: {RETRY_MS}\n" + encode("hello", {})
        while True:
            done, _ = await asyncio.wait({upcoming}, timeout=heartbeat_s)
            if not done:
                yield ": still here\n\n"
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = asyncio.ensure_future(anext(events))
            name = event.get("type")
            yield encode(name if name in TYPES else "message", event)
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
            await upcoming
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
