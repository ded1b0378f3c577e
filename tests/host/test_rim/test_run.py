"""`fieldassay run` and `host` as a person starts them: one command, one signal, nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fieldassay import broker, config, process
from fieldassay.errors import SetupError

HANG_S = 90


class Running:
    """A command with its output so far; what it started mentions its home."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        env = {**os.environ, "FIELDASSAY_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fieldassay.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        self.lines: list[str] = []

    def until_says(self, word: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(word):
                return line
        pytest.fail(f"ended without {word!r}: {self.lines}")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.lines += self.process.stdout
        self.process.stdout.close()
        return self.process.wait(HANG_S)

    def family(self) -> dict[int, str]:
        """Processes that mention this home in their environment or arguments."""
        found = {}
        mark = str(self.home).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                arguments = (folder / "cmdline").read_bytes()
                told = arguments + (folder / "environ").read_bytes()
                if mark in told and int(folder.name) != os.getpid():
                    found[int(folder.name)] = arguments.replace(b"\0", b" ").decode()
        return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")


@pytest.fixture
def ready_home(tmp_path: Path, library_path: Path, sources_dir: Path) -> Path:
    """A home with the library in place, as after the first `make run`."""
    home = tmp_path / "home"
    (home / "libraries").mkdir(parents=True)
    (home / "libraries" / library_path.name).symlink_to(library_path)
    (home / "sources").mkdir()
    (home / "sources" / sources_dir.name).symlink_to(sources_dir)
    return home


@pytest.fixture
def start(ready_home: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(*arguments: str) -> Running:
        started.append(Running(ready_home, *arguments))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        if each.process.stdout is not None:
            each.process.stdout.close()


def _get(address: str) -> dict:
    with urllib.request.urlopen(address, timeout=HANG_S) as answer:
        return json.load(answer)


@needs_proc
@pytest.mark.needs("micropython")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_page_and_unit_and_leaves_nothing(start, until, number: int) -> None:
    run = start("run", "--port", str(broker.any_free()), "--broker-port", str(broker.any_free()))
    run.until_says("ready")
    page = next(line.split()[1] for line in run.lines if line.startswith("page"))
    panel = next(line.split()[1] for line in run.lines if line.startswith("unit"))
    assert _get(f"{page}/healthz")["status"] == "ok"
    until(lambda: [u["state"] for u in _get(f"{page}/api/units")["units"]] == ["ready"])
    assert panel.startswith("http://127.0.0.1:")
    assert len(run.family()) >= 4  # run, broker, simulator, firmware
    assert run.end(number) == 0
    assert run.family() == {}
    assert "Traceback" not in "".join(run.lines)


@needs_proc
@pytest.mark.needs("micropython")
def test_a_killed_run_takes_broker_and_unit_along(start, until) -> None:
    port = broker.any_free()
    run = start("run", "--port", str(broker.any_free()), "--broker-port", str(port))
    run.until_says("ready")
    assert run.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: run.family() == {})
    assert not broker.answers(port)


def test_run_without_unit_brings_a_dead_broker_back(start, until) -> None:
    port = broker.any_free()
    run = start("run", "--no-unit", "--port", str(broker.any_free()), "--broker-port", str(port))
    run.until_says("ready")
    assert not any(line.startswith("unit") for line in run.lines)
    serving = [pid for pid, line in run.family().items() if "iotcore.toml" in line]
    assert serving
    for pid in serving:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not broker.answers(port))
    until(lambda: broker.answers(port))
    assert run.end(signal.SIGTERM) == 0


def test_an_open_event_stream_does_not_hold_the_end_up(start) -> None:
    run = start(
        "run", "--no-unit", "--port", str(broker.any_free()), "--broker-port",
        str(broker.any_free()),
    )  # fmt: skip
    page = run.until_says("page").split()[1]
    run.until_says("ready")
    with urllib.request.urlopen(f"{page}/api/live", timeout=HANG_S) as stream:
        assert stream.readline()
        assert run.end(signal.SIGTERM) == 0
    assert "Traceback" not in "".join(run.lines)


def test_a_taken_port_is_named(start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option, code in (("--port", "page_port_taken"), ("--broker-port", "broker_port_taken")):
            arguments = ["--port", str(broker.any_free())] if option != "--port" else []
            run = start("run", "--no-unit", *arguments, option, port)
            run.until_says(code)
            assert run.end(0) == 1


@pytest.mark.needs("mosquitto")
def test_host_works_with_a_broker_of_yours(start, until, tmp_path: Path) -> None:
    serving = broker.start(tmp_path / "b", broker.any_free(), "mosquitto")
    try:
        host = start("host", "--broker", serving.address, "--port", str(broker.any_free()))
        page = host.until_says("page").split()[1]
        assert _get(f"{page}/healthz")["status"] == "ok"
        second = start("host", "--broker", serving.address, "--port", str(broker.any_free()))
        second.until_says("store_in_use")
        assert second.end(0) == 1
        assert host.end(signal.SIGTERM) == 0
    finally:
        serving.stop()


@pytest.mark.parametrize("address", ["", "1883", "host:", "host:0", "host:70000", "host:x"])
def test_a_bad_broker_address_is_named(start, address: str) -> None:
    run = start("host", "--broker", address)
    run.until_says("broker_address_bad")
    assert run.end(0) == 1


def test_page_port_moves_on_only_if_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    free = broker.any_free()
    monkeypatch.setattr(config, "DEFAULT_PAGE_PORT", free)
    first = process.bind_page(None)
    second = process.bind_page(None)
    try:
        assert first.getsockname() == ("127.0.0.1", free)
        assert second.getsockname()[1] > free
        with pytest.raises(SetupError):
            process.bind_page(free)
    finally:
        first.close()
        second.close()
