"""The peers' environment and the real spectra: made once under build/bench, pinned and checked.

Also says what machine this is, in words that name no one's machine.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDER = ROOT / "build" / "bench"


class SetupError(Exception):
    """The environment cannot be made: what happened and what to do."""


def peers_python() -> Path:
    """The Python of the peers' environment; made again when requirements.txt changes."""
    folder = FOLDER / "peers"
    stamp = folder / "made-from"
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text(encoding="ascii") == wanted and python.exists()):
        FOLDER.mkdir(parents=True, exist_ok=True)
        _run(sys.executable, "-m", "venv", "--clear", folder)
        _run(*_pip(python), "install", "-r", HERE / "requirements.txt")
        stamp.write_text(wanted, encoding="ascii")
    return python


def real_spectra() -> Path:
    """The pinned wheel with real spectra; fetched once, checked by pip and here."""
    pinned = (HERE / "spectra.txt").read_text(encoding="utf-8").split("--hash=sha256:")[1].strip()
    folder = FOLDER / "wheels"
    for wheel in folder.glob("*.whl"):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == pinned:
            return wheel
    _run(
        *_pip(Path(sys.executable)), "download", "--no-deps", "--only-binary", ":all:",
        "--require-hashes", "-d", folder, "-r", HERE / "spectra.txt",
    )  # fmt: skip
    return next(iter(folder.glob("*.whl")))


def _pip(python: Path) -> tuple[object, ...]:
    return python, "-m", "pip", "--quiet", "--disable-pip-version-check"


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "ERROR" in line), "no reason given")
        raise SetupError(
            f"The peers cannot be installed: {reason.strip()} Check the network and pip's index."
        )


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system and compiler."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    flags = ""
    if cpuinfo.exists():
        fields = dict(
            (part.strip() for part in line.split(":", 1))
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if ":" in line
        )
        model = fields.get("model name", model)
        if "cpu family" in fields:
            model += f" (family {fields['cpu family']} model {fields.get('model', '?')})"
        flags = fields.get("flags", fields.get("Features", ""))
    known = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "asimd", "asimddp")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "extensions": [name for name in known if name in flags.split()],
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": _system(),
        "compiler": _first_line(shutil.which("cc") or shutil.which("gcc"), "--version"),
    }


def versions(python: Path) -> dict[str, str]:
    """Python, fieldassay's numpy, and the peers as they are installed."""
    found = {"python": platform.python_version(), "fieldassay": _version("fieldassay")}
    found["numpy (fieldassay)"] = _version("numpy")
    listing = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
    done = subprocess.run([python, "-c", listing], capture_output=True, text=True, check=False)
    installed = dict(line.split() for line in done.stdout.splitlines())
    for name in ("faiss-cpu", "numpy", "scipy", "pybaselines", "pentapy"):
        if name in installed:
            found[name] = installed[name]
    return found


def commit() -> str:
    """The commit that was measured, with a `+` if the tree had changes."""
    name = _first_line("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    changed = _first_line("git", "-C", str(ROOT), "status", "--porcelain", "-uno")
    return f"{name}{'+' if changed else ''}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    return f"{name}, {platform.machine()}"


def _first_line(*command: str | None) -> str:
    if command[0] is None:
        return ""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, check=False)  # type: ignore[arg-type]
    except OSError:
        return ""
    return done.stdout.splitlines()[0] if done.stdout else ""
