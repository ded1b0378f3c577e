"""The record page in real Chromium: banner, hazard card, plot, keyboard, contrast, history."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from fieldassay.verdict import VERDICT_KINDS
from playwright.sync_api import expect

pytestmark = pytest.mark.needs("chromium")
KINDS = (*VERDICT_KINDS, "of_the_future", None)

TEXTS = "main :is(p, li, dt, dd, td, th, i, h2, h3, label)"

# How many pixels of the plot have each line colour (within a tolerance, as lines are antialiased).
COLOURED = """(names) => {
  const canvas = document.querySelector("#plot canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const wanted = names.map((name) => {
    const probe = document.createElement("i");
    probe.style.color = getComputedStyle(document.documentElement).getPropertyValue(name);
    document.body.append(probe);
    const rgb = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
    probe.remove();
    return rgb;
  });
  return wanted.map((rgb) => {
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 200 && rgb.every((v, k) => Math.abs(v - data[i + k]) < 40)) count += 1;
    }
    return count;
  });
}"""


def wait_for(page: Any, colour: str, wanted: Callable[[int], bool]) -> None:
    """Until the number of pixels of a colour is as wanted; 60 s is a hang."""
    for _ in range(600):
        (count,) = page.evaluate(COLOURED, [colour])
        if wanted(count):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{count} pixels of {colour}")


def open_record(open_page: Callable[..., Any], record_id: str, **options: Any) -> Any:
    page = open_page(f"/records/{record_id}", **options)
    page.wait_for_selector("#plot canvas")
    page.wait_for_selector("#plot-buttons:visible")
    return page


@pytest.mark.parametrize("kind", KINDS)
def test_the_banner_is_large_and_says_word_and_presumptive(
    bench: Any, open_page: Callable[..., Any], kind: str | None
) -> None:
    record_id = bench.add(kind)
    page = open_record(open_page, record_id, width=360, height=740)
    style = kind if kind in VERDICT_KINDS else "pending" if kind is None else "other"
    assert page.get_attribute("#record", "data-kind") == style
    size = page.eval_on_selector("#word", "e => parseFloat(getComputedStyle(e).fontSize)")
    assert size >= 32  # readable at arm's length on a phone
    assert "Presumptive: confirm in a laboratory." in page.inner_text(".banner")
    box = page.locator(".banner").bounding_box()
    assert box["y"] + box["height"] < 740  # the whole verdict without scrolling
    lines = page.locator(".hazard > ul li")
    assert lines.count() >= 1
    box = lines.last.bounding_box()
    assert box["y"] + box["height"] < 740  # and the first lines of the hazard card with it
    assert page.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_holds_in_both_themes(
    bench: Any, server: Any, open_page: Callable[..., Any], scheme: str
) -> None:
    ids = [bench.add(kind) for kind in KINDS]
    bench.state(state="fault", fault="laser too warm")
    bench.quarantine()
    page = open_page(color_scheme=scheme)
    listed = page.contrast(".word, .title, .reason, .meta > *, .unit *, #quarantine p")
    assert len(listed) > 5 * len(KINDS)
    assert min(listed)[0] >= 4.5, min(listed)
    for record_id in ids:
        page.goto(f"{server.url}/records/{record_id}")
        page.wait_for_selector("#plot-buttons:visible")
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        banner = page.contrast(".banner h1, .banner p, .banner li, .banner .share")
        assert len(banner) >= 3
        assert min(banner)[0] >= 7, min(banner)  # AAA, for sunlight
        rest = page.contrast(f"{TEXTS}, .button, button, summary, footer, #connection")
        assert len(rest) > 40
        assert min(rest)[0] >= 4.5, min(rest)


def test_local_and_utc_time_are_both_shown_without_a_pointer(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    record_id = bench.add("match", time_ms=1_764_000_000_000)
    page = open_record(open_page, record_id, timezone_id="Asia/Kathmandu", locale="en-GB")
    taken = page.locator("[aria-labelledby=instrument-title] dd").first
    assert taken.inner_text().split("\n") == ["24 Nov 2025, 21:45:00", "2025-11-24 16:00:00 UTC"]
    page.goto(page.url.replace(record_id, bench.add("match", time_ms=0, clock="unset")))
    expect(taken).to_have_text("Clock of the unit not set", timeout=60_000)


def test_the_plot_draws_measured_fit_and_reference_of_a_real_spectrum(
    bench: Any, open_page: Callable[..., Any], counts_of: Callable[[str], Any]
) -> None:
    record_id = bench.add("match", counts=counts_of("acetaminophen"))
    page = open_record(open_page, record_id)
    measured, fit, reference = page.evaluate(
        COLOURED, ["--plot-measured", "--plot-fit", "--plot-1"]
    )
    assert measured > 1000
    assert fit > 500
    assert reference < 50
    boxes = page.locator("#legend label")
    assert boxes.count() >= 3
    assert "cetaminophen" in boxes.nth(2).inner_text()
    boxes.nth(1).click()  # the explanation goes, the reference comes
    boxes.nth(2).click()
    wait_for(page, "--plot-fit", lambda count: count < 50)
    wait_for(page, "--plot-1", lambda count: count > 500)
    page.click("#bands summary")
    strongest = page.locator("#bands tbody tr")
    assert 5 <= strongest.count() <= 15
    positions = [float(text) for text in page.locator("#bands td:first-child").all_inner_texts()]
    for known in (858, 1237, 1324, 1648):  # acetaminophen, ASTM E1840
        assert min(abs(p - known) for p in positions) < 6, (known, positions)


def test_a_real_measurement_shows_what_the_host_really_says(
    bench: Any, open_page: Callable[..., Any], counts_of: Callable[[str], Any]
) -> None:
    record_id = bench.identify(counts_of("acetaminophen"))
    stored = bench.store.record(record_id).summary.verdict
    page = open_record(open_page, record_id)
    assert page.inner_text("#record .substances") == "Acetaminophen"  # no share: it is no purity
    assert page.inner_text(".banner h1") == "Match"
    assert stored["candidates"][0]["name"] in page.inner_text("[aria-labelledby=candidates-title]")
    assert stored["reasons"][0]["text"] in page.inner_text("#record")
    assert page.is_hidden("#differs")  # computed again, it is the same
    bench.judge(record_id, "inconclusive")
    page.reload()
    page.wait_for_selector("#differs:visible")
    assert "the result is: Match" in page.inner_text("#differs")


def test_without_a_result_no_reference_is_called_an_explanation(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    record_id = bench.identify(bench.noise())
    assert bench.store.record(record_id).summary.verdict["verdict"] == "inconclusive"
    page = open_record(open_page, record_id)
    legend = page.inner_text("#legend")
    assert "Best explanation" not in legend
    assert "not a result" in legend
    assert page.locator(".substances").count() == 0
    assert "A candidate is not a result." in page.inner_text("#record")


def test_the_plot_answers_to_the_keyboard_alone(bench: Any, open_page: Callable[..., Any]) -> None:
    page = open_record(open_page, bench.add("match"))
    page.focus("#plot")

    def at() -> float:
        return float(page.inner_text("#cursor").split()[0])

    page.keyboard.press("ArrowRight")
    first = at()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert at() > first
    assert "Measured" in page.inner_text("#cursor")
    page.keyboard.press("ArrowLeft")
    (before,) = page.evaluate(COLOURED, ["--plot-grid"])
    page.keyboard.press("+")
    page.keyboard.press("+")
    wait_for(page, "--plot-grid", lambda count: count != before)
    page.keyboard.press("0")
    wait_for(page, "--plot-grid", lambda count: count == before)


def test_the_hazard_card_opens_and_closes_with_one_press(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    page = open_record(open_page, bench.add("inconclusive"), width=320, height=640)
    assert page.locator(".hazard > ul li").count() >= 1
    assert page.locator(".hazard > ul").is_visible()
    assert page.locator(".hazard .sources").is_hidden()
    page.focus("#hazard-card summary")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hazard .sources:visible")
    assert page.locator(".hazard .sources li").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.click("#hazard-card summary")
    page.wait_for_selector(".hazard .sources", state="hidden")


@pytest.mark.parametrize("width", [320, 360, 400, 1280])
def test_no_sideways_scroll_with_everything_open(
    bench: Any, open_page: Callable[..., Any], width: int
) -> None:
    page = open_record(open_page, bench.add("mixture"), width=width, height=740)
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_pending_record_turns_into_its_verdict_by_itself(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    record_id = bench.add(None)
    page = open_record(open_page, record_id)
    bench.judge(record_id, "class")
    page.wait_for_selector("#record[data-kind=class]")
    assert "fentanyl-related" in page.inner_text(".banner")


def test_a_newer_verdict_is_offered_not_forced_and_both_stay(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    record_id = bench.add("inconclusive")
    other = bench.add("match")
    page = open_record(open_page, record_id)
    assert page.is_hidden("#newer")
    bench.judge(other, "mixture")
    bench.judge(record_id, "match")
    page.wait_for_selector("#newer:visible")
    assert page.get_attribute("#record", "data-kind") == "inconclusive"
    page.click("#newer a")
    page.wait_for_selector("#record[data-kind=match]")
    page.click("#verdicts summary")
    assert page.locator("#verdicts h3").count() == 2


def test_the_raw_record_downloads_as_the_unit_sent_it(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    import hashlib
    from pathlib import Path

    record_id = bench.add("match")
    page = open_record(open_page, record_id)
    with page.expect_download() as download:
        page.click("a[download]")
    data = Path(download.value.path()).read_bytes()
    assert data == bench.store.record(record_id).sealed
    assert hashlib.sha256(data).hexdigest() in page.inner_text("#record")
    page.click("#tree summary")
    assert "2048 × uint32" in page.text_content("#tree")


def test_a_spectrum_that_cannot_be_drawn_says_so(
    bench: Any, server: Any, open_page: Callable[..., Any]
) -> None:
    record_id = bench.add(
        "inconclusive",
        calibration={"id": "odd", "date": "2025-01-01", "coefficients_nm": ["900", "-0.1"]},
    )
    page = open_page(f"/records/{record_id}")
    expect(page.locator("#plot-status")).to_contain_text("cannot be shown", timeout=60_000)
    assert "Calibrate" in page.inner_text("#plot-status")
    assert page.locator("#plot canvas").count() == 0


def test_regions_and_headings_have_names_for_readers(
    bench: Any, open_page: Callable[..., Any]
) -> None:
    page = open_record(open_page, bench.add("match"))
    snapshot = page.locator("body").aria_snapshot()
    for expected in (
        'heading "Match" [level=1]',
        'region "What to do next"',
        'region "Spectrum"',
        'group "Plot of the measured spectrum',
        "banner",
        "main",
        "contentinfo",
    ):
        assert expected in snapshot, snapshot
    unnamed = page.eval_on_selector_all(
        "button, a, input, select, summary",
        "all => all.filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length))"
        ".length",
    )
    assert unnamed == 0
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map((e) => Number(e.tagName[1]))")
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
