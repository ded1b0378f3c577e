"""What the display shows fits, says what to do, and never promises what is not known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
display = fixture.device_module("display")
faults = fixture.device_module("faults")
officer_module = fixture.device_module("officer")

VERDICT = {
    "boot": 1,
    "seq": 2,
    "verdict": "match",
    "title": "Ephedrine",
    "substances": [],
    "hazard": {"id": "h", "title": "Harmful", "lines": ["Wear gloves.", "Do not open the bag."]},
    "do_next": "Seal the bag and send it to the laboratory with this record.",
    "reasons": ["The best reference fits with 0.98."],
}
STYLES = {"", "title", "ok", "warn", "bad", "dim"}


def view(**changes):
    base = {
        "unit": "unit-1",
        "battery_low": False,
        "online": True,
        "used": 3,
        "capacity": 100,
        "phase": "",
        "permille": 0,
        "left_ms": 0,
    }
    return {**base, **officer_module.Officer().view(), **changes}


def text(rows):
    return " ".join(row[0].strip() for row in rows)


words = st.text(max_size=120)
verdicts = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from([*display.VERDICT_WORDS, "new_kind"]),
        "title": words,
        "hazard": st.fixed_dictionaries({"title": words, "lines": st.lists(words, max_size=4)}),
        "do_next": words,
        "reasons": st.lists(words, max_size=5),
    }
)


@given(
    st.sampled_from(sorted(display.SCREENS)),
    st.fixed_dictionaries(
        {
            "unit": st.text(min_size=1, max_size=32),
            "battery_low": st.booleans(),
            "online": st.booleans(),
            "used": st.integers(0, 1000),
            "capacity": st.integers(1, 1000),
            "packaging": words,
            "dark_sample": st.sampled_from(["", "no", "yes", "unknown"]),
            "request": st.booleans(),
            "note": words,
            "phase": st.sampled_from(["", "warning", "light", "dark"]),
            "permille": st.integers(-10, 2000),
            "left_ms": st.integers(0, 10000),
            "record": words,
            "delivery": st.sampled_from(["saved", "delivered", "kept"]),
            "flags": st.lists(st.sampled_from(["saturated", "low_signal", "clock_unset"])),
            "verdict": verdicts,
            "page": st.integers(0, 50),
            "what": words,
            "do_next": words,
        }
    ),
)
def test_any_view_gives_eight_rows_that_fit(screen, values):
    rows = display.rows({**values, "screen": screen})
    assert len(rows) == 8
    assert all(len(row) == 2 and len(row[0]) <= 26 and row[1] in STYLES for row in rows)


@given(st.text(), st.integers(1, 40))
def test_wrap_keeps_every_character_in_order(value, width):
    lines = display.wrap(value, width)
    assert all(0 < len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(value.split())


def test_the_words_clear_and_safe_are_nowhere():
    for file in ("display.py", "faults.py", "officer.py"):
        source = (fixture.DEVICE / file).read_text().lower()
        code = "\n".join(
            line
            for line in source.split('"""', 2)[2].splitlines()
            if not line.strip().startswith("#")
        )
        assert "clear" not in code, file
        assert '"safe' not in code, file
        assert " safe" not in code, file


@pytest.mark.parametrize("code", sorted(faults.TEXTS))
@pytest.mark.parametrize("screen", ["refused", "fault"])
def test_every_fault_is_readable_in_full(code, screen):
    error = faults.fault(code)
    shown = text(display.rows(view(screen=screen, what=error.what, do_next=error.do_next)))
    assert error.what in shown
    assert error.do_next in shown


def test_pages_of_a_verdict_show_everything_once():
    body = display.verdict_lines(VERDICT)
    seen = []
    for page in range(10):
        rows = display.rows(view(screen="verdict", verdict=VERDICT, page=page))
        assert rows[1] == ("MATCH", "bad")
        shown = [row for row in rows[2:7] if row[0]]
        if page and shown == seen[:1]:
            break
        seen.append(shown)
    pages = (len(body) + 4) // 5
    assert [row for shown in seen[:pages] for row in shown] == body
    assert seen[pages] == seen[0]  # then it starts again


def test_a_verdict_says_hazard_advice_and_presumptive():
    shown = text(display.verdict_lines(VERDICT))
    for part in ("Ephedrine", "Harmful", "Wear gloves.", "Do not open the bag.", "Seal the bag"):
        assert part in shown
    assert "Presumptive" in shown


def test_what_is_cut_says_so():
    rows = display.rows(view(screen="ready", packaging="a very long name of a packaging"))
    assert rows[2][0] == "Packaging: a very long n.."
    rows = display.rows(view(screen="ready", note="Measurement 3-12: " + "caffeine with much " * 5))
    assert [text for text, style in rows if style == "warn"][-1].endswith(" ..")
    rows = display.rows(view(screen="ready", note="Measurement 3-12: Caffeine"))
    assert ".." not in text(rows)


def test_saved_delivered_and_kept_are_told_apart():
    saved = text(display.rows(view(screen="saved", record="r", delivery="saved", flags=[])))
    delivered = text(display.rows(view(screen="saved", record="r", delivery="delivered", flags=[])))
    kept = text(display.rows(view(screen="saved", record="r", delivery="kept", flags=[])))
    assert "SAVED" in saved
    assert "DELIVERED" not in saved + kept
    assert "DELIVERED" in delivered
    assert "KEPT FOR REVIEW" in kept


def test_the_laser_screens_warn_before_and_during():
    before = text(display.rows(view(screen="measuring", phase="warning", left_ms=1001)))
    assert "LASER STARTS IN 2 s" in before
    assert "LASER ON" in text(display.rows(view(screen="measuring", phase="light")))
    assert "LASER OFF" in text(display.rows(view(screen="measuring", phase="dark")))


def test_officer_path_of_an_ordinary_sample_needs_one_button():
    officer = officer_module.Officer()
    officer.ready()
    assert officer.screen == "ask"
    officer.press_ok()
    assert officer.screen == "ready"
    assert officer.may_measure()
    assert officer.answers() == {"packaging": "unknown", "sample": "", "dark_sample": "no"}
    officer.measuring()
    officer.saved((1, 1), [])
    officer.delivered((1, 1), "stored")
    officer.judged((1, 1), VERDICT)
    assert officer.screen == "verdict"


PRESSES = {"trigger": "press_trigger", "next": "press_next", "ok": "press_ok"}


@pytest.mark.parametrize(
    ("button", "answer", "gentle"),
    [("ok", "no", False), ("next", "yes", True), ("trigger", "unknown", True)],
)
def test_each_button_answers_the_dark_question(button, answer, gentle):
    officer = officer_module.Officer()
    officer.ready()
    shown = text(display.rows(view(screen="ask")))
    assert "DARK OR COLOURED SAMPLE?" in shown
    assert all(word in shown for word in ("OK:", "NEXT:", "TRIGGER:", "do not know"))
    assert officer.gentle()  # nothing is a clear no
    getattr(officer, PRESSES[button])()
    assert officer.dark_sample == answer == officer.answers()["dark_sample"]
    assert officer.gentle() is gentle
    low = "low power" in text(display.rows(view(**officer.view())))
    assert low is gentle


events = st.lists(
    st.one_of(
        st.sampled_from(["trigger", "next", "ok", "shot", "refused", "stopped", "receipt"]),
        st.sampled_from(["verdict", "old verdict", "request", "restart"]),
        st.fixed_dictionaries(
            {},
            optional={
                "dark_sample": st.sampled_from(["no", "yes", "unknown"]),
                "series": st.integers(1, 3),
                "sample": st.sampled_from(["", "a", "b"]),
                "packaging": st.sampled_from(["pe", "glass"]),
            },
        ),
    ),
    max_size=40,
)


@given(events)
def test_no_way_around_the_dark_question(happened):
    """What the trigger may measure was answered for this sample, by a person or by the host."""
    officer = officer_module.Officer()
    officer.ready()
    answered = False  # for the sample that comes next, as the words on the screens say
    for event in happened:
        screen = officer.screen
        if event == "shot":
            if officer.may_measure():
                assert answered
                assert officer.answers()["dark_sample"] in ("no", "yes", "unknown")
                officer.measuring()
                officer.saved((1, 1), [])
                answered = False
        elif event == "trigger":
            if screen == "ask":
                officer.press_trigger()
                answered = True
            elif screen != "same" and not officer.may_measure():
                assert officer.ask()
                assert officer.screen in ("ask", "same")
        elif event in ("next", "ok"):
            getattr(officer, PRESSES[event])()
            answered = answered or screen == "ask" or (screen == "same" and event == "next")
        elif event == "refused" and officer.may_measure():
            officer.refused(faults.fault("lid_open"))
        elif event == "stopped" and screen == "saved":
            officer.refused(faults.fault("background_rising"))
        elif event == "receipt":
            officer.delivered((1, 1), "stored")
        elif event in ("verdict", "old verdict"):
            officer.judged((1, 1) if event == "verdict" else (1, 0), VERDICT)
        elif event == "request":
            officer.request = True
        elif event == "restart":
            officer = officer_module.Officer()
            officer.ready()
            answered = False
        elif isinstance(event, dict):
            before = officer.series, officer.sample
            officer.answer(event)
            answered = answered and before == (officer.series, officer.sample)
            answered = answered or "dark_sample" in event
        if officer.may_measure():
            assert answered, (event, screen, officer.screen)


def test_why_it_was_stopped_stays_until_it_was_read():
    officer = officer_module.Officer()
    officer.ready()
    officer.press_next()
    officer.saved((1, 1), ["interrupted"])
    officer.refused(faults.fault("background_rising"))
    officer.judged((1, 1), VERDICT)
    assert officer.screen == "refused"
    officer.press_ok()
    assert officer.screen == "ask"


def test_next_walks_all_packagings_and_returns():
    officer = officer_module.Officer()
    officer.dark_sample = "no"
    officer.ready()
    seen = []
    for _ in officer_module.PACKAGINGS:
        officer.press_next()
        seen.append(officer.packaging)
    assert sorted(seen) == sorted(name for name, _ in officer_module.PACKAGINGS)
    assert seen[-1] == "unknown"
    assert all(len(f"Packaging: {word}") <= 26 for _, word in officer_module.PACKAGINGS)


def test_a_verdict_for_an_older_measurement_does_not_take_the_screen():
    officer = officer_module.Officer()
    officer.saved((1, 2), [])
    officer.judged((1, 1), VERDICT)
    assert officer.screen == "saved"
    assert "1-1" in officer.note
    assert not officer.delivered((1, 1), "stored")
    assert officer.delivery == "saved"
    officer.measuring()
    officer.judged((1, 2), VERDICT)
    assert officer.screen == "measuring"


def test_quarantined_is_never_called_delivered():
    officer = officer_module.Officer()
    officer.saved((1, 2), [])
    officer.delivered((1, 2), "quarantined")
    assert officer.delivery == "kept"
    officer.delivered((1, 2), "known")
    assert officer.delivery == "delivered"


def test_answers_and_spot_numbers():
    officer = officer_module.Officer()
    officer.answer({"packaging": "glass", "series": 4})
    assert (officer.packaging, officer.series, officer.spot) == ("glass", 4, 1)
    officer.saved((1, 1), [])
    assert officer.spot == 2
    officer.answer({"series": 4, "sample": "powder"})
    assert officer.spot == 2
    officer.answer({"series": 5})
    assert officer.spot == 1
    officer.answer({"packaging": "a wooden box", "dark_sample": "no"})
    officer.ready()
    assert "a wooden box" in officer.view()["packaging"]
    officer.press_next()
    assert officer.packaging == "unknown"


def test_kept_for_review_is_told_after_the_officer_moved_on():
    officer = officer_module.Officer()
    officer.saved((1, 2), [])
    officer.press_ok()
    officer.delivered((1, 2), "quarantined")
    assert "Kept for review: Measurement 1-2" in text(display.rows({**view(), **officer.view()}))
