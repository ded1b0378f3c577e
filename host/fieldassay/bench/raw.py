"""The raw prompt of MicroPython over a serial port: interrupt, run code, reset. No files.

Speaks raw-paste with its flow control, and the older raw prompt where a board has no raw-paste.
Every wait has an end; every way it can go wrong is a BenchError that says what to do.

The protocol is the one of https://docs.micropython.org/en/latest/reference/repl.html ("Raw mode and
raw-paste mode").
"""

from __future__ import annotations

import ast
import contextlib
import errno
import re
import time
from collections.abc import Callable
from typing import Any

import serial

from fieldassay.errors import BenchError

BAUD = 115200
READ_S = 0.05  # one read; a wait is many of them
ENTER_TRIES = 6  # Ctrl-C, a little longer each time, until the raw prompt answers
ANSWER_S = 5.0  # the prompt itself answers at once; this is a hang detector
EXEC_S = 10.0  # silence allowed to a piece of code, unless the caller says otherwise
OUTPUT_MAX = 16 * 1024 * 1024  # bytes that one piece of code may print
RESET_S = 15.0  # from a hard reset until the port is back
# The older prompt has no flow control: what a busy board has no room for is lost. A micro:bit keeps
# 64 bytes. Code that came apart does not compile, and what does not compile did not run: again.
CHUNK_BYTES = 32
CHUNK_PAUSE_S = 0.004
SEND_TRIES = 4  # each with twice the pause of the one before

INTERRUPT, RAW, PASTE, END, FRIENDLY = b"\x03", b"\r\x01", b"\x05A\x01", b"\x04", b"\r\x02"
_UNCOMPILED = re.compile(rb"\n(Syntax|Indentation)Error")
BANNER = b"raw REPL; CTRL-B to exit\r\n"


class RawRepl:
    """One board on one port, for one thread. A context manager; closing leaves the board as it is.

    Args:
        port: Path or name of the serial port.
        baud: Speed in bits per second; USB ports ignore it.

    Raises:
        BenchError: `port_missing`, `port_denied`, `port_busy`, `port_unusable`.
    """

    def __init__(self, port: str, baud: int = BAUD) -> None:
        self.port = port
        self._baud = baud
        self._pasting = True  # until the board says that it cannot
        self._serial = _open(port, baud)

    def __enter__(self) -> RawRepl:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back; safe to call twice."""
        with contextlib.suppress(serial.SerialException, OSError):
            self._serial.close()

    # --- the prompt -------------------------------------------------------------------------------

    def enter(self, *, soft_reset: bool = False) -> None:
        """Stop what runs and go to the raw prompt.

        Args:
            soft_reset: Also clear the interpreter's memory: boot.py runs, main.py does not.

        Raises:
            BenchError: `board_silent`, `board_will_not_stop`, `board_disconnected`.
        """
        heard = 0
        for attempt in range(ENTER_TRIES):
            for _ in range(1 + attempt):  # one may be swallowed by a program that catches it
                self._write(b"\r" + INTERRUPT)
                heard += len(self._drain(0.05 * (attempt + 1)))
            self._write(RAW)
            answer = self._wait(BANNER + b">", 0.3 * (attempt + 1))
            heard += len(answer)
            if answer.endswith(BANNER + b">"):
                if soft_reset:
                    self.soft_reset()
                return
        if heard == 0:
            raise BenchError(
                "board_silent",
                f"Nothing answers at {self.port}.",
                "Check cable and power and that MicroPython is on the board; "
                "docs/how-to/release-firmware.md says how firmware gets there.",
            )
        raise BenchError(
            "board_will_not_stop",
            f"The program on the board at {self.port} does not stop on Ctrl-C.",
            "Press the board's reset button and try again at once. If that does not help, "
            "start the board with its boot button held and flash it again.",
        )

    def leave(self) -> None:
        """Back to the prompt for people."""
        self._write(FRIENDLY)

    def soft_reset(self) -> None:
        """Clear the interpreter's memory and stay at the raw prompt; boot.py runs.

        Raises:
            BenchError: `board_timeout`, `board_disconnected`.
        """
        self._write(END)
        self._expect(b"soft reboot\r\n", ANSWER_S, "a soft reset")
        self._expect(BANNER + b">", RESET_S, "a soft reset")

    def hard_reset(self, timeout_s: float = RESET_S) -> None:
        """Restart the board as its reset button does; boot.py and main.py run. Reopens the port.

        Raises:
            BenchError: `board_disconnected` when the port does not come back.
        """
        self.start("import machine\nmachine.reset()")
        self.close()
        until = time.monotonic() + timeout_s
        time.sleep(0.2)  # the port of a real board disappears first
        while True:
            try:
                self._serial = _open(self.port, self._baud)
                return
            except BenchError as error:
                if time.monotonic() > until:
                    raise self._lost() from error
                time.sleep(0.1)

    # --- running code -----------------------------------------------------------------------------

    def exec(
        self,
        code: str | bytes,
        timeout_s: float = EXEC_S,
        on_output: Callable[[bytes], None] | None = None,
    ) -> bytes:
        """Run code at the raw prompt and return what it printed.

        Args:
            code: Python source.
            timeout_s: Longest silence; code that goes on printing may take any time.
            on_output: Called with each piece of output as it comes.

        Raises:
            BenchError: `board_raised` (with `trace`), `board_timeout` (the code was interrupted),
                `board_disconnected`, `board_confused`.
        """
        for attempt in range(SEND_TRIES):
            self.start(code, slower=attempt)
            output = self._until_end(timeout_s, on_output)
            trace = self._until_end(ANSWER_S, None)
            self._expect(b">", ANSWER_S, "the end of the code")
            if self._pasting or not _UNCOMPILED.search(trace):
                break
        if trace:
            text = trace.decode("utf-8", "replace").strip()
            raise BenchError(
                "board_raised",
                f"Code on the board failed: {text.splitlines()[-1].strip()}.",
                "Try again; if it stays, type `fieldassay unit doctor`.",
                text,
            )
        return output

    def start(self, code: str | bytes, *, slower: int = 0) -> None:
        """Send code and let it run without waiting for what it prints.

        Args:
            code: Python source.
            slower: To a prompt without flow control: how often the pause is doubled.

        Raises:
            BenchError: `board_confused`, `board_disconnected`.
        """
        data = code.encode() if isinstance(code, str) else code
        if self._pasting:
            self._write(PASTE)
            answer = self._read(2)
            if answer == b"R\x01":
                self._paste(data)
                return
            self._pasting = False
            if answer != b"R\x00":  # no raw-paste known: the board took it for Ctrl-A
                self._unread = answer + self._unread
                self._expect(BANNER + b">", ANSWER_S, "the raw prompt")
        for attempt in range(slower, slower + SEND_TRIES):
            for at in range(0, len(data), CHUNK_BYTES):
                self._write(data[at : at + CHUNK_BYTES])
                time.sleep(CHUNK_PAUSE_S * 2**attempt)
            self._write(END)
            if self._wait(b"OK", ANSWER_S).endswith(b"OK"):
                return
            self._write(INTERRUPT)  # the end was lost: the prompt forgets what came of the code
            self._drain(0.1)
        raise self._confused("")

    def eval_json(self, expression: str, timeout_s: float = EXEC_S) -> Any:
        """The value of an expression on the board: numbers, text, bytes, lists, dicts, None.

        Travels as `repr`, because not every board has json.

        Raises:
            BenchError: As `exec`; `board_confused` where the value has no literal form.
        """
        said = self.exec(f"print(repr(({expression})))", timeout_s).decode("utf-8", "replace")
        try:
            return ast.literal_eval(said.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise self._confused(said) from error

    def _paste(self, data: bytes) -> None:
        window = int.from_bytes(self._read(2), "little")
        left, at = window, 0
        while at < len(data):
            while left == 0 or self._in_waiting():
                said = self._read(1)
                if said == b"\x01":
                    left += window
                elif said == END:  # the board wants no more: out of memory while it compiles
                    self._write(END)
                    return
                else:
                    raise self._confused(said.decode("latin-1"))
            part = data[at : at + left]
            self._write(part)
            left -= len(part)
            at += len(part)
        self._write(END)
        while True:  # window grants that were under way, then the confirmation
            said = self._read(1)
            if said == END:
                return
            if said != b"\x01":
                raise self._confused(said.decode("latin-1"))

    # --- bytes ------------------------------------------------------------------------------------

    def _until_end(self, timeout_s: float, on_output: Callable[[bytes], None] | None) -> bytes:
        found = bytearray()
        last = time.monotonic()
        while True:
            data = self._read_some()
            if data:
                last = time.monotonic()
                part, mark, rest = data.partition(END)
                found += part
                if len(found) > OUTPUT_MAX:
                    self._write(INTERRUPT)
                    raise self._confused(found[-60:].decode("latin-1"))
                if part and on_output is not None:
                    on_output(part)
                if mark:
                    self._unread = rest + self._unread
                    return bytes(found)
            elif time.monotonic() - last > timeout_s:
                self._write(INTERRUPT)
                raise BenchError(
                    "board_timeout",
                    f"The board at {self.port} said nothing for {timeout_s:g} s.",
                    "Try again; if it stays, switch the unit off and on.",
                )

    def _expect(self, mark: bytes, timeout_s: float, doing: str) -> bytes:
        said = self._wait(mark, timeout_s)
        if not said.endswith(mark):
            raise BenchError(
                "board_timeout",
                f"The board at {self.port} did not finish {doing} in {timeout_s:g} s.",
                "Try again; if it stays, switch the unit off and on.",
                said.decode("utf-8", "replace"),
            )
        return said

    def _wait(self, mark: bytes, timeout_s: float) -> bytes:
        """What came up to and with `mark`, or all that came in that time."""
        found = bytearray()
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            found += self._read_some()
            at = found.find(mark)
            if at >= 0:
                self._unread = bytes(found[at + len(mark) :]) + self._unread
                return bytes(found[: at + len(mark)])
        return bytes(found)

    def _drain(self, quiet_s: float) -> bytes:
        found = bytearray()
        until = time.monotonic() + quiet_s
        while time.monotonic() < until:
            found += self._read_some()
        return bytes(found)

    _unread = b""

    def _read_some(self) -> bytes:
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        try:
            return bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except (serial.SerialException, OSError) as error:
            raise self._lost() from error

    def _read(self, size: int) -> bytes:
        found = b""
        until = time.monotonic() + ANSWER_S
        while len(found) < size and time.monotonic() < until:
            found += self._read_some()
        if len(found) < size:
            raise self._confused(found.decode("latin-1"))
        self._unread = found[size:] + self._unread
        return found[:size]

    def _in_waiting(self) -> bool:
        try:
            return bool(self._unread or self._serial.in_waiting)
        except (serial.SerialException, OSError) as error:
            raise self._lost() from error

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as error:
            raise BenchError(
                "board_timeout",
                f"The board at {self.port} takes no more bytes.",
                "Unplug it, plug it in again and repeat the command.",
            ) from error
        except (serial.SerialException, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> BenchError:
        return BenchError(
            "board_disconnected",
            f"The board at {self.port} is gone.",
            "Plug it in again and repeat the command; files that were there are unchanged.",
        )

    def _confused(self, said: str) -> BenchError:
        return BenchError(
            "board_confused",
            f"The board at {self.port} answered something else than expected: {said[-60:]!r}.",
            "Repeat the command; close every other program that uses the port.",
            said,
        )


def _open(port: str, baud: int) -> serial.Serial:
    try:
        return serial.Serial(port, baud, timeout=READ_S, write_timeout=ANSWER_S, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        why = str(error)
        if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            raise BenchError(
                "port_missing",
                f"There is no port {port}.",
                "Plug the unit in and see its port with `fieldassay unit list`.",
            ) from error
        if number in (errno.EACCES, errno.EPERM):
            raise BenchError(
                "port_denied",
                f"This account may not use {port}.",
                "Type `sudo usermod -aG dialout $USER`, log out and in again.",
            ) from error
        if number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in why:
            raise BenchError(
                "port_busy",
                f"Another program holds {port}.",
                "Close the other program: a terminal, an editor, another fieldassay command.",
            ) from error
        raise BenchError(
            "port_unusable",
            f"{port} cannot be opened as a serial port: {why}.",
            "Plug the unit in again; see the ports with `fieldassay unit list`.",
        ) from error
