"""Wheels that are used as a source of data: one exact version with one exact hash, or nothing.

Owns fetching with pip (which honours the user's index settings) and checking the hash of a wheel
that is here already. What is taken out of a wheel belongs to whoever asked for it. No wheel is ever
installed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fieldassay.errors import LibraryError

TRY = "Check the network and pip's index settings, or give the wheel with --wheel PATH."


@dataclass(frozen=True, slots=True)
class Pin:
    """One wheel.

    Attributes:
        package: Name on the package index.
        version: Exact version.
        wheel_sha256: SHA-256 of the wheel file, lower-case hexadecimal.
    """

    package: str
    version: str
    wheel_sha256: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def fetch(pin: Pin, folder: Path, what: str = "reference spectra", do_next: str = TRY) -> Path:
    """Download a pinned wheel, and only that: no dependency, no other hash.

    Args:
        pin: Which wheel.
        folder: An existing folder; the wheel and pip's requirement file are put into it.
        what: What the wheel is wanted for, plural, for the error.
        do_next: What to do if it fails, for the error.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    requirements = folder / f"{pin.package}.txt"
    requirements.write_text(
        f"{pin.package}=={pin.version} --hash=sha256:{pin.wheel_sha256}\n", encoding="utf-8"
    )
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary", ":all:", "--require-hashes",
        "-d", str(folder), "-r", str(requirements),
    ]  # fmt: skip
    before = set(folder.glob("*.whl"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    start = pin.package.replace("-", "_").lower()
    new = sorted(set(folder.glob("*.whl")) - before) or [
        p for p in sorted(before) if p.name.replace("-", "_").lower().startswith(start)
    ]
    if done.returncode != 0 or not new:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next(
            (line for line in lines if "ERROR" in line), lines[-1] if lines else "no reason"
        )
        wrong = "hash" in done.stderr.lower() and "mismatch" in done.stderr.lower()
        raise LibraryError(
            "reference_hash_wrong" if wrong else "reference_fetch_failed",
            f"The {what} ({pin}) could not be fetched: {reason.strip()}",
            do_next,
        )
    return new[0]


def read(pin: Pin, wheel: Path) -> bytes:
    """The bytes of a wheel that is here already, if it is the pinned one.

    Raises:
        LibraryError: `reference_fetch_failed`, `reference_hash_wrong`.
    """
    try:
        data = wheel.read_bytes()
    except OSError as error:
        raise LibraryError(
            "reference_fetch_failed",
            f"The wheel {wheel} cannot be read: {error.strerror}.",
            f"Give the wheel of {pin} with --wheel PATH.",
        ) from error
    if hashlib.sha256(data).hexdigest() != pin.wheel_sha256:
        raise LibraryError(
            "reference_hash_wrong",
            f"{wheel.name} is not the pinned wheel: its SHA-256 differs.",
            f"Use {pin} with SHA-256 {pin.wheel_sha256}.",
        )
    return data
