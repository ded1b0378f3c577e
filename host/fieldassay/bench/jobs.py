"""Long work of the bench: one worker thread, jobs in the order they came, one at a time a port.

Owns the queue and what is told of each job. What a job does, and its words, belong to the caller.
Jobs live as long as the host; nothing here touches a port, so a host that receives never waits.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fieldassay.errors import BenchError, FieldassayError

log = logging.getLogger(__name__)

KEPT = 40  # ended jobs that can still be looked at
STOP_S = 5.0  # a job in hand gets this long when the host stops; every write of it is atomic
OPEN = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Document:
    """A file that a job made: name, media type, bytes."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job found: facts for people and programs, files, and what only later jobs may see."""

    result: Mapping[str, Any]
    documents: tuple[Document, ...] = ()
    kept: object = None


Progress = Callable[[str, float | None], None]
Work = Callable[[Progress], Outcome]


@dataclass(slots=True)
class Job:
    """One piece of work; changed by the worker only, read as `Jobs.all` and `Jobs.get` give it.

    Attributes:
        number: Counts from 1.
        action: Name of what is done.
        port: Serial port it needs; "" none.
        state: "waiting", "running", "done" or "failed".
        step: What it does now, in words.
        part: How much of the step is done, 0 to 1; None unknown.
        error: What ended it, as `FieldassayError.as_dict`.
        outcome: What came of it.
    """

    number: int
    action: str
    port: str
    started_ms: int
    state: str = "waiting"
    step: str = ""
    part: float | None = None
    ended_ms: int | None = None
    error: dict[str, str] | None = None
    outcome: Outcome | None = None
    work: Work | None = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """What is told of it."""
        outcome = self.outcome
        return {
            "number": self.number,
            "action": self.action,
            "port": self.port,
            "state": self.state,
            "step": self.step,
            "part": self.part,
            "started_ms": self.started_ms,
            "ended_ms": self.ended_ms,
            "error": self.error,
            "result": None if outcome is None else dict(outcome.result),
            "documents": [] if outcome is None else [d.name for d in outcome.documents],
        }


class Jobs:
    """The worker and its jobs.

    Args:
        tell: Called with the number of a job that changed, from any thread; must not block.
        now_ms: The clock.
    """

    def __init__(self, tell: Callable[[int], None], now_ms: Callable[[], int]) -> None:
        self._tell, self._now_ms = tell, now_ms
        self._lock = threading.Lock()
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._next = 1
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bench", daemon=True)

    def start(self) -> None:
        """Take up work."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; the job in hand has some seconds to end."""
        with self._lock:
            for job in self._jobs.values():
                if job.state == "waiting":
                    self._end(job, _stopped().as_dict())
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def submit(self, action: str, port: str, work: Work) -> dict[str, Any]:
        """Put work into the queue.

        Raises:
            BenchError: `port_at_work`.
        """
        with self._lock:
            if port and any(j.port == port and j.state in OPEN for j in self._jobs.values()):
                raise BenchError(
                    "port_at_work",
                    f"Another job works on {port}.",
                    "Wait until it has ended, then try again.",
                )
            job = Job(self._next, action, port, self._now_ms(), work=work)
            self._next += 1
            self._jobs[job.number] = job
            ended = [n for n, j in self._jobs.items() if j.state not in OPEN]
            for number in ended[: max(0, len(ended) - KEPT)]:
                del self._jobs[number]
            told = job.as_dict()
        self._queue.put(job)
        self._tell(job.number)
        return told

    def all(self) -> list[dict[str, Any]]:
        """Every job that is kept, the newest first."""
        with self._lock:
            return [job.as_dict() for job in reversed(self._jobs.values())]

    def get(self, number: int) -> tuple[dict[str, Any], Outcome | None]:
        """One job and what came of it.

        Raises:
            BenchError: `job_missing`.
        """
        with self._lock:
            job = self._jobs.get(number)
            if job is not None:
                return job.as_dict(), job.outcome
        raise BenchError(
            "job_missing",
            f"There is no job {number}; the host forgets jobs when it restarts.",
            "Look at the list of jobs, or start it again.",
        )

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.state == "waiting":
                self._do(job)

    def _do(self, job: Job) -> None:
        def progress(step: str, part: float | None = None) -> None:
            shown = None if part is None else round(min(max(part, 0.0), 1.0), 2)
            with self._lock:
                changed = (step, shown) != (job.step, job.part)
                job.step, job.part = step, shown
            if changed:
                self._tell(job.number)

        work, job.work = job.work, None  # what it holds, such as a password, goes with it
        assert work is not None
        with self._lock:
            job.state = "running"
        self._tell(job.number)
        error = None
        outcome = None
        try:
            outcome = work(progress)
        except FieldassayError as known:
            error = known.as_dict()
        except Exception:
            log.exception("job %s %s failed", job.number, job.action)
            error = _mistake().as_dict()
        with self._lock:
            job.outcome = outcome
            self._end(job, error)
        self._tell(job.number)

    def _end(self, job: Job, error: dict[str, str] | None) -> None:
        job.error, job.ended_ms = error, self._now_ms()
        job.state = "done" if error is None else "failed"


def _stopped() -> BenchError:
    return BenchError(
        "host_stopped",
        "The host was stopped before this began.",
        "Start the host and try again.",
    )


def _mistake() -> BenchError:
    return BenchError(
        "bench_mistake",
        "The host made a mistake in this job; the unit may be half done.",
        "Examine the unit and try again; if it stays, send the host's log to the maintainers.",
    )
