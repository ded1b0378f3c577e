"""Says what this machine lacks before anything is installed: what, why it matters, what to type."""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path


def missing() -> "list[str]":
    """One sentence per thing that `make setup` cannot do without; runs on any Python 3."""
    found = []
    if sys.version_info < (3, 11):  # noqa: UP036 - runs on the Python that is there
        found.append(
            f"Python {sys.version.split()[0]} is too old: fieldassay needs 3.11 or newer. "
            "Type: make setup PYTHON=python3.11"
        )
    if importlib.util.find_spec("ensurepip") is None:
        found.append(
            "The module ensurepip is missing, so no environment can be made. "
            "Type: sudo apt-get install python3-venv"
        )
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        found.append(
            "No C compiler: the matching kernel is compiled on this machine. "
            "Type: sudo apt-get install build-essential"
        )
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        found.append(
            "Python.h is missing: the matching kernel is compiled against it. "
            "Type: sudo apt-get install python3-dev"
        )
    return found


if __name__ == "__main__":
    problems = missing()
    for problem in problems:
        print(f"fieldassay cannot be set up: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)
