"""Broker, host, one simulated unit and the page on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fieldassay import broker, config, process
from fieldassay.errors import SetupError
from fieldassay.supervisor import Child
from fieldassay.units import UnitRegistry

if TYPE_CHECKING:
    from fieldassay.library import Library

log = logging.getLogger(__name__)

UNIT = "sim-1"
PANEL_PORT = 8081
WATCH_S = 1.0
PANEL_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Ports, home folder and what to leave out."""
    parser.add_argument("--no-unit", action="store_true", help="start no simulated unit")
    parser.add_argument("--scenario", default="default", help="scenario of the simulated unit")
    parser.add_argument("--port", type=int, help="port of the page (8620 or the next free one)")
    parser.add_argument(
        "--bench-port", action="append", default=[], metavar="PATH",
        help="serial port that the bench page offers besides those found; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--broker-port", type=int, help="port of the broker (1883 or a free one if taken)"
    )
    parser.add_argument("--home", type=Path, help="home folder (default: FIELDASSAY_HOME)")


def run(args: argparse.Namespace) -> int:
    """Run until a signal; everything that was started is stopped."""
    process.configure_logging("WARNING")  # what people need to know is printed
    home = config.home(args.home).create()
    started_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(process.stopping_on_signals())
        bound = process.bind_page(args.port)
        stack.callback(bound.close)
        serving = _Broker(home, args.broker_port)
        stack.callback(serving.stop)
        library = _library(home)
        unit = None
        if not args.no_unit:
            unit = start_unit(home, args.scenario, serving.port, page_address(bound))
            stack.callback(unit.stop)
        # Only now what takes long to import: the unit starts meanwhile.
        from fieldassay import service
        from fieldassay.link import BrokerAddress

        host = service.Host(
            home, BrokerAddress(broker.HOST, serving.port), library, args.bench_port
        )
        stack.callback(host.stop)
        page = service.Page(host, bound)
        host.start()
        page.serve_in_background()
        stack.callback(page.stop)
        stack.callback(host.feed.close)
        if unit is not None:
            stack.callback(unit.stop)  # first of all, so that its goodbye is still heard
        print(f"page    {page.address}", flush=True)
        print(f"broker  {broker.HOST}:{serving.port} ({serving.kind})", flush=True)
        if unit is not None:
            print(f"unit    {panel_of(unit, home, stop)}", flush=True)
        took_s = time.monotonic() - started_s
        print(f"ready after {took_s:.1f} s; Ctrl-C stops everything", flush=True)
        process.wait(stop, WATCH_S, _Watch(serving, unit, home).check)
        print("stopping", flush=True)
    return 0


def _library(home: config.Home) -> Library:
    from fieldassay import library_build

    return library_build.build(
        output=home.library,
        sources=home.root / "sources" / library_build.SOURCE_FOLDER,
        progress=lambda text: print(text, file=sys.stderr, flush=True),
    ).library


class _Broker:
    """The embedded broker, started again on the same port if it dies."""

    def __init__(self, home: config.Home, port: int | None) -> None:
        self._folder = home.runtime
        self._running = broker.start(self._folder, port)
        if self._running.moved:
            print(
                f"Port {config.DEFAULT_BROKER_PORT} is in use by another program; "
                f"the broker listens on {self._running.port} instead.",
                flush=True,
            )
        self.port = self._running.port
        self.kind = self._running.kind

    def check(self) -> None:
        if not self._running.child.running:
            log.error("the broker ended with status %s, starting it again", self.status)
            self._running.stop()
            self._running = broker.start(self._folder, self.port, self.kind)

    @property
    def status(self) -> int | None:
        return self._running.child.status

    def stop(self) -> None:
        self._running.stop()


class _Watch:
    def __init__(self, serving: _Broker, unit: Child | None, home: config.Home) -> None:
        self._serving = serving
        self._unit = unit
        self._home = home

    def check(self) -> None:
        try:
            self._serving.check()
        except SetupError as error:
            log.error("%s", error)
        if self._unit is not None and not self._unit.running:
            print(
                f"The simulated unit ended with status {self._unit.status}; "
                f"its output is in {self._home.runtime / 'unit.log'}. The host goes on.",
                flush=True,
            )
            self._unit = None


def page_address(bound: socket.socket) -> str:
    """Where the page will be."""
    return f"http://{process.PAGE_HOST}:{bound.getsockname()[1]}"


def start_unit(home: config.Home, scenario: str, broker_port: int, page: str) -> Child:
    """The simulator with one unit, as a program of its own.

    If the host says that the unit is not fit for duty, as at its first start, the unit measures
    polystyrene and the host judges it, as a technician would have them do.

    Raises:
        SetupError: `simulator_missing`.
    """
    registry = UnitRegistry(home.units)
    if UNIT not in {unit.name for unit in registry.all()}:
        registry.add(UNIT)
    command = [
        *simulator(),
        "run",
        scenario,
        "--broker-port",
        str(broker_port),
        "--keys",
        str(home.units),
        "--unit",
        UNIT,
        "--state-dir",
        str(home.root / "sim"),
        "--panel-port",
        str(PANEL_PORT if broker.is_free(PANEL_PORT) else 0),
        "--check-at",
        page,
    ]
    return Child(
        "simulated unit",
        command,
        env=config.child_environment(home),
        log_path=home.runtime / "unit.log",
    )


def simulator() -> list[str]:
    """How to start `fieldassay-sim`: the script beside this Python, on PATH, or the module.

    Raises:
        SetupError: `simulator_missing`.
    """
    beside = Path(sys.executable).with_name("fieldassay-sim")
    found = str(beside) if beside.exists() else shutil.which("fieldassay-sim")
    if found:
        return [found]
    if importlib.util.find_spec("fieldassay_sim") is not None:
        return [sys.executable, "-m", "fieldassay_sim"]
    raise SetupError(
        "simulator_missing",
        "The command fieldassay-sim is not installed, so there is no unit to try.",
        "Type `pip install 'fieldassay[sim]'`, or start without it: `fieldassay run --no-unit`.",
    )


def panel_of(unit: Child, home: config.Home, stop: threading.Event) -> str:
    """The first line the simulator prints: the address of the unit's panel.

    Raises:
        SetupError: `unit_failed`.
    """
    output = home.runtime / "unit.log"
    deadline = time.monotonic() + PANEL_S
    while time.monotonic() < deadline and not stop.is_set():
        text = output.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines(keepends=True):
            if line.endswith("\n") and "http://" in line:
                return line[line.index("http://") :].strip()
        if not unit.running:
            break
        time.sleep(0.02)
    if stop.is_set():
        return "stopped"
    last = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise SetupError(
        "unit_failed",
        f"The simulated unit did not start: {' '.join(last) or 'it said nothing'}",
        f"Read {output}, or start without it: `fieldassay run --no-unit`.",
    )
