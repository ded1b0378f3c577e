"""The bench page and its JSON routes; docs/reference/http-api.md describes them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from fieldassay.calibrate.lamps import lamps
from fieldassay.calibrate.standards import standards
from fieldassay.web.api import ErrorBody
from fieldassay.web.bench_desk import PDF, BenchDesk
from fieldassay.web.pages import Pages
from fieldassay.web.strings_bench import STEPS

Number = Annotated[int, Path(ge=1, lt=2**31)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
PortPath = Annotated[str, Field(min_length=1, max_length=256)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AtPort(_Body):
    """A unit at a port."""

    port: PortPath


class LogBody(AtPort):
    """How much of the log."""

    count: int = Field(50, ge=1, le=100)


class VerifyBody(_Body):
    """The measurement of polystyrene."""

    record: Name


class Measured(_Body):
    """A record and the lamp or standard that it shows."""

    name: Name
    record: Name


class CalibrateBody(_Body):
    """What was measured with which unit."""

    unit: Name
    lamps: list[Measured] = Field(min_length=1, max_length=8)
    standards: list[Measured] = Field(min_length=1, max_length=8)
    laser_nm: float = Field(785.0, gt=200, lt=2000)


class AcceptBody(AtPort):
    """Which calibration goes to which port."""

    job: int = Field(ge=1, lt=2**31)


def router(desk: BenchDesk, pages: Pages) -> APIRouter:
    """The page, what it asks and what it starts."""
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
        return desk.examine(body.port)

    @routes.post("/api/bench/log", status_code=202)
    def log(body: LogBody) -> dict[str, Any]:
        """Read the log of the unit at a port."""
        return desk.log(body.port, body.count)

    @routes.post("/api/bench/verify", status_code=202)
    def verify(body: VerifyBody) -> dict[str, Any]:
        """Judge a performance check and write its certificate."""
        return desk.verify(body.record)

    @routes.post("/api/bench/calibrate", status_code=202)
    def calibrate(body: CalibrateBody) -> dict[str, Any]:
        """Fit a calibration; nothing is written to the unit."""
        named = [
            [(measured.name, measured.record) for measured in group]
            for group in (body.lamps, body.standards)
        ]
        return desk.calibrate(body.unit, named[0], named[1], body.laser_nm)

    @routes.post("/api/bench/accept", status_code=202)
    def accept(body: AcceptBody) -> dict[str, Any]:
        """Write a calibration that was found to the unit at a port."""
        return desk.accept(body.job, body.port)

    return routes
