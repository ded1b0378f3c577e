"""The host as a whole: store, ingest, broker links and the page, started and stopped in order.

Owns the order. What each part does is in its module; `commands.host` and `commands.run` decide
which broker it speaks to. Importing this takes a second or two: do it late.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

import uvicorn

from fieldassay import config, identify
from fieldassay.bench.jobs import Jobs
from fieldassay.clock import now_ms
from fieldassay.duty import Duty
from fieldassay.hazards.cards import load_cards
from fieldassay.ingest import Ingest
from fieldassay.library import Library
from fieldassay.link import BrokerAddress, Link
from fieldassay.live import Feed
from fieldassay.process import PAGE_HOST
from fieldassay.store import Store
from fieldassay.unit_states import UnitStates
from fieldassay.units import UnitRegistry
from fieldassay.web.app import create_app
from fieldassay.web.bench_desk import Bench

GRACE_S = 2


class Host:
    """A running host without its page; use `running`."""

    def __init__(
        self,
        home: config.Home,
        address: BrokerAddress,
        library: Library,
        bench_ports: Sequence[str] = (),
    ) -> None:
        self.library = library
        self.cards = load_cards()
        self.feed = Feed()
        self.units = UnitStates(UnitRegistry(home.units))
        self.jobs = Jobs(self._job_changed, now_ms)
        self.bench = Bench(home, self.jobs, tuple(bench_ports), now_ms)
        self.store = Store.open(home.evidence)
        try:
            self.duty = Duty(self.store, home.fitness, now_ms)
            self.ingest = Ingest(
                self.store,
                self.units,
                self.feed,
                lambda frame: self.duty.limited(frame, identify.identify_frame(frame, library)[1]),
                self.cards.for_identification,
                now_ms,
            )
            self.link = Link(address, self.ingest.deliver, self._link_changed)
            self.status = Link.for_status(address, self.ingest.deliver)
        except BaseException:
            self.store.close()
            raise

    def _link_changed(self, state: str) -> None:
        self.feed.publish({"type": "link", "state": state})

    def _job_changed(self, number: int) -> None:
        self.feed.publish({"type": "bench", "number": number})

    def start(self) -> None:
        """Take up work: first the writer, then what feeds it."""
        self.jobs.start()
        self.ingest.start(self.link)
        self.link.start()
        self.status.start()

    def stop(self) -> None:
        """Finish the message in hand, say goodbye to the broker, close the store."""
        self.feed.close()
        self.jobs.stop()
        self.ingest.stop()
        self.link.stop()
        self.status.stop()
        self.store.close()


class Page(uvicorn.Server):
    """The web server of a host on a socket that is already bound; signals are left to us."""

    def __init__(self, host: Host, bound: socket.socket) -> None:
        app = create_app(
            host.store,
            host.library,
            host.cards,
            host.feed,
            host.units,
            host.ingest.send_command,
            duty=host.duty,
            bench=host.bench,
        )
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._bound = bound
        self._thread = threading.Thread(
            target=self.run, kwargs={"sockets": [bound]}, name="page", daemon=True
        )

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{PAGE_HOST}:{self._bound.getsockname()[1]}"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not here: the process has one place for signals, `wait_for_signal`."""
        yield

    def serve_in_background(self) -> None:
        """Start answering."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; open event streams have been ended by the feed."""
        self.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._bound.close()
