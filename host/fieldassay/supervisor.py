"""Child: a program we started, that ends when we end, however we end.

Owns starting, stopping and watching. What the programs are is said in `broker` and `commands.run`.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

STOP_S = 6.0  # more than the guard's own patience
_GUARD = str(Path(__file__).with_name("guard.py"))


class Child:
    """One program under a guard (see `guard`): no orphans even after SIGKILL of ours."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> None:
        self.name = name
        self._log = log_path.open("wb") if log_path is not None else None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _GUARD, *command],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
        except BaseException:
            if self._log is not None:
                self._log.close()
            raise
        log.info("%s started, pid %d", name, self._process.pid)

    @property
    def running(self) -> bool:
        """True until the program has ended."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status, None while running."""
        return self._process.poll()

    def stop(self) -> None:
        """End the program and everything it started; safe to call twice."""
        was_running = self.running
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._log is not None:
            self._log.close()
        if was_running:
            log.info("%s stopped", self.name)
