"""Whatever a server sends, the client gives a message or one typed error, and lives on.

One long-lived MicroPython process in a 128 kB heap connects again and again to this test.
"""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.needs("micropython")

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x01"
CODES = {"closed", "timeout", "malformed", "too_large", "refused"}


def packet(first, body):
    length = b""
    size = len(body)
    while True:
        size, low = size >> 7, size & 127
        length += bytes([low | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def publish(topic=b"a/b", payload=b"x", packet_id=1, qos=1):
    number = struct.pack(">H", packet_id) if qos else b""
    return packet(0x30 | qos << 1, struct.pack(">H", len(topic)) + topic + number + payload)


class Server:
    """Accepts one connection at a time and plays bytes to it."""

    def __init__(self, unit, timeout_ms=150):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        port = self._listener.getsockname()[1]
        self._unit = unit("run_fuzz.py", "128K", port=port, timeout_ms=timeout_ms)
        self.heap = []

    def play(self, data, hang_up=True):
        """Send `data` to the client's next connection; how that connection ended for the client."""
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            connection.sendall(data)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        line = self._unit.line()
        self.heap.append(line["heap"])
        return line

    def close(self):
        self._listener.close()


@pytest.fixture
def server(unit):
    running = Server(unit)
    yield running
    running.close()


KNOWN = [
    (b"", "closed"),
    (CONNACK, "closed"),
    (CONNACK + SUBACK, "closed"),
    (b"\x20\x02\x00\x05", "refused"),
    (b"\x20\x02\x00\x06", "malformed"),
    (b"\x20\x02\x02\x00", "malformed"),
    (b"\x20\x02\x01\x01", "malformed"),
    (b"\x20\x03\x00\x00\x00", "malformed"),
    (b"\x20\x82\x00\x00\x00", "malformed"),  # length not in its shortest form
    (b"\x20\xff\xff\xff\xff\x01", "malformed"),  # length of five bytes
    (b"\xd0\x00", "malformed"),  # not a CONNACK first
    (b"\x00\x00", "malformed"),
    (CONNACK + CONNACK, "malformed"),
    (CONNACK + b"\x90\x03\x00\x02\x01", "malformed"),  # SUBACK for another packet
    (CONNACK + b"\x90\x03\x00\x01\x80", "refused"),
    (CONNACK + b"\x90\x03\x00\x01\x02", "malformed"),
    (CONNACK + SUBACK + SUBACK, "malformed"),
    (CONNACK + SUBACK + b"\x10\x00", "malformed"),
    (CONNACK + SUBACK + b"\x50\x02\x00\x01", "malformed"),  # PUBREC: QoS 2
    (CONNACK + SUBACK + b"\x41\x02\x00\x01", "malformed"),
    (CONNACK + SUBACK + packet(0x36, b"\x00\x01a\x00\x01"), "malformed"),  # QoS 3
    (CONNACK + SUBACK + packet(0x34, b"\x00\x01a\x00\x01"), "malformed"),  # QoS 2
    (CONNACK + SUBACK + packet(0x38, b"\x00\x01a"), "malformed"),  # DUP at QoS 0
    (CONNACK + SUBACK + publish(packet_id=0), "malformed"),
    (CONNACK + SUBACK + publish(topic=b"a/+"), "malformed"),
    (CONNACK + SUBACK + publish(topic=b"\xff\xfe"), "malformed"),
    (CONNACK + SUBACK + publish(topic=b"a\0"), "malformed"),
    (CONNACK + SUBACK + packet(0x32, b"\x00\x09a\x00\x01"), "malformed"),
    (CONNACK + SUBACK + packet(0x30, b"\x00\x00x"), "malformed"),
    (CONNACK + SUBACK + b"\x30\xff\xff\xff\x7f", "too_large"),
    (CONNACK + SUBACK + b"\x32\x81\x80\x01", "too_large"),  # 16385
    (CONNACK + SUBACK + b"\x40\x02\xff\xff", "closed"),  # PUBACK nobody waits for: counted
]


def test_known_answers(server):
    for data, code in KNOWN:
        assert (data, server.play(data)["code"]) == (data, code)


def test_silence_is_a_timeout(server):
    for data in (b"", b"\x20", b"\x20\x02\x00", CONNACK, CONNACK + SUBACK, CONNACK + b"\x90"):
        assert server.play(data, hang_up=False)["code"] == "timeout"


def test_good_messages_arrive_up_to_the_limit(server):
    largest = b"p" * (16384 - 2 - 3 - 2)
    data = CONNACK + SUBACK + publish(payload=b"") + publish(payload=largest) + publish(qos=0)
    assert server.play(data) == {
        "code": "closed",
        "what": "the broker closed the connection",
        "got": [[3, 0], [3, len(largest)], [3, 1]],
        "heap": server.heap[-1],
    }


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([CONNACK, SUBACK, b"\xd0\x00", b"\x40\x02\x00\x02", publish(), publish(qos=0)]),
    st.builds(
        packet,
        st.integers(0, 255),
        st.binary(max_size=300),
    ),
    st.builds(
        publish,
        st.binary(max_size=20),
        st.binary(max_size=200),
        st.integers(0, 65535),
        st.integers(0, 3),
    ),
)


def test_any_bytes(server, long_run):
    @settings(
        max_examples=3000 if long_run else 250,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @example(prefix=2, tail=[publish()] * 40)
    @given(prefix=st.integers(0, 2), tail=st.lists(pieces, max_size=8))
    def play(prefix, tail):
        start = (b"", CONNACK, CONNACK + SUBACK)[prefix]
        line = server.play(start + b"".join(tail))
        assert line["code"] in CODES

    play()
    assert max(server.heap[20:]) <= server.heap[0] + 4096
    line = server.play(CONNACK + SUBACK + publish())  # as good as new
    assert line["got"] == [[3, 1]]


def test_every_byte_flipped_and_every_cut(server, long_run):
    """A good dialogue, cut after each byte and with each byte spoilt."""
    good = CONNACK + SUBACK + publish() + b"\x40\x02\x00\x02" + b"\xd0\x00" + publish(qos=0)
    for i in range(len(good)):
        assert server.play(good[:i])["code"] == "closed"
        for bit in range(8) if long_run else (0, 7):
            spoilt = good[:i] + bytes([good[i] ^ (1 << bit)]) + good[i + 1 :]
            assert server.play(spoilt)["code"] in CODES
