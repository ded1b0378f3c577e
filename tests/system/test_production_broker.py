"""The generated broker configuration against real mosquitto: who gets in, who may say what.

Clients speak MQTT 3.1.1 through paho with certificates that the authority issued, revoked, let
expire or never saw.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_der_private_key
from fieldassay import broker_config
from fieldassay.authority import HOST_NAMES, Authority, Issued
from fieldassay_wire import topics
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.needs("mosquitto")
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
PATIENCE_S = 20.0


class Place:
    """An authority, the broker's folder and the running broker."""

    def __init__(self, root: Path, port: int, mosquitto: str) -> None:
        self.root, self.port = root, port
        self.authority = Authority.create(root / "authority", "test authority", NOW)
        self.authority.issue_server(["localhost", "127.0.0.1"], NOW)
        self.authority.issue_host(NOW)
        self.folder = root / "broker"
        broker_config.write(self.folder, self.authority, port, "127.0.0.1")
        config = self.folder / "mosquitto.conf"
        text = config.read_text()
        config.write_text(text + "user root\n")  # the tests' user
        self._mosquitto = mosquitto
        self.start()

    def start(self) -> None:
        log = (self.root / "broker.log").open("ab")
        command = [self._mosquitto, "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        probe = self.unit("probe")
        deadline = time.monotonic() + PATIENCE_S
        while not self.lets_in(probe):
            assert time.monotonic() < deadline, "the broker does not answer"
            time.sleep(0.05)

    def host_files(self, n: int = 0) -> tuple[str, str]:
        cert, key = self.authority.host_pairs[n]
        return str(cert), str(key)

    def files(self, issued: Issued) -> tuple[str, str]:
        stem = self.root / f"{issued.certificate.serial:x}"
        key = load_der_private_key(issued.key_der, None)
        pem = serialization.Encoding.PEM
        form = serialization.PrivateFormat.PKCS8
        stem.with_suffix(".key").write_bytes(
            key.private_bytes(pem, form, serialization.NoEncryption())
        )
        cert = x509.load_der_x509_certificate(issued.cert_der)
        stem.with_suffix(".pem").write_bytes(cert.public_bytes(pem))
        return str(stem.with_suffix(".pem")), str(stem.with_suffix(".key"))

    def unit(self, name: str) -> tuple[str, str]:
        return self.files(self.authority.issue_unit(name, NOW))

    def client(self, client_id: str, files: tuple[str, str] | None, clean: bool = True) -> Client:
        return Client(self, client_id, files, clean)

    def lets_in(self, files: tuple[str, str] | None, *, host: str = "localhost") -> bool:
        """Whether a CONNECT with this certificate is accepted."""
        context = ssl.create_default_context(cafile=str(self.authority.ca_pem))
        if files is not None:
            context.load_cert_chain(*files)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as link,
            ):
                link.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02me")
                return link.recv(4) == b"\x20\x02\x00\x00"
        except OSError:
            return False

    def refused(self, files: tuple[str, str] | None) -> bool:
        """Whether this certificate is turned away, while a good one gets in."""
        assert self.lets_in(self.unit("good"))
        return not self.lets_in(files)


class Client:
    """A connected client that keeps what it got."""

    def __init__(
        self,
        place: Place,
        client_id: str,
        files: tuple[str, str] | None,
        clean: bool = True,
    ) -> None:
        self.got: list[tuple[str, bytes]] = []
        self._news = threading.Condition()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        cert, key = files or (None, None)
        self._client.tls_set(str(place.authority.ca_pem), cert, key)
        self.up = self.ended = False
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_end
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._note("subscribed")
        self._client.on_publish = lambda *_: self._note("published")
        self._notes: list[str] = []
        self._client.connect("localhost", place.port, 20)
        self._client.loop_start()
        assert self._until(lambda: self.up)

    def _on_connect(self, _c: Any, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        with self._news:
            self.up = not reason.is_failure
            self.ended = bool(reason.is_failure)
            self._news.notify_all()

    def _on_end(self, *_: Any) -> None:
        with self._news:
            self.ended = True
            self._news.notify_all()

    def _on_message(self, _c: Any, _d: Any, message: paho.MQTTMessage) -> None:
        with self._news:
            self.got.append((message.topic, bytes(message.payload)))
            self._news.notify_all()

    def _note(self, what: str) -> None:
        with self._news:
            self._notes.append(what)
            self._news.notify_all()

    def _until(self, ready: Callable[[], bool]) -> bool:
        with self._news:
            return self._news.wait_for(ready, PATIENCE_S)

    def subscribe(self, name: str) -> None:
        before = self._notes.count("subscribed")
        self._client.subscribe(name, 1)
        assert self._until(lambda: self._notes.count("subscribed") > before)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        before = self._notes.count("published")
        self._client.publish(topic, payload, 1, retain)
        assert self._until(lambda: self._notes.count("published") > before or self.ended)

    def gets(self, payload: bytes) -> bool:
        """Wait for this message."""
        return self._until(lambda: any(p == payload for _, p in self.got))

    def ends(self) -> bool:
        """Wait until the broker ends the connection."""
        return self._until(lambda: self.ended)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def place(tmp_path: Path, world_module: Any, tool: Any) -> Iterator[Place]:
    made = Place(tmp_path, world_module.free_port(), tool("mosquitto"))
    yield made
    made.process.terminate()
    made.process.wait(20)


def test_a_unit_speaks_and_hears_for_itself_only(place: Place) -> None:
    """The matrix: A as A, A as B, A as host; each denied message is followed by an allowed one."""
    host = place.client(HOST_NAMES[0], place.host_files())
    host.subscribe(topics.UP_FILTER)
    status = place.client(HOST_NAMES[1], place.host_files(1))
    status.subscribe(topics.UP_FILTER)
    a = place.client("a", place.unit("a"))
    b = place.client("b", place.unit("b"))
    for name in (topics.down_filter("a"), topics.down_filter("b"), topics.UP_FILTER, "#"):
        a.subscribe(name)
    b.subscribe(topics.down_filter("b"))
    for kind in topics.UP:
        a.publish(topics.topic("b", kind), b"forged")
    for kind in topics.DOWN:
        a.publish(topics.topic("b", kind), b"forged", retain=True)
        a.publish(topics.topic("a", kind), b"forged", retain=True)
    a.publish("other/topic", b"forged")
    for kind in topics.UP:
        a.publish(topics.topic("a", kind), b"own " + kind.encode())
        assert host.gets(b"own " + kind.encode())
        assert status.gets(b"own " + kind.encode())
    for kind in topics.DOWN:
        host.publish(topics.topic("b", kind), b"for b " + kind.encode())
        host.publish(topics.topic("a", kind), b"for a " + kind.encode())
        assert a.gets(b"for a " + kind.encode())
        assert b.gets(b"for b " + kind.encode())
    late = place.client("late", place.unit("b"))
    late.subscribe(topics.down_filter("b"))
    host.publish(topics.topic("b", "command"), b"last")
    assert late.gets(b"last")
    everything = host.got + status.got + b.got + late.got
    assert not [m for m in everything if m[1] == b"forged"]
    assert {topic for topic, _ in a.got} == {topics.topic("a", kind) for kind in topics.DOWN}
    assert {topic for topic, _ in host.got} == {topics.topic("a", kind) for kind in topics.UP}
    for client in (host, status, a, b, late):
        client.close()


def test_a_unit_cannot_take_the_session_of_another(place: Place) -> None:
    b = place.client("b", place.unit("b"), clean=False)
    b.subscribe(topics.down_filter("b"))
    a = place.client("b", place.unit("a"), clean=False)  # the client id is a claim, the name is not
    host = place.client(HOST_NAMES[0], place.host_files())
    host.publish(topics.topic("b", "command"), b"for b")
    assert b.gets(b"for b")
    assert not b.ended
    assert a.got == []
    for client in (a, b, host):
        client.close()


def test_who_is_turned_away(place: Place) -> None:
    assert place.refused(None)
    stranger = Authority.create(place.root / "stranger", "test authority", NOW)
    assert place.refused(place.files(stranger.issue_unit("a", NOW)))
    past = place.authority.issue_unit("a", NOW - 10 * DAY, days=5)
    assert place.refused(place.files(past))
    future = place.authority.issue_unit("a", NOW + 10 * DAY)
    assert place.refused(place.files(future))
    server = (
        str(place.authority.folder / "server.pem"),
        str(place.authority.folder / "server.key"),
    )
    assert place.refused(server)  # of the same authority, but not a client's
    assert not place.lets_in(place.unit("good"), host="other.example")  # the client's check


def test_no_listener_without_tls(place: Place) -> None:
    with socket.create_connection(("127.0.0.1", place.port), PATIENCE_S) as plain:
        plain.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02me")
        try:
            answer = plain.recv(4)
        except ConnectionError:
            answer = b""
    assert answer[:1] != b"\x20"


def test_a_revoked_unit_is_out_at_once(place: Place) -> None:
    """New connections by the list of revocations, open ones by the access list."""
    host = place.client(HOST_NAMES[0], place.host_files())
    host.subscribe(topics.UP_FILTER)
    first, second = place.unit("a"), place.unit("a")
    old = place.client("a", first)
    old.publish(topics.topic("a", "state"), b"before")
    assert host.gets(b"before")
    assert place.authority.revoke("a", NOW) == 2
    broker_config.refresh(place.folder, place.authority)
    assert broker_config.reload(place.folder)
    deadline = time.monotonic() + PATIENCE_S
    while not place.refused(second):
        assert time.monotonic() < deadline
    assert place.refused(first)
    if not old.ended:
        old.publish(topics.topic("a", "state"), b"after")
    other = place.client("b", place.unit("b"))
    other.publish(topics.topic("b", "state"), b"after b")
    assert host.gets(b"after b")
    assert b"after" not in [payload for _, payload in host.got]
    for client in (host, old, other):
        client.close()


def test_a_killed_broker_keeps_what_it_acknowledged(place: Place) -> None:
    host = place.client(HOST_NAMES[0], place.host_files(), clean=False)
    host.subscribe(topics.UP_FILTER)
    host.close()
    unit_files = place.unit("a")
    unit = place.client("a", unit_files)
    for n in range(20):
        unit.publish(topics.topic("a", "measurement"), f"m{n}".encode())
    time.sleep(1.5)  # autosave_interval is 1 s
    place.process.kill()
    place.process.wait(20)
    place.start()
    again = place.client(HOST_NAMES[0], place.host_files(), clean=False)
    assert again.gets(b"m19")
    assert [payload for _, payload in again.got] == [f"m{n}".encode() for n in range(20)]
    again.close()
    unit.close()


def test_a_message_over_the_limit_ends_the_connection(place: Place) -> None:
    host = place.client(HOST_NAMES[0], place.host_files())
    host.subscribe(topics.UP_FILTER)
    unit = place.client("a", place.unit("a"))
    unit.publish(topics.topic("a", "measurement"), bytes(200_000))
    assert host.gets(bytes(200_000))
    unit.publish(topics.topic("a", "measurement"), bytes(300_000))
    assert unit.ends()
    assert [len(payload) for _, payload in host.got] == [200_000]
    host.close()
    unit.close()


def test_secrets_are_readable_by_their_owner_only(place: Place) -> None:
    private = [*place.authority.folder.glob("*.key"), *place.folder.glob("*.key")]
    assert len(private) == 5
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
    assert oct(place.authority.folder.stat().st_mode & 0o777) == "0o700"
