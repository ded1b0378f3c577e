"""What a long-running command needs of its process: signals, logging, a socket for the page.

Cheap to import; the work is in `service`.
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

from fieldassay import config
from fieldassay.errors import SetupError

log = logging.getLogger(__name__)

PAGE_HOST = "127.0.0.1"
PORTS_TRIED = 20


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
