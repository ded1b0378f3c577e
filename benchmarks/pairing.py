"""Two child processes measured in turn, and what is said of their ratio.

The machine's speed drifts by tens of percent; a ratio of neighbours in time does not. Each pair
times a block of calls of one side, then of the other; every second pair begins with the other.
Processor time is compared: with one thread on an idle machine it is the time on the wall, and on a
busy one it leaves out what other programs took. The ratio on the wall is kept beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BLOCK_S = 0.03  # a block is long enough for the clock and short against the drift
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
        "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS",
    ),
    "1",
)  # fmt: skip


class WorkerError(Exception):
    """A child process could not do what was asked; its own words."""


class NotBuiltError(Exception):
    """The side does not have this task (yet)."""


class Worker:
    """A child process of one side; see `worker` for the other end."""

    def __init__(self, python: Path, side: str) -> None:
        self.side = side
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": path}
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", side],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, **question: Any) -> dict[str, Any]:
        """One question and its answer.

        Raises:
            WorkerError: It failed or ended.
            NotBuiltError: There is no such task on this side.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.side}: the process ended ({self._process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        if "not_built" in answer:
            raise NotBuiltError(f"{self.side}: {answer['not_built']}")
        if "error" in answer:
            raise WorkerError(f"{self.side}: {answer['error']}")
        return answer

    def prepare(self, task: str, case: Path | None, **parameters: Any) -> None:
        """Load what the task needs; not timed."""
        self.ask(do="prepare", task=task, case=str(case) if case else None, parameters=parameters)

    def time(self, start: int, count: int) -> tuple[float, float]:
        """Seconds a call of processor and wall, over `count` calls from the `start`-th on."""
        answer = self.ask(do="time", start=start, count=count)
        return max(answer["cpu"], 1e-9), max(answer["wall"], 1e-9)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the 16th and 84th percentile around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value a pair."""
        low, median, high = np.percentile(values, [16, 50, 84])
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Paired:
    """Seconds a call of both sides, and the ratio peer / ours of each pair."""

    ours_s: Spread
    peer_s: Spread
    ratio: Spread
    wall_ratio: Spread
    pairs: int


def calls_in_a_block(worker: Worker, block_s: float) -> int:
    """How many calls fill a block of `block_s`; the first calls are slow and count only for one."""
    count = 1
    for _ in range(3):
        cpu, _wall = worker.time(0, count)
        count = max(1, min(100_000, round(block_s / cpu)))
    return count


def alternate(ours: Worker, peer: Worker, pairs: int, block_s: float = BLOCK_S) -> Paired:
    """Time both sides in turn; the median ratio is that of the pairs, not of the medians."""
    counts = {worker: calls_in_a_block(worker, block_s) for worker in (ours, peer)}
    times: dict[Worker, list[tuple[float, float]]] = {ours: [], peer: []}
    start = 0
    for number in range(pairs):
        for worker in (ours, peer) if number % 2 == 0 else (peer, ours):
            worker.time(start, 1)  # whatever the other one drove out of the caches
            times[worker].append(worker.time(start, counts[worker]))
        start += max(counts.values())
    cpu, wall = (
        [p[i] / o[i] for o, p in zip(times[ours], times[peer], strict=True)] for i in (0, 1)
    )
    return Paired(
        Spread.of([t for t, _ in times[ours]]),
        Spread.of([t for t, _ in times[peer]]),
        Spread.of(cpu),
        Spread.of(wall),
        pairs,
    )


def alone(worker: Worker, blocks: int, block_s: float = BLOCK_S) -> Spread:
    """Seconds a call of one side, where there is no peer."""
    count = calls_in_a_block(worker, block_s)
    return Spread.of([worker.time(number * count, count)[0] for number in range(blocks)])
