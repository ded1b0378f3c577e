"""The HTML pages: the list and one record. Text comes from `strings`, data from `views`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fieldassay.errors import FieldassayError
from fieldassay.web import facts, views
from fieldassay.web.api import Before, RecordId
from fieldassay.web.desk import Desk
from fieldassay.web.strings import DARK_SAMPLE, PACKAGING, SAMPLES, for_scripts, text

ROWS = 50
QUARANTINED = 20

# What the scripts clone for new rows: the same markup, empty.
BLANK: dict[str, Any] = {
    "row": {
        "id": "",
        "number": "",
        "time_ms": 0,
        "clock": "",
        "shown": dict.fromkeys(("word", "title", "reason", "unit", "flags"), "")
        | {"style": "pending"},
    },
    "unit": {
        "unit": "",
        "state": "",
        "shown": dict.fromkeys(
            ("unit", "state", "fault", "spool", "battery", "interlock", "clock", "firmware"), ""
        ),
    },
    "quarantine": {"received_ms": 0, "shown": {"reason": "", "topic": "", "size": ""}},
}


def _script_json(value: object) -> Markup:
    """JSON for a data block: nothing in it can end the block."""
    shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&":
        shown = shown.replace(char, f"\\u{ord(char):04x}")
    return Markup(shown)  # noqa: S704  (escaped just above)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        t=text,
        utc=views.utc,
        packaging=PACKAGING,
        samples=SAMPLES,
        dark_sample=DARK_SAMPLE,
        script_strings=_script_json(for_scripts()),
    )
    return environment


class Pages:
    """Renders templates; shared by the routes and the error handler."""

    def __init__(self) -> None:
        self._templates = _environment()

    def render(self, template: str, **values: object) -> HTMLResponse:
        """One page as a response."""
        return HTMLResponse(self._templates.get_template(template).render(**values))

    def error(self, error: FieldassayError) -> HTMLResponse:
        """The error form for people."""
        return self.render("error.html", error=error.as_dict())


def router(desk: Desk, pages: Pages) -> APIRouter:
    """The two pages."""
    routes = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)

    @routes.get("/")
    def index(before: Annotated[Before, Query()] = None) -> HTMLResponse:
        records = desk.store.records(ROWS, before)
        entries = desk.store.quarantined(QUARANTINED)
        return pages.render(
            "live.html",
            measurements=[views.measurement(r) for r in records],
            before=before,
            older=records[-1].number if len(records) == ROWS else None,
            units=[views.unit(state) for state in desk.units.all()],
            quarantine=[views.quarantined(entry) for entry in entries],
            counts=desk.store.counts(),
            blank=BLANK,
        )

    @routes.get("/records/{id}")
    def record(record_id: RecordId) -> HTMLResponse:
        stored = desk.record(record_id)
        body = stored.summary.verdict
        message, tree = desk.parts(stored)
        card = desk.card(body)
        return pages.render(
            "record.html",
            m=views.measurement(stored.summary),
            substances=views.substances(body),
            do_next=str((body or {}).get("do_next") or text("means_pending")),
            reasons=views.reasons(body),
            card=views.card(card),
            candidates=views.candidates(body),
            quality=facts.quality(body),
            facts=facts.facts(message),
            size=f"{len(stored.sealed)} bytes",
            tree=tree,
            verdicts=[views.verdict_line(v) for v in reversed(stored.verdicts)],
        )

    return routes
