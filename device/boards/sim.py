"""The simulated board: every pin and bus is a request to the simulator over loopback TCP.

Frames are a 4-byte big-endian length and CBOR; a request is [op, args...], an answer [0, value] or
[errno, text]. Requests are synchronous and short, as register accesses on a real board are. Has no
physics: the simulator holds the other end.
"""

import errno
import socket

import uctypes
from detectors.simulated import Detector
from fieldassay_wire import cbor


class Bus:
    def __init__(self, port, token):
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        try:
            self._socket.setsockopt(6, 1, 1)  # TCP_NODELAY
        except OSError:
            pass
        self._head = bytearray(4)
        self._body = bytearray(512)  # grows to the largest answer seen, then stays
        self.hello = self.call("hello", token)
        self._body = bytearray(2 * self.hello["pixels"] + 64)  # a frame, while the heap is empty

    def call(self, *request):
        data = cbor.encode(list(request))
        self._socket.write(len(data).to_bytes(4, "big") + data)
        self._fill(self._head)
        size = int.from_bytes(self._head, "big")
        if size > len(self._body):
            self._body = bytearray(size)
        body = memoryview(self._body)[:size]
        self._fill(body)
        code, value = cbor.decode(body)
        if code:
            raise OSError(code, value)
        return value

    def _fill(self, buffer):
        view = memoryview(buffer)
        have = 0
        while have < len(buffer):
            got = self._socket.readinto(view[have:])
            if not got:
                # The simulator is gone and with it all hardware: nothing is left to run on.
                raise SystemExit(3)
            have += got


class _Laser:
    def __init__(self, call):
        self._call = call

    def set_power_uw(self, uw):
        self._call("laser_power", uw)

    def fire(self, max_ms):
        self._call("laser_fire", max_ms)

    def off(self):
        self._call("laser_off")

    def read(self):
        return self._call("laser_read")


class Board:
    name = "sim"
    flash_root = "/flash"

    def __init__(self, port, token):
        self._bus = Bus(port, token)
        self._call = self._bus.call
        hello = self._bus.hello
        self.pixels = hello["pixels"]
        self.full_scale_counts = hello["full_scale_counts"]
        self.gain_me_per_count = hello["gain_me_per_count"]
        self.read_noise_me = hello["read_noise_me"]
        self.excitation_pm = hello["excitation_pm"]
        self.cut_after_flash_ops = hello.get("cut_after_flash_ops")
        self.laser = _Laser(self._call)
        self.detector = Detector(self._call, _into_bytes)

    def call(self, *request):
        return self._call(*request)

    def interlock(self):
        return self._call("interlock")

    def indicate(self, lit):
        self._call("indicate", lit)

    def indicator(self):
        return self._call("indicator")

    def buttons(self):
        return self._call("buttons")

    def battery_mv(self):
        return self._call("battery_mv")

    def clock(self):
        return self._call("clock")

    def set_clock(self, unix_ms):
        self._call("clock_set", unix_ms)

    def display(self, rows):
        self._call("display", [list(row) for row in rows])

    def buzz(self, pattern):
        self._call("buzz", pattern)

    def feed_watchdog(self):
        self._call("watchdog")

    # The simulator's power switch starts a unit again; its network is the computer's.
    def reset(self):
        self.laser.off()
        raise SystemExit(4)

    def rest(self):
        self.laser.off()

    def set_wifi(self, wifi):
        pass

    def unique_id(self):
        return self.name.encode()

    def log(self, kind, details):
        self._call("log", kind, details)

    # Coroutine, as on every board: the network of this one is the computer's.
    async def open_socket(self, host, port, tls):
        from mqtt_socket import connect_tcp

        return await connect_tcp(host, port, tls, 5000)


def _into_bytes(into, data):
    size = len(into) * 2
    if len(data) != size:
        raise OSError(errno.EIO, "frame of another size")
    uctypes.bytearray_at(uctypes.addressof(into), size)[:] = data
