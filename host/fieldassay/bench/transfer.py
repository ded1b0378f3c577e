"""Files on a board, through its raw prompt: whole or not at all, verified on the board's flash.

A file is written beside its place as NAME.new, hashed while it is written and again from what the
flash holds, and renamed over the old one. A board without hashlib is verified by reading back, one
without rename (the micro:bit) is written in place; what came of it says so. Nothing about ports.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fieldassay.bench.raw import RawRepl
from fieldassay.errors import BenchError

BLOCK_BYTES = 1024
SMALL_BLOCK_BYTES = 64  # for boards with a heap of a few kB
BLOCK_TRIES = 4
Progress = Callable[[int, int], None]  # bytes done, bytes in total

# What a board can, asked once a session; `_fa` holds the functions that follow.
_ABLE = """
def _fa_able():
    able = []
    try:
        import hashlib
        hashlib.sha256
        able.append('sha256')
    except (ImportError, AttributeError):
        pass
    try:
        import binascii
        binascii.a2b_base64
        able.append('base64')
    except (ImportError, AttributeError):
        pass
    import os
    for name in ('rename', 'statvfs', 'stat', 'mkdir'):
        if hasattr(os, name):
            able.append(name)
    return able
print(_fa_able())
"""
_HASH = """
def _fa_hash(path):
    import hashlib
    digest = hashlib.sha256()
    block = bytearray(512)
    view = memoryview(block)
    with open(path, 'rb') as file:
        while True:
            got = file.readinto(block)
            if not got:
                return digest.digest()
            digest.update(view[:got])
"""
_WALK = """
def _fa_walk(path, hashes):
    import os
    try:
        found = list(os.ilistdir(path))
    except OSError:
        return
    for entry in found:
        name = path.rstrip('/') + '/' + entry[0]
        if entry[1] & 0x4000:
            _fa_walk(name, hashes)
        else:
            print((name, os.stat(name)[6], _fa_hash(name) if hashes else b''))
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder of a board; `size_bytes` is 0 for a folder."""

    name: str
    is_folder: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a file: how it was verified ("sha256" or "read back") and if in one step."""

    path: str
    size_bytes: int
    verified: str
    atomic: bool


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did to each path."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


class Files:
    """The files of the board at a raw prompt (`RawRepl.enter` first)."""

    def __init__(self, repl: RawRepl) -> None:
        self._repl = repl
        self._able: frozenset[str] | None = None
        self._defined: set[str] = set()

    def forget(self) -> None:
        """The board's memory was cleared: functions must be sent again."""
        self._defined.clear()

    @property
    def able(self) -> frozenset[str]:
        """What the board can: of "sha256", "base64", "rename", "statvfs", "stat", "mkdir"."""
        if self._able is None:
            said = self._repl.exec(_ABLE).decode()
            self._able = frozenset(ast.literal_eval(said))
        return self._able

    # --- reading ------------------------------------------------------------------------------

    def listdir(self, path: str = "/") -> list[Entry]:
        """Names in a folder, sorted."""
        if "stat" in self.able:
            found = self._repl.eval_json(f"list(__import__('os').ilistdir({path!r}))")
            return sorted(
                (Entry(e[0], bool(e[1] & 0x4000), e[3] if len(e) > 3 else 0) for e in found),
                key=lambda entry: entry.name,
            )
        found = self._repl.eval_json(
            "[(n,__import__('os').size(n)) for n in __import__('os').listdir()]"
        )
        return sorted((Entry(n, False, s) for n, s in found), key=lambda entry: entry.name)

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of this name."""
        code = f"try:\n open({path!r}).close()\n print(1)\nexcept OSError:\n print(0)"
        if "stat" in self.able:
            code = f"import os\n{code.replace(f'open({path!r}).close()', f'os.stat({path!r})')}"
        return self._repl.exec(code).strip() == b"1"

    def sha256(self, path: str) -> bytes:
        """The hash of a file, computed on the board, or here from what was read."""
        if "sha256" not in self.able:
            return hashlib.sha256(self.get(path)).digest()
        self._define("_fa_hash", _HASH)
        return bytes(self._repl.eval_json(f"_fa_hash({path!r})", 60.0))

    def tree(self, path: str = "/", *, hashes: bool = True) -> dict[str, tuple[int, bytes]]:
        """Every file under a folder: size in bytes and SHA-256 (b"" without hashes)."""
        hashes = hashes and "sha256" in self.able
        self._define("_fa_hash", _HASH)
        self._define("_fa_walk", _WALK)
        said = self._repl.exec(f"_fa_walk({path!r}, {hashes})", 60.0).decode()
        rows = [ast.literal_eval(line) for line in said.splitlines()]
        return {name: (size, digest) for name, size, digest in rows}

    def get(self, path: str, progress: Progress | None = None) -> bytes:
        """The content of a file, verified by its hash where the board can."""
        block = BLOCK_BYTES if "base64" in self.able else SMALL_BLOCK_BYTES
        shown = "repr(b)"
        code = ""
        if "base64" in self.able:
            code = "import binascii\n"
            shown = "binascii.b2a_base64(b)"
        code += (
            f"f=open({path!r},'rb')\nwhile True:\n b=f.read({block})\n if not b:\n  break\n"
            f" print({shown})\nf.close()"
        )
        lines = self._exec_for(code, path)
        parts = [ast.literal_eval(line) for line in lines.decode().splitlines()]
        if "base64" in self.able:
            import binascii

            parts = [binascii.a2b_base64(part) for part in parts]
        data = b"".join(parts)
        if "sha256" in self.able and self.sha256(path) != hashlib.sha256(data).digest():
            raise _mismatch(path)
        if progress is not None:
            progress(len(data), len(data))
        return data

    def free_bytes(self) -> int | None:
        """Free space of the flash, None where the board cannot tell."""
        if "statvfs" not in self.able:
            return None
        facts = self._repl.eval_json("__import__('os').statvfs('/')")
        return int(facts[0] * facts[3])

    # --- writing ------------------------------------------------------------------------------

    def put(self, path: str, data: bytes, progress: Progress | None = None) -> Written:
        """Write a file whole or not at all; the old one stays until the new one is verified.

        Raises:
            BenchError: `flash_full` (nothing is left of the new file), `file_mismatch`, and those
                of `RawRepl.exec`.
        """
        atomic = "rename" in self.able
        beside = path + ".new" if atomic else path
        try:
            streamed = self._stream(beside, data, progress)
            stored = self.sha256(beside) if "sha256" in self.able else None
            wanted = hashlib.sha256(data).digest()
            good = self.get(beside) == data if stored is None else stored == wanted == streamed
            if not good:
                raise _mismatch(path, atomic=atomic)
        except BenchError as error:
            if error.code != "board_disconnected":
                with contextlib.suppress(BenchError):
                    self._repl.exec("try:\n f.close()\nexcept Exception:\n pass")
                    self.remove(beside)
            if error.code == "board_raised" and _is_full(error.trace):
                raise self._full(path, len(data)) from error
            raise
        if atomic:
            self._exec_for(f"import os\nos.rename({beside!r},{path!r})", path)
        return Written(path, len(data), "read back" if stored is None else "sha256", atomic)

    def _stream(self, path: str, data: bytes, progress: Progress | None) -> bytes | None:
        hashing = "sha256" in self.able
        coded = "base64" in self.able
        code = "import binascii\n" if coded else ""
        code += f"f=open({path!r},'wb')\nw=f.write\n"
        code += "import hashlib\nh=hashlib.sha256()\nu=h.update\n" if hashing else "u=len\n"
        self._exec_for(code, path)
        block = BLOCK_BYTES if hashing else SMALL_BLOCK_BYTES
        for at in range(0, len(data), block):
            part = data[at : at + block]
            literal = repr(part)
            if coded:
                import binascii

                literal = f"binascii.a2b_base64({binascii.b2a_base64(part, newline=False)!r})"
            self._send_block(part, literal)
            if progress is not None:
                progress(at + len(part), len(data))
        self._repl.exec("f.close()")
        return bytes(self._repl.eval_json("h.digest()")) if hashing else None

    def _send_block(self, part: bytes, literal: str) -> None:
        """Have a block written only if it arrived whole; a line without flow control may lose some.

        Raises:
            BenchError: `file_mismatch`.
        """
        told = f"{len(part)},{sum(part)}"
        code = f"b={literal}\ng=(len(b),sum(b))==({told})\nif g:\n u(b)\n w(b)\nprint(g)"
        for _ in range(BLOCK_TRIES):
            if self._repl.exec(code).strip() == b"True":
                return
        raise _mismatch("A block")

    def mkdir(self, path: str) -> None:
        """Make a folder and those above it; one that is there is fine."""
        parts = [part for part in path.split("/") if part]
        made = ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
        self._repl.exec(
            f"import os\nfor n in {made!r}:\n try:\n  os.mkdir(n)\n except OSError as e:\n"
            "  if e.args[0]!=17:\n   raise"
        )

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; what is not there is fine."""
        if "stat" not in self.able:
            self._repl.exec(f"import os\ntry:\n os.remove({path!r})\nexcept OSError:\n pass")
            return
        self._repl.exec(
            "import os\ndef _fa_remove(p):\n try:\n  m=os.stat(p)[0]\n except OSError:\n  return\n"
            " if m&0x4000:\n  for n in os.listdir(p):\n   _fa_remove(p+'/'+n)\n  os.rmdir(p)\n"
            f" else:\n  os.remove(p)\n_fa_remove({path!r})",
            60.0,
        )

    def sync(
        self,
        files: Mapping[str, bytes],
        root: str,
        progress: Progress | None = None,
        *,
        remove_others: bool = True,
    ) -> Synced:
        """Make a folder hold these files; what is there already, equal by hash, is not written.

        Args:
            files: Content by path relative to `root`.
            root: Folder on the board; "" or "/" is the flash's root.
            progress: Called with bytes done and in total, of what must be written.
            remove_others: Also remove what is in the folder and not in `files`.
        """
        base = root.rstrip("/")
        there = self.tree(base or "/")
        wanted = {f"{base}/{name}": data for name, data in files.items()}
        changed = {
            path: data
            for path, data in sorted(wanted.items())
            if there.get(path) != (len(data), hashlib.sha256(data).digest())
        }
        removed = sorted(set(there) - set(wanted)) if remove_others else []
        for path in removed:
            self.remove(path)
        for folder in sorted({path.rpartition("/")[0] for path in changed} - {""}):
            self.mkdir(folder)
        total, done = sum(map(len, changed.values())), 0
        for path, data in changed.items():
            before = done

            def step(part: int, _whole: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + part, total)

            self.put(path, data, step)
            done += len(data)
        unchanged = tuple(sorted(set(wanted) - set(changed)))
        return Synced(tuple(changed), unchanged, tuple(removed))

    # --- helpers --------------------------------------------------------------------------------

    def _define(self, name: str, source: str) -> None:
        if name not in self._defined:
            self._repl.exec(source)
            self._defined.add(name)

    def _exec_for(self, code: str, path: str) -> bytes:
        """Run code about one file; a name that is not there is an error of its own."""
        try:
            return self._repl.exec(code, 60.0)
        except BenchError as error:
            if error.code == "board_raised" and _is_missing(error.trace):
                raise BenchError(
                    "board_file_missing",
                    f"There is no {path} on the board.",
                    "See what is there with `fieldassay unit doctor`.",
                    error.trace,
                ) from error
            raise

    def _full(self, path: str, size: int) -> BenchError:
        free = self.free_bytes()
        left = "" if free is None else f" {free} bytes are free."
        return BenchError(
            "flash_full",
            f"The board's flash has no room for {path} of {size} bytes.{left}",
            "Let the unit deliver its measurements, or remove files it does not need.",
        )


def _mismatch(path: str, *, atomic: bool = True) -> BenchError:
    old = "the old file is unchanged" if atomic else "it was removed, and so is the old one"
    return BenchError(
        "file_mismatch",
        f"{path} on the board is not what was sent; {old}.",
        "Try again with another cable; if it stays, the flash is worn out.",
    )


def _is_full(trace: str) -> bool:
    last = trace.splitlines()[-1] if trace else ""
    return "OSError" in last and ("28" in last or "ENOSPC" in last or "no more storage" in last)


def _is_missing(trace: str) -> bool:
    last = trace.splitlines()[-1] if trace else ""
    return "OSError" in last and ("ENOENT" in last or last.endswith(": 2") or "not found" in last)
