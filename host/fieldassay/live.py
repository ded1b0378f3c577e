"""Feed: what just happened, from any thread to any number of browsers.

Bounded: a subscriber that does not read loses its oldest events and is told how many
(`{"type": "lost", "count": n}`), so that it can load the page again. Keeps no history.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

Event = dict[str, Any]
QUEUE_LENGTH = 256


class _Subscriber:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.wake = asyncio.Event()
        self.events: deque[Event] = deque()
        self.lost = 0


class Feed:
    """Fan-out of events. `publish` never blocks and never raises."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: list[_Subscriber] = []
        self._closed = False

    def publish(self, event: Event) -> None:
        """Hand an event to every subscriber; callable from any thread."""
        with self._lock:
            for subscriber in list(self._subscribers):
                if len(subscriber.events) >= QUEUE_LENGTH:
                    subscriber.events.popleft()
                    subscriber.lost += 1
                subscriber.events.append(event)
                self._wake(subscriber)

    def close(self) -> None:
        """End every subscription, so that a server can stop."""
        with self._lock:
            self._closed = True
            for subscriber in list(self._subscribers):
                self._wake(subscriber)

    def _wake(self, subscriber: _Subscriber) -> None:
        try:
            subscriber.loop.call_soon_threadsafe(subscriber.wake.set)
        except RuntimeError:  # its loop has ended without saying goodbye
            self._subscribers.remove(subscriber)

    def subscribe(self) -> AsyncIterator[Event]:
        """Events from now on, until `close`. Call inside a running event loop."""
        subscriber = _Subscriber(asyncio.get_running_loop())
        with self._lock:
            self._subscribers.append(subscriber)
            if self._closed:
                subscriber.wake.set()
        return self._events(subscriber)

    async def _events(self, subscriber: _Subscriber) -> AsyncIterator[Event]:
        try:
            while True:
                await subscriber.wake.wait()
                with self._lock:
                    subscriber.wake.clear()
                    batch, subscriber.events = subscriber.events, deque()
                    lost, subscriber.lost = subscriber.lost, 0
                    closed = self._closed
                if lost:
                    yield {"type": "lost", "count": lost}
                for event in batch:
                    yield event
                if closed:
                    return
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._subscribers.remove(subscriber)
