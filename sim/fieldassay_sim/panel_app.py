"""The panel's web server: what each unit shows, and hands for its buttons, lid, key and sample.

Loopback only. Reads and changes `Hardware` through `Bench`; holds no state of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Body, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse

from fieldassay_sim.bench import Bench
from fieldassay_sim.errors import SetupError, SimError
from fieldassay_sim.fingers import BUTTONS, PRESS_MS
from fieldassay_sim.samples import PACKAGINGS
from fieldassay_sim.scenario_checks import check_condition
from fieldassay_sim.unit import Unit

FILES = Path(__file__).with_name("panel")
SHOWN_EVENTS = 60
LOUD = ("display", "buzz")  # events that the panel shows otherwise
MAX_HOLD_MS = 10_000.0
_SPOOL = re.compile(r"(\d+)/(\d+)$")


def snapshot(unit: Unit, after: int = 0) -> dict[str, Any]:
    """Everything the panel shows of one unit; events with n > `after` only."""
    hardware = unit.hardware
    hardware.settle()
    state, laser, rows = hardware.condition, hardware.laser, hardware.outputs.rows
    spool = _SPOOL.search(rows[0][0]) if rows else None
    events = [e for e in unit.events.recent if e["n"] > after and e["event"] not in LOUD]
    return {
        "unit": unit.config.name,
        "running": unit.pid is not None,
        "boots": unit.boots,
        "power_cuts": unit.power_cuts,
        "rows": rows,
        "sample": state.sample.id if state.sample else "",
        "packaging": state.package.kind if state.package else "none",
        "lid": "closed" if state.lid else "open",
        "key": "closed" if state.key else "open",
        "interlock_unreadable": state.interlock_unreadable,
        "detector_failing": state.detector_failing,
        "detector_saturated": state.detector_saturated,
        "battery_mv": state.battery_mv,
        "detector_degc": state.detector_mdegc / 1000.0,
        "clock": hardware.op_clock()[1],
        "laser_enabled": laser.enabled,
        "laser_light_mw": round(laser.output_mw.value, 1),
        "laser_fired": unit.audit.fired,
        "violations": [violation.as_dict() for violation in unit.audit.violations],
        "spool": [int(spool[1]), int(spool[2])] if spool else None,
        "last_event": unit.events.count,
        "events": events[-SHOWN_EVENTS:],
    }


def create_panel(bench: Bench, units: list[Unit]) -> FastAPI:
    """The panel as an application; errors have the shape {"error": {code, what, do_next}}."""
    app = FastAPI(title="fieldassay-sim panel", docs_url=None, redoc_url=None)
    by_name = {unit.config.name: unit for unit in units}

    def find(name: str) -> Unit:
        if name not in by_name:
            raise SetupError(
                "unit_unknown", f"No unit {name!r} runs here.", f"Units: {', '.join(by_name)}."
            )
        return by_name[name]

    @app.exception_handler(SimError)
    async def _refuse(_request: Request, error: SimError) -> JSONResponse:
        status = 404 if error.code == "unit_unknown" else 422
        return JSONResponse({"error": error.as_dict()}, status)

    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(FILES / "index.html")

    @app.get("/panel/{name}")
    async def file(name: str) -> FileResponse:
        if name not in {"panel.css", "panel.js"}:
            raise SetupError("unit_unknown", f"There is no file {name!r}.", "Open the page at /.")
        return FileResponse(FILES / name)

    @app.get("/api/scenario")
    async def scenario() -> dict[str, Any]:
        return {
            "title": bench.scenario.title,
            "about": bench.scenario.about,
            "samples": [{"id": s.id, "title": s.title} for s in bench.samples.values()],
            "packagings": list(PACKAGINGS),
        }

    @app.get("/api/units")
    async def all_units() -> dict[str, Any]:
        return {"units": [snapshot(unit, unit.events.count) for unit in units]}

    @app.get("/api/units/{name}")
    async def one(name: str, after: int = 0) -> dict[str, Any]:
        return snapshot(find(name), after)

    @app.post("/api/units/{name}/press")
    async def press(name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        button, hold_ms = body.get("button"), body.get("hold_ms", PRESS_MS)
        if button not in BUTTONS or not isinstance(hold_ms, int | float):
            raise SimError(
                "button_unknown", f"{body!r} is no press.", f"Buttons: {', '.join(BUTTONS)}."
            )
        find(name).hardware.press(button, min(max(float(hold_ms), PRESS_MS), MAX_HOLD_MS))
        return {"pressed": button}

    @app.post("/api/units/{name}/condition")
    async def condition(name: str, body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        unit = find(name)
        check_condition(body, bench.scenario.samples)
        bench.change(unit.hardware, body)
        return snapshot(unit, unit.events.count)

    @app.post("/api/units/{name}/power_cut")
    async def power_cut(name: str) -> dict[str, Any]:
        find(name).cut_power()
        return {"power_cut": name}

    return app


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the command owns the signals


@contextlib.asynccontextmanager
async def serve_panel(bench: Bench, units: list[Unit], port: int) -> AsyncIterator[str]:
    """Serve the panel on 127.0.0.1 while the context lasts; gives its address.

    Raises:
        SetupError: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise SetupError(
            "panel_port_taken",
            f"Port {port} for the panel cannot be used: {error.strerror}.",
            "Give another one: --panel-port 0 takes any free port.",
        ) from error
    config = uvicorn.Config(
        create_panel(bench, units), log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
