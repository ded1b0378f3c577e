"""The bench page and its JSON routes; docs/reference/http-api.md describes them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse, HTMLResponse

from fieldassay.calibrate.lamps import lamps
from fieldassay.calibrate.standards import standards
from fieldassay.web.api import ErrorBody
from fieldassay.web.bench_bodies import (
    AcceptBody,
    AtPort,
    CalibrateBody,
    LogBody,
    ProvisionBody,
    RetireBody,
    VerifyBody,
)
from fieldassay.web.bench_desk import BenchDesk
from fieldassay.web.bench_work import PDF, BenchWork
from fieldassay.web.pages import Pages
from fieldassay.web.strings_bench import STEPS

Number = Annotated[int, Path(ge=1, lt=2**31)]


def router(desk: BenchDesk, pages: Pages) -> APIRouter:
    """The page, what it asks and what it starts."""
    work = BenchWork(desk)
    routes = APIRouter(responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}})

    @routes.get("/bench", response_class=HTMLResponse, include_in_schema=False)
    def page() -> HTMLResponse:
        desk.bench  # noqa: B018 - says what is wrong where there is none
        return pages.render(
            "bench.html",
            lamps=sorted(lamps()),
            standards=sorted(standards()),
            steps=STEPS,
        )

    @routes.get("/api/bench")
    def state() -> dict[str, Any]:
        """Ports, units with their fitness, and jobs."""
        return desk.state()

    @routes.get("/api/bench/jobs/{number}")
    def job(number: Number) -> dict[str, Any]:
        """One job."""
        return desk.job(number)

    @routes.get("/api/bench/jobs/{number}/documents/{name}", response_class=Response)
    def document(number: Number, name: str) -> Response:
        """A file that a job made."""
        found = desk.document(number, name)
        how = f'inline; filename="{found.name}"'
        return Response(found.data, 200, {"Content-Disposition": how}, found.media_type)

    @routes.get("/api/bench/checks/{unit}/{number}/certificate", response_class=FileResponse)
    def certificate(unit: str, number: Number) -> FileResponse:
        """The certificate of a kept performance check."""
        paper = desk.certificate(unit, number)
        return FileResponse(paper, media_type=PDF, filename=paper.name)

    @routes.post("/api/bench/examine", status_code=202)
    def examine(body: AtPort) -> dict[str, Any]:
        """Examine the unit at a port."""
        return work.examine(body.port)

    @routes.post("/api/bench/log", status_code=202)
    def log(body: LogBody) -> dict[str, Any]:
        """Read the log of the unit at a port."""
        return work.log(body.port, body.count)

    @routes.post("/api/bench/verify", status_code=202)
    def verify(body: VerifyBody) -> dict[str, Any]:
        """Judge a performance check and write its certificate."""
        return work.verify(body.record)

    @routes.post("/api/bench/calibrate", status_code=202)
    def calibrate(body: CalibrateBody) -> dict[str, Any]:
        """Fit a calibration; nothing is written to the unit."""
        named = [
            [(measured.name, measured.record) for measured in group]
            for group in (body.lamps, body.standards)
        ]
        return work.calibrate(body.unit, named[0], named[1], body.laser_nm)

    @routes.post("/api/bench/accept", status_code=202)
    def accept(body: AcceptBody) -> dict[str, Any]:
        """Write a calibration that was found to the unit at a port."""
        return work.accept(body.job, body.port)

    @routes.post("/api/bench/provision", status_code=202)
    def provision(body: ProvisionBody) -> dict[str, Any]:
        """Make the board at a port a unit."""
        return work.provision(body)

    @routes.post("/api/bench/retire", status_code=202)
    def retire(body: RetireBody) -> dict[str, Any]:
        """Take a unit out of service."""
        return work.retire(body)

    return routes
