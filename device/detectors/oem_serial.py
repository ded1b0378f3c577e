"""An OEM spectrometer on a serial line, for boards whose ADC cannot read a sensor (ESP32-S3).

The protocol is docs/reference/oem-serial-protocol.md. Every request has a tag of its own, and only
what carries it is an answer: stale frames, noise and half answers are passed over, up to a bound.
A frame goes straight into the caller's array; one with a wrong checksum is asked for once more.
Not tested on hardware.
"""

import asyncio
import binascii
import errno
import struct
import time

import uctypes

MAGIC = b"\xa5\x5aFR"
HEAD = "<4sHIH"  # magic, tag, exposure in us, pixels
HEAD_BYTES = 12
LINE_BYTES = 96
ANSWER_MS = 300
LATE_MS = 1500  # from the end of an exposure to the last byte: 2048 pixels at 115200 Bd take 360
POLL_MS = 2
GARBAGE_FRAMES = 3  # that many frames' worth of foreign bytes and nothing will come any more


class Detector:
    # `uart` is a machine.UART with timeout=0 and rxbuf of 1024 or more: readinto() and write()
    # return at once. `pixels` must be what the module says of itself.
    def __init__(self, uart, pixels):
        self.pixels = pixels
        self._uart = uart
        self._tag = 0
        self._busy = False
        self._mdegc = 0
        self._line = bytearray(LINE_BYTES)
        self._line_size = 0
        self._one = bytearray(1)
        self._head = bytearray(HEAD_BYTES)
        self._wanted = bytearray(HEAD_BYTES)
        self._sum = bytearray(4)

    # What the module says it is: (pixels, model, serial number). OSError if it is not ours.
    def identify(self):
        words = self._ask("ID").split()
        if len(words) != 4 or words[0] != b"fieldassay-oem/1" or not words[1].isdigit():
            raise OSError(errno.ENODEV, "no spectrometer of this protocol")
        if int(words[1]) != self.pixels:
            raise OSError(errno.ENODEV, "spectrometer has %d pixels" % int(words[1]))
        return int(words[1]), words[2].decode(), words[3].decode()

    # While a frame is on its way the line is the frame's: then the last temperature, not older.
    def temperature_mdegc(self):
        if not self._busy:
            answer = self._ask("TC")
            try:
                self._mdegc = int(answer)
            except ValueError:
                raise OSError(errno.EIO, "spectrometer gives no temperature") from None
        return self._mdegc

    async def expose(self, exposure_us, into):
        if self._busy:
            raise OSError(errno.EAGAIN, "a frame is being taken")
        if len(into) != self.pixels:
            raise OSError(errno.EINVAL, "frame of another size")
        data = uctypes.bytearray_at(uctypes.addressof(into), 2 * self.pixels)
        self._busy = True
        try:
            await self._ask_async("IT %d" % exposure_us)
            self._send("GO")
            await asyncio.sleep_ms(exposure_us // 1000)
            if not await self._frame(exposure_us, data):
                self._send("RD")
                if not await self._frame(exposure_us, data):
                    raise OSError(errno.EIO, "frame with a wrong checksum, twice")
        except BaseException:  # cancellation too
            self._abort()
            raise
        finally:
            self._busy = False

    def _abort(self):
        try:
            self._send("AB")
        except OSError:
            pass  # the line is gone; the error that led here says so

    def _send(self, words):
        self._tag = self._tag % 65535 + 1
        self._line_size = 0
        request = b"%04x %s\n" % (self._tag, words.encode())
        if self._uart.write(request) != len(request):
            raise OSError(errno.EIO, "serial line takes no bytes")

    def _ask(self, words):
        self._send(words)
        began_ms = time.ticks_ms()
        while True:
            answer = self._answer()
            if answer is not None:
                return answer
            _check(began_ms, ANSWER_MS)
            time.sleep_ms(1)

    async def _ask_async(self, words):
        self._send(words)
        began_ms = time.ticks_ms()
        while True:
            answer = self._answer()
            if answer is not None:
                return answer
            _check(began_ms, ANSWER_MS)
            await asyncio.sleep_ms(POLL_MS)

    # Take what has arrived; the text after "<tag> OK " once that line is complete, else None.
    def _answer(self):
        for _ in range(4 * self.pixels):  # a stream without end must not keep other tasks waiting
            if not self._uart.readinto(self._one):
                return None
            byte = self._one[0]
            if byte != 10:
                if self._line_size < LINE_BYTES:
                    self._line[self._line_size] = byte
                    self._line_size += 1
                continue
            line = bytes(memoryview(self._line)[: self._line_size])
            self._line_size = 0
            at = line.find(b"%04x " % self._tag)  # noise may stand before it
            if at >= 0:
                _refuse(line[at + 5 :])
                if line[at + 5 : at + 7] == b"OK":
                    return line[at + 8 :]
        return None

    # One frame with the present tag into `data`; whether its checksum is right.
    async def _frame(self, exposure_us, data):
        struct.pack_into(HEAD, self._wanted, 0, MAGIC, self._tag, exposure_us, self.pixels)
        refusal = b"%04x ERR" % self._tag
        began_ms = time.ticks_ms()
        head = self._head
        await self._read(head, 0, began_ms)
        foreign = GARBAGE_FRAMES * (len(data) + HEAD_BYTES + 4)
        while head != self._wanted:
            if head.startswith(refusal):
                raise OSError(errno.EIO, "spectrometer refuses")
            foreign -= 1
            if not foreign:
                raise OSError(errno.EIO, "no frame among the bytes of the serial line")
            if foreign % 256 == 0:
                await asyncio.sleep_ms(0)  # a line that never pauses must not stop the unit
            for i in range(1, HEAD_BYTES):
                head[i - 1] = head[i]
            await self._read(head, HEAD_BYTES - 1, began_ms)
        await self._read(data, 0, began_ms)
        await self._read(self._sum, 0, began_ms)
        total = binascii.crc32(data, binascii.crc32(head))
        return int.from_bytes(self._sum, "little") == total

    # Fill `into` from `have` on, as bytes arrive.
    async def _read(self, into, have, began_ms):
        view = memoryview(into)
        while have < len(into):
            got = self._uart.readinto(view[have:])
            if got:
                have += got
            else:
                _check(began_ms, LATE_MS)
                await asyncio.sleep_ms(POLL_MS)


def _check(began_ms, limit_ms):
    if time.ticks_diff(time.ticks_ms(), began_ms) > limit_ms:
        raise OSError(errno.ETIMEDOUT)


def _refuse(answer):
    if answer.startswith(b"ERR"):
        raise OSError(errno.EIO, "spectrometer refuses: " + str(answer))
