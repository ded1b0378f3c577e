"""Settings: everything outside the table is a typed error, on CPython and on the unit."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

spec = importlib.util.spec_from_file_location(
    "firmware_fixture", Path(__file__).with_name("firmware_fixture.py")
)
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)
settings = fixture.device_module("settings")
UnitError = fixture.device_module("faults").UnitError

GOOD = {
    "unit": "unit-1",
    "key": "00c5a9efd24b1e7780f3613a94d82c5b6be7014fa8923dd6571ec03b8492fd66",
    "broker": {"host": "localhost"},
}


def put(document, key, value):
    document = copy.deepcopy(document)
    place = document
    *sections, name = key.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = value
    return document


def code(document):
    with pytest.raises(UnitError) as caught:
        settings.check(document)
    assert caught.value.what
    assert caught.value.do_next
    return caught.value.code


def test_defaults_fill_what_may_be_left_out():
    checked = settings.check(GOOD)
    for key, _kind, _low, _high, _unit, default, _help in settings.TABLE:
        value = checked
        for part in key.split("."):
            value = value[part]
        if default != settings.REQUIRED:
            assert value == default, key


def test_defaults_are_in_range():
    for key, kind, low, high, _unit, default, _help in settings.TABLE:
        if default != settings.REQUIRED and kind not in ("text", "hex"):
            settings.FILE._check_value(key, kind, low, high, default)


@pytest.mark.parametrize("key", [row[0] for row in settings.TABLE if row[5] == settings.REQUIRED])
def test_a_required_key_may_not_be_missing(key):
    document = copy.deepcopy(GOOD)
    place = document
    *sections, name = key.split(".")
    for section in sections:
        place = place[section]
    del place[name]
    assert code(document) == "settings_missing_key"


@pytest.mark.parametrize("row", settings.TABLE, ids=lambda row: row[0])
def test_wrong_types_are_refused(row):
    allowed = {"int": [3], "bool": [True], "text": ["x y\u00e9"], "numbers": [["1"]]}
    for value in (None, 1.5, True, 3, "x y\u00e9", ["1"], {"a": 1}, [1]):
        if any(
            value is ok or (value == ok and type(value) is type(ok))
            for ok in allowed.get(row[1], [])
        ):
            continue
        assert code(put(GOOD, row[0], value)) == "settings_wrong_type", value


@pytest.mark.parametrize("row", settings.TABLE, ids=lambda row: row[0])
def test_out_of_range_is_refused_at_both_ends(row):
    key, kind, low, high = row[:4]
    if kind == "int":
        wrong = [low - 1, high + 1, 1 << 70]
    elif kind == "text":
        wrong = ["x" * (high + 1)] + ([""] if low else [])
    elif kind == "hex":
        wrong = ["a" * (high + 2)] + (["a" * (low - 2)] if low else [])
    elif kind == "numbers":
        wrong = [["1"] * (low - 1), ["1"] * (high + 1)]
    else:
        return
    for value in wrong:
        assert code(put(GOOD, key, value)) == "settings_out_of_range", value


@pytest.mark.parametrize("key", ["colour", "laser.colour", "broker.hots", "Unit", "laser_power_uw"])
def test_an_unknown_key_is_an_error_that_names_it(key):
    document = put(GOOD, key, 1)
    assert code(document) == "settings_unknown_key"
    with pytest.raises(UnitError, match=key):
        settings.check(document)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"acquire.exposure_min_us": 5000, "acquire.exposure_max_us": 4000},
            "settings_out_of_range",
        ),
        ({"acquire.total_ms": 3000, "laser.max_on_ms": 3000}, "settings_out_of_range"),
        ({"battery.empty_mv": 3600, "battery.low_mv": 3500}, "settings_out_of_range"),
        ({"broker.tls": True}, "settings_missing_key"),
        (
            {"broker.tls": True, "broker.ca_der_hex": "00", "broker.cert_der_hex": "00"},
            "settings_missing_key",
        ),
        (
            {"broker.tls": True, "broker.ca_der_hex": "00", "broker.key_der_hex": "00"},
            "settings_missing_key",
        ),
        ({"broker.cert_der_hex": "00", "broker.key_der_hex": "00"}, "settings_out_of_range"),
        ({"wifi.ssid": "net", "wifi.password": "1234567"}, "settings_out_of_range"),
        ({"key": "00" * 32}, "settings_key_guessable"),
        ({"key": "ff" * 32}, "settings_key_guessable"),
        ({"key": "ab" * 32}, "settings_key_guessable"),
        ({"key": bytes(range(32)).hex()}, "settings_key_guessable"),
        ({"key": bytes(range(1, 33)).hex()}, "settings_key_guessable"),
        ({"key": bytes(range(255, 223, -1)).hex()}, "settings_key_guessable"),
        ({"key": bytes(range(0, 256, 8)).hex()}, "settings_key_guessable"),
        ({"key": "0123456789abcdef" * 4}, "settings_key_guessable"),
        ({"key": b"fieldassay-test-key-change-me!!!".hex()[:32] * 2}, "settings_key_guessable"),
    ],
)
def test_settings_that_contradict_each_other(changes, expected):
    document = GOOD
    for key, value in changes.items():
        document = put(document, key, value)
    assert code(document) == expected


@pytest.mark.parametrize("given_", [None, [], 1, "x", {"laser": 5}, {"laser": []}])
def test_documents_of_another_shape(given_):
    assert code(given_) in ("settings_damaged", "settings_wrong_type", "settings_missing_key")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(st.sampled_from([row[0] for row in settings.TABLE]), json_values)
def test_any_value_is_accepted_unchanged_or_refused_by_type(key, value):
    try:
        checked = settings.check(put(GOOD, key, value))
    except UnitError:
        return
    for part in key.split("."):
        checked = checked[part]
    assert checked == value


def test_files_missing_and_damaged(tmp_path):
    with pytest.raises(UnitError) as caught:
        settings.load(str(tmp_path / "none.json"))
    assert caught.value.code == "settings_missing"
    (tmp_path / "half.json").write_text(json.dumps(GOOD)[:40])
    with pytest.raises(UnitError) as caught:
        settings.load(str(tmp_path / "half.json"))
    assert caught.value.code == "settings_damaged"


@pytest.mark.needs("micropython")
def test_the_unit_decides_the_same(micropython, tmp_path):
    documents = [
        GOOD,
        put(GOOD, "x", 1),
        put(GOOD, "laser.power_uw", "1"),
        put(GOOD, "key", "zz" * 32),
    ]
    documents += [put(GOOD, "unit", "Ünit"), {}]
    documents += [put(GOOD, "laser.max_on_ms", 10001), put(GOOD, "broker.port", True)]
    expected = []
    for i, document in enumerate(documents):
        (tmp_path / f"{i}.json").write_text(json.dumps(document))
        try:
            settings.check(document)
            expected.append("ok")
        except UnitError as error:
            expected.append(error.code)
    assert len(set(expected)) > 4
    script = f"""
import settings
from faults import UnitError
for i in range({len(documents)}):
    try:
        settings.load("{tmp_path}/" + str(i) + ".json"); print("ok")
    except UnitError as error:
        print(error.code)
"""
    assert micropython(script).stdout.split() == expected


def test_text_is_measured_in_the_bytes_that_travel():
    """40 letters of two bytes do not fit in 64 bytes."""
    assert code(put(GOOD, "broker.user", "\u00e9" * 40)) == "settings_out_of_range"
    assert settings.check(put(GOOD, "broker.user", "\u00e9" * 32))
