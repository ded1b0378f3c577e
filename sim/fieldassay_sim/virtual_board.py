"""A board without hardware: real MicroPython behind a PTY, its flash a littlefs in a file.

Every serial tool works on it unchanged: what a program opens is `port`, what it gets is the raw
prompt, soft and hard resets, a flash that survives them, a cable that can be pulled and a power
that can be cut. Detector, laser and buttons come from `board_hardware` where wanted. Linux only.

A relay thread stands between the program's PTY and the interpreter's. It passes bytes on, turns a
Ctrl-C into the interrupt that it is on a board, and starts the interpreter again when it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import resource
import select
import signal
import subprocess
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

from fieldassay_sim.interpreter import micropython_command

BLOCK_BYTES = 4096
BLOCKS = 352  # 1408 KiB: the file system that MicroPython makes on a Pico's 2 MiB flash
HEAP = "192K"
MACHINE = "Virtual board with MicroPython"
BOOT_FILE = Path(__file__).with_name("virtual_board_boot.py")

READY, PROMPT = b"\x1eR", b"\x1eP"  # what the boot script says
CTRL_A, CTRL_C = b"\x01", b"\x03"
HARD_RESET, BOOTLOADER = 3, 4  # exit statuses of the boot script's machine.reset() and bootloader()
CUT = -signal.SIGSEGV  # its way to die of a power cut at a flash operation
RAW_BANNER, FRIENDLY_PROMPT = b"raw REPL; CTRL-B to exit", b">>> "
INTERRUPT_S = 5.0  # how long a Ctrl-C waits for a program that can be interrupted
TICK_S = 0.1
PENDING_MAX = 65536  # bytes for a slow reader; the interpreter then has to wait


class VirtualBoard:
    """One board; a context manager, powered while the context lasts.

    Args:
        flash: File of the flash; made, with all cells erased, where it does not exist.
        heap: Size of the interpreter's heap, as in "192K" or "64K".
        blocks: Size of a flash that is made, in blocks of 4096 bytes.
        machine: What the board calls itself in `sys.implementation._machine`.
        unique_id: What `machine.unique_id()` gives.
        bus: (TCP port, token) of a simulated hardware bus.
        link: Symbolic link kept on the port; `port` is then its path, also after a re-plug.
        on_power_loss: Called when the interpreter lost its power or was reset.

    Attributes:
        flash: The file of the flash.
        cut_at_flash_op: From the next start on, the power goes at this program or erase.
        starts: How often the interpreter was started.
        powered: Whether the board has power.
    """

    def __init__(
        self,
        flash: Path,
        *,
        heap: str = HEAP,
        blocks: int = BLOCKS,
        machine: str = MACHINE,
        unique_id: str = "VIRTUAL1",
        bus: tuple[int, str] | None = None,
        link: Path | None = None,
        on_power_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self.flash = flash
        self.cut_at_flash_op: int | None = None
        self.starts = 0
        self.powered = False
        self._blocks = blocks
        self._heap = heap
        self._names = [unique_id, machine, *([str(bus[0]), bus[1]] if bus else [])]
        self._link = link
        self._on_power_loss = on_power_loss
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._inner = -1  # our end of the interpreter's PTY
        self._outer = -1  # our end of the PTY that programs open; -1 while the cable is out
        self._port = ""
        self._lock = threading.RLock()  # guards what commands and the relay both change
        self._stop = threading.Event()
        self._relay = threading.Thread(target=self._work, name="virtual-board", daemon=True)
        self._forget()

    def __enter__(self) -> VirtualBoard:
        if not self.flash.exists():
            self.flash.write_bytes(b"\xff" * (BLOCK_BYTES * self._blocks))
        # The interpreter ends on an argument of 255 bytes or more, so it gets short names.
        self._folder = tempfile.TemporaryDirectory(prefix="board-")
        Path(self._folder.name, "boot.py").symlink_to(BOOT_FILE)
        Path(self._folder.name, "flash").symlink_to(self.flash.absolute())
        self.power_on()
        self._relay.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._relay.join()
        self._end_child()
        self.unplug()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def port(self) -> str:
        """Path a program opens; "" while the cable is out."""
        return self._port

    # --- what happens to a board on a bench -----------------------------------------------------

    def unplug(self) -> None:
        """Pull the cable: whoever has the port open gets an error. The board runs on."""
        with self._lock:
            if self._outer >= 0:
                os.close(self._outer)
            self._outer, self._port = -1, ""

    def plug(self) -> str:
        """Put the cable in; the port, which has another name unless there is a link."""
        with self._lock:
            self.unplug()
            self._outer, slave = pty.openpty()
            tty.setraw(slave)
            self._port = os.ttyname(slave)
            os.close(slave)
            os.set_blocking(self._outer, False)
            if self._link is not None:
                self._link.unlink(missing_ok=True)
                self._link.symlink_to(self._port)
                self._port = str(self._link)
            return self._port

    def cut_power(self) -> None:
        """Take the power away in the middle of whatever runs."""
        with self._lock:
            self._end_child()
            self._no_power()

    def power_on(self) -> None:
        """Give power and a cable: a hard start."""
        with self._lock:
            if not self.powered:
                self.powered = True
                self.plug()
                self._start("hard")

    def _no_power(self) -> None:
        self.powered = False
        self.unplug()  # a board without power is gone from USB
        self._on_power_loss()

    # --- the interpreter's process ----------------------------------------------------------------

    def _start(self, how: str) -> None:
        assert self._folder is not None
        self._forget()
        self._entering_raw = how == "raw"
        inner, slave = pty.openpty()
        tty.setraw(slave)
        mode = termios.tcgetattr(slave)
        # The interpreter clears ISIG while it reads at a prompt and restores it for a program: that
        # tells the two apart. No character makes a signal here; the relay does.
        mode[3] |= termios.ISIG
        mode[6][termios.VINTR] = mode[6][termios.VQUIT] = mode[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        words = [*micropython_command(), "-X", f"heapsize={self._heap}", "-i", "boot.py", "flash"]
        words += [str(self.cut_at_flash_op or 0), how, *self._names]

        def own_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        self._child = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=own_terminal,  # noqa: PLW1509 - two system calls, no lock
            cwd=self._folder.name,
            env={"HOME": "/nonexistent", "TERM": "dumb", "PATH": os.environ.get("PATH", "")},
        )
        os.close(slave)
        self._inner = inner
        self.starts += 1

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
        if self._inner >= 0:
            os.close(self._inner)
            self._inner = -1

    def _ended(self) -> None:
        """The interpreter ended by itself: a reset, a cut, or a crash, which is a hard reset."""
        assert self._child is not None
        status = self._child.wait()
        was_raw = self._is_raw
        self._end_child()
        if status in (CUT, BOOTLOADER):
            self._no_power()
        elif status == 0:
            self._for_reader += b"MPY: soft reboot\r\n"
            self._start("raw" if was_raw else "soft")
        else:
            self._on_power_loss()
            self._stop.wait(TICK_S)  # a board that dies at once shall not keep this machine busy
            self._start("hard")

    # --- the relay --------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._for_child = b""
        self._for_reader = getattr(self, "_for_reader", b"")
        self._running = False  # MicroPython, no longer CPython
        self._ready = False  # it may be spoken to
        self._entering_raw = False  # the way back to the raw prompt is hidden
        self._held = b""  # output looked at for a mark
        self._tail = b""  # newest output, to know at which prompt the interpreter is
        self._is_raw = False

    def _work(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                poll = select.poll()
                if self._inner >= 0 and len(self._for_reader) < PENDING_MAX:
                    poll.register(self._inner, select.POLLIN)
                if self._outer >= 0:
                    wants = select.POLLIN * (len(self._for_child) < PENDING_MAX)
                    wants |= select.POLLOUT * bool(self._for_reader)
                    poll.register(self._outer, wants)
                inner, outer = self._inner, self._outer
            events = dict(poll.poll(1000 * TICK_S))
            with self._lock:
                if inner != self._inner or outer != self._outer:
                    continue
                if events.get(outer, 0) & select.POLLHUP:  # no program has the port open
                    self._for_reader = b""
                    if inner not in events:
                        self._stop.wait(0.005)
                elif outer in events:
                    self._from_program(events[outer])
                if inner in events:
                    self._from_child()
                if self._ready and self._for_child:
                    self._to_child()

    def _from_program(self, event: int) -> None:
        with contextlib.suppress(OSError):
            if event & select.POLLIN:
                self._for_child += os.read(self._outer, 4096)
            if event & select.POLLOUT and self._for_reader:
                self._for_reader = self._for_reader[os.write(self._outer, self._for_reader) :]

    def _from_child(self) -> None:
        try:
            data = os.read(self._inner, 4096)
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        self._held += data
        if not self._running:
            if READY not in self._held:
                return
            before, _, self._held = self._held.partition(READY)
            self._show(before)
            self._running = True
            self._ready = not self._entering_raw
        if self._entering_raw:
            output, mark, rest = self._held.partition(PROMPT)
            if not mark:
                keep = len(output) - output.endswith(PROMPT[:1])
                self._show(output[:keep])
                self._held = output[keep:]
            elif rest.endswith(FRIENDLY_PROMPT):  # the friendly prompt is hidden
                self._show(output)
                self._held = b""
                self._entering_raw = False
                self._ready = True
                self._wait_for_prompt()  # it drops what comes before it reads
                self._for_child = CTRL_A + self._for_child
            else:
                self._held = output + mark + rest
            return
        output, self._held = self._held.replace(PROMPT, b""), b""
        self._show(output)

    def _show(self, output: bytes) -> None:
        self._for_reader += output
        self._tail = (self._tail + output)[-200:]
        raw, friendly = self._tail.rfind(RAW_BANNER), self._tail.rfind(FRIENDLY_PROMPT)
        if raw != friendly:
            self._is_raw = raw > friendly

    def _to_child(self) -> None:
        before, interrupt, after = self._for_child.partition(CTRL_C)
        if before:
            self._for_child = interrupt + after
            with contextlib.suppress(OSError):
                while before:
                    before = before[os.write(self._inner, before) :]
            return
        self._for_child = after.lstrip(CTRL_C)  # several at once are one
        self._interrupt()

    def _at_prompt(self) -> bool:
        with contextlib.suppress(termios.error):  # the interpreter has just ended
            return not termios.tcgetattr(self._inner)[3] & termios.ISIG
        return True

    def _wait_for_prompt(self) -> None:
        deadline = time.monotonic() + INTERRUPT_S
        while time.monotonic() < deadline and not self._at_prompt():
            self._stop.wait(0.001)

    def _interrupt(self) -> None:
        """Ctrl-C: an interrupt for a program, a character at a prompt; never the process's end.

        Between programs the interpreter leaves SIGINT to the system, which would end it. So it is
        stopped while we look, and gets the signal only where it catches it.
        """
        child = self._child
        assert child is not None
        deadline = time.monotonic() + INTERRUPT_S
        while time.monotonic() < deadline and child.poll() is None and not self._stop.is_set():
            child.send_signal(signal.SIGSTOP)
            try:
                if _catches_interrupt(child.pid):
                    child.send_signal(signal.SIGINT)
                    self._stop.wait(0.02)  # a second one before the first is seen would end it
                    return
                if self._at_prompt():
                    with contextlib.suppress(OSError):
                        os.write(self._inner, CTRL_C)
                    return
            finally:
                child.send_signal(signal.SIGCONT)
            self._stop.wait(0.002)


def _catches_interrupt(pid: int) -> bool:
    """Whether a stopped process has a handler for SIGINT; waits until it is stopped."""
    for _ in range(1000):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            return False
        if "\nState:\tT" in status:
            caught = int(status.split("SigCgt:")[1].split()[0], 16)
            return bool(caught & (1 << (signal.SIGINT - 1)))
        time.sleep(0.0005)
    return False


def serve(flash: Path, heap: str, link: Path | None) -> int:
    """Run a board until SIGINT or SIGTERM; prints its port."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with VirtualBoard(flash, heap=heap, link=link) as board:
        print(board.port, flush=True)
        stop.wait()
    return 0
