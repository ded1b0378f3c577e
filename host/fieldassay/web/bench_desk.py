"""What the bench page works with: ports, units and their fitness, and the jobs it starts.

Each job calls what the command line calls. A port is taken only if this computer has it or its
operator gave it when the host was started, so that no page can name a file. Nothing here can make
a unit emit light: where light is needed, a person presses the trigger on the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fieldassay.bench import ports, visits
from fieldassay.bench.jobs import Document, Outcome, Progress
from fieldassay.bench.repl import Repl
from fieldassay.errors import BenchError
from fieldassay.frame import Frame
from fieldassay.web import bench_views
from fieldassay.web.shield import WebError

if TYPE_CHECKING:
    from pathlib import Path

    from fieldassay.bench.jobs import Jobs
    from fieldassay.config import Home
    from fieldassay.web.desk import Desk

RECORDS = 200  # the newest are looked through
OFFERED = 30  # of them, for one unit
PDF, SVG = "application/pdf", "image/svg+xml"


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
    """The questions and jobs of the page; `bench` None: the page belongs to no host."""

    def __init__(self, desk: Desk, bench: Bench | None) -> None:
        self._desk = desk
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

    # --- questions --------------------------------------------------------------------------------

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
        recent = self._desk.store.records(RECORDS)
        shown = []
        for state in self._desk.unit_states():
            name = str(state["unit"])
            own = [r for r in recent if r.unit == name][:OFFERED]
            newest = self._desk.store.checks(name, 1)
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
        return bench_views.job(self._found(number)[0])

    def document(self, number: int, name: str) -> Document:
        """A file that a job made.

        Raises:
            WebError: `document_missing`.
        """
        outcome = self._found(number)[1]
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

        for result in self._desk.store.checks(unit, RECORDS):
            if result["number"] == number:
                paper = kept_at(self.bench.home.checks, result)
                if paper.is_file():
                    return paper
        raise _missing(f"certificate {number} of {unit}")

    def _found(self, number: int) -> tuple[dict[str, Any], Outcome | None]:
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

    # --- jobs -------------------------------------------------------------------------------------

    def examine(self, port: str) -> dict[str, Any]:
        """What the unit at a port is, and what is wrong with it."""

        def work(progress: Progress) -> Outcome:
            progress("Asking the unit; its firmware starts again afterwards.", None)
            with Repl(port) as repl:
                info, findings = visits.examine(repl)
            told = [{"code": f.code, "what": f.what, "do_next": f.do_next} for f in findings]
            return Outcome({"info": info, "findings": told})

        return self._submit("examine", self.port(port), work)

    def log(self, port: str, count: int) -> dict[str, Any]:
        """The newest entries of the log of the unit at a port."""

        def work(progress: Progress) -> Outcome:
            progress("Reading the log; the firmware starts again afterwards.", None)
            with Repl(port) as repl:
                return Outcome({"entries": visits.log(repl, count)})

        return self._submit("log", self.port(port), work)

    def verify(self, record_id: str) -> dict[str, Any]:
        """Judge a record as its unit's performance check, keep it, write the certificate."""
        self._desk.record(record_id)

        def work(progress: Progress) -> Outcome:
            from fieldassay import certificate

            progress("Judging the measurement of polystyrene.", None)
            result = self._desk.check(record_id)
            progress("Writing the certificate.", None)
            certificate.keep(self.bench.home.checks, result, self._frame(record_id))
            return Outcome({"check": result})

        return self._submit("verify", "", work)

    def calibrate(
        self,
        unit: str,
        lamps: Sequence[tuple[str, str]],
        standards: Sequence[tuple[str, str]],
        laser_nm: float,
    ) -> dict[str, Any]:
        """Fit axis and laser to records of a unit: (name of lamp or standard, record id)."""
        for _, record_id in (*lamps, *standards):
            if self._desk.record(record_id).summary.unit != unit:
                raise WebError(
                    422,
                    "record_of_other_unit",
                    f"The record {record_id} is not of {unit}.",
                    "Choose records of the unit that is calibrated.",
                )

        def work(progress: Progress) -> Outcome:
            from fieldassay.calibrate.attempt import attempt
            from fieldassay.calibrate.measured import of_frames
            from fieldassay.residual_plot import residual_plot

            progress("Looking for lines and bands, fitting.", None)
            named = [(name, self._frame(number)) for name, number in (*lamps, *standards)]
            tried = attempt(of_frames(named), len(lamps), laser_nm)
            progress("Drawing what is left over.", None)
            plots = [
                Document(
                    f"residuals.{form}", kind, residual_plot(tried.solved, tried.positions, form)
                )
                for form, kind in (("svg", SVG), ("pdf", PDF))
            ]
            found = {"unit": unit, "summary": tried.summary(), "report": tried.report}
            return Outcome(found, tuple(plots), (unit, tried))

        return self._submit("calibrate", "", work)

    def accept(self, number: int, port: str) -> dict[str, Any]:
        """Write the calibration that a job found to the unit at a port.

        Raises:
            WebError: `nothing_to_accept`.
            CalibrationError: `calibration_refused`.
        """
        outcome = self._found(number)[1]
        if outcome is None or not isinstance(outcome.kept, tuple):
            raise WebError(
                409,
                "nothing_to_accept",
                "This job found no calibration.",
                "Calibrate first, then accept what was found.",
            )
        unit, tried = outcome.kept
        day = datetime.fromtimestamp(self.bench.now_ms() / 1000.0, UTC).strftime("%Y-%m-%d")
        name = f"{unit}-{day}"
        data = tried.document(name, day)

        def work(progress: Progress) -> Outcome:
            with Repl(port) as repl:
                visits.put_calibration(repl, data, unit, _bytes(progress, "Writing"))
            return Outcome({"unit": unit, "calibration": name})

        return self._submit("accept", self.port(port), work)

    def _frame(self, record_id: str) -> Frame:
        record = self._desk.record(record_id)
        return Frame.from_message(record.sealed, self._desk.parts(record)[0])

    def _submit(
        self, action: str, port: str, work: Callable[[Progress], Outcome]
    ) -> dict[str, Any]:
        return bench_views.job(self.bench.jobs.submit(action, port, work))


def _bytes(progress: Progress, doing: str) -> Callable[[int, int], None]:
    def told(done: int, whole: int) -> None:
        progress(f"{doing}: {done} of {whole} bytes", done / whole if whole else None)

    return told


def _missing(name: str) -> WebError:
    return WebError(
        404,
        "document_missing",
        f"There is no document {name[:60]}.",
        "Do the step again; the host makes it anew.",
    )
