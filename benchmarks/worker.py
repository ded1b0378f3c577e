"""The child process: one side, its tasks, one question a line on stdin, one answer on stdout.

`prepare` loads a task, `time` runs it, `answers` saves what it says for the check, `memory` tells
the peak of resident memory. A side is a module with TASKS: name to a function that loads the task
and returns its calls. Imports of a peer happen in the task, so that a process has one peer only.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]


class NotBuilt(Exception):  # noqa: N818 - says what it is
    """This side cannot do the task: what it lacks."""


def peak_memory_mb() -> float:
    """The most this process ever had resident (VmHWM), in MB of 10^6 bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("the system does not tell VmHWM")


def timed(calls: Sequence[Call], start: int, count: int) -> dict[str, float]:
    """Seconds a call over `count` calls, beginning with the `start`-th, round and round.

    `cpu` is processor time of all threads, `wall` what a clock on the wall says.
    """
    chosen = [calls[(start + i) % len(calls)] for i in range(count)]
    began, cpu_began = time.perf_counter(), time.process_time()
    for call in chosen:
        call()
    cpu, wall = time.process_time() - cpu_began, time.perf_counter() - began
    return {"cpu": cpu / count, "wall": wall / count}


def save_answers(calls: Sequence[Call], path: Path) -> None:
    """What every call says, stacked: a tuple of arrays, or rows and scores in one."""
    answers = [call() for call in calls]
    parts = [(a["row"], a["score"]) if hasattr(a, "dtype") else tuple(a) for a in answers]
    np.savez(path, *[np.stack([np.asarray(x) for x in part]) for part in zip(*parts, strict=True)])


def main(side: str) -> None:
    """Answer until stdin ends; what the side prints itself goes to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    calls: Sequence[Call] = ()
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any]
        try:
            if question["do"] == "prepare":
                tasks = importlib.import_module(side).TASKS
                if question["task"] not in tasks:
                    raise NotBuilt(question["task"])
                case = Path(question["case"]) if question["case"] else None
                calls = ()
                calls = tasks[question["task"]](case, **question["parameters"])
                answer = {"calls": len(calls)}
            elif question["do"] == "time":
                answer = timed(calls, question["start"], question["count"])
            elif question["do"] == "answers":
                save_answers(calls, Path(question["path"]))
                answer = {}
            else:
                answer = {"memory_mb": peak_memory_mb()}
        except NotBuilt as error:
            answer = {"not_built": str(error)}
        except Exception as error:  # told to the other end, which stops the run
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


if __name__ == "__main__":
    # Under its own name, so that NotBuilt is one class for the sides and for this loop.
    importlib.import_module("benchmarks.worker").main(sys.argv[1])
