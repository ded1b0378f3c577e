"""A real Chromium and a real HTTP server on loopback over the bench of tests/host/test_web.

What a page says to its console is collected; a test that expects silence asserts that it is empty.
"""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, summary, select, input, " +
  "label:has(> input[type=checkbox], > input[type=radio])")]
  .filter((e) => e.checkVisibility())
  .filter((e) => !e.matches(".skip, label > input[type=checkbox], label > input[type=radio]"))
  .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 44)
  .map(([html]) => html)"""

# WCAG 2.2: contrast ratio of an element's text on the nearest opaque background.
CONTRAST = """(selector) => [...document.querySelectorAll(selector)]
  .filter((e) => e.checkVisibility() && e.textContent.trim())
  .map((e) => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    let behind = e;
    const back = () => parse(getComputedStyle(behind).backgroundColor);
    while (behind.parentElement && (back()[3] ?? 1) === 0) behind = behind.parentElement;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(back())].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 70)];
  })"""

# Controls and pictures without a name for a screen reader, and ids that are there twice.
UNNAMED = """() => [
  ...[...document.querySelectorAll("button, a, summary")]
    .filter((e) => !(e.ariaLabel || e.textContent.trim())),
  ...[...document.querySelectorAll("select, input")]
    .filter((e) => !e.ariaLabel && !e.labels.length),
  ...[...document.querySelectorAll("img")].filter((e) => !e.alt),
  ...[...document.querySelectorAll("[id]")]
    .filter((e) => document.querySelectorAll(`#${CSS.escape(e.id)}`).length > 1),
  ...[...document.querySelectorAll("[aria-labelledby], [aria-describedby]")]
    .filter((e) => [e.getAttribute("aria-labelledby"), e.getAttribute("aria-describedby")]
      .some((id) => id && !document.getElementById(id))),
].map((e) => e.outerHTML.slice(0, 80))"""


class Server:
    """The application on a port that stays the same over restarts."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        config = uvicorn.Config(
            self._bench.app(), host="127.0.0.1", port=self.port, log_level="warning", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            self._thread.join(0.02)

    def stop(self) -> None:
        self._bench.feed.close()
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server did not stop"


@pytest.fixture(scope="session")
def bench_module(root: Path) -> ModuleType:
    path = root / "tests" / "host" / "test_web" / "bench.py"
    spec = importlib.util.spec_from_file_location("web_bench_for_browser", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(tmp_path: Path, library_path: Path, bench_module: ModuleType) -> Iterator[Any]:
    made = bench_module.Bench(tmp_path, library_path)
    yield made
    made.close()


@pytest.fixture
def server(bench: Any) -> Iterator[Server]:
    made = Server(bench)
    yield made
    made.stop()


# Not for the session: while it is open, playwright's event loop keeps other tests from asyncio.run.
@pytest.fixture(scope="module")
def chromium(tool: Callable[[str], str]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tool("chromium"), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Opens a page in a new context and waits for its event stream; `.said` is its console."""
    contexts = []

    def opened(path: str = "/", width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # a hang detector
        page.said = []
        page.asked = []
        page.small_targets = lambda: page.evaluate(SMALL_TARGETS)
        page.contrast = lambda selector: page.evaluate(CONTRAST, selector)
        page.unnamed = lambda: page.evaluate(UNNAMED)
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(server.url + path)
        page.wait_for_selector("#connection[data-state=open]")
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def counts_of(data_dir: Path, bench_module: ModuleType) -> Callable[[str], Any]:
    """Counts of a real spectrometer for a substance."""
    folder = data_dir / "raman-785-second-instrument" / "WP-01977_2025"
    return lambda name: bench_module.read_counts(folder / f"{name}.csv")
