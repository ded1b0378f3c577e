"""What the bench page asks: ports, units and their fitness, jobs and what they made.

The jobs it starts are `bench_work`. A port is taken only if this computer has it or its
operator gave it when the host was started, so that no page can name a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fieldassay.bench import ports
from fieldassay.bench.jobs import Document, Outcome
from fieldassay.errors import BenchError
from fieldassay.web import bench_views
from fieldassay.web.shield import WebError

if TYPE_CHECKING:
    from pathlib import Path

    from fieldassay.bench.jobs import Jobs
    from fieldassay.config import Home
    from fieldassay.web.desk import Desk

RECORDS = 200  # the newest are looked through
OFFERED = 30  # of them, for one unit


@dataclass(frozen=True)
class Bench:
    """What a host gives the bench page.

    Attributes:
        home: Where certificates and reports are kept.
        jobs: The worker.
        given: Ports that the operator named when the host was started.
        now_ms: The clock.
    """

    home: Home
    jobs: Jobs
    given: tuple[str, ...]
    now_ms: Callable[[], int]


class BenchDesk:
    """The questions of the page; `bench` None: the page belongs to no host."""

    def __init__(self, desk: Desk, bench: Bench | None) -> None:
        self.desk = desk
        self._bench = bench

    @property
    def bench(self) -> Bench:
        """What the host gave.

        Raises:
            WebError: `bench_not_here`.
        """
        if self._bench is None:
            raise WebError(
                503,
                "bench_not_here",
                "This page belongs to no running host, so there is no bench.",
                "Open the page of the host.",
            )
        return self._bench

    def state(self) -> dict[str, Any]:
        """Ports, units and jobs, newest first, with their words."""
        bench = self.bench
        return {
            "ports": self.ports(),
            "units": self.units(),
            "jobs": [bench_views.job(job) for job in bench.jobs.all()],
        }

    def ports(self) -> list[dict[str, Any]]:
        """Where a unit may be: what is plugged in, and what the operator named."""
        given = [
            {"path": path, "what": "given when the host was started", "likely": True, "serial": ""}
            for path in self.bench.given
        ]
        found = [
            {"path": p.path, "what": p.what, "likely": p.likely, "serial": p.serial_number}
            for p in ports.ports()
        ]
        return given + [port for port in found if port["path"] not in self.bench.given]

    def units(self) -> list[dict[str, Any]]:
        """Every unit with its fitness for duty, its newest check and its newest records."""
        recent = self.desk.store.records(RECORDS)
        shown = []
        for state in self.desk.unit_states():
            name = str(state["unit"])
            own = [r for r in recent if r.unit == name][:OFFERED]
            newest = self.desk.store.checks(name, 1)
            shown.append(
                {
                    "unit": name,
                    "fitness": state.get("fitness"),
                    "check": bench_views.check(newest[0]) if newest else None,
                    "records": [
                        {"id": r.record_id, "shown": bench_views.record(r.record_id, r.taken_ms)}
                        for r in own
                    ],
                    "shown": bench_views.unit(name, state.get("fitness")),
                }
            )
        return shown

    def job(self, number: int) -> dict[str, Any]:
        """One job with its words."""
        return bench_views.job(self.found(number)[0])

    def document(self, number: int, name: str) -> Document:
        """A file that a job made.

        Raises:
            WebError: `document_missing`.
        """
        outcome = self.found(number)[1]
        for document in () if outcome is None else outcome.documents:
            if document.name == name:
                return document
        raise _missing(name)

    def certificate(self, unit: str, number: int) -> Path:
        """The certificate of a performance check that was kept.

        Raises:
            WebError: `document_missing`.
        """
        from fieldassay.certificate import kept_at

        for result in self.desk.store.checks(unit, RECORDS):
            if result["number"] == number:
                paper = kept_at(self.bench.home.checks, result)
                if paper.is_file():
                    return paper
        raise _missing(f"certificate {number} of {unit}")

    def found(self, number: int) -> tuple[dict[str, Any], Outcome | None]:
        """A job and what came of it.

        Raises:
            WebError: `job_missing`.
        """
        try:
            return self.bench.jobs.get(number)
        except BenchError as error:
            raise WebError(404, error.code, error.what, error.do_next) from error

    def port(self, path: str) -> str:
        """The path, if it is one of `ports`.

        Raises:
            WebError: `port_not_offered`.
        """
        if all(port["path"] != path for port in self.ports()):
            raise WebError(
                422,
                "port_not_offered",
                "There is no such port on this computer.",
                "Plug the unit in and look again, or start the host with --bench-port.",
            )
        return path


def _missing(name: str) -> WebError:
    return WebError(
        404,
        "document_missing",
        f"There is no document {name[:60]}.",
        "Do the step again; the host makes it anew.",
    )
