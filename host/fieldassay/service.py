"""The host as a whole: store, ingest, broker links and the page, started and stopped in order.

Owns the order and the signals. What each part does is in its module; `commands.host` and
`commands.run` decide which broker it speaks to.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from fieldassay import config, identify
from fieldassay.clock import now_ms
from fieldassay.errors import SetupError
from fieldassay.hazards.cards import load_cards
from fieldassay.ingest import Ingest
from fieldassay.library import Library
from fieldassay.link import BrokerAddress, Link
from fieldassay.live import Feed
from fieldassay.store import Store
from fieldassay.units import UnitRegistry, UnitStates
from fieldassay.web.app import create_app

log = logging.getLogger(__name__)

PAGE_HOST = "127.0.0.1"
PORTS_TRIED = 20
GRACE_S = 2


class Host:
    """A running host without its page; use `running`."""

    def __init__(self, home: config.Home, address: BrokerAddress, library: Library) -> None:
        self.library = library
        self.cards = load_cards()
        self.feed = Feed()
        self.units = UnitStates(UnitRegistry(home.units))
        self.store = Store.open(home.evidence)
        try:
            self.ingest = Ingest(
                self.store,
                self.units,
                self.feed,
                lambda frame: identify.identify_frame(frame, library)[1],
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

    def start(self) -> None:
        """Take up work: first the writer, then what feeds it."""
        self.ingest.start(self.link)
        self.link.start()
        self.status.start()

    def stop(self) -> None:
        """Finish the message in hand, say goodbye to the broker, close the store."""
        self.feed.close()
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


def bind_page(port: int | None) -> socket.socket:
    """A listening socket for the page.

    Args:
        port: Exactly this one; None: 8620 or the next free one.

    Raises:
        SetupError: `page_port_taken`.
    """
    first = config.DEFAULT_PAGE_PORT if port is None else port
    for candidate in range(first, first + (PORTS_TRIED if port is None else 1)):
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((PAGE_HOST, candidate))
            bound.listen(128)
        except OSError:
            bound.close()
            continue
        return bound
    raise SetupError(
        "page_port_taken",
        f"Port {first} on {PAGE_HOST} is in use, so the page has no address.",
        "Stop the program that uses it, or give another port with --port.",
    )


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of ending the process in the middle."""
    stop = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        log.info("signal %d, stopping", number)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(stop: threading.Event, every_s: float, check: Callable[[], None]) -> None:
    """Until `stop`, call `check` now and then."""
    while not stop.wait(every_s):
        check()


def configure_logging(default: str) -> None:
    """One line an event on standard error; no personal data is logged anywhere."""
    logging.basicConfig(
        level=config.log_level(default),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("asyncio", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
