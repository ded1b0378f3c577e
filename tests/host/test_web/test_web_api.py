"""The JSON routes: contents, paging, errors in one form, and what must not get through."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from fieldassay.errors import RecordError, UnitError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON_POST = {"Content-Type": "application/json", "Origin": "http://127.0.0.1:8620"}
COMMAND = "/api/units/unit-a/command"
GETS = (
    "/",
    "/records/nothing-1-1",
    "/api/measurements",
    "/api/measurements/nothing-1-1",
    "/api/measurements/nothing-1-1/spectrum",
    "/api/measurements/nothing-1-1/raw",
    "/api/units",
    "/api/quarantine",
    "/api/openapi.json",
    "/healthz",
    "/static/style.css",
    "/static/missing.js",
    "/nowhere",
)
every_example = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def error_of(answer: Any, status: int, code: str | None = None) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "what", "do_next"}
    assert all(isinstance(text, str) and text for text in error.values())
    assert code is None or error["code"] == code
    return error


def test_list_has_the_newest_first_and_pages_through_everything_once(
    bench: Any, client: Any
) -> None:
    made = [bench.add() for _ in range(7)]
    seen, before = [], None
    while True:
        query = {"limit": 3} | ({} if before is None else {"before": before})
        page = client.get("/api/measurements", params=query).json()
        seen += [m["id"] for m in page["measurements"]]
        before = page["next_before"]
        if before is None:
            break
    assert seen == made[::-1]


def test_list_entry_says_what_the_store_says(bench: Any, client: Any) -> None:
    bench.add("mixture", flags=["battery_low"])
    (entry,) = client.get("/api/measurements").json()["measurements"]
    assert (entry["unit"], entry["boot"], entry["seq"], entry["verdict"]) == (
        "unit-a",
        3,
        1,
        "mixture",
    )
    assert entry["flags"] == ["battery_low"]
    assert [s["share"] for s in entry["substances"]] == [0.62, 0.38]
    assert entry["shown"]["title"] == "lactose + caffeine"


@pytest.mark.parametrize("kind", [None, "match", "class", "inconclusive", "of_the_future"])
def test_record_keeps_every_verdict_and_gives_a_card_for_each_kind(
    bench: Any, client: Any, kind: str | None
) -> None:
    record_id = bench.add("inconclusive")
    if kind is not None:
        bench.judge(record_id, kind)
    record = client.get(f"/api/measurements/{record_id}").json()
    kinds = [v["verdict"] for v in record["verdicts"]]
    assert kinds == ["inconclusive"] + ([kind] if kind else [])
    assert record["verdict"] == kinds[-1]
    assert record["hazard"]["lines"]
    assert record["message"]["raw"] == {"array": 2048}
    assert record["message"]["calibration"]["id"] == "bench-1"


def test_a_record_without_a_verdict_has_the_card_of_an_unknown(bench: Any, client: Any) -> None:
    record = client.get(f"/api/measurements/{bench.add(None)}").json()
    assert record["verdict"] is None
    assert record["hazard"]["id"] == bench.cards.for_identification("inconclusive", []).id


def test_raw_gives_the_exact_bytes_with_their_hash(bench: Any, client: Any) -> None:
    record_id = bench.add()
    answer = client.get(f"/api/measurements/{record_id}/raw")
    assert answer.content == bench.store.record(record_id).sealed
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert answer.headers["content-type"].startswith("application/cose")
    assert answer.headers["content-disposition"] == f'attachment; filename="{record_id}.cose"'


def test_spectrum_is_one_axis_small_and_strict_json(bench: Any, client: Any) -> None:
    record_id = bench.add()
    answer = client.get(f"/api/measurements/{record_id}/spectrum")
    assert answer.status_code == 200
    data = json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    points = len(data["axis_cm1"])
    assert points > 1000
    assert len(data["measured"]) == points
    assert {len(r["values"]) for r in data["references"]} <= {points}
    assert max(abs(v) for v in data["measured"]) == pytest.approx(1, abs=1e-4)
    assert all(a < b for a, b in zip(data["axis_cm1"], data["axis_cm1"][1:], strict=False))
    assert data["library"] == bench.library.hash
    assert 0 < len(data["bands"]) <= 15
    assert int(answer.headers["content-length"]) < 40_000


def test_a_detector_at_full_scale_everywhere_is_drawn_without_a_reference(
    bench: Any, client: Any
) -> None:
    import numpy as np

    record_id = bench.identify(
        (np.full(2048, 65_535.0), np.full(2048, 900.0)), flags=["saturated"], saturated_pixels=2048
    )
    data = client.get(f"/api/measurements/{record_id}/spectrum").json()
    assert data["verdict"] == "inconclusive"
    assert (data["fit"], data["references"], data["bands"]) == ([], [], [])
    assert set(data["measured"]) == {1.0}
    assert len(data["axis_cm1"]) == 2048


def test_bands_are_where_the_counts_have_them(bench: Any, client: Any) -> None:
    import numpy as np

    pixel, flat = np.arange(2048), np.full(2048, 900.0)
    at = (400, 650, 900)
    raw = flat + 500 + sum(8000 * np.exp(-(((pixel - p) / 3) ** 2)) for p in at)
    record_id = bench.add(counts=(raw, flat))
    bands = client.get(f"/api/measurements/{record_id}/spectrum").json()["bands"]
    nm = 793.27 + 0.15326 * np.array(at) + 1.40788e-5 * np.array(at) ** 2
    nm += -1.132e-8 * np.array(at, float) ** 3 + 1.386e-12 * np.array(at, float) ** 4
    expected = 1e7 / 785.032 - 1e7 / nm
    assert [b["cm1"] for b in bands] == pytest.approx(list(expected), abs=2.0)


def test_units_show_state_in_words(bench: Any, client: Any) -> None:
    (unseen,) = client.get("/api/units").json()["units"]
    assert unseen["shown"]["state"] == "Never heard from"
    bench.state(state="fault", fault="laser too warm", battery_mv=3300)
    (unit,) = client.get("/api/units").json()["units"]
    assert unit["state"] == "fault"
    assert unit["shown"]["fault"] == "Fault: laser too warm"
    assert unit["shown"]["battery"] == "3.30 V"
    assert unit["shown"]["spool"] == "2 / 100"


def test_quarantine_gives_the_reason_but_not_the_bytes(bench: Any, client: Any) -> None:
    bench.quarantine(b"\x00\x01")
    answer = client.get("/api/quarantine").json()
    assert (answer["total"], answer["not_kept"]) == (1, 0)
    (entry,) = answer["quarantine"]
    assert entry["error"]["code"] == "bad_mac"
    assert entry["size_bytes"] == 2
    assert "raw" not in entry


def test_health_counts_and_fails_when_the_store_does(
    bench: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add()
    health = client.get("/healthz").json()
    assert health["status"] == "ok"
    assert health["counts"]["measurements"] == 1

    def broken() -> None:
        raise RecordError("store_io", "The store cannot be read.", "Check the disk.")

    monkeypatch.setattr(bench.store, "counts", broken)
    error_of(client.get("/healthz"), 503, "store_io")


# --- commands ------------------------------------------------------------------------------------


def post(client: Any, body: object, path: str = COMMAND, **headers: str) -> Any:
    return client.post(path, content=json.dumps(body), headers=JSON_POST | headers)


def test_a_command_reaches_the_runner(bench: Any, client: Any) -> None:
    bench.state()
    args = {"packaging": "pe", "sample": "powder", "series": 4, "spot": 1}
    answer = post(client, {"command": "set_answers", "args": args})
    assert answer.status_code == 202
    post(client, {"command": "request_measurement"})
    assert bench.sent == [
        ("unit-a", "set_answers", args),
        ("unit-a", "request_measurement", {}),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"command": "set_time", "args": {"time_ms": 1}}, 422),
        ({"command": "fire"}, 422),
        ({"command": "set_answers", "args": {"packaging": "x" * 33}}, 422),
        ({"command": "set_answers", "args": {"series": -1}}, 422),
        ({"command": "set_answers", "args": {"series": True}}, 422),
        ({"command": "set_answers", "args": {"packaging": {"a": 1}}}, 422),
        ({"command": "abort", "unit": "unit-b"}, 422),
        ({}, 422),
        ([], 422),
        (None, 422),
    ],
)
def test_a_bad_command_is_refused_and_not_sent(
    bench: Any, client: Any, body: object, status: int
) -> None:
    bench.state()
    error_of(post(client, body), status)
    assert bench.sent == []


def test_an_unknown_unit_and_a_silent_one_are_told_apart(bench: Any, client: Any) -> None:
    error_of(post(client, {"command": "abort"}, "/api/units/nobody/command"), 404, "unit_not_seen")
    error_of(post(client, {"command": "abort"}, "/api/units/%23/command"), 404, "unit_not_seen")
    bench.refuse = UnitError("unit_not_connected", "It is not connected.", "Switch it on.")
    error_of(post(client, {"command": "abort"}), 409, "unit_not_connected")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "application/json"}, 202, None),  # a program, not a browser
        ({"Content-Type": "application/json; charset=utf-8"}, 202, None),
        ({**JSON_POST, "Sec-Fetch-Site": "same-origin"}, 202, None),
        ({**JSON_POST, "Sec-Fetch-Site": "same-site"}, 403, "cross_site_request"),
        ({**JSON_POST, "Sec-Fetch-Site": "cross-site"}, 403, "cross_site_request"),
        ({**JSON_POST, "Origin": "http://evil.example"}, 403, "cross_site_request"),
        ({**JSON_POST, "Origin": "http://127.0.0.1:9999"}, 403, "cross_site_request"),
        ({**JSON_POST, "Origin": "null"}, 403, "cross_site_request"),
        ({"Content-Type": "text/plain"}, 415, "json_required"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "json_required"),
        ({}, 415, "json_required"),
        ({**JSON_POST, "Host": "evil.example"}, 421, "host_not_served"),
        ({**JSON_POST, "Content-Length": "20000"}, 413, "body_too_large"),
        ({**JSON_POST, "Content-Length": "-1"}, 413, "body_too_large"),
    ],
)
def test_only_this_page_and_local_programs_may_write(
    bench: Any, client: Any, headers: dict[str, str], status: int, code: str | None
) -> None:
    bench.state()
    answer = client.post(COMMAND, content=b'{"command":"abort"}', headers=headers)
    if code is None:
        assert answer.status_code == status
        assert len(bench.sent) == 1
    else:
        error_of(answer, status, code)
        assert bench.sent == []


def test_a_chunked_body_without_length_is_bounded_too(bench: Any, client: Any) -> None:
    def chunks() -> Any:
        for _ in range(100):
            yield b" " * 1000

    error_of(client.post(COMMAND, content=chunks(), headers=JSON_POST), 413, "body_too_large")


# --- errors and headers --------------------------------------------------------------------------


@pytest.mark.parametrize("path", GETS)
def test_every_answer_has_the_security_headers(client: Any, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_in_the_error_form(client: Any, path: str, method: str) -> None:
    answer = client.request(method, path, headers=JSON_POST)
    error_of(answer, 404 if path == "/nowhere" else 405)


@pytest.mark.parametrize("path", GETS)
def test_an_unknown_host_name_gets_nothing(client: Any, path: str) -> None:
    for host in ("evil.example", "evil.example:8620", "127.0.0.1.evil.example", ""):
        error_of(client.get(path, headers={"Host": host}), 421, "host_not_served")
    for host in ("localhost:1", "127.0.0.1", "[::1]:8620", "LOCALHOST"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/measurements"])
def test_a_mistake_of_ours_is_an_error_in_the_same_form(
    bench: Any, client: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(bench.store, "records", broken)
    answer = client.get(path)
    error_of(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


def test_a_record_whose_bytes_are_no_message_is_explained(bench: Any, client: Any) -> None:
    class Odd:
        record_id, unit, boot, seq, time_ms, clock, flags = "odd-1-1", "odd", 1, 1, 0, "unset", ()

    for i, sealed in enumerate((b"", b"\xff", b"\x80", b"\xd1\x84\x40\xa0\x41\x00\x40")):
        Odd.record_id, Odd.seq = f"odd-1-{i}", i
        bench.store.add_measurement(sealed, Odd(), 1)
        error_of(client.get(f"/api/measurements/odd-1-{i}"), 500, "record_unreadable")
        assert client.get(f"/api/measurements/odd-1-{i}/raw").content == sealed
        assert client.get("/api/measurements").status_code == 200


@every_example
@given(record_id=st.text(min_size=1).filter(lambda s: not set(s) & set("/?#.\\")))
def test_any_id_is_found_or_missing(client: Any, record_id: str) -> None:
    from urllib.parse import quote

    path = quote(record_id, safe="", errors="replace")
    for tail in ("", "/spectrum", "/raw"):
        answer = client.get(f"/api/measurements/{path}{tail}")
        assert answer.status_code in (404, 422)
        error_of(answer, answer.status_code)


@every_example
@given(limit=st.one_of(st.integers(), st.text(max_size=8)), before=st.integers())
def test_any_limit_and_cursor_is_answered(client: Any, limit: int | str, before: int) -> None:
    for path in ("/api/measurements", "/api/quarantine"):
        answer = client.get(path, params={"limit": limit, "before": before})
        good = isinstance(limit, int) and 1 <= limit <= 200
        if path == "/api/measurements":
            good = good and 1 <= before < 2**62
        if good:
            assert answer.status_code == 200
        elif isinstance(limit, int):
            error_of(answer, 422, "request_not_valid")
        else:  # some texts are numbers to a query parser ("٣")
            assert answer.status_code in (200, 422)
