"""The list in real Chromium: live, through restarts, for keyboard, phone and screen readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.needs("chromium")
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'>"

HEARD = """() => {
  const place = document.getElementById("announce");
  window.heard = [];
  new MutationObserver(() => window.heard.push(place.textContent))
    .observe(place, { childList: true, characterData: true, subtree: true });
}"""


def rows(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        "#measurements > li", "all => all.map((li) => `${li.dataset.id} ${li.dataset.kind}`)"
    )
    return found


def test_a_measurement_and_its_verdict_appear_without_reload(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.evaluate("window.notReloaded = true")
    assert page.is_visible("#empty")
    record_id = bench.add(None)
    page.wait_for_selector(f"#measurements li[data-id='{record_id}'][data-kind=pending]")
    bench.judge(record_id, "match")
    page.wait_for_selector(f"#measurements li[data-id='{record_id}'][data-kind=match]")
    row = page.locator(f"#measurements li[data-id='{record_id}']")
    assert row.locator(".word").inner_text() == "Match"
    assert row.locator(".title").inner_text() == "acetaminophen"
    assert row.locator("use").get_attribute("href") == "#i-match"
    assert page.is_hidden("#empty")
    newer = bench.add("inconclusive")
    page.wait_for_selector(f"#measurements li[data-id='{newer}']")
    assert rows(page) == [f"{newer} inconclusive", f"{record_id} match"]
    assert page.evaluate("window.notReloaded") is True
    assert page.said == []


def test_a_new_verdict_is_announced_once_to_screen_readers(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    bench.add("match")
    page = open_page()
    assert page.inner_text("#announce") == ""
    assert page.get_attribute("#announce", "aria-live") == "assertive"
    page.evaluate(HEARD)
    bench.add("out_of_library")
    expect(page.locator("#announce")).to_contain_text("Not in the library", timeout=60_000)
    bench.state()
    bench.add(None)
    page.wait_for_selector("#measurements li[data-kind=pending]")
    assert len(page.evaluate("window.heard")) == 1


def test_equal_results_are_told_apart_and_none_is_lost_when_several_come_at_once(
    bench: Any, server: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    page.evaluate(HEARD)
    server.stop()
    first, second = bench.add("match"), bench.add("match")
    third = bench.add("inconclusive")
    server.start()
    page.wait_for_selector(f"#measurements li[data-id='{third}']")
    (heard,) = page.evaluate("window.heard")
    said = [heard.index(record_id.removeprefix("unit-a-")) for record_id in (first, second, third)]
    assert said == sorted(said)  # in the order in which they came
    why = page.inner_text(f"#measurements li[data-id='{third}'] .reason")
    assert heard.endswith(why)  # without a name, the reason


def test_units_and_quarantine_follow_too_and_an_open_form_is_left_alone(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    bench.state(spool_used=1)
    page.wait_for_selector(".unit[data-state=ready]")
    page.click(".unit .ask summary")
    page.select_option("[name=packaging]", "pe")
    page.fill("[name=series]", "7")
    bench.state(state="measuring", spool_used=9)
    page.wait_for_selector(".unit[data-state=measuring]")
    assert page.inner_text("[data-text=spool]") == "9 / 100"
    assert page.input_value("[name=packaging]") == "pe"
    bench.quarantine()
    page.wait_for_selector("#quarantined li")
    assert page.inner_text("#quarantine-count") == "1"
    page.click("button[value=set_answers]")
    expect(page.locator(".ask output")).to_have_text("Sent to unit-a.", timeout=60_000)
    assert bench.sent == [("unit-a", "set_answers", {"packaging": "pe", "series": 7})]
    page.click("button[value=request_measurement]")
    expect(page.locator(".ask output")).to_have_text("Sent to unit-a.", timeout=60_000)
    assert bench.sent[1:] == [("unit-a", "request_measurement", {})]
    assert "cannot fire" in page.inner_text(".ask")


def test_a_refused_command_says_why(bench: Any, open_page: Callable[..., Any]) -> None:
    from fieldassay.errors import UnitError

    bench.refuse = UnitError("unit_not_connected", "The unit sleeps.", "Switch it on.")
    page = open_page()
    page.click(".unit .ask summary")
    page.click("button[value=request_measurement]")
    said = page.locator(".ask output")
    expect(said).to_have_text("Not sent. The unit sleeps. Switch it on.", timeout=60_000)


def test_a_restart_of_the_server_is_shown_and_nothing_is_missed(
    bench: Any, server: Any, open_page: Callable[..., Any]
) -> None:
    first = bench.add("match")
    page = open_page()
    server.stop()
    page.wait_for_selector("#connection[data-state=lost]")
    assert "Connection lost" in page.inner_text("#connection")
    second = bench.add("mixture")  # while nobody listens
    server.start()
    page.wait_for_selector("#connection[data-state=open]")
    page.wait_for_selector(f"#measurements li[data-id='{second}']")
    third = bench.add("class")
    page.wait_for_selector(f"#measurements li[data-id='{third}']")
    assert rows(page) == [f"{third} class", f"{second} mixture", f"{first} match"]


def test_trouble_of_the_store_is_shown_until_it_ends(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    assert page.is_hidden("#trouble")
    bench.feed.publish(
        {"type": "store", "state": "failing", "what": "Disk full.", "do_next": "Free space."}
    )
    page.wait_for_selector("#trouble:visible")
    assert page.inner_text("#trouble") == "Disk full. Free space."
    bench.feed.publish({"type": "store", "state": "ok"})
    page.wait_for_selector("#trouble", state="hidden")


def test_the_keyboard_alone_reaches_and_opens_the_first_record(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    record_id = bench.add("match")
    page = open_page()
    for _ in range(6):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "((e) => [e.className, getComputedStyle(e).outlineWidth])(document.activeElement)"
        )
        if focused[0] == "row":
            break
    assert focused == ["row", "4px"]
    page.keyboard.press("Enter")
    page.wait_for_selector("#record")
    assert page.url.endswith(f"/records/{record_id}")


@pytest.mark.parametrize("width", [320, 360, 400, 1280])
def test_no_sideways_scroll_and_targets_fit_a_glove(
    bench: Any, open_page: Callable[..., Any], width: int
) -> None:
    bench.state(fault="a fault with a long_explanation_without_any_break_that_could_stick_out")
    for kind in (*bench_kinds(bench), "of_the_future", None):
        bench.add(kind, flags=["battery_low", "clock_unset", "detector_warm"])
    bench.quarantine()
    page = open_page(width=width, height=740)
    page.click(".unit .ask summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.small_targets() == []


def bench_kinds(bench: Any) -> list[str]:
    from fieldassay.verdict import VERDICT_KINDS

    return list(VERDICT_KINDS)


def test_foreign_text_is_inert(bench: Any, open_page: Callable[..., Any]) -> None:
    evil = {
        "substances": [{"id": EVIL, "name": EVIL, "inchikey": None, "share": None}],
        "reasons": [{"code": "x", "text": EVIL}],
    }
    page = open_page()
    bench.state(fault=EVIL[:60], interlock=EVIL[:32])
    bench.quarantine(topic=EVIL)
    record_id = bench.add("match", verdict=evil, answers={"packaging": EVIL, "sample": EVIL})
    page.wait_for_selector(f"#measurements li[data-id='{record_id}']")
    page.wait_for_selector("#quarantined li")
    assert page.locator(".row .title").first.inner_text() == EVIL
    page.goto(page.url + f"records/{record_id}")
    page.wait_for_selector("#plot canvas")
    assert EVIL in page.inner_text(".banner")
    assert EVIL in page.inner_text("#record")
    assert page.locator("img").count() == 0
    assert page.locator("script:not([src]):not([type='application/json'])").count() == 0
    assert page.said == []


def test_nothing_is_asked_from_anywhere_else_and_nothing_is_polled(
    bench: Any, server: Any, open_page: Callable[..., Any]
) -> None:
    bench.add("match")
    page = open_page()
    page.wait_for_load_state("load")
    page.wait_for_timeout(300)
    asked = len(page.asked)
    page.wait_for_timeout(2500)
    assert len(page.asked) == asked
    assert all(url.startswith(server.url) for url in page.asked)


def test_times_are_local_with_utc_in_the_title(bench: Any, open_page: Callable[..., Any]) -> None:
    bench.add("match", time_ms=1_764_000_000_000)
    bench.add("match", time_ms=0, clock="unset")
    page = open_page(timezone_id="Asia/Kathmandu", locale="en-GB")
    times = page.locator("#measurements time")
    assert times.nth(1).inner_text() == "24 Nov 2025, 21:45:00"
    assert times.nth(1).get_attribute("title") == "2025-11-24 16:00:00 UTC"
    assert times.nth(0).inner_text() == "Clock of the unit not set"
    assert times.nth(0).get_attribute("title") is None


def test_older_measurements_are_a_page_away(bench: Any, open_page: Callable[..., Any]) -> None:
    for _ in range(53):
        bench.add("match")
    page = open_page()
    page.click("#older")
    page.wait_for_selector("#measurements[data-follow=no]")
    assert len(rows(page)) == 3


def test_reduced_motion_is_respected(bench: Any, open_page: Callable[..., Any]) -> None:
    for motion, expected in (("reduce", "none"), ("no-preference", "arrive")):
        page = open_page(reduced_motion=motion)
        record_id = bench.add("match")
        row = f"#measurements li[data-id='{record_id}'] .row"
        page.wait_for_selector(row)
        assert page.eval_on_selector(row, "e => getComputedStyle(e).animationName") == expected
