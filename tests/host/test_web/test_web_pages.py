"""The pages without a browser: what they say, what they weigh, and that foreign text stays text."""

from __future__ import annotations

import ast
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fieldassay.verdict import VERDICT_KINDS
from fieldassay.web import strings

WEB = Path(strings.__file__).parent
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}"
FORBIDDEN = re.compile(r"\b(safe|safely|clear|clean|harmless|negative)\b", re.IGNORECASE)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.tags


@pytest.mark.parametrize("kind", [*VERDICT_KINDS, "of_the_future", None])
def test_a_record_page_says_word_reason_and_presumptive(
    bench: Any, client: Any, kind: str | None
) -> None:
    record_id = bench.add(kind)
    html = client.get(f"/records/{record_id}").text
    style = kind if kind in VERDICT_KINDS else "pending" if kind is None else "other"
    assert f'data-kind="{style}"' in html
    assert f'href="#i-{style}"' in html
    assert strings.ENGLISH[f"verdict_{style}"] in html
    assert strings.text("presumptive") in html
    assert bench.store.record(record_id).summary.sha256 in html
    if kind:
        assert bench.store.record(record_id).summary.verdict["do_next"] in html


def test_the_packagings_offered_are_those_the_unit_knows(root: Path) -> None:
    source = ast.parse((root / "device" / "officer.py").read_text(encoding="utf-8"))
    (known,) = (
        ast.literal_eval(line.value)
        for line in source.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "PACKAGINGS"
    )
    assert set(strings.PACKAGING) == {"", *(name for name, _ in known)}


def test_every_style_has_its_own_colour_icon_and_word() -> None:
    css = (WEB / "static" / "style.css").read_text()
    icons = (WEB / "templates" / "icons.svg").read_text()
    words = [strings.ENGLISH[f"verdict_{k}"] for k in (*VERDICT_KINDS, "pending", "other")]
    assert len(set(words)) == 7
    backs = re.findall(r'\[data-kind="(\w+)"\] \{ --back: (#\w+)', css)
    assert {kind for kind, _ in backs} == {*VERDICT_KINDS, "pending"}
    assert len({colour for _, colour in backs}) == 6
    shapes = dict(re.findall(r'<symbol id="i-(\w+)"[^>]*>(.*?)</symbol>', icons))
    assert {*VERDICT_KINDS, "pending", "other"} <= set(shapes)
    assert len(set(shapes.values())) == len(shapes)


@pytest.mark.parametrize("path", ["/", "record"])
def test_foreign_text_never_becomes_markup(bench: Any, client: Any, path: str) -> None:
    changes = {
        "substances": [{"id": EVIL, "name": EVIL, "inchikey": None, "share": 0.5}],
        "candidates": [{"id": EVIL, "name": EVIL, "score": 0.5}],
        "quality": {EVIL: EVIL},
        "reasons": [{"code": EVIL, "text": EVIL}],
        "do_next": EVIL,
        "algorithm": EVIL,
        "library": EVIL,
    }
    record_id = bench.add(
        EVIL,
        verdict=changes,
        answers={"packaging": EVIL, "sample": EVIL},
        flags=[EVIL],
        firmware={"version": EVIL, "sha256": bytes(32)},
        **{EVIL: EVIL},
    )
    bench.quarantine(topic=EVIL)
    bench.state(state=EVIL, fault=EVIL, interlock=EVIL, clock=EVIL)
    html = client.get("/" if path == "/" else f"/records/{record_id}").text
    assert "{{7*7}}" in html
    for tag, attributes in tags(html):
        assert tag != "img"
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "script":
            src, kind = attributes.get("src"), attributes.get("type")
            assert (src or "").startswith("/static/") or kind == "application/json"


@pytest.mark.parametrize("path", ["/", "record", "/records/nobody-1-1"])
def test_no_inline_script_or_style_and_nothing_from_elsewhere(
    bench: Any, client: Any, path: str
) -> None:
    record_id = bench.add()
    html = client.get(
        f"/records/{record_id}" if path == "record" else path, headers={"Accept": "text/html"}
    ).text
    for tag, attributes in tags(html):
        assert tag != "style"
        assert "style" not in attributes
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or re.match(r"(/(?!/)|#)", target), target
    for file in (WEB / "static").glob("*"):
        if file.is_file():
            urls = re.findall(r"https?://[^\"' )]+", file.read_text())
            assert set(urls) <= {"http://www.w3.org/2000/svg"}, file.name


def test_nothing_we_say_promises_safety() -> None:
    texts = [
        *strings.ENGLISH.values(),
        *strings.PACKAGING.values(),
        *strings.SAMPLES.values(),
        *(re.sub(r"{[{%#].*?[}%#]}|<[^>]+>", "", t.read_text()) for t in WEB.glob("templates/*")),
    ]
    for text in texts:
        assert not FORBIDDEN.search(text), text


def test_the_error_page_is_for_people_and_the_api_error_for_programs(client: Any) -> None:
    page = client.get("/records/nobody-1-1", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "record_missing" in page.text
    answer = client.get("/api/measurements/nobody-1-1", headers={"Accept": "text/html"})
    assert answer.json()["error"]["code"] == "record_missing"


def test_an_unset_clock_is_said_to_be_unset(bench: Any, client: Any) -> None:
    bench.add(time_ms=0, clock="unset", flags=["clock_unset"])
    assert strings.text("time_unset") in client.get("/").text.split("<template")[0]


def test_messages_that_were_only_counted_are_owned_up_to(bench: Any, client: Any) -> None:
    assert "not kept" not in client.get("/").text
    for i in range(203):
        bench.quarantine(i.to_bytes(2, "big"))
    kept = client.get("/api/quarantine").json()
    assert kept["total"] + kept["not_kept"] == 203
    assert kept["not_kept"] > 0
    assert f"{kept['not_kept']} more from unknown senders" in client.get("/").text


def test_a_time_no_calendar_holds_breaks_nothing(bench: Any, client: Any) -> None:
    record_id = bench.add(time_ms=2**53 - 1)
    assert client.get("/").status_code == 200
    assert client.get(f"/records/{record_id}").status_code == 200


def test_fifty_rows_and_all_files_of_the_list_weigh_under_100_kb(bench: Any, client: Any) -> None:
    for i in range(55):
        bench.add("mixture" if i % 2 else "inconclusive")
    page = client.get("/")
    assert page.text.split("<template")[0].count('class="row"') == 50
    assert "/?before=6" in page.text
    total = int(page.headers["content-length"])
    files = ["style.css", "icon.svg", "list.js", "connect.js", "fill.js", "strings.js", "units.js"]
    for name in files:
        total += int(client.get(f"/static/{name}").headers["content-length"])
    total += int(client.get("/api/measurements?limit=50").headers["content-length"])
    assert total < 100_000
    older = client.get("/?before=6").text.split("<template")[0]
    assert older.count('class="row"') == 5


def test_vendored_files_are_those_that_vendor_md_names() -> None:
    folder = WEB / "static" / "vendor"
    named = dict(
        re.findall(
            r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", (folder / "VENDOR.md").read_text(), re.M
        )
    )
    present = {f.name for f in folder.iterdir()} - {"VENDOR.md"}
    assert set(named) == present
    for name, digest in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_scripts_find_every_word_they_use() -> None:
    given = strings.for_scripts()
    for file in (WEB / "static").glob("*.js"):
        for key in re.findall(r'\bt\("(\w+)"', file.read_text()):
            assert key in given, f"{file.name}: {key}"
    for key in ("connection_open", "connection_wait", "connection_lost"):
        assert key in given


def test_no_word_is_left_unused() -> None:
    files = [*WEB.glob("*.py"), *WEB.glob("static/*.js"), *WEB.glob("templates/*")]
    sources = "".join(file.read_text() for file in files)
    families = [
        "verdict_",
        "means_",
        "state_",
        "clock_",
        "unit_",
        "fact_",
        "connection_",
        "interlock_",
    ]
    families += ["quality_snr", "quality_axis", "quality_saturated", "quality_range"]
    families += ["quality_agreement", "quality_bands", "quality_background", "quality_informative"]
    families += [
        "quality_spikes",
        "bench_step_",
        "bench_help_",
        "bench_do_",
        "bench_duty_",
        "bench_state_",
    ]
    families += ["bench_job_", "bench_picture_", "bench_fact_"]
    keys = [key for key in strings.ENGLISH if not key.startswith(tuple(families))]
    assert [key for key in keys if sources.count(f'"{key}"') < 2] == []


def test_every_state_of_the_interlock_has_words(root: Path) -> None:
    source = ast.parse((root / "device" / "interlock.py").read_text(encoding="utf-8"))
    names = {
        ast.unparse(line.targets[0]): ast.literal_eval(line.value)
        for line in source.body
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
    }
    (states,) = (
        [names[name.id] for name in line.value.elts]
        for line in source.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "STATES"
    )
    assert len(states) > 4
    words = {state: strings.known("interlock", state) for state in states}
    assert all(words[state] != state for state in states)
    assert [state for state in states if "ON" in words[state]] == ["emitting"]
