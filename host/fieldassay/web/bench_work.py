"""The jobs that the bench page starts. Each calls what the command line calls.

Nothing here can make a unit emit light: where light is needed, a person presses the trigger on the
unit. What is asked without a job is `bench_desk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fieldassay import equip, label
from fieldassay.authority import Authority
from fieldassay.bench import visits
from fieldassay.bench.jobs import Document, Outcome, Progress
from fieldassay.bench.repl import Repl
from fieldassay.frame import Frame
from fieldassay.provision import Network
from fieldassay.web import bench_views
from fieldassay.web.shield import WebError

if TYPE_CHECKING:
    from fieldassay.web.bench_bodies import ProvisionBody, RetireBody
    from fieldassay.web.bench_desk import BenchDesk

PDF, SVG = "application/pdf", "image/svg+xml"


class BenchWork:
    """Starts the jobs of a bench page; every method gives the job as the API does."""

    def __init__(self, page: BenchDesk) -> None:
        self._page = page

    def examine(self, port: str) -> dict[str, Any]:
        """What the unit at a port is, and what is wrong with it."""

        def work(progress: Progress) -> Outcome:
            progress("Asking the unit; its firmware starts again afterwards.", None)
            with Repl(port) as repl:
                info, findings = visits.examine(repl)
            told = [{"code": f.code, "what": f.what, "do_next": f.do_next} for f in findings]
            return Outcome({"info": info, "findings": told})

        return self._submit("examine", self._page.port(port), work)

    def log(self, port: str, count: int) -> dict[str, Any]:
        """The newest entries of the log of the unit at a port."""

        def work(progress: Progress) -> Outcome:
            progress("Reading the log; the firmware starts again afterwards.", None)
            with Repl(port) as repl:
                return Outcome({"entries": visits.log(repl, count)})

        return self._submit("log", self._page.port(port), work)

    def verify(self, record_id: str) -> dict[str, Any]:
        """Judge a record as its unit's performance check, keep it, write the certificate."""
        self._page.desk.record(record_id)

        def work(progress: Progress) -> Outcome:
            from fieldassay import certificate

            progress("Judging the measurement of polystyrene.", None)
            result = self._page.desk.check(record_id)
            progress("Writing the certificate.", None)
            certificate.keep(self._page.bench.home.checks, result, self._frame(record_id))
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
            if self._page.desk.record(record_id).summary.unit != unit:
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
        outcome = self._page.found(number)[1]
        if outcome is None or not isinstance(outcome.kept, tuple):
            raise WebError(
                409,
                "nothing_to_accept",
                "This job found no calibration.",
                "Calibrate first, then accept what was found.",
            )
        unit, tried = outcome.kept
        day = self._now().strftime("%Y-%m-%d")
        name = f"{unit}-{day}"
        data = tried.document(name, day)

        def work(progress: Progress) -> Outcome:
            with Repl(port) as repl:
                visits.put_calibration(repl, data, unit, _bytes(progress, "Writing"))
            return Outcome({"unit": unit, "calibration": name})

        return self._submit("accept", self._page.port(port), work)

    def provision(self, asked: ProvisionBody) -> dict[str, Any]:
        """Write identity, key and network on the board at a port; draw its label."""
        home, now = (
            self._page.bench.home,
            datetime.fromtimestamp(self._page.bench.now_ms() / 1000.0, UTC),
        )
        host, number = equip.address(asked.broker, tls=asked.tls)

        def work(progress: Progress) -> Outcome:
            progress("Writing identity, key and network, reading them back.", None)
            authority = Authority.open(home.authority) if asked.tls else None
            network = Network(
                host, number, authority, asked.wifi, asked.wifi_password, asked.country
            )
            fingerprint = equip.equip(
                asked.port,
                asked.name,
                network,
                home,
                [asked.firmware_key] if asked.firmware_key else None,
                now,
                replace=asked.replace,
            ).fingerprint
            labels = [
                Document(f"label.{form}", kind, label.draw(asked.name, fingerprint, f".{form}"))
                for form, kind in (("svg", SVG), ("pdf", PDF))
            ]
            return Outcome({"unit": asked.name, "fingerprint": fingerprint}, tuple(labels))

        return self._submit("provision", self._page.port(asked.port), work)

    def retire(self, asked: RetireBody) -> dict[str, Any]:
        """Wipe the unit at a port and revoke it; without a port only revoke.

        Raises:
            WebError: `confirmation_wrong`.
        """
        if asked.confirm != asked.name:
            raise WebError(
                422,
                "confirmation_wrong",
                "The name typed is not the name of the unit.",
                "Type the name of the unit to retire it.",
            )
        home, now = (
            self._page.bench.home,
            datetime.fromtimestamp(self._page.bench.now_ms() / 1000.0, UTC),
        )
        port = None if asked.lost else self._page.port(asked.port)

        def work(progress: Progress) -> Outcome:
            progress("Revoking." if port is None else "Wiping, then revoking.", None)
            done = equip.retire(home, port, asked.name, now, force=asked.force)
            found = {"unit": asked.name, "lost": done.lost, "revoked": done.revoked or 0}
            return Outcome({**found, "wiped": port is not None})

        return self._submit("retire", port or "", work)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._page.bench.now_ms() / 1000.0, UTC)

    def _frame(self, record_id: str) -> Frame:
        record = self._page.desk.record(record_id)
        return Frame.from_message(record.sealed, self._page.desk.parts(record)[0])

    def _submit(
        self, action: str, port: str, work: Callable[[Progress], Outcome]
    ) -> dict[str, Any]:
        return bench_views.job(self._page.bench.jobs.submit(action, port, work))


def _bytes(progress: Progress, doing: str) -> Callable[[int, int], None]:
    def told(done: int, whole: int) -> None:
        progress(f"{doing}: {done} of {whole} bytes", done / whole if whole else None)

    return told
