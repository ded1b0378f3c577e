"""A spectrometer module on a serial line: the far end of docs/reference/oem-serial-protocol.md.

Owns a pseudo terminal and a thread that answers on it in real time. Pixels come from the caller;
`physics` makes them from the simulator's optics and detector. Faults are planted per exposure.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import termios
import threading
import time
import tty
import zlib
from collections.abc import Callable, Iterable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from fieldassay_sim import detector
from fieldassay_sim.optics import Instrument

Counts = NDArray[np.uint16]
MAGIC = b"\xa5\x5aFR"
EXPOSURE_MAX_US = 60_000_000
FAULTS = ("ok", "late", "broken", "unplugged", "garbage", "checksum", "checksums", "short")


def frame(tag: int, exposure_us: int, counts: Counts) -> bytes:
    """A frame as it goes over the line: header, little-endian counts, CRC-32 of both."""
    body = (
        struct.pack("<4sHIH", MAGIC, tag, exposure_us, counts.size) + counts.astype("<u2").tobytes()
    )
    return body + struct.pack("<I", zlib.crc32(body))


def physics(
    instrument: Instrument, electrons_per_s: NDArray[np.float64], detector_degc: float
) -> Callable[[int, int], Counts]:
    """Pixels of an instrument in constant light: a function of exposure in us and frame number.

    Args:
        instrument: Optics and detector as built.
        electrons_per_s: Photoelectrons per second, shape (pixels,).
        detector_degc: Detector temperature.
    """
    fixed = detector.pattern(instrument)

    def counts(exposure_us: int, number: int) -> Counts:
        seconds = exposure_us / 1e6
        return detector.expose(
            instrument, fixed, electrons_per_s * seconds, seconds, detector_degc, number
        )

    return counts


class OemSpectrometer:
    """Serves one module as a context manager; `path` is the serial line's device.

    Args:
        counts: Pixels of an exposure, from its length in us and its number.
        pixels: How many there are.
        mdegc: Temperature in thousandths of a degree; None is a broken thermometer.
        faults: One of FAULTS per exposure, in turn; afterwards all is well.
    """

    def __init__(
        self,
        counts: Callable[[int, int], Counts],
        pixels: int,
        mdegc: Callable[[], int | None] = lambda: 25_000,
        faults: Iterable[str] = (),
    ) -> None:
        self._counts = counts
        self._pixels = pixels
        self._mdegc = mdegc
        self._faults = list(faults)
        self.asked_us: list[int] = []
        self.commands: list[str] = []
        self._exposure_us = 10_000
        self._due: tuple[float, int] | None = None
        self._fault = "ok"
        self._last: tuple[int, Counts] | None = None
        self._bad_sums = 0
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        mode = termios.tcgetattr(self._slave)
        mode[6][termios.VMIN] = mode[6][termios.VTIME] = 0  # reads return at once, as a UART's do
        termios.tcsetattr(self._slave, termios.TCSANOW, mode)
        self.path = os.ttyname(self._slave)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="oem-spectrometer", daemon=True)

    def __enter__(self) -> OemSpectrometer:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop and close the line."""
        self._stop.set()
        self._thread.join()
        for end in (self._master, self._slave):
            with contextlib.suppress(OSError):  # pulled by the fault "unplugged"
                os.close(end)

    def _serve(self) -> None:
        held = b""
        while not self._stop.is_set():
            wait_s = 0.01 if self._due is None else min(0.01, self._due[0] - time.monotonic())
            if self._due is not None and wait_s <= 0:
                self._finish()
                continue
            if self._master < 0 or not select.select([self._master], [], [], wait_s)[0]:
                self._stop.wait(0.005 if self._master < 0 else 0)
                continue
            held += os.read(self._master, 4096)
            *lines, held = held.split(b"\n")
            for line in lines:
                self._command(line.decode("ascii", "replace"))

    def _say(self, data: bytes) -> None:
        while data and not self._stop.is_set() and self._master >= 0:
            data = data[os.write(self._master, data[:512]) :]

    def _command(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        verb, _, argument = rest.partition(" ")
        self.commands.append(verb)
        if verb == "GO":
            self._start(int(tag, 16))
        elif verb == "RD":
            self._repeat(int(tag, 16))
        else:
            self._say(f"{tag} {self._answer(verb, argument)}\n".encode())

    def _answer(self, verb: str, argument: str) -> str:
        if verb == "ID":
            return f"OK fieldassay-oem/1 {self._pixels} simulated S1"
        if verb == "IT":
            if not argument.isdigit() or not 1 <= int(argument) <= EXPOSURE_MAX_US:
                return "ERR 2 exposure out of range"
            self._exposure_us = int(argument)
            return "OK"
        if verb == "TC":
            degrees = self._mdegc()
            return "ERR 4 no thermometer" if degrees is None else f"OK {degrees}"
        if verb == "AB":
            self._due = None
            return "OK"
        return "ERR 1 unknown command"

    def _start(self, tag: int) -> None:
        self._fault = self._faults.pop(0) if self._faults else "ok"
        self.asked_us.append(self._exposure_us)
        if self._fault == "broken":
            self._say(f"{tag:04x} ERR 3 sensor does not answer\n".encode())
        elif self._fault != "late":
            self._due = (time.monotonic() + self._exposure_us / 1e6, tag)

    def _finish(self) -> None:
        assert self._due is not None
        _, tag = self._due
        self._due = None
        if self._fault == "unplugged":
            os.close(self._master)
            self._master = -1
            return
        if self._fault == "garbage":
            noise = np.random.default_rng(tag).integers(0, 256, 700, dtype=np.uint8).tobytes()
            self._say(noise + MAGIC + frame(tag ^ 1, 77, np.zeros(9, np.uint16)) + MAGIC[:3])
        self._last = (self._exposure_us, self._counts(self._exposure_us, len(self.asked_us) - 1))
        self._bad_sums = {"checksum": 1, "checksums": 2}.get(self._fault, 0)
        self._repeat(tag)

    def _repeat(self, tag: int) -> None:
        if self._last is None:
            self._say(f"{tag:04x} ERR 5 no frame yet\n".encode())
            return
        data = frame(tag, *self._last)
        if self._bad_sums:
            self._bad_sums -= 1
            data = data[:100] + bytes((data[100] ^ 4,)) + data[101:]
        self._say(data[:-300] if self._fault == "short" else data)
