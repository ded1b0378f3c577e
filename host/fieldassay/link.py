"""The host's connection to the broker: supervised, acknowledging only what the caller says is safe.

Owns the MQTT client (paho), its thread and its reconnecting. It knows no message and no database.
An acknowledgement belongs to one connection: packet ids start again with the next, so a late one is
dropped, and the broker sends the message again. Acknowledgements go out in the order of arrival.
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from fieldassay_wire import topics
from paho.mqtt.enums import CallbackAPIVersion

from fieldassay.errors import SetupError

log = logging.getLogger(__name__)

KEEPALIVE_S = 20
BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 10.0
WAITING_MAX = 1_000  # answers kept for a broker that is away; units ask again for the rest
CONNECT_TIMEOUT_S = 5.0
_UP = topics.UP_FILTER.removesuffix("+")
EVIDENCE = (_UP + "measurement",)
STATUS = (_UP + "state", _UP + "telemetry")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how to get in; `tls_ca` switches TLS on, with verification.

    `certificates` are two pairs of certificate and key, PEM: one for each connection of the host,
    because the broker names sessions after them.
    """

    host: str
    port: int
    tls_ca: Path | None = None
    user: str | None = None
    password: str | None = None
    client_id: str = "fieldassay-host"
    certificates: tuple[tuple[Path, Path], ...] = ()

    def __repr__(self) -> str:  # goes into logs: without the password
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it arrived on one connection."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    connection: int


class Link:
    """A connection that comes back. `deliver` is called in the link's thread and must not block."""

    def __init__(
        self,
        address: BrokerAddress,
        deliver: Callable[[Delivery], None],
        changed: Callable[[str], None],
        *,
        filters: Sequence[str] = EVIDENCE,
        qos: int = 1,
        keep_session: bool = True,
    ) -> None:
        self._address = address
        self._filters = filters
        self._qos = qos
        self._keep_session = keep_session
        self._deliver = deliver
        self._changed = changed
        self._lock = threading.Lock()
        self._connection = 0
        self._connected = False
        self._backoff_s = BACKOFF_FIRST_S
        self.attempts = 0  # to connect, since the start
        self._stopping = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run, name="broker link", daemon=True)

    def _make_client(self) -> paho.Client:
        address = self._address
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.client_id,
            clean_session=not self._keep_session,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_queued_messages_set(WAITING_MAX)
        if address.user is not None:
            client.username_pw_set(address.user, address.password)
        if address.tls_ca is not None:
            try:
                cert, key = address.certificates[0] if address.certificates else (None, None)
                client.tls_set(
                    ca_certs=str(address.tls_ca),
                    certfile=None if cert is None else str(cert),
                    keyfile=None if key is None else str(key),
                )
            except (OSError, ssl.SSLError) as error:
                raise SetupError(
                    "tls_ca_unreadable",
                    f"The certificates for {address!r} cannot be used: {error}.",
                    "Give the PEM file of the authority that signed the broker's certificate; with "
                    "--tls, make the host's with `fieldassay authority renew`.",
                ) from error
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_register_write = lambda *_: self._wake()
        return client

    @classmethod
    def for_status(cls, address: BrokerAddress, deliver: Callable[[Delivery], None]) -> Link:
        """A second connection for states and telemetry, without a session at the broker.

        Each connection gets the retained states anew. In a kept session it would not with every
        broker (iotcore), and old states would queue up while the host is away.
        """
        return cls(
            replace(
                address,
                client_id=f"{address.client_id}-status",
                certificates=address.certificates[1:],
            ),
            deliver,
            lambda _: None,
            filters=STATUS,
            qos=0,
            keep_session=False,
        )

    @property
    def connected(self) -> bool:
        """True while the broker has accepted us."""
        return self._connected

    def start(self) -> None:
        """Begin to connect, and keep trying."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is waiting, say goodbye and end the thread. The session at the broker stays."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._wake_in.close()
        self._wake_out.close()

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Hand a message over; False if there is no connection (QoS 1 still goes out later)."""
        info = self._client.publish(topic, payload, qos)
        if info.rc not in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN):
            log.warning("message on %s not sent: %s", topic, paho.error_string(info.rc))
            return False
        return self._connected

    def ack(self, delivery: Delivery) -> bool:
        """Tell the broker that a message is safe; False if that connection is gone."""
        if delivery.qos == 0:
            return True
        with self._lock:
            if delivery.connection != self._connection or not self._connected:
                return False
            self._client.ack(delivery.mid, delivery.qos)
        return True

    def reconnect(self) -> None:
        """Drop the connection: the broker then sends everything unacknowledged again."""
        self._client.disconnect()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.attempts += 1
            try:
                self._serve()
            except OSError as error:
                log.warning("broker %r not reached: %s", self._address, str(error))
            except Exception:  # whatever it was, the next connection gets everything again
                log.exception("broker link failed")
            self._lost("disconnected")
            if not self._stopping.is_set():
                self._stopping.wait(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311
                self._backoff_s = min(self._backoff_s * 2, BACKOFF_MAX_S)

    def _serve(self) -> None:
        client = self._client
        client.connect(self._address.host, self._address.port, KEEPALIVE_S)
        deadline_s = None
        while (sock := client.socket()) is not None:
            if self._stopping.is_set() and deadline_s is None:
                deadline_s = time.monotonic() + 2.0
                client.disconnect()
            if deadline_s is not None and time.monotonic() > deadline_s:
                break
            pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            writing = [sock] if client.want_write() else []
            readable, writable, _ = select.select(
                [sock, self._wake_in], writing, [], 0 if pending else 0.5
            )
            if self._wake_in in readable:
                with contextlib.suppress(BlockingIOError):
                    self._wake_in.recv(4096)
            if pending or sock in readable:
                client.loop_read()
            if writable:
                client.loop_write()
            client.loop_misc()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_out.send(b"x")

    def _lost(self, state: str) -> None:
        with self._lock:
            was, self._connected = self._connected, False
            self._connection += 1
        if was:
            self._changed(state)

    def _on_connect(
        self, client: paho.Client, _data: Any, flags: Any, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure:
            log.error("broker %r refused us: %s", self._address, reason)
            self._changed("refused")
            return
        for name in self._filters:  # also for a broker that forgot us
            client.subscribe(name, qos=self._qos)
        with self._lock:
            self._connected = True
        self._backoff_s = BACKOFF_FIRST_S
        log.info("connected to broker %r, session kept: %s", self._address, flags.session_present)
        self._changed("connected")

    def _on_disconnect(self, _c: paho.Client, _data: Any, _f: Any, reason: Any, _p: Any) -> None:
        log.info("broker %r disconnected: %s", self._address, reason)
        self._lost("disconnected")

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._deliver(
            Delivery(
                message.topic,
                bytes(message.payload),
                message.qos,
                message.mid,
                self._connection,
            )
        )
