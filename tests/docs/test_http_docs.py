"""docs/reference/http-api.md against the code: routes, parameters, events, commands, errors."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fieldassay.web import desk, live, shield
from fieldassay.web.app import create_app


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def web_source(root: Path) -> str:
    return "".join(f.read_text() for f in sorted((root / "host/fieldassay/web").glob("*.py")))


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The first table below a heading: cells by the code in the first cell."""
    section = page.split(f"# {heading}\n", 1)[1]
    table: dict[str, list[str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            table[cells[0].strip("`")] = cells[1:]
        elif table:
            break
    return table


def schema() -> dict[str, Any]:
    nothing: Any = SimpleNamespace()
    app = create_app(nothing, nothing, nothing, nothing, nothing, lambda *_: None)
    return app.openapi()


def test_every_route_is_documented_with_its_parameters(page: str) -> None:
    documented = rows(page, "Routes")
    actual = {
        f"{method.upper()} {path}": {
            p["name"] for p in operation.get("parameters", []) if p["in"] == "query"
        }
        for path, methods in schema()["paths"].items()
        for method, operation in methods.items()
    }
    pages = {"GET /", "GET /records/{id}", "GET /bench", "GET /api/openapi.json"}
    assert set(documented) - pages == set(actual)
    for route, parameters in actual.items():
        named = set(re.findall(r"`(\w+)`", documented[route][0]))
        assert named == parameters, route


def test_every_event_is_documented(page: str) -> None:
    assert set(rows(page, "Events")) == live.TYPES | {"hello", "message"}


def test_every_command_is_documented(page: str) -> None:
    assert tuple(rows(page, "Commands")) == desk.BROWSER_COMMANDS


def test_every_error_code_of_the_web_is_documented_and_no_other(page: str, web_source: str) -> None:
    raised = set(re.findall(r'(?:WebError\(\s*\d+,|FrameError\()\s*"(\w+)"', web_source))
    handled = web_source.split("def http(")[1].split("response = answer", 1)[0]
    raised |= set(re.findall(r'\(\s*"(\w+_\w+)"', handled))
    assert len(raised) > 10
    assert set(rows(page, "Errors")) == raised


def test_the_limits_named_are_those_of_the_code(page: str) -> None:
    assert f"at most {shield.MAX_BODY_BYTES} bytes" in page
    assert f"After {live.HEARTBEAT_S:.0f} s of silence" in page
    for name in shield.LOOPBACK:
        assert f"`{name}`" in page
