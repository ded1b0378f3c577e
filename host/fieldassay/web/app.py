"""Builds the web application of the host: routes, static files, errors, shield.

Holds no state and opens no port: the runner serves it on loopback. There is no interactive API
page: it would load scripts from elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from fieldassay import __version__
from fieldassay.errors import BenchError, CalibrationError, FieldassayError, RecordError, UnitError
from fieldassay.web import api, bench_api, pages
from fieldassay.web.bench_desk import Bench, BenchDesk
from fieldassay.web.desk import Desk, SendCommand
from fieldassay.web.shield import LOOPBACK, TOO_LARGE, Shield, WebError

if TYPE_CHECKING:
    from fieldassay.duty import Duty
    from fieldassay.hazards.cards import Cards
    from fieldassay.library import Library
    from fieldassay.live import Feed
    from fieldassay.store import Store
    from fieldassay.unit_states import UnitStates

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
GZIP_FROM_BYTES = 1000


class _Static(StaticFiles):
    """Our files: browsers keep them but ask each time whether they are still the newest."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """As the parent, with the caching rule."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    store: Store,
    library: Library,
    cards: Cards,
    feed: Feed,
    units: UnitStates,
    send_command: SendCommand,
    *,
    hosts: Iterable[str] = LOOPBACK,
    duty: Duty | None = None,
    bench: Bench | None = None,
) -> FastAPI:
    """The application, ready for uvicorn.

    Args:
        store: The evidence store; only read.
        library: What spectra are drawn against.
        cards: Hazard cards.
        feed: Told to browsers as server-sent events.
        units: The newest state of each unit.
        send_command: Called with unit, command and arguments; raises UnitError when it cannot send.
        hosts: Names (without port) under which the page may be asked for; others are refused.
        duty: Which units are fit; None: nothing is said of it.
        bench: What the bench page works with; None: there is no bench.
    """
    app = FastAPI(
        title="fieldassay",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    desk = Desk(store, library, cards, feed, units, send_command, duty)
    renderer = pages.Pages()
    app.include_router(api.router(desk))
    app.include_router(pages.router(desk, renderer))
    app.include_router(bench_api.router(BenchDesk(desk, bench), renderer))
    app.mount("/static", _Static(directory=STATIC), name="static")
    _handle_errors(app, renderer)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM_BYTES, compresslevel=5)
    app.add_middleware(Shield, hosts=hosts)
    return app


def _status(error: FieldassayError) -> int:
    if isinstance(error, WebError):
        return error.status
    if isinstance(error, UnitError | BenchError | CalibrationError):
        return 409
    return 503 if isinstance(error, RecordError) else 500


def _handle_errors(app: FastAPI, renderer: pages.Pages) -> None:
    def answer(request: Request, error: FieldassayError, status: int) -> Response:
        path = request.url.path
        wants_page = "text/html" in request.headers.get("accept", "")
        if wants_page and not path.startswith(("/api/", "/static/", "/healthz")):
            response: Response = renderer.error(error)
            response.status_code = status
            return response
        return JSONResponse({"error": error.as_dict()}, status)

    @app.exception_handler(FieldassayError)
    def ours(request: Request, error: FieldassayError) -> Response:
        status = _status(error)
        if status >= 500:
            log.error("%s %s: %s: %s", request.method, request.url.path, error.code, error.what)
        return answer(request, error, status)

    @app.exception_handler(RequestValidationError)
    def not_valid(request: Request, error: RequestValidationError) -> Response:
        problems = [
            f"{'.'.join(str(place) for place in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        ]
        what = f"The request is not valid. {'; '.join(problems)[:400]}"
        do_next = "Correct the named fields; docs/reference/http-api.md lists them."
        return answer(request, WebError(422, "request_not_valid", what, do_next), 422)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        code, what, do_next = {
            404: ("not_found", "There is no such page.", "Go back to the list of measurements."),
            405: (
                "method_not_allowed",
                "This address does not take this kind of request.",
                "Use the method that docs/reference/http-api.md names.",
            ),
            413: (TOO_LARGE.code, TOO_LARGE.what, TOO_LARGE.do_next),
        }.get(
            error.status_code,
            ("request_refused", str(error.detail), "Check the request and try again."),
        )
        response = answer(
            request, WebError(error.status_code, code, what, do_next), error.status_code
        )
        response.headers.update(error.headers or {})
        return response
