"""Feed: events reach every subscriber in order; a slow one loses the oldest and is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from fieldassay import live
from fieldassay.live import Feed


def test_events_from_another_thread_arrive_in_order(collect) -> None:
    feed = Feed()

    def act() -> None:
        thread = threading.Thread(
            target=lambda: [feed.publish({"type": "unit", "n": n}) for n in range(50)]
        )
        thread.start()
        thread.join()

    assert [e["n"] for e in collect(feed, act, 50)] == list(range(50))
    feed.publish({"type": "unit"})  # its subscriber and the loop are gone: no error
    assert feed._subscribers == []


def test_a_slow_subscriber_is_told_what_it_lost(collect) -> None:
    feed = Feed()
    extra = 7

    def act() -> None:
        for n in range(live.QUEUE_LENGTH + extra):
            feed.publish({"type": "unit", "n": n})

    first, second, *_ = collect(feed, act, 3)
    assert first == {"type": "lost", "count": extra}
    assert second["n"] == extra


def test_two_subscribers_get_everything_and_close_ends_them() -> None:
    feed = Feed()

    async def main() -> list[list[dict[str, Any]]]:
        async def read(events: Any) -> list[dict[str, Any]]:
            return [event async for event in events]

        tasks = [asyncio.create_task(read(feed.subscribe())) for _ in range(2)]
        feed.publish({"type": "verdict"})
        await asyncio.sleep(0)
        feed.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), 20)

    assert asyncio.run(main()) == [[{"type": "verdict"}]] * 2
    assert feed._subscribers == []


def test_a_loop_that_ended_without_unsubscribing_is_forgotten() -> None:
    feed = Feed()

    async def main() -> Any:
        return feed.subscribe()

    events = asyncio.run(main())
    feed.publish({"type": "unit"})
    assert feed._subscribers == []
    asyncio.run(events.aclose())


def test_a_subscription_after_close_ends_at_once() -> None:
    feed = Feed()
    feed.close()

    async def main() -> list[dict[str, Any]]:
        events = feed.subscribe()
        return await asyncio.wait_for(_all(events), 20)

    async def _all(events: Any) -> list[dict[str, Any]]:
        return [event async for event in events]

    assert asyncio.run(main()) == []
