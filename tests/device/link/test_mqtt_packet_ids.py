"""Packet ids run 1 to 65535 and begin again at 1; a retry carries the same id and DUP."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

pytestmark = pytest.mark.needs("micropython")


class TinyBroker:
    """Acknowledges PUBLISH on loopback as fast as it can and notes ids and payload numbers.

    `mute` numbers are not acknowledged: the connection is cut instead, once for each.
    """

    def __init__(self, mute=()):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.port = self._listener.getsockname()[1]
        self.seen = []  # (packet id, dup, number)
        self._mute = set(mute)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join(60)
        self._listener.close()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(60)
                self._serve(connection)

    def _serve(self, connection):
        stream = connection.makefile("rb")
        with stream:
            while True:
                first = stream.read(1)
                if not first or first == b"\xe0":
                    return
                size, shift = 0, 0
                while True:
                    byte = stream.read(1)[0]
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                body = stream.read(size)
                if first == b"\x10":
                    connection.sendall(b"\x20\x02\x00\x00")
                elif first[0] & 0xF0 == 0x30:
                    at = 2 + int.from_bytes(body[:2], "big")
                    number = int.from_bytes(body[at + 2 : at + 6], "big")
                    self.seen.append(
                        (int.from_bytes(body[at : at + 2], "big"), bool(first[0] & 8), number)
                    )
                    if number in self._mute:
                        self._mute.remove(number)
                        return
                    connection.sendall(b"\x40\x02" + body[at : at + 2])


@pytest.fixture
def tiny():
    running = []

    def start(*args):
        running.append(TinyBroker(*args))
        return running[-1]

    yield start
    for each in running:
        each.close()


def test_ids_wrap(unit, tiny, long_run):
    first, count = (0, 70_000) if long_run else (65_000, 2_000)
    broker = tiny()
    result = unit(
        "run_client.py", port=broker.port, count=count, size=4, window=16, first_id=first
    ).result()
    assert result["done"]
    assert result["errors"] == {}
    assert [number for _, _, number in broker.seen] == list(range(count))
    ids = [packet_id for packet_id, _, _ in broker.seen]
    assert ids == [(first + n) % 65535 + 1 for n in range(count)]
    assert (min(ids), max(ids)) == (1, 65535)
    assert not any(dup for _, dup, _ in broker.seen)
    print(count, "publishes in", result["ms"], "ms")


def test_a_retry_has_the_same_id_and_dup(unit, tiny):
    broker = tiny({3, 4, 7})
    result = unit("run_client.py", port=broker.port, count=10, size=4).result()
    assert result["done"]
    ids = {}
    for packet_id, dup, number in broker.seen:
        assert dup is (number in ids)
        assert ids.setdefault(number, packet_id) == packet_id
    assert [n for _, _, n in broker.seen] == [0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 7, 8, 9]


def test_an_id_in_flight_is_not_given_again(micropython):
    """After 65,535 comes 1, unless the publication with id 1 still waits: it is skipped."""
    done = micropython(
        """
import mqtt
client = mqtt.Client(None, "u", None)
first, second = mqtt.Publication("a", 0, None), mqtt.Publication("a", 0, None)
client._inflight = {1: first, 2: second}
client._last_id = 65534
print([client._new_id() for _ in range(3)])
first.packet_id = 1
client.forget(first)
client._last_id = 65535
print([client._new_id() for _ in range(2)], first.packet_id)
"""
    )
    assert done.stdout == "[65535, 3, 4]\n[1, 3] 0\n"


def test_backoff_doubles_with_jitter(micropython):
    done = micropython(
        """
from backoff import Backoff
for bits in (0, 65535):
    b = Backoff(getrandbits=lambda n: bits)
    print([b.next_ms() for _ in range(18)])
    b.reset()
    print(b.next_ms())
b = Backoff()
print(len(set(b.next_ms() for _ in range(40))) > 20)
"""
    )
    most, again, least, least_again, varied = done.stdout.splitlines()
    quick = [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]
    assert eval(most) == [*quick, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000, 30000]
    assert again == "50"
    assert all(m // 2 <= low <= m for low, m in zip(eval(least), eval(most), strict=True))
    assert int(least_again) < 50
    assert varied == "True"
