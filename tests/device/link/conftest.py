"""What the unit's link is tested against: real brokers, the chaos proxy, a small host double.

The host double speaks MQTT with paho and answers sealed receipts; it stands in for the host only
where a test must decide what the host answers. The whole chain is tested in tests/system.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from fieldassay_wire import mac0, topics
from iotcore import Broker

HERE = Path(__file__).resolve().parent
DEVICE = HERE.parents[2] / "device"
KEY = bytes(range(32))
HANG_S = 100


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    pytest.fail(f"nothing listens on {port}")


@pytest.fixture(scope="session")
def long_run() -> bool:
    """FIELDASSAY_LONG=1 asks for the full counts."""
    return os.environ.get("FIELDASSAY_LONG") == "1"


class Mosquitto:
    """A mosquitto that can be killed and started again on the same port."""

    def __init__(self, program: str, folder: Path, config: str = "") -> None:
        self.port = free_port()
        self._program = program
        self._config = folder / f"mosquitto-{self.port}.conf"
        self._log = folder / f"mosquitto-{self.port}.log"
        listener = "" if "listener " in config else f"listener {self.port} 127.0.0.1\n"
        anonymous = "" if "allow_anonymous" in config else "allow_anonymous true\n"
        # "user": started by root, it would become a user who cannot read the test's folder.
        text = "user root\n" + listener + anonymous + config.replace("PORT", str(self.port))
        self._config.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._config)], stdout=log, stderr=log
            )
        wait_for_port(self.port)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def mosquitto(tool: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start a mosquitto: `mosquitto(config="") -> Mosquitto` with .port, .kill(), .start()."""
    running: list[Mosquitto] = []

    def start(config: str = "") -> Mosquitto:
        running.append(Mosquitto(tool("mosquitto"), tmp_path, config))
        return running[-1]

    yield start
    for broker in running:
        broker.kill()


@pytest.fixture
def iotcore_port() -> Iterator[int]:
    with Broker(port=free_port(), listen="127.0.0.1", max_payload_size=262144) as broker:
        yield int(broker.port)


class Proxy:
    def __init__(self, target: int, *args: object) -> None:
        command = [sys.executable, str(HERE.parent / "chaos_proxy.py"), str(target)]
        self._process = subprocess.Popen(
            [*command, *map(str, args)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["listening"])

    def stop(self) -> list[dict[str, object]]:
        """End it; the faults that struck."""
        self._process.terminate()
        output, _ = self._process.communicate(timeout=HANG_S)
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def proxy() -> Iterator[Callable[..., Proxy]]:
    """Start the chaos proxy: `proxy(target_port, *cli_arguments) -> Proxy`; .port, .stop()."""
    running: list[Proxy] = []

    def start(target: int, *args: object) -> Proxy:
        running.append(Proxy(target, *args))
        return running[-1]

    yield start
    for each in running:
        if each._process.returncode is None:
            each.stop()


class Host:
    """Answers measurements as told; counts what came."""

    def __init__(self, port: int, answer: str = "receipt", unit: str = "+") -> None:
        self.answer = answer
        self.seen: collections.Counter[tuple[int, int]] = collections.Counter()
        self.order: list[tuple[int, int]] = []
        self.states: list[tuple[str, int]] = []
        self.bad = 0
        self.ready = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "host", clean_session=False)
        self.client.on_connect = lambda client, *_: client.subscribe(topics.UP_FILTER, 1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port, keepalive=60)
        self.client.loop_start()
        assert self.ready.wait(HANG_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def send(
        self, unit: str, kind: str, message: dict, key: bytes = KEY, topic_unit: str = ""
    ) -> None:
        sealed = mac0.seal(kind, key, unit.encode(), message)
        self.client.publish(topics.topic(topic_unit or unit, kind), sealed, qos=1)

    def receipt(self, message: dict, sealed: bytes, **changes: object) -> dict:
        receipt = {
            "v": 1,
            "unit": message["unit"],
            "boot": message["boot"],
            "seq": message["seq"],
            "sha256": hashlib.sha256(sealed).digest(),
            "status": "stored",
            "record": "r",
            "stored_ms": 1,
        }
        return {**receipt, **changes}

    def verdict(self, message: dict, **changes: object) -> dict:
        verdict = {
            "v": 1,
            "unit": message["unit"],
            "boot": message["boot"],
            "seq": message["seq"],
            "verdict": "match",
            "title": "t",
            "substances": [],
            "hazard": {"id": "h", "title": "t", "lines": []},
            "do_next": "",
            "reasons": [],
            "time_ms": 1,
        }
        return {**verdict, **changes}

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        from fieldassay_wire import WireError, cbor

        unit, kind = topics.parse(message.topic)
        try:
            _, _, body = mac0.open_sealed(message.payload, KEY)
        except WireError:
            self.bad += 1
            return
        content = cbor.decode(body)
        if kind == "state":
            self.states.append((content["state"], content["n"]))
        if kind != "measurement":
            return
        name = (content["boot"], content["seq"])
        self.seen[name] += 1
        self.order.append(name)
        if self.answer == "receipt":
            self.send(unit, "receipt", self.receipt(content, message.payload))
        elif callable(self.answer):
            self.answer(self, unit, content, message.payload)


@pytest.fixture
def host(mosquitto: object) -> Iterator[Callable[..., Host]]:
    """Start a host double: `host(port, answer="receipt"|"silent"|function) -> Host`.

    Asks for the broker only to be closed before it.
    """
    running: list[Host] = []

    def start(port: int, answer: object = "receipt") -> Host:
        running.append(Host(port, answer))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for each in running:
        each.close()


class Unit:
    """A MicroPython process in the background; its JSON lines one by one."""

    def __init__(self, program: str, script: str, file: Path, heap: str) -> None:
        env = {**os.environ, "MICROPYPATH": f"{DEVICE}:.frozen"}
        self._process = subprocess.Popen(
            [program, "-X", f"heapsize={heap}", str(HERE / "unit" / script), str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        self._timer = threading.Timer(HANG_S * 2, self._process.kill)
        self._timer.start()
        self.events: list[dict] = []

    def line(self) -> dict:
        """The next JSON line; other output fails the test."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        if not text.startswith("{"):
            rest = text + self._process.stdout.read()
            status = self._process.wait()
            pytest.fail(f"the unit ended or hung (exit {status}):\n{self.events}\n{rest[-3000:]}")
        return json.loads(text)

    def until(self, event: str) -> dict:
        while True:
            line = self.line()
            self.events.append(line)
            if line.get("event") == event:
                return line

    def result(self) -> dict:
        while "event" in (line := self.line()):
            self.events.append(line)
        assert self._process.wait(HANG_S) == 0
        return line

    def kill(self) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def unit(tool: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., Unit]]:
    """Start run_link.py or run_client.py: `unit(script, heap="256K", **given) -> Unit`."""
    running: list[Unit] = []

    def start(script: str = "run_link.py", heap: str = "256K", **given: object) -> Unit:
        if script == "run_link.py":
            given = {"root": str(tmp_path / "spool"), "key": KEY.hex(), "until": "empty", **given}
        # In a file: an argument of more than 255 bytes kills MicroPython before it starts.
        file = tmp_path / f"given-{len(running)}.json"
        file.write_text(json.dumps(given))
        running.append(Unit(tool("micropython"), script, file, heap))
        return running[-1]

    yield start
    for each in running:
        each.kill()
