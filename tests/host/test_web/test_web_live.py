"""The event stream without a browser: order, heartbeat, end, and nothing lost at its start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fieldassay.live import Feed
from fieldassay.web import live
from hypothesis import given
from hypothesis import strategies as st


async def texts(stream: AsyncIterator[str], count: int) -> list[str]:
    return [await anext(stream) for _ in range(count)]


def parse(text: str) -> tuple[str, Any]:
    """What a browser makes of one block: the event's name and its data (HTML standard 9.2.6)."""
    name, data = "message", ""
    for line in text.removesuffix("\n\n").split("\n"):
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data += value
    return name, json.loads(data)


def test_hello_comes_first_and_what_happens_before_it_is_not_lost() -> None:
    async def run() -> None:
        feed = Feed()
        stream = live.stream(feed.subscribe())
        feed.publish({"type": "measurement", "id": "u-1-1"})
        hello, event = await texts(stream, 2)
        assert hello.startswith("retry: ")
        assert parse(hello) == ("hello", {})
        assert parse(event) == ("measurement", {"type": "measurement", "id": "u-1-1"})
        await stream.aclose()

    asyncio.run(run())


def test_silence_gives_a_comment_and_events_still_come() -> None:
    async def run() -> None:
        feed = Feed()
        stream = live.stream(feed.subscribe(), heartbeat_s=0.01)
        _, beat = await texts(stream, 2)
        assert beat.startswith(":")
        feed.publish({"type": "unit"})
        while (text := await anext(stream)).startswith(":"):
            pass
        assert parse(text) == ("unit", {"type": "unit"})
        await stream.aclose()

    asyncio.run(run())


def test_the_stream_ends_with_the_feed_and_leaves_no_subscriber() -> None:
    async def run() -> None:
        feed = Feed()
        ended, left = live.stream(feed.subscribe()), live.stream(feed.subscribe())
        await texts(ended, 1)
        await texts(left, 1)
        await left.aclose()
        feed.close()
        assert [text async for text in ended] == []
        assert feed._subscribers == []

    asyncio.run(run())


def test_a_browser_that_does_not_read_is_told_that_it_lost_events() -> None:
    async def run() -> None:
        feed = Feed()
        stream = live.stream(feed.subscribe())
        await texts(stream, 1)
        for n in range(1000):
            feed.publish({"type": "measurement", "n": n})
        name, data = parse(await anext(stream))
        assert (name, data["type"]) == ("lost", "lost")
        assert data["count"] > 0
        await stream.aclose()

    asyncio.run(run())


@given(kind=st.text(), value=st.text())
def test_no_text_breaks_out_of_its_event(kind: str, value: str) -> None:
    async def run() -> None:
        feed = Feed()
        stream = live.stream(feed.subscribe())
        feed.publish({"type": kind, "value": value})
        _, text = await texts(stream, 2)
        name, data = parse(text)
        assert data == {"type": kind, "value": value}
        assert name == (kind if kind in live.TYPES else "message")
        assert text.count("\n") == 3
        assert "\r" not in text
        await stream.aclose()

    asyncio.run(run())
