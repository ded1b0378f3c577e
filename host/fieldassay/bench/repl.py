"""A board on a serial port: its raw prompt and its files behind one name."""

from __future__ import annotations

from fieldassay.bench.raw import BAUD, RawRepl
from fieldassay.bench.transfer import Entry, Files, Progress, Written


class Repl(RawRepl):
    """What every bench command works with; see `RawRepl` for running code.

    `files` has all that can be done with files; the most used are here too.
    """

    def __init__(self, port: str, baud: int = BAUD) -> None:
        super().__init__(port, baud)
        self.files = Files(self)

    def __enter__(self) -> Repl:
        return self

    def enter(self, *, soft_reset: bool = False) -> None:
        """As `RawRepl.enter`."""
        self.files.forget()
        super().enter(soft_reset=soft_reset)

    def soft_reset(self) -> None:
        """As `RawRepl.soft_reset`."""
        super().soft_reset()
        self.files.forget()

    def put(self, path: str, data: bytes, progress: Progress | None = None) -> Written:
        """Write a file whole or not at all, verified on the board."""
        return self.files.put(path, data, progress)

    def get(self, path: str, progress: Progress | None = None) -> bytes:
        """The content of a file."""
        return self.files.get(path, progress)

    def listdir(self, path: str = "/") -> list[Entry]:
        """Names in a folder, sorted."""
        return self.files.listdir(path)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        self.files.remove(path)

    def mkdir(self, path: str) -> None:
        """Make a folder, and those above it."""
        self.files.mkdir(path)
