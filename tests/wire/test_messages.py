"""The field tables, check() and the CDDL: generated messages pass both, every fault fails both."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import cbor2
import pycddl
import pytest
from fieldassay_wire import WireError, cbor, messages, rules
from fieldassay_wire.cbor import TypedArray
from hypothesis import given, settings
from hypothesis import strategies as st

unknown_values = st.recursive(
    st.integers(-(1 << 63), (1 << 63) - 1) | st.booleans() | st.none() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def sized_text(rule: rules.Text) -> st.SearchStrategy[str]:
    if rule.form is rules.valid_date:
        return st.dates().map(lambda d: d.isoformat())
    if rule.form is rules.valid_decimal:
        return st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{1,9})?(e[+-]?[0-9]{1,2})?", fullmatch=True)
    if rule.form is not None:
        return st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
    text = st.text(max_size=min(rule.high, 40))
    return text.filter(lambda t: rule.low <= len(t.encode()) <= rule.high)


def values_of(rule: Any) -> st.SearchStrategy[Any]:
    """Every value a rule allows (long ones are kept short)."""
    match rule:
        case rules.Int():
            return st.integers(rule.low, rule.high)
        case rules.Bool():
            return st.booleans()
        case rules.Text():
            return sized_text(rule)
        case rules.OneOf():
            return st.sampled_from(rule.words)
        case rules.Bytes():
            return st.binary(min_size=rule.size, max_size=rule.size)
        case rules.Array():
            return st.just(TypedArray(rule.tag, bytes(range(16))))
        case rules.List():
            low, high = rule.low, min(rule.high, rule.low + 3)
            return st.lists(values_of(rule.item), min_size=low, max_size=high)
        case rules.MapOf():
            return st.dictionaries(sized_text(rules.NAME), values_of(rule.item), max_size=3)
        case rules.OrNull():
            return st.none() | values_of(rule.rule)
        case rules.Fields():
            return fields_of(rule.table)
    raise AssertionError(f"no strategy for {rule}")


def fields_of(table: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    required = {n: values_of(r) for n, r in table.items() if not n.startswith("?")}
    optional = {n[1:]: values_of(r) for n, r in table.items() if n.startswith("?")}
    known = required.keys() | optional.keys()
    unknown = st.dictionaries(
        st.text(max_size=9).filter(lambda n: n not in known), unknown_values, max_size=2
    )
    return st.builds(
        lambda extra, fields: {**extra, **fields},
        unknown,
        st.fixed_dictionaries(required, optional=optional),
    )


@st.composite
def message_of(draw, kind: str) -> dict[str, Any]:
    table = {**messages.HEADER, **messages.FIELDS[kind].table}
    message = draw(fields_of(table))
    if kind == "command":
        message["args"] = draw(values_of(messages.ARGS[message["command"]]))
    if kind == "measurement":
        message["saturated_pixels"] %= len(message["raw"]) + 1
    return message


kinds = pytest.mark.parametrize("kind", messages.KINDS)


@kinds
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_generated_messages_pass_check_round_trip_and_cddl(cddl, kind, data):
    message = data.draw(message_of(kind))
    payload = cbor.encode(message)
    assert messages.parse(kind, payload) == message
    assert cbor.encode(messages.parse(kind, payload)) == payload
    assert cbor2.loads(payload).keys() == message.keys()
    cddl(rule_name(kind, message)).validate_cbor(payload)


def rule_name(kind: str, message: dict[str, Any]) -> str:
    """The CDDL rule of a message; of a command its own, which is much faster to validate."""
    if kind == "command":
        return str(message["command"]).replace("_", "-")
    return f"{kind}-message"


# --- faults: each leaf of each table, made wrong in each way its rule knows -----------------------


def wrong_values(rule: Any) -> Iterator[Any]:
    match rule:
        case rules.Int():
            yield from (rule.low - 1, rule.high + 1, "1", None, [], True)
        case rules.Bool():
            yield from (0, 1, "true", None)
        case rules.Text():
            yield from (b"bytes", 1, None, "x" * (rule.high + 1))
            if rule.high > 2:
                yield "é" * (rule.high // 2 + 1)
            if rule.low:
                yield ""
            if rule.form is not None:
                odd = ("Ü", "a b", "2026-13-01", "2026-1-011", "1.5x", "1e100", "a\n", "A", ".5")
                yield from (text for text in odd if not rule.form(text))
        case rules.OneOf():
            yield from ("something_else", "", 1, None, rule.words[0].upper())
        case rules.Bytes():
            yield from (bytes(rule.size - 1), bytes(rule.size + 1), "x" * rule.size, None)
        case rules.Array():
            size = cbor.ITEM_SIZE[rule.tag]
            yield from ([1, 2], bytes(8), TypedArray(TypedArray.U16, bytes(8)), None)
            yield from (
                TypedArray(rule.tag, b""),
                TypedArray(rule.tag, bytes(size * (rule.high + 1))),
            )
        case rules.List():
            good = {rules.Text: "1", rules.Int: 1, rules.Fields: None}[type(rule.item)]
            yield from ({}, "text", None)
            if rule.low:
                yield []
            if good is not None:
                yield [good] * (rule.high + 1)
                yield from ([good, wrong] for wrong in wrong_values(rule.item))
        case rules.MapOf():
            yield from ([], "text", None)
            good = rule.item.words[0] if isinstance(rule.item, rules.OneOf) else 1
            yield from ({"name": wrong} for wrong in wrong_values(rule.item))
            yield {f"n{i}": good for i in range(rule.high + 1)}
            yield from ({"Not a name": good}, {"x" * 33: good})
        case rules.OrNull():
            yield from (wrong for wrong in wrong_values(rule.rule) if wrong is not None)
        case rules.Fields():
            yield from ([], "text", None)
        case _:
            raise AssertionError(rule)


def leaves(table: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, bool]]:
    """Path, rule and whether it is required, of every field."""
    for name, rule in table.items():
        here = (*path, name.lstrip("?"))
        yield here, rule, not name.startswith("?")
        if isinstance(rule, rules.Fields):
            yield from leaves(rule.table, here)
        if isinstance(rule, rules.List) and isinstance(rule.item, rules.Fields):
            yield from leaves(rule.item.table, (*here, 0))


def all_tables() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, name of a golden message that has every field, its table."""
    for kind in messages.KINDS:
        if kind != "command":
            every = f"{kind}-4" if kind == "measurement" else f"{kind}-1"
            yield kind, every, {**messages.HEADER, **messages.FIELDS[kind].table}
    for vector, name in (("command-1", "set_time"), ("command-6", "set_answers")):
        table = {**messages.HEADER, **messages.FIELDS["command"].table, "args": messages.ARGS[name]}
        yield "command", vector, table


def faults(message: dict[str, Any], table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, rule, required in leaves(table):
        wrongs = [(f"{path} = {wrong!r:.60}", wrong) for wrong in wrong_values(rule)]
        for note, wrong in wrongs + ([(f"{path} missing", "missing")] if required else []):
            faulty = copy.copy(message)
            parent = faulty
            for step in path[:-1]:
                parent[step] = copy.copy(parent[step])
                parent = parent[step]
            if note.endswith(" missing"):
                del parent[path[-1]]
            else:
                parent[path[-1]] = wrong
            yield note, faulty


# What the CDDL, or pycddl, cannot refuse: names in maps of free names (see the cddl fixture), and
# how many of them there may be.
BEYOND_PYCDDL = ("Not a name", "x" * 33, "{'n0'")


def test_every_fault_is_refused_by_check_and_by_the_cddl(vectors, cddl):
    tried = 0
    accepted_by_cddl = []
    for kind, vector, table in all_tables():
        schema = cddl(rule_name(kind, vectors[vector]["message"]))
        for note, faulty in faults(vectors[vector]["message"], table):
            tried += 1
            with pytest.raises(WireError) as caught:
                messages.check(kind, faulty)
                pytest.fail(f"check accepted {kind} {note}")
            assert caught.value.what.startswith(kind), caught.value.what
            if any(mark in note for mark in BEYOND_PYCDDL):
                continue
            try:
                schema.validate_cbor(cbor.encode(faulty))
            except pycddl.ValidationError:
                continue
            accepted_by_cddl.append(f"{kind} {note}")
    assert accepted_by_cddl == [], "\n".join(accepted_by_cddl)
    assert tried > 400


def test_errors_name_the_field_and_the_range(vectors):
    message = {**vectors["measurement-1"]["message"], "exposure_us": 0}
    with pytest.raises(WireError) as caught:
        messages.check("measurement", message)
    assert caught.value.what == "measurement.exposure_us is 0, allowed is 1..600000000."
    message = copy.deepcopy(vectors["verdict-1"]["message"])
    message["substances"][1]["share_permille"] = 1001
    with pytest.raises(WireError) as caught:
        messages.check("verdict", message)
    assert caught.value.what == "verdict.substances[1].share_permille is 1001, allowed is 0..1000."


@kinds
def test_unknown_kinds_and_shapes(kind):
    for wrong in ([], None, 1, "text", {1: 2}, {}):
        with pytest.raises(WireError):
            messages.check(kind, wrong)
    with pytest.raises(WireError) as caught:
        messages.check("greeting", {})
    assert caught.value.code == "unknown_kind"


@kinds
@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=40))
def test_any_payload_gives_a_message_or_a_wire_error(kind, payload):
    with pytest.raises(WireError):
        messages.parse(kind, payload)


@kinds
@settings(max_examples=60, deadline=None)
@given(
    value=st.dictionaries(st.sampled_from(["v", "unit", "boot", "command", "raw"]), unknown_values)
)
def test_any_map_gives_a_message_or_a_wire_error(kind, value):
    with pytest.raises(WireError):
        messages.check(kind, value)


@settings(deadline=None)
@given(
    st.from_regex(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,2})?", fullmatch=True) | st.text(max_size=9)
)
def test_decimal_text_is_what_float_reads(text):
    if rules.valid_decimal(text):
        assert text.isascii()
        assert abs(float(text)) < float("inf") or len(text) > 32


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_mutated_golden_payloads(vectors, data):
    # What a sender with the right key but a fault, or a newer version, may send.
    v = vectors[data.draw(st.sampled_from(sorted(vectors)))]
    payload = bytearray(cbor.encode(v["message"]))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        message = messages.parse(v["kind"], payload)
    except WireError:
        return
    assert cbor.encode(message) == payload


def test_every_field_stands_in_the_cddl(cddl):
    import re
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "reference" / "wire.cddl").read_text()
    for kind, _, table in all_tables():
        for path, rule, required in leaves(table):
            name = path[-1]
            pattern = rf"{'' if required else r'[?] '}\b{name}: "
            assert re.search(pattern, text), f"{kind}: {path}"
            if isinstance(rule, rules.OneOf):
                for word in rule.words:
                    assert f'"{word}"' in text, word
