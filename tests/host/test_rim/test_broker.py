"""The embedded broker: what we rely on, with each program that may serve; its start and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from fieldassay import broker
from fieldassay.errors import SetupError
from paho.mqtt.enums import CallbackAPIVersion

HANG_S = 20


class Client:
    def __init__(self, port: int, name: str, clean: bool = True, will: str | None = None) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self.came = threading.Condition()
        self.subscribed = threading.Event()
        ready = threading.Event()
        self.mqtt = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean, protocol=paho.MQTTv311
        )
        if will is not None:
            self.mqtt.will_set(will, b"lost", 1, True)
        self.mqtt.on_connect = lambda *_: ready.set()
        self.mqtt.on_subscribe = lambda *_: self.subscribed.set()
        self.mqtt.on_message = self._message
        self.mqtt.connect("127.0.0.1", port)
        self.mqtt.loop_start()
        assert ready.wait(HANG_S)

    def _message(self, _c: object, _d: object, message: paho.MQTTMessage) -> None:
        with self.came:
            self.got.append((message.topic, bytes(message.payload), message.retain))
            self.came.notify_all()

    def subscribe(self, name: str) -> Client:
        self.mqtt.subscribe(name, 1)
        assert self.subscribed.wait(HANG_S)
        return self

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.mqtt.publish(topic, payload, 1, retain).wait_for_publish(HANG_S)

    def wait(self, count: int) -> list[tuple[str, bytes, bool]]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.got) >= count, HANG_S), self.got
        return self.got

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def test_retained_will_and_offline_queue(live_broker: broker.Broker) -> None:
    port = live_broker.port
    unit = Client(port, "unit-1", will="a/state")
    unit.publish("a/state", b"ready", retain=True)
    early = Client(port, "early").subscribe("a/state")
    assert early.wait(1) == [("a/state", b"ready", True)]
    host = Client(port, "host", clean=False).subscribe("a/up")
    host.close()
    for number in range(50):
        unit.publish("a/up", b"%d" % number)
    unit.mqtt.socket().shutdown(socket.SHUT_RDWR)  # no DISCONNECT: the will is due
    unit.mqtt.loop_stop()
    assert early.wait(2)[1][:2] == ("a/state", b"lost")
    late = Client(port, "late").subscribe("a/state")
    assert late.wait(1) == [("a/state", b"lost", True)]
    host = Client(port, "host", clean=False)
    assert [int(payload) for _, payload, _ in host.wait(50)] == list(range(50))
    for client in (early, late, host):
        client.close()


def test_a_measurement_of_the_largest_size_passes(live_broker: broker.Broker) -> None:
    payload = os.urandom(broker.MAX_MESSAGE_BYTES - 1000)
    listener = Client(live_broker.port, "listener").subscribe("a")
    sender = Client(live_broker.port, "sender")
    sender.publish("a", payload)
    assert listener.wait(1)[0][1] == payload
    listener.close()
    sender.close()


def test_it_listens_on_loopback_only(live_broker: broker.Broker) -> None:
    port = f"{live_broker.port:04X}"
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(":" + port)
    ]
    if not listening:
        pytest.skip("no /proc/net/tcp on this system")
    assert listening == [f"0100007F:{port}"]


def test_a_taken_port_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError) as caught:
            broker.start(tmp_path, port)
        assert caught.value.code == "broker_port_taken"
        monkeypatch.setattr(broker, "DEFAULT_BROKER_PORT", port)
        running = broker.start(tmp_path)
        assert running.moved
        assert running.port != port
        assert broker.answers(running.port)
        running.stop()
        assert not broker.answers(running.port)


def test_an_open_port_that_speaks_no_mqtt_is_no_broker() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def greet() -> None:
            link, _ = server.accept()
            link.sendall(b"220 mail\r\n")
            link.close()

        thread = threading.Thread(target=greet)
        thread.start()
        assert not broker.answers(server.getsockname()[1])
        thread.join()


def test_without_any_broker_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_mosquitto", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError) as caught:
        broker.available()
    assert caught.value.code == "broker_missing"
    assert "pip install iotcore" in caught.value.do_next
    monkeypatch.setattr(broker, "_mosquitto", lambda: "/usr/sbin/mosquitto")
    assert broker.available() == "mosquitto"


def test_a_broker_that_does_not_start_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_SERVE", "raise SystemExit('no')")
    with pytest.raises(SetupError) as caught:
        broker.start(tmp_path, broker.any_free(), "iotcore")
    assert caught.value.code == "broker_failed"
    assert "no" in (tmp_path / "broker.log").read_text()


PARENT = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from fieldassay import broker
print(broker.start(Path({folder!r}), {port}, {kind!r}).port, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "kind", ["iotcore", pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto"))]
)
def test_it_dies_with_a_killed_parent(tmp_path: Path, kind: str, until) -> None:
    port = broker.any_free()
    code = PARENT.format(paths=sys.path, folder=str(tmp_path), port=port, kind=kind)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == f"{port}\n"
    assert broker.answers(port)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not broker.answers(port))
