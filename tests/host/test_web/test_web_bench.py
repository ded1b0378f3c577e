"""The routes of the bench: what is offered, what is refused, and jobs from start to document."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fieldassay import equip
from fieldassay.bench.jobs import KEPT, Document, Jobs, Outcome
from fieldassay.errors import BenchError, SetupError
from fieldassay_sim.virtual_board import VirtualBoard

NOW_MS = 1_764_000_000_000
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def shop(bench: Any, tmp_path: Path) -> Iterator[Any]:
    """The bench of the web tests, with a worker, fitness and one port that was given."""
    bench.ready(tmp_path, ["/dev/given"])
    yield bench
    bench.jobs.stop()


@pytest.fixture
def ask(shop: Any, client: Any) -> Any:
    """Starts a job and gives it when it has ended."""

    def asked(action: str, **body: Any) -> dict[str, Any]:
        answer = client.post(f"/api/bench/{action}", json=body)
        assert answer.status_code == 202, answer.text
        return ended(client, answer.json()["number"])

    return asked


def ended(client: Any, number: int) -> dict[str, Any]:
    until = time.monotonic() + 120
    while True:
        job: dict[str, Any] = client.get(f"/api/bench/jobs/{number}").json()
        if job["state"] in ("done", "failed"):
            return job
        assert time.monotonic() < until, job
        time.sleep(0.02)


def refused(client: Any, action: str, **body: Any) -> tuple[int, str]:
    answer = client.post(f"/api/bench/{action}", json=body)
    error = answer.json()["error"]
    assert error["what"] and error["do_next"]
    return answer.status_code, error["code"]


# --- verify ---------------------------------------------------------------------------------------


def test_a_check_passes_is_kept_and_its_certificate_is_a_pdf(
    shop: Any, client: Any, ask: Any
) -> None:
    (unit,) = client.get("/api/bench").json()["units"]
    assert unit["fitness"]["state"] == "never_checked"
    assert unit["shown"]["duty"] == "Never checked: reports no match"
    record = shop.polystyrene()
    job = ask("verify", record=record)
    assert job["result"]["check"]["passed"], job
    assert {row[3] for row in job["shown"]["table"]["rows"]} == {"pass"}
    assert "Next check due" in job["shown"]["lines"][0]
    (link,) = job["shown"]["links"]
    paper = client.get(link["href"])
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF-")
    (unit,) = client.get("/api/bench").json()["units"]
    assert unit["fitness"]["fit"] and unit["shown"]["duty"].startswith("Checked until 20")
    assert unit["check"]["certificate"] == link["href"]
    assert unit["records"][0]["id"] == record


def test_a_check_that_fails_says_so_and_the_unit_is_not_fit(
    shop: Any, client: Any, ask: Any
) -> None:
    job = ask("verify", record=shop.add(None))  # bands that are not polystyrene's
    assert job["state"] == "done" and not job["shown"]["good"]
    assert "DID NOT PASS" in job["shown"]["lines"][0]
    (unit,) = client.get("/api/bench").json()["units"]
    assert unit["shown"]["duty"] == "Check failed: reports no match"
    assert refused(client, "verify", record="unit-a-9-9") == (404, "record_missing")


# --- calibrate ------------------------------------------------------------------------------------


def test_a_calibration_is_found_shown_and_accepted_only_for_a_port_there_is(
    shop: Any, client: Any, ask: Any
) -> None:
    neon, standard = shop.neon(), shop.polystyrene()
    body = {
        "unit": "unit-a",
        "lamps": [{"name": "neon", "record": neon}],
        "standards": [{"name": "polystyrene", "record": standard}],
    }
    job = ask("calibrate", **body)
    assert job["state"] == "done", job["error"]
    assert job["shown"]["accept"], job["shown"]["lines"]
    assert len(job["shown"]["table"]["rows"]) == len(job["result"]["report"]["bands"]) > 3
    assert job["documents"] == ["residuals.svg", "residuals.pdf"]
    drawn = client.get(job["shown"]["picture"]["href"])
    assert drawn.headers["content-type"] == "image/svg+xml" and b"<svg" in drawn.content
    number = job["number"]
    assert refused(client, "accept", job=number, port="/dev/other") == (422, "port_not_offered")
    failed = ask("accept", job=number, port="/dev/given")
    assert failed["error"]["code"] == "port_missing"
    other = ask("verify", record=standard)["number"]
    refusal = refused(client, "accept", job=other, port="/dev/given")
    assert refusal == (409, "nothing_to_accept")


def test_a_calibration_with_reasons_against_it_cannot_be_accepted(
    shop: Any, client: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fieldassay.calibrate import attempt

    monkeypatch.setattr(attempt, "objections", lambda *_: ["The lines are too far off."])
    job = ask(
        "calibrate",
        unit="unit-a",
        lamps=[{"name": "neon", "record": shop.neon()}],
        standards=[{"name": "polystyrene", "record": shop.polystyrene()}],
    )
    assert not job["shown"]["accept"] and not job["shown"]["good"]
    assert "The lines are too far off." in job["shown"]["lines"]
    refusal = refused(client, "accept", job=job["number"], port="/dev/given")
    assert refusal == (409, "calibration_refused")


def test_what_is_no_lamp_fails_with_the_text_of_the_command(shop: Any, ask: Any) -> None:
    job = ask(
        "calibrate",
        unit="unit-a",
        lamps=[{"name": "neon", "record": shop.add(None, counts=shop.noise())}],
        standards=[{"name": "polystyrene", "record": shop.polystyrene()}],
    )
    assert job["state"] == "failed"
    assert set(job["error"]) == {"code", "what", "do_next"}
    assert job["error"]["code"].startswith("calibration_")


def test_records_of_another_unit_are_refused(shop: Any, client: Any) -> None:
    mine, other = shop.neon(), shop.add(None, unit="unit-b")
    body: dict[str, Any] = {"unit": "unit-a", "lamps": [{"name": "neon", "record": mine}]}
    body["standards"] = [{"name": "polystyrene", "record": other}]
    assert refused(client, "calibrate", **body) == (422, "record_of_other_unit")
    assert refused(client, "calibrate", **(body | {"lamps": []}))[0] == 422


# --- ports ----------------------------------------------------------------------------------------


def test_only_ports_of_this_computer_or_of_its_operator_are_opened(shop: Any, client: Any) -> None:
    paths = [port["path"] for port in client.get("/api/bench").json()["ports"]]
    assert paths[0] == "/dev/given"
    for path in ("/etc/passwd", "/dev/given/../null", "../dev/given", "socket://127.0.0.1:9"):
        for action in ("examine", "log"):
            assert refused(client, action, port=path) == (422, "port_not_offered")
    assert client.get("/api/bench").json()["jobs"] == []


def test_other_sites_start_nothing(shop: Any, client: Any) -> None:
    body = json.dumps({"port": "/dev/given"})
    for headers, code in (
        ({**JSON, "Origin": "https://evil.example"}, "cross_site_request"),
        ({**JSON, "Sec-Fetch-Site": "cross-site"}, "cross_site_request"),
        ({"Content-Type": "text/plain"}, "json_required"),
    ):
        answer = client.post("/api/bench/examine", content=body, headers=headers)
        assert answer.json()["error"]["code"] == code
    assert client.get("/api/bench").json()["jobs"] == []


@pytest.mark.needs("micropython")
def test_a_board_without_firmware_is_told_as_the_command_tells_it(
    bench: Any, tmp_path: Path
) -> None:
    from starlette.testclient import TestClient

    with VirtualBoard(tmp_path / "flash") as board:
        bench.ready(tmp_path, [board.port])
        with TestClient(bench.app(), base_url="http://127.0.0.1:8620") as client:
            for action in ("examine", "log"):
                started = client.post(f"/api/bench/{action}", json={"port": board.port}).json()
                job = ended(client, started["number"])
                assert job["state"] == "failed"
                assert job["error"]["code"] == "board_without_firmware"
                assert "release-firmware.md" in job["error"]["do_next"]
        bench.jobs.stop()


# --- into service and out of it -------------------------------------------------------------------


@pytest.mark.needs("micropython")
def test_a_board_becomes_a_unit_and_ceases_to_be_one(bench: Any, tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    with VirtualBoard(tmp_path / "flash") as board:
        bench.ready(tmp_path, [board.port])
        with TestClient(bench.app(), base_url="http://127.0.0.1:8620") as client:
            body = {"port": board.port, "name": "unit-c", "broker": "10.0.0.1:1884", "tls": False}
            body |= {"wifi": "lab", "wifi_password": "a secret of ours"}
            answer = client.post("/api/bench/provision", json=body)
            job = ended(client, answer.json()["number"])
            assert job["state"] == "done", job["error"]
            key = {unit.name: unit for unit in bench.registry.all()}["unit-c"].key
            told = client.get("/api/bench").text
            assert "a secret of ours" not in told and key.hex() not in told
            label = client.get(job["shown"]["picture"]["href"])
            assert label.headers["content-type"] == "image/svg+xml" and b"unit-c" in label.content
            with_tls = client.post("/api/bench/provision", json=body | {"tls": True}).json()
            assert ended(client, with_tls["number"])["error"]["code"].startswith("authority_")
            other = client.post("/api/bench/provision", json=body | {"name": "unit-d"}).json()
            error = ended(client, other["number"])["error"]
            assert error["code"] == "unit_has_other_identity"
            gone = {"port": board.port, "name": "unit-c", "confirm": "unit-c"}
            job = ended(client, client.post("/api/bench/retire", json=gone).json()["number"])
            assert job["result"] == {"unit": "unit-c", "lost": 0, "revoked": 0, "wiped": True}
        bench.jobs.stop()
    revoked = {unit.name: unit.revoked_ms for unit in bench.registry.all()}
    assert revoked["unit-c"] is not None and revoked["unit-a"] is None


def test_retiring_wants_the_name_again_and_a_lost_unit_is_revoked_only(
    shop: Any, client: Any, ask: Any
) -> None:
    wrong = {"name": "unit-a", "confirm": "unit-b", "lost": True}
    assert refused(client, "retire", **wrong) == (422, "confirmation_wrong")
    assert refused(client, "retire", name="unit-a", confirm="unit-a")[1] == "port_not_offered"
    job = ask("retire", name="unit-a", confirm="unit-a", lost=True)
    assert job["result"]["wiped"] is False
    assert shop.registry.get("unit-a").revoked_ms is not None
    assert ask("retire", name="unit-z", confirm="unit-z", lost=True)["state"] == "failed"


@pytest.mark.parametrize(
    "change",
    [{"broker": ""}, {"wifi_password": "x" * 64}, {"firmware_key": "zz"}, {"other": 1}, {"tls": 1}],
)
def test_fields_out_of_range_are_refused_without_telling_them(
    shop: Any, client: Any, change: dict[str, Any]
) -> None:
    body = {"port": "/dev/given", "name": "unit-c", "broker": "h", "wifi_password": "our secret"}
    answer = client.post("/api/bench/provision", json=body | change)
    assert answer.status_code == 422
    assert "our secret" not in answer.text and "xxxx" not in answer.text
    assert client.get("/api/bench").json()["jobs"] == []


@pytest.mark.parametrize(
    ("text", "tls", "expected"),
    [
        ("h", False, ("h", 1883)),
        ("h", True, ("h", 8883)),
        ("h:9", True, ("h", 9)),
        ("[::1]:9", False, ("::1", 9)),
        ("[::1]", False, ("::1", 1883)),
        ("h:x", False, None),
        (":9", False, None),
        ("h:70000", False, None),
    ],
)
def test_addresses_of_brokers(text: str, tls: bool, expected: tuple[str, int] | None) -> None:
    if expected is None:
        with pytest.raises(SetupError) as caught:
            equip.address(text, tls=tls)
        assert caught.value.code == "broker_address_bad"
    else:
        assert equip.address(text, tls=tls) == expected


# --- documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("jobs/99", "job_missing"),
        ("jobs/99/documents/x", "job_missing"),
        ("jobs/0", "request_not_valid"),
        ("checks/unit-a/7/certificate", "document_missing"),
        ("checks/..%2f..%2fetc/7/certificate", "not_found"),
    ],
)
def test_what_is_not_there_is_not_given(shop: Any, client: Any, path: str, code: str) -> None:
    assert client.get(f"/api/bench/{path}").json()["error"]["code"] == code


def test_a_document_is_asked_for_by_the_name_it_has(shop: Any, client: Any) -> None:
    shop.jobs.submit(
        "x", "", lambda _: Outcome({}, (Document("a.svg", "image/svg+xml", b"<svg/>"),))
    )
    ended(client, 1)
    assert client.get("/api/bench/jobs/1/documents/a.svg").content == b"<svg/>"
    for name in ("b.svg", "..%2fa.svg"):
        assert client.get(f"/api/bench/jobs/1/documents/{name}").status_code == 404


def test_a_page_without_a_host_says_so(client: Any) -> None:
    for answer in (client.get("/api/bench"), client.post("/api/bench/examine", json={"port": "x"})):
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "bench_not_here"
    assert client.get("/bench", headers={"Accept": "text/html"}).status_code == 503


# --- the worker -----------------------------------------------------------------------------------


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(lambda _: None, lambda: NOW_MS)
    made.start()
    yield made
    made.stop()


def wait_for(jobs: Jobs, number: int, state: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while (job := jobs.get(number)[0])["state"] != state:
        assert time.monotonic() < until, job
        time.sleep(0.005)
    return job


def test_one_job_at_a_time_a_port_and_in_order(jobs: Jobs) -> None:
    go, done = threading.Event(), []

    def first(progress: Any) -> Outcome:
        progress("half", 0.5)
        go.wait(60)
        done.append(1)
        return Outcome({"n": 1})

    jobs.submit("a", "/dev/one", first)
    jobs.submit("b", "/dev/two", lambda _: done.append(2) or Outcome({}))  # type: ignore[func-returns-value]
    with pytest.raises(BenchError) as caught:
        jobs.submit("c", "/dev/one", first)
    assert caught.value.code == "port_at_work"
    until = time.monotonic() + 60
    while jobs.get(1)[0]["part"] != 0.5:
        assert time.monotonic() < until
        time.sleep(0.005)
    assert jobs.get(2)[0]["state"] == "waiting"
    go.set()
    wait_for(jobs, 2, "done")
    assert done == [1, 2]
    assert [job["number"] for job in jobs.all()] == [2, 1]
    jobs.submit("c", "/dev/one", lambda _: Outcome({}))


def test_errors_end_a_job_not_the_worker_and_mistakes_are_ours(jobs: Jobs) -> None:
    def known(_: Any) -> Outcome:
        raise BenchError("port_busy", "Another program holds it.", "Close it.")

    jobs.submit("a", "", known)
    jobs.submit("b", "", lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    jobs.submit("c", "", lambda _: Outcome({}))
    wait_for(jobs, 3, "done")
    assert (
        jobs.get(1)[0]["error"]
        == BenchError("port_busy", "Another program holds it.", "Close it.").as_dict()
    )
    assert jobs.get(2)[0]["error"]["code"] == "bench_mistake"


def test_old_jobs_are_forgotten_and_a_stopped_host_begins_none(jobs: Jobs) -> None:
    for _ in range(KEPT + 5):
        last = jobs.submit("a", "", lambda _: Outcome({}))["number"]
        wait_for(jobs, last, "done")
    assert len(jobs.all()) <= KEPT + 1
    go = threading.Event()
    running = jobs.submit("a", "", lambda _: Outcome({"went": go.wait(60)}))["number"]
    waiting = jobs.submit("b", "", lambda _: Outcome({}))["number"]
    wait_for(jobs, running, "running")
    threading.Timer(0.1, go.set).start()
    jobs.stop()
    assert jobs.get(waiting)[0]["error"]["code"] == "host_stopped"
    assert jobs.get(running)[0]["state"] == "done"
