"""The broker that `fieldassay run` brings along: on 127.0.0.1 only, ends with us.

Owns its configuration, port and readiness. iotcore comes with the Python package; where its wheel
does not exist, mosquitto from PATH serves the same purpose. A broker for several machines is not
made here.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fieldassay.config import DEFAULT_BROKER_PORT
from fieldassay.errors import SetupError
from fieldassay.supervisor import Child

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_MESSAGE_BYTES = 262_144
START_S = 10.0
Kind = Literal["iotcore", "mosquitto"]

# rumqttd keeps everything in memory: the segments bound it, per topic filter.
_IOTCORE = """id = 0
[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 16
[v4.1]
name = "loopback"
listen = "{host}:{port}"
next_connection_delay_ms = 1
    [v4.1.connections]
    connection_timeout_ms = 10000
    max_payload_size = {max_bytes}
    max_inflight_count = 100
    dynamic_filters = true
"""
_MOSQUITTO = """listener {port} {host}
allow_anonymous true
set_tcp_nodelay true
persistence false
max_queued_messages 10000
max_packet_size {max_bytes}
log_type error
log_type warning
"""
_SERVE = (
    "import sys; from iotcore import IotCoreBroker as B; B(config_path=sys.argv[1]).run_forever()"
)


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker; `moved` says that the usual port was taken."""

    port: int
    kind: Kind
    moved: bool
    child: Child

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    def stop(self) -> None:
        """Stop it; what units have not been told is still in their spools."""
        self.child.stop()


def available() -> Kind:
    """Which broker this machine can start.

    Raises:
        SetupError: `broker_missing`.
    """
    if importlib.util.find_spec("iotcore") is not None:
        return "iotcore"
    if _mosquitto() is not None:
        return "mosquitto"
    raise SetupError(
        "broker_missing",
        "There is no MQTT broker: the package iotcore is not installed and mosquitto not found.",
        "Type `pip install iotcore`, or `sudo apt-get install mosquitto`, or use "
        "`fieldassay host --broker HOST:PORT` with a broker elsewhere.",
    )


def start(folder: Path, port: int | None = None, kind: Kind | None = None) -> Broker:
    """Start a broker and wait until it answers a CONNECT.

    Args:
        folder: Where its configuration and log go.
        port: Exactly this one; None: 1883, or a free one if that is taken.
        kind: Which program; None: the first that is there.

    Raises:
        SetupError: `broker_missing`, `broker_port_taken`, `broker_failed`.
    """
    kind = kind or available()
    wanted = DEFAULT_BROKER_PORT if port is None else port
    chosen = wanted
    if not is_free(wanted):
        if port is not None:
            raise SetupError(
                "broker_port_taken",
                f"Port {port} on {HOST} is in use.",
                "Stop the program that uses it, or leave out --broker-port to take a free one.",
            )
        chosen = any_free()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{kind}.toml"  # iotcore goes by the ending
    template = _IOTCORE if kind == "iotcore" else _MOSQUITTO
    config.write_text(
        template.format(host=HOST, port=chosen, max_bytes=MAX_MESSAGE_BYTES), encoding="utf-8"
    )
    if kind == "iotcore":
        command = [sys.executable, "-P", "-c", _SERVE, str(config)]
    else:
        command = [_mosquitto() or "mosquitto", "-c", str(config)]
    child = Child(f"broker {kind}", command, log_path=folder / "broker.log")
    deadline = time.monotonic() + START_S
    while not answers(chosen):
        if not child.running or time.monotonic() > deadline:
            child.stop()
            raise SetupError(
                "broker_failed",
                f"The broker {kind} did not start on {HOST}:{chosen}.",
                f"Read {folder / 'broker.log'}, or give another port with --broker-port.",
            )
        time.sleep(0.02)
    log.info("broker %s listens on %s:%d", kind, HOST, chosen)
    return Broker(chosen, kind, chosen != wanted, child)


def answers(port: int) -> bool:
    """True if an MQTT 3.1.1 CONNECT on that port is accepted: an open port alone is not enough."""
    client_id = b"fieldassay-probe"
    body = b"\x00\x04MQTT\x04\x02\x00\x0a" + len(client_id).to_bytes(2, "big") + client_id
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as link:
            link.sendall(bytes((0x10, len(body))) + body)
            answer = link.recv(4)
            link.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answer == b"\x20\x02\x00\x00"


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def is_free(port: int) -> bool:
    """True if nothing listens on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port of 127.0.0.1 that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
