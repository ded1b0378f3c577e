# The unit's MQTT 3.1.1 client: packets on one connection, nothing else. Owns the open socket,
# packet ids, PUBACK and ping deadlines. Does not reconnect, does not store, does not know a
# topic: link.py does. One task owns a Client; every wait is a short sleep with a deadline, so
# that the interlock and watchdog tasks keep running. Whatever the peer sends gives a handled
# packet or one MqttError; after an MqttError the connection is closed and only connect() may
# follow.
#
# Memory: one inbound buffer and one header buffer are allocated once; a payload is written block
# by block from an iterator and is never held whole. Non-blocking sockets say None for "not now".

import asyncio
import time

from micropython import const
from mqtt_parser import CONNACK, PINGRESP, PUBACK, PUBLISH, SUBACK, Parser
from mqtt_socket import MqttError, connect_tcp, network_error, past, tls_context, tls_of  # noqa: F401

_ACKS_MAX = const(32)  # PUBACKs waiting for the end of an outgoing packet; then reading pauses
_SLEEP_MAX_MS = const(10)
_STALLS_PER_PACKET = const(12)  # a packet may take this many timeouts, however slowly it moves

REFUSED = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the broker refuses the unit's name",
    3: "the broker is not ready",
    4: "the broker refuses user name or password",
    5: "the broker does not know this unit",
}


# One outgoing message and what became of it. `length` bytes come from the iterator that `blocks()`
# returns; it is asked for afresh at every try. `acked` is True once the broker has it, which is no
# receipt. A try after the first carries the same packet id and DUP.
class Publication:
    def __init__(self, topic, length, blocks, qos=1, retain=False):
        self.topic = topic.encode()
        self.length = length
        self.blocks = blocks
        self.qos = qos
        self.retain = retain
        self.packet_id = 0
        self.tries = 0
        self.acked = False
        self.deadline = None  # ticks of the PUBACK's deadline; None while not completely sent


class Client:
    # open_socket() gives a connected socket (or an awaitable of one). on_message(topic, payload,
    # retain) is called from inside reads; payload is a memoryview that is valid during the call
    # only. will: None or (topic, payload, qos, retain), read at every connect.
    def __init__(
        self,
        open_socket,
        client_id,
        on_message,
        user="",
        password="",
        keepalive_s=30,
        timeout_ms=5000,
    ):
        self._open_socket = open_socket
        self._client_id = client_id
        self._on_message = on_message
        self._user = user
        self._password = password
        self._keepalive_s = keepalive_s
        self.timeout_ms = timeout_ms
        self.will = None
        self.full = lambda: False  # True: the owner has no room, nothing is read
        self.hold = lambda: False  # True: no time for a handshake, connecting ends with an error
        self.between = lambda: None  # called between packets while an answer is awaited
        self.session_present = False
        self.stray_acks = 0  # PUBACKs for ids that are not in flight; harmless, counted
        self._sock = None
        self._parser = Parser()
        self._tx = bytearray(5 + 2 + 160 + 2)
        self._ack = bytearray(b"\x40\x02\x00\x00")
        self._acks = []
        self._last_id = 0
        self._inflight = {}
        self._answer = None  # body of the CONNACK or SUBACK that was awaited
        self._reset()

    def _reset(self):
        self._parser.reset()
        self._acks.clear()
        self._ping_deadline = None

    @property
    def connected(self):
        return self._sock is not None

    @property
    def inflight(self):
        return len(self._inflight)

    def close(self):
        sock = self._sock
        self._sock = None
        self._reset()
        for publication in self._inflight.values():
            publication.deadline = None
        if sock is not None:
            try:
                sock.close()
            except OSError:
                pass

    # Open a connection and a session. clean=True asks the broker to forget what it queued: the way
    # out when it keeps redelivering something this client cannot take.
    async def connect(self, clean=False):
        self.close()
        try:
            sock = self._open_socket()
            while hasattr(sock, "throw"):  # a coroutine
                sock = await sock
        except (OSError, ValueError) as e:
            raise network_error(e) from None
        sock.setblocking(False)
        self._sock = sock
        self._sent_ms = self._heard_ms = time.ticks_ms()
        try:
            self._expect(CONNACK)
            await self._write(self._connect_packet(clean))
            answer = await self._await_answer("CONNACK")
            if answer[0] > 1 or answer[1] > 5 or (answer[0] and (answer[1] or clean)):
                raise MqttError("malformed", "CONNACK " + str(answer))
            if answer[1]:
                raise MqttError("refused", REFUSED[answer[1]], "Check the unit's broker settings.")
            self.session_present = bool(answer[0])
        except BaseException:
            self.close()
            raise

    def _connect_packet(self, clean):
        flags = 2 if clean else 0
        fields = [self._client_id.encode()]
        if self.will is not None:
            topic, payload, qos, retain = self.will
            flags |= 4 | qos << 3 | (0x20 if retain else 0)
            fields += [topic.encode(), payload]
        if self._user:
            flags |= 0x80
            fields.append(self._user.encode())
            if self._password:
                flags |= 0x40
                fields.append(self._password.encode())
        body = b"\x00\x04MQTT\x04" + bytes((flags, self._keepalive_s >> 8, self._keepalive_s & 255))
        for field in fields:
            body += len(field).to_bytes(2, "big") + field
        packet = bytearray(5)
        n = _put_length(packet, 0x10, len(body))
        return packet[:n] + body

    async def subscribe(self, topic_filter, qos=1):
        packet_id = self._new_id()
        topic = topic_filter.encode()
        packet = bytearray(5)
        n = _put_length(packet, 0x82, 2 + 2 + len(topic) + 1)
        body = packet_id.to_bytes(2, "big") + len(topic).to_bytes(2, "big") + topic
        try:
            self._expect(SUBACK)
            await self._write(packet[:n] + body + bytes((qos,)))
            answer = await self._await_answer("SUBACK")
            if len(answer) != 3 or answer[0] << 8 | answer[1] != packet_id:
                raise MqttError("malformed", "SUBACK " + str(answer))
            if answer[2] == 0x80:
                raise MqttError("refused", "the broker refuses to send " + topic_filter)
            if answer[2] > qos:
                raise MqttError("malformed", "SUBACK grants QoS " + str(answer[2]))
        except BaseException:
            self.close()
            raise

    # Write one publication completely. For QoS 1 it is then in flight: service() raises if its
    # PUBACK is late, and `publication.acked` tells when it came. The same object may be sent
    # again on a later connection; forget() gives its packet id back.
    async def send(self, publication):
        if publication.qos and not publication.packet_id:
            publication.packet_id = self._new_id()
            self._inflight[publication.packet_id] = publication
        topic = publication.topic
        first = PUBLISH | publication.qos << 1 | publication.retain
        if publication.tries and publication.qos:
            first |= 8
        extra = 2 if publication.qos else 0
        tx = self._tx
        n = _put_length(tx, first, 2 + len(topic) + extra + publication.length)
        tx[n] = len(topic) >> 8
        tx[n + 1] = len(topic) & 255
        n += 2
        tx[n : n + len(topic)] = topic
        n += len(topic)
        if extra:
            tx[n] = publication.packet_id >> 8
            tx[n + 1] = publication.packet_id & 255
            n += 2
        publication.tries += 1
        publication.deadline = None
        try:
            await self._flush_acks()
            limit = time.ticks_add(time.ticks_ms(), self.timeout_ms * _STALLS_PER_PACKET)
            await self._write(memoryview(tx)[:n], limit)
            left = await self._stream(publication.blocks(), publication.length, limit)
            if left:
                raise MqttError("payload", "the payload is not as long as announced")
            publication.deadline = time.ticks_add(time.ticks_ms(), self.timeout_ms)
        except BaseException:
            self.close()
            raise

    # Write the blocks; bytes missing (or, below 0, too many). A generator is closed in any case:
    # it may hold a file.
    async def _stream(self, blocks, left, limit):
        try:
            for block in blocks:
                left -= len(block)
                if left < 0:
                    break
                await self._write(block, limit)
        finally:
            if hasattr(blocks, "close"):
                blocks.close()
        return left

    def forget(self, publication):
        number = publication.packet_id
        if self._inflight.get(number) is publication:
            del self._inflight[number]
        publication.packet_id = 0

    # Read what is there, acknowledge it, ping when due, check every deadline. Call it often. True
    # if something came.
    async def service(self):
        try:
            moved = self._pump()
            await self._flush_acks()
            now = time.ticks_ms()
            for publication in self._inflight.values():
                if publication.deadline is not None and past(publication.deadline, now):
                    raise MqttError("timeout", "no PUBACK in time")
            if self._ping_deadline is not None:
                if past(self._ping_deadline, now):
                    raise MqttError("timeout", "no PINGRESP in time")
            elif self._keepalive_s and (
                time.ticks_diff(now, self._sent_ms) > self._keepalive_s * 500
                or time.ticks_diff(now, self._heard_ms) > self._keepalive_s * 500
            ):
                self._ping_deadline = time.ticks_add(now, self.timeout_ms)
                await self._write(b"\xc0\x00")
            return moved
        except BaseException:
            self.close()
            raise

    async def disconnect(self):
        try:
            await self._flush_acks()
            await self._write(b"\xe0\x00")
        finally:
            self.close()

    def _new_id(self):
        while True:
            self._last_id = self._last_id % 65535 + 1  # 1..65535, never 0
            if self._last_id not in self._inflight:
                return self._last_id

    def _expect(self, packet_type):
        self._answer = None
        self._parser.awaited = packet_type

    async def _await_answer(self, name):
        deadline = time.ticks_add(time.ticks_ms(), self.timeout_ms)
        nap = 0
        while self._answer is None:
            self._check_hold()
            self.between()
            if self._pump():
                nap = 0
            elif past(deadline, time.ticks_ms()):
                raise MqttError("timeout", "no " + name + " in time")
            await self._flush_acks()
            await asyncio.sleep_ms(nap)
            nap = min(nap + 1, _SLEEP_MAX_MS)
        return self._answer

    # All of `data`, however small the pieces the socket takes. TLS demands that after "not now"
    # the same bytes are offered again, which the slice does. Reading goes on meanwhile, so that
    # two full buffers cannot hold each other up.
    async def _write(self, data, limit=None):
        view = memoryview(data)
        if not len(view):
            return
        deadline = time.ticks_add(time.ticks_ms(), self.timeout_ms)
        nap = 0
        while True:
            if self._sock is None:
                raise MqttError("closed", "not connected")
            self._check_hold()
            try:
                n = self._sock.write(view)
            except (OSError, ValueError) as e:
                raise network_error(e) from None
            now = time.ticks_ms()
            if n:
                self._sent_ms = now
                if n == len(view):
                    return
                view = view[n:]
                deadline = time.ticks_add(now, self.timeout_ms)
                nap = 0
            elif n == 0:
                raise MqttError("closed", "the broker closed the connection")
            if past(deadline, now) or (limit is not None and past(limit, now)):
                raise MqttError("timeout", "the broker takes no more bytes")
            self._pump()
            await asyncio.sleep_ms(nap)
            nap = min(nap + 1, _SLEEP_MAX_MS)

    # The arithmetic of a TLS handshake, which runs inside reads and writes, may take a second.
    def _check_hold(self):
        if self._parser.awaited == CONNACK and self.hold():
            raise MqttError("network", "connecting is put off")

    async def _flush_acks(self):
        while self._acks:
            packet_id = self._acks.pop(0)
            self._ack[2] = packet_id >> 8
            self._ack[3] = packet_id & 255
            await self._write(self._ack)

    # Read without waiting, up to the end of one packet: a packet can be long, and other tasks want
    # their turn. True if any byte came.
    def _pump(self):
        moved = False
        while not self.full() and len(self._acks) < _ACKS_MAX:
            if self._sock is None:
                raise MqttError("closed", "not connected")
            try:
                n = self._sock.readinto(self._parser.room())
            except (OSError, ValueError) as e:
                raise network_error(e) from None
            if n is None:
                break
            if n == 0:
                raise MqttError("closed", "the broker closed the connection")
            moved = True
            if self._parser.filled(n):
                self._packet()
                break
        if moved:
            self._heard_ms = time.ticks_ms()
        return moved

    # Handle one complete packet.
    def _packet(self):
        parser = self._parser
        first = parser.first
        if first & 0xF0 == PUBLISH:
            topic, payload, packet_id = parser.publish()
            self._on_message(topic, payload, bool(first & 1))
            if packet_id:
                self._acks.append(packet_id)
        elif first == PUBACK:
            body = parser.body()
            publication = self._inflight.pop(body[0] << 8 | body[1], None)
            if publication is None:
                self.stray_acks += 1
            else:
                publication.acked = True
                publication.packet_id = 0
        elif first == PINGRESP:
            self._ping_deadline = None
        else:
            parser.awaited = 0
            self._answer = bytes(parser.body())


# Type byte and remaining length at the start of `buffer`; the number of bytes they take.
def _put_length(buffer, first, size):
    buffer[0] = first
    n = 1
    while True:
        buffer[n] = size & 0x7F | (0x80 if size > 127 else 0)
        size >>= 7
        n += 1
        if not size:
            return n
