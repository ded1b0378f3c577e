"""The bench page in real Chromium with a virtual board: every step, keyboard, phone, contrast."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fieldassay.bench.repl import Repl
from fieldassay_sim.virtual_board import VirtualBoard
from playwright.sync_api import expect

pytestmark = pytest.mark.needs("chromium", "micropython")
TEXTS = "main :is(p, li, dt, dd, td, th, h1, h2, h3, label, legend, b)"
WAIT_MS = 120_000  # a hang detector


@pytest.fixture
def board(tmp_path: Path) -> Iterator[VirtualBoard]:
    with VirtualBoard(tmp_path / "board.flash") as made:
        yield made


@pytest.fixture
def shop(bench: Any, board: VirtualBoard, tmp_path: Path) -> Iterator[Any]:
    """The bench of the web tests with a worker and one board on a port."""
    bench.ready(tmp_path, [board.port])
    yield bench
    bench.jobs.stop()


@pytest.fixture
def opened(shop: Any, open_page: Callable[..., Any]) -> Callable[..., Any]:
    def open_bench(**options: Any) -> Any:
        page = open_page("/bench", **options)
        page.wait_for_selector("#duty li")
        return page

    return open_bench


def outcome(page: Any, step: str, state: str) -> Any:
    place = page.locator(f".outcome[data-for={step}]")
    expect(place).to_have_attribute("data-state", state, timeout=WAIT_MS)
    return place


def test_what_fails_says_what_and_what_to_do_and_a_reload_keeps_it(
    opened: Callable[..., Any], board: VirtualBoard
) -> None:
    page = opened()
    assert page.locator("#ports input:checked").get_attribute("value") == board.port
    page.click("form[data-action=examine] button")
    outcome(page, "examine", "failed")
    page.reload()
    place = outcome(page, "examine", "failed")
    expect(place.locator(".status")).to_have_text("Examination: Failed.")
    text = place.inner_text()
    assert f"The board at {board.port} has no firmware of a unit." in text
    assert "release-firmware.md" in text and "board_without_firmware" in text
    assert page.said == []


def test_a_board_is_provisioned_and_its_label_is_seen(
    shop: Any, opened: Callable[..., Any], board: VirtualBoard
) -> None:
    page = opened()
    form = page.locator("form[data-action=provision]")
    form.locator("[name=name]").fill("unit-c")
    form.locator("[name=broker]").fill("192.168.7.1")
    form.locator("[name=wifi]").fill("lab")
    form.locator("[name=wifi_password]").fill("a secret of ours")
    form.locator("[name=tls]").uncheck()
    form.locator("button").click()
    place = outcome(page, "provision", "done")
    expect(form.locator("[name=wifi_password]")).to_have_value("")
    picture = place.locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("async (e) => { await e.decode(); return e.naturalWidth; }") > 100
    with Repl(board.port) as repl:
        repl.enter()
        written = json.loads(repl.get("/settings.json"))
    assert written["unit"] == "unit-c" and written["broker"]["host"] == "192.168.7.1"
    assert written["key"] == {u.name: u for u in shop.registry.all()}["unit-c"].key.hex()
    told = page.evaluate("fetch('/api/bench').then((answer) => answer.text())")
    assert "a secret of ours" not in told and written["key"] not in told
    form = page.locator("form[data-action=retire]")
    form.locator("[name=name]").fill("unit-c")
    form.locator("[name=confirm]").fill("unit-d")
    form.locator("button").click()
    expect(form.locator(".refused")).to_contain_text("is not the name of the unit")
    form.locator("[name=confirm]").fill("unit-c")
    form.locator("button").click()
    outcome(page, "retire", "done")
    with Repl(board.port) as repl:
        repl.enter()
        assert "settings.json" not in {entry.name for entry in repl.listdir("/")}
    (refusal,) = page.said  # Chromium's own line about the refused request
    assert "status of 422" in refusal


def test_a_check_passes_and_its_certificate_is_downloaded(
    shop: Any, opened: Callable[..., Any], tmp_path: Path
) -> None:
    page = opened()
    expect(page.locator("#duty")).to_contain_text("Never checked: reports no match")
    record = shop.polystyrene()
    choice = page.locator("form[data-action=verify] [name=record]")
    expect(choice).to_have_value(record)
    page.click("form[data-action=verify] button")
    place = outcome(page, "verify", "done")
    assert "unit-a: passed. Next check due" in place.inner_text()
    assert place.locator("tbody tr").count() >= 7
    with page.expect_download() as download:
        place.locator("a").click()
    download.value.save_as(tmp_path / "paper.pdf")
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF-")
    expect(page.locator("#duty")).to_contain_text("Checked until")
    shop.add(None)
    shop.polystyrene()
    bad = page.locator("form[data-action=verify] [name=record] option").nth(1)
    choice.select_option(bad.get_attribute("value"))
    page.click("form[data-action=verify] button")
    expect(page.locator(".outcome[data-for=verify]")).to_contain_text("DID NOT", timeout=WAIT_MS)
    expect(page.locator("#duty")).to_contain_text("Check failed: reports no match")
    assert page.said == []


def test_a_calibration_is_looked_at_and_accepted(
    shop: Any, opened: Callable[..., Any], board: VirtualBoard
) -> None:
    neon, standard = shop.neon(), shop.polystyrene()
    page = opened()
    form = page.locator("form[data-action=calibrate]")
    form.locator("[name=lamp_record]").select_option(neon)
    form.locator("[name=standard_record]").select_option(standard)
    form.locator("button").click()
    place = outcome(page, "calibrate", "done")
    picture = place.locator("img")
    assert picture.evaluate("async (e) => { await e.decode(); return e.naturalWidth; }") > 100
    assert picture.get_attribute("alt")
    with Repl(board.port) as repl:
        repl.enter()
        assert "calibration.json" not in {entry.name for entry in repl.listdir("/")}
    place.locator("button").click()
    assert "is on unit-a" in outcome(page, "accept", "done").inner_text()
    with Repl(board.port) as repl:
        repl.enter()
        written = json.loads(repl.get("/calibration.json"))
    assert abs(written["excitation_pm"] - 785_032) < 100
    assert page.said == []


def test_the_keyboard_alone_examines(opened: Callable[..., Any]) -> None:
    page = opened()
    wanted = page.locator("form[data-action=examine] button").element_handle()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(e) => [document.activeElement === e,"
            " getComputedStyle(document.activeElement).outlineWidth]",
            wanted,
        )
        assert seen[1] == "4px", "where the focus is can be seen"
        if seen[0]:
            break
    assert seen[0]
    page.keyboard.press("Enter")
    outcome(page, "examine", "failed")


@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_screen_the_glove_and_the_sun(
    shop: Any, opened: Callable[..., Any], width: int
) -> None:
    shop.polystyrene()
    page = opened(width=width, height=740)
    page.click("form[data-action=examine] button")
    page.click("form[data-action=verify] button")
    outcome(page, "verify", "done")
    outcome(page, "examine", "failed")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.small_targets() == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.contrast(f"{TEXTS}, .button, button, #connection")
        assert len(found) > 60
        assert min(found)[0] >= 4.5, min(found)
        told = page.contrast(".outcome p, .duty, .refused")
        assert min(told)[0] >= 7, min(told)  # AAA, for sunlight
    assert page.unnamed() == []
    assert "Nothing on this page can switch a laser on" in page.inner_text("main")


def test_a_busy_port_and_no_port_are_told(opened: Callable[..., Any], shop: Any) -> None:
    page = opened()
    page.evaluate("document.querySelector('#ports input:checked').checked = false")
    page.click("form[data-action=log] button")
    expect(page.locator("form[data-action=log] .refused")).to_have_text(
        "Choose a port in step 1 first."
    )
    assert page.get_attribute("form[data-action=log] .refused", "role") == "alert"
    assert shop.jobs.all() == []
