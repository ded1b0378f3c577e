"""Topics: built and parsed by one module, and no text that is not ours gets through."""

from __future__ import annotations

import pytest
from fieldassay_wire import WireError, messages, topics
from hypothesis import given, settings
from hypothesis import strategies as st

units = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)


@settings(deadline=None)
@given(units, st.sampled_from(messages.KINDS))
def test_round_trip(unit, kind):
    topic = topics.topic(unit, kind)
    assert topics.parse(topic) == (unit, kind)
    direction = "up" if kind in topics.UP else "down"
    assert topic == f"fieldassay/1/{unit}/{direction}/{kind}"


@settings(deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"fieldassay/1/[^/]{0,34}/(up|down)/[a-z]{3,11}"))
def test_any_text_is_a_topic_of_ours_or_refused(text):
    try:
        unit, kind = topics.parse(text)
    except WireError:
        return
    assert topics.topic(unit, kind) == text


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "fieldassay/1/u/up/receipt",
        "fieldassay/1/u/down/measurement",
        "fieldassay/2/u/up/state",
        "fieldassay/1/U/up/state",
        "fieldassay/1/+/up/state",
        "fieldassay/1/#/up/state",
        "fieldassay/1//up/state",
        "fieldassay/1/u/up/state/x",
        "/fieldassay/1/u/up/state",
        "fieldassay/1/u/sideways/state",
        "fieldassay/1/u/up/",
    ],
)
def test_refused(topic):
    with pytest.raises(WireError) as caught:
        topics.parse(topic)
    assert caught.value.code == "bad_topic"


@pytest.mark.parametrize("unit", ["", "A", "a/b", "a+", "a#", "ü", "a b", "x" * 33, "٣", None, 7])
def test_unit_names(unit):
    assert not topics.valid_unit(unit)
    for build in (lambda: topics.topic(unit, "state"), lambda: topics.down_filter(unit)):
        with pytest.raises(WireError):
            build()


def test_every_kind_has_a_direction_qos_and_retain():
    assert sorted(topics.UP + topics.DOWN) == sorted(messages.KINDS)
    assert topics.QOS.keys() == topics.RETAIN.keys() == set(messages.KINDS)
    assert set(topics.QOS.values()) <= {0, 1}
    # What a unit frees its slot for, and what that depends on, must be repeated until it arrives.
    assert topics.QOS["measurement"] == topics.QOS["receipt"] == 1
    # A retained command or receipt would act again on every reconnect.
    assert [kind for kind in messages.KINDS if topics.RETAIN[kind]] == ["state"]


def test_filters_match_what_they_should():
    from paho.mqtt.client import topic_matches_sub

    for kind in messages.KINDS:
        topic = topics.topic("u-1", kind)
        assert topic_matches_sub(topics.UP_FILTER, topic) is (kind in topics.UP)
        assert topic_matches_sub(topics.down_filter("u-1"), topic) is (kind in topics.DOWN)
        assert not topic_matches_sub(topics.down_filter("u-2"), topic)
