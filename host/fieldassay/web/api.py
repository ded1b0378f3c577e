"""The JSON routes; docs/reference/http-api.md describes them and a test compares the two."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from fieldassay import __version__
from fieldassay.web import live, views
from fieldassay.web.desk import Desk

Limit = Annotated[int, Query(ge=1, le=200, description="At most this many")]
Before = Annotated[
    int | None, Query(ge=1, lt=2**62, description="Only records with a smaller number")
]
RecordId = Annotated[str, Path(alias="id", max_length=200)]
RAW_TYPE = 'application/cose; cose-type="cose-mac0"'


class ErrorFields(BaseModel):
    """What happened and what to do."""

    code: str
    what: str
    do_next: str


class ErrorBody(BaseModel):
    """The one error form of every route."""

    error: ErrorFields


class CommandBody(BaseModel):
    """What to ask of a unit."""

    model_config = ConfigDict(extra="forbid")
    command: str = Field(max_length=32)
    args: dict[str, StrictStr | StrictInt] = Field(default_factory=dict, max_length=8)


def router(desk: Desk) -> APIRouter:
    """All JSON routes over one desk."""
    routes = APIRouter(responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}})

    @routes.get("/api/measurements")
    def measurements(limit: Limit = 50, before: Before = None) -> dict[str, Any]:
        """The newest records first."""
        records = desk.store.records(limit, before)
        more = len(records) == limit and records[-1].number > 1
        return {
            "measurements": [views.measurement(r) for r in records],
            "next_before": records[-1].number if more else None,
        }

    @routes.get("/api/measurements/{id}")
    def measurement(record_id: RecordId) -> dict[str, Any]:
        """One record with its message, all verdicts and its hazard card."""
        record = desk.record(record_id)
        card = views.card(desk.card(record.summary.verdict))
        return views.record(record, desk.parts(record)[0], card)

    @routes.get("/api/measurements/{id}/spectrum")
    def spectrum(record_id: RecordId) -> dict[str, Any]:
        """The measured spectrum, its best explanation and the references, on one axis."""
        return desk.spectrum(record_id)

    @routes.get("/api/measurements/{id}/raw", response_class=Response)
    def raw(record_id: RecordId) -> Response:
        """The exact bytes received from the unit."""
        record = desk.record(record_id)
        name = f"{record.summary.record_id}.cose"
        return Response(
            record.sealed,
            media_type=RAW_TYPE,
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "ETag": f'"{record.summary.sha256}"',
            },
        )

    @routes.post("/api/measurements/{id}/check", status_code=201)
    def check(record_id: RecordId) -> dict[str, Any]:
        """Judge a measurement of polystyrene as its unit's performance check, and keep that."""
        return desk.check(record_id)

    @routes.get("/api/live", response_class=StreamingResponse)
    async def follow() -> StreamingResponse:
        """Server-sent events: `hello` first, then one event for each change."""
        return StreamingResponse(
            live.stream(desk.feed.subscribe()),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    @routes.get("/api/units")
    def units() -> dict[str, Any]:
        """The newest state of every unit that has reported."""
        return {"units": desk.unit_states()}

    @routes.post("/api/units/{unit}/command", status_code=202)
    def command(unit: str, body: CommandBody) -> dict[str, Any]:
        """Ask a unit for something. No command fires the laser."""
        desk.command(unit, body.command, body.args)
        return {"sent": True, "unit": unit, "command": body.command}

    @routes.get("/api/quarantine")
    def quarantine(limit: Limit = 50) -> dict[str, Any]:
        """The newest messages that could not be read or trusted, with the reason."""
        counts = desk.store.counts()
        return {
            "quarantine": [views.quarantined(entry) for entry in desk.store.quarantined(limit)],
            "total": counts["quarantined"],
            "not_kept": counts["quarantine_not_kept"],
        }

    @routes.get("/healthz")
    def health() -> dict[str, Any]:
        """Whether the host can read its store; 503 with the reason if not."""
        return {
            "status": "ok",
            "version": __version__,
            "library": desk.library.hash,
            "counts": desk.store.counts(),
        }

    return routes
