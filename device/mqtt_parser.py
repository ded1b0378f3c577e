# Bytes from the broker, cut into MQTT packets. Owns the one inbound buffer (allocated once) and
# every check that needs no knowledge of the session beyond `awaited`. Reads from no socket: the
# client asks for room(), fills it, and says filled(n). Any bytes give a packet or one MqttError.

from micropython import const
from mqtt_socket import MqttError

CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)
INBOUND_MAX = const(16384)  # longest packet accepted, checked before a byte of it is read
_HEADER_MAX = const(5)


class Parser:
    def __init__(self):
        self._rx = bytearray(_HEADER_MAX + INBOUND_MAX)
        self._view = memoryview(self._rx)
        self.reset()

    def reset(self):
        self.first = 0
        self.awaited = 0  # CONNACK or SUBACK while one is expected; else it is an error
        self._next()

    def _next(self):
        self._have = 0
        self._need = 2
        self._body = 0
        self._size = 0

    # Where the next bytes go: never more than belong to the packet begun.
    def room(self):
        if self._body and self._have == self._need:
            self._next()
        return self._view[self._have : self._need]

    # n bytes were put there. True if a packet is complete: see first, body(), publish().
    def filled(self, n):
        self._have += n
        if self._have < self._need:
            return False
        if self._body or self._header():
            self.first = self._rx[0]
            return True
        return False

    # The packet after its header; valid until room() is called.
    def body(self):
        return self._view[self._body : self._have]

    # Type and remaining length, checked before the rest is read. True if the packet is complete.
    def _header(self):
        last = self._rx[self._have - 1]
        self._size |= (last & 0x7F) << 7 * (self._have - 2)
        if last & 0x80:
            if self._have == 5:
                raise MqttError("malformed", "remaining length of more than four bytes")
            self._need += 1
            return False
        if last == 0 and self._have > 2:
            raise MqttError("malformed", "remaining length not in its shortest form")
        first, size = self._rx[0], self._size
        if self.awaited == CONNACK and first != CONNACK:
            raise MqttError("malformed", "no CONNACK first")
        if first & 0xF0 == PUBLISH:
            qos = first & 6
            if qos > 2 or (first & 8 and not qos) or size < (5 if qos else 3):
                raise MqttError("malformed", "PUBLISH header")
        elif first in (CONNACK, SUBACK):
            if first != self.awaited or size != (2 if first == CONNACK else 3):
                raise MqttError("malformed", "unexpected answer")
        elif (first, size) not in ((PUBACK, 2), (PINGRESP, 0)):
            raise MqttError("malformed", "packet type " + hex(first) + " of " + str(size))
        if size > INBOUND_MAX:
            raise MqttError("too_large", "a packet of " + str(size) + " bytes")
        self._body = self._have
        self._need = self._have + size
        return size == 0

    # The parts of a PUBLISH: (topic, payload, packet id or 0 at QoS 0).
    def publish(self):
        rx = self._rx
        at = self._body + 2 + (rx[self._body] << 8 | rx[self._body + 1])
        qos = self.first & 6
        payload = at + 2 if qos else at
        if at == self._body + 2 or payload > self._have:
            raise MqttError("malformed", "PUBLISH topic")
        packet_id = rx[at] << 8 | rx[at + 1] if qos else 0
        if qos and not packet_id:
            raise MqttError("malformed", "PUBLISH with packet id 0")
        try:
            topic = str(self._view[self._body + 2 : at], "utf-8")
        except UnicodeError:
            raise MqttError("malformed", "PUBLISH topic is not UTF-8") from None
        if "\0" in topic or "#" in topic or "+" in topic:
            raise MqttError("malformed", "PUBLISH topic")
        return topic, self._view[payload : self._have], packet_id
