"""Fixtures of the firmware tests: real MicroPython, in its own process, on the files of device/.

Owns how tests start the interpreter. Knows nothing about what the scripts do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

DEVICE = Path(__file__).resolve().parents[2] / "device"


def interpreter() -> Path:
    """The MicroPython to use: `FIELDASSAY_MICROPYTHON`, or the one beside this Python."""
    chosen = os.environ.get("FIELDASSAY_MICROPYTHON")
    return Path(chosen) if chosen else Path(sys.executable).parent / "micropython"


@pytest.fixture(scope="session")
def micropython(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script on MicroPython: `micropython(script, *args, heap="256K") -> CompletedProcess`.

    Args of the callable:
        script: program text (str) or a file (Path).
        *args: `sys.argv[1:]` of the script.
        heap: heap size as `-X heapsize=` takes it; None for the default of 2 MiB.
        path: folders put on `sys.path`; device/ is the default.
        stdin: text fed to the script.
        timeout_s: hang detector.
        check: fail the test, showing both outputs, if the script exits with another status than 0.
    """
    program = interpreter()
    if not program.exists():
        pytest.skip(f"no MicroPython at {program}: install fieldassay[sim]")

    def run(
        script: str | Path,
        *args: object,
        heap: str | None = "256K",
        path: Iterable[str | Path] = (DEVICE,),
        stdin: str = "",
        timeout_s: float = 120,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        if isinstance(script, str):
            file = tmp_path_factory.mktemp("mpy") / "script.py"
            file.write_text(script, encoding="utf-8")
        else:
            file = script
        command = [str(program)]
        if heap is not None:
            command += ["-X", f"heapsize={heap}"]
        command += [str(file), *[str(a) for a in args]]
        env = {**os.environ, "MICROPYPATH": ":".join([*map(str, path), ".frozen"])}
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            env=env,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(
                f"MicroPython exited with {done.returncode}\n"
                f"--- stdout\n{done.stdout[-4000:]}\n--- stderr\n{done.stderr[-4000:]}"
            )
        return done

    return run
