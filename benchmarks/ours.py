"""fieldassay's side: each task is a call of the project's own Python interface.

Runs in the project's environment. What has not been built yet says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.worker import Call

TASKS: dict[str, Callable[..., list[Call]]] = {}


def _unused(case: Path | None) -> None:
    """Placeholder of the skeleton."""
