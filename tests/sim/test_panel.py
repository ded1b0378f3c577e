"""The panel: its API without a browser, and the page in a real Chromium with the real firmware."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fieldassay_sim.bench import Bench
from fieldassay_sim.errors import SetupError
from fieldassay_sim.panel_app import create_panel, serve_panel
from fieldassay_sim.unit import Unit, UnitConfig

KEY_HEX = "b3f09c1e57d24a86e1703c9b58fa2d64907e1bc25fd8463ac07b91e2f4685d3a"

TRAY = (
    'title = "A tray"\n[samples.acetone]\ntitle = "Acetone"\nreference = "acetone"\n'
    '[samples.dye]\ntitle = "Dye"\nfluorescence = { rate_per_ms = 9.0 }\n'
)


@contextlib.asynccontextmanager
async def panel(make_bench, tmp_path):
    """A client of the panel of one unit that was never powered on."""
    bench: Bench = make_bench(TRAY)
    config = UnitConfig("sim-1", KEY_HEX, "127.0.0.1", 9)
    unit = Unit(config, bench.condition(0), tmp_path)
    transport = httpx.ASGITransport(create_panel(bench, [unit]))
    async with httpx.AsyncClient(transport=transport, base_url="http://panel") as client:
        yield client, unit
    await unit.stop()


def run(make_bench, tmp_path, work):
    async def all_of_it():
        async with panel(make_bench, tmp_path) as (client, unit):
            await work(client, unit)

    asyncio.run(all_of_it())


def test_the_page_and_its_files_are_served(make_bench, tmp_path):
    async def work(client, _unit):
        page = await client.get("/")
        assert page.status_code == 200
        for name in ("panel.css", "panel.js"):
            assert f"/panel/{name}" in page.text
            assert (await client.get(f"/panel/{name}")).status_code == 200
        assert (await client.get("/panel/..%2fpanel_app.py")).status_code == 404
        assert (await client.get("/panel/index.html")).status_code == 404

    run(make_bench, tmp_path, work)


def test_the_snapshot_shows_what_the_firmware_shows(make_bench, tmp_path):
    async def work(client, unit):
        unit.hardware.handle("display", [[["sim-1   online 3/100", "dim"], ["READY", "title"]]])
        state = (await client.get("/api/units/sim-1")).json()
        assert state["rows"] == [["sim-1   online 3/100", "dim"], ["READY", "title"]]
        assert state["spool"] == [3, 100]
        assert state["sample"] == "acetone"
        assert state["running"] is False

    run(make_bench, tmp_path, work)


def test_hands_change_the_condition_and_events_tell(make_bench, tmp_path):
    async def work(client, unit):
        change = {"sample": "dye", "packaging": "pe_bag", "lid": "open", "battery_mv": 3300}
        answer = await client.post("/api/units/sim-1/condition", json=change)
        assert answer.status_code == 200
        state = unit.hardware.condition
        assert state.sample.id == "dye"
        assert (state.package.kind, state.lid, state.battery_mv) == ("pe_bag", False, 3300)
        shown = (await client.get("/api/units/sim-1")).json()
        assert [e["event"] for e in shown["events"]] == ["place", "interlock", "condition"]
        later = (await client.get(f"/api/units/sim-1?after={shown['last_event']}")).json()
        assert later["events"] == []

    run(make_bench, tmp_path, work)


def test_a_press_reaches_the_buttons(make_bench, tmp_path):
    async def work(client, unit):
        await client.post("/api/units/sim-1/press", json={"button": "next"})
        assert unit.hardware.handle("buttons", []) == 2

    run(make_bench, tmp_path, work)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/units/nobody/press", {"button": "ok"}, 404, "unit_unknown"),
        ("/api/units/sim-1/press", {"button": "fire"}, 422, "button_unknown"),
        ("/api/units/sim-1/press", {"button": "ok", "hold_ms": "x"}, 422, "button_unknown"),
        ("/api/units/sim-1/condition", {"lids": "open"}, 422, "scenario_unknown_key"),
        ("/api/units/sim-1/condition", {"sample": "gold"}, 422, "scenario_sample_unknown"),
        ("/api/units/sim-1/condition", {"battery_mv": "full"}, 422, "scenario_wrong_type"),
    ],
)
def test_what_cannot_be_done_says_why(make_bench, tmp_path, path, body, status, code):
    async def work(client, _unit):
        answer = await client.post(path, json=body)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["code"] == code
        assert error["what"]
        assert error["do_next"]

    run(make_bench, tmp_path, work)


def test_a_taken_port_is_a_typed_error(make_bench):
    async def work():
        bench = make_bench(TRAY)
        async with serve_panel(bench, [], 0) as address:
            port = int(address.rsplit(":", 1)[1])
            with pytest.raises(SetupError) as caught:
                async with serve_panel(bench, [], port):
                    pass
            assert caught.value.code == "panel_port_taken"

    asyncio.run(work())


CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def simulator(tmp_path, sources_dir):
    """A running simulator with the default tray and no broker: (panel address, command line)."""
    keys = tmp_path / "units.json"
    keys.write_text(json.dumps({"sim-1": KEY_HEX}), encoding="utf-8")
    program = [sys.executable, "-m", "fieldassay_sim"]
    command = [*program, "run", "--keys", str(keys), "--state-dir", str(tmp_path / "units")]
    command += ["--sources", str(sources_dir), "--panel-port", "0", "--broker-port", "9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split("panel ")[1].split("/?")[0]
        yield address, program
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.needs("micropython")
@pytest.mark.needs("chromium")
def test_a_scan_from_the_page_by_keyboard_at_phone_width(simulator, tool, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    address, _ = simulator
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tool("chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        problems: list[str] = []
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        display = page.locator("#display")
        expect(display).to_contain_text("DARK OR COLOURED", timeout=60_000)
        page.keyboard.press("o")
        expect(display).to_contain_text("READY", timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # All 26 columns of the display fit without being cut.
        rows = "[...document.querySelectorAll('#display div')]"
        assert page.evaluate(f"{rows}.every(row => row.scrollWidth <= row.clientWidth)")
        page.get_by_role("radio", name="Caffeine", exact=True).click()
        expect(page.locator("#tray [aria-checked=true]")).to_have_text("Caffeine")
        page.keyboard.press("l")
        expect(page.locator("#lid")).not_to_be_checked()
        page.keyboard.press("t")
        expect(display).to_contain_text("NOT MEASURED", timeout=60_000)
        page.keyboard.press("l")
        page.keyboard.press("o")
        expect(display).to_contain_text("READY", timeout=60_000)
        page.get_by_role("button", name="Trigger").click()
        expect(page.locator("#lamp")).to_contain_text("LASER ON", timeout=60_000)
        expect(display).to_contain_text("SAVED ON THE UNIT", timeout=60_000)
        expect(page.locator("#lamp")).to_have_text("laser off")
        expect(page.locator("#spool")).to_have_text("1 of 100")
        expect(page.locator("#violations")).to_have_text("none, 1 fired")
        expect(page.locator("#events")).to_contain_text("saved")
        page.screenshot(path=str(tmp_path / "panel-phone.png"), full_page=True)
        page.set_viewport_size({"width": 1200, "height": 900})
        page.screenshot(path=str(tmp_path / "panel.png"), full_page=True)
        browser.close()
    assert problems == []


@pytest.mark.needs("micropython")
def test_the_trigger_command_presses_and_says_what_is_wrong(simulator):
    address, program = simulator
    good = subprocess.run(
        [*program, "trigger", "--panel", address], capture_output=True, text=True, check=False
    )
    assert (good.returncode, good.stdout) == (0, "sim-1: trigger pressed\n")
    wrong = subprocess.run(
        [*program, "trigger", "--panel", address, "--unit", "sim-9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("unit_unknown: ")
    nobody = subprocess.run(
        [*program, "trigger", "--panel", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert nobody.returncode == 1
    assert "fieldassay-sim run" in nobody.stderr


def test_the_screens_say_nothing_that_needs_the_network():
    folder = Path(__file__).resolve().parents[2] / "sim" / "fieldassay_sim" / "panel"
    for file in folder.iterdir():
        text = file.read_text("utf-8")
        assert "http://" not in text, file
        assert "https://" not in text, file
