"""Runs a program that must not outlive its parent: `python guard.py PROGRAM ARGUMENT…`.

A script on its own, importing nothing of ours, so that it starts fast. The program gets a session
of its own (Ctrl-C in the terminal does not reach it). When our standard input closes, because the
parent stopped us or died, or when we are told to end, its process group is ended: TERM, then KILL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

PATIENCE_S = 4.0


def _end(child: subprocess.Popen[bytes]) -> None:
    # The child leads its own group; KILL also takes what the child left behind in it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(PATIENCE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command until it ends or our standard input closes; its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: threading.Thread(target=_end, args=(child,)).start())

    def watch() -> None:
        while os.read(0, 4096):
            pass
        _end(child)

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        sys.exit(127)
