"""wire.md and topics.md against the code: every topic, kind, field, word and error code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from fieldassay_wire import cbor, errors, messages, rules, topics

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
WIRE = (REFERENCE / "wire.md").read_text(encoding="utf-8")
TOPICS = (REFERENCE / "topics.md").read_text(encoding="utf-8")
PACKAGE = Path(cbor.__file__).parent


def section(heading: str) -> str:
    found = re.search(rf"^### {heading}\n(.*?)(?=^##)", WIRE, re.DOTALL | re.MULTILINE)
    assert found, f"wire.md has no section {heading}"
    return found[1]


def rows(text: str) -> dict[str, str]:
    """First cell -> rest of the row, of every table row that starts with a code word."""
    return dict(re.findall(r"^\| `([^`]+)` \|(.*)$", text, re.MULTILINE))


def fields(table: dict, prefix: str = "") -> list[tuple[str, object]]:
    result: list[tuple[str, object]] = []
    for name, rule in table.items():
        here = prefix + name.lstrip("?")
        result.append((here, rule))
        inner = rule.item if isinstance(rule, rules.List) else rule
        if isinstance(inner, rules.Fields):
            result += fields(inner.table, here + ".")
    return result


def number(value: int) -> str:
    named = {(1 << 32) - 1: "2^32-1", (1 << 53) - 1: "2^53-1", 10**9: "10^9"}
    return named.get(value, str(value))


@pytest.mark.parametrize("kind", messages.KINDS)
def test_every_field_is_documented_with_its_range(kind):
    text = section(kind)
    documented = rows(text)
    for name, rule in fields(messages.FIELDS[kind].table):
        if kind == "state" and name.startswith("firmware."):
            assert f"`{name}`" in text
            continue
        assert name in documented, f"{kind}.{name} is not in wire.md"
        if isinstance(rule, rules.OrNull):
            assert "null" in documented[name]
            rule = rule.rule
        if isinstance(rule, rules.Int):
            expected = f" {number(rule.low)}..{number(rule.high)} "
            assert expected in documented[name] + " ", f"{kind}.{name}: {expected}"
        if isinstance(rule, rules.Text) and rule.form is None:
            assert f"{rule.low}..{rule.high} bytes" in documented[name], f"{kind}.{name}"
        if isinstance(rule, rules.OneOf) and name != "command":
            for word in rule.words:
                assert f"`{word}`" in documented[name], f"{kind}.{name}: {word}"
        if isinstance(rule, rules.MapOf):
            assert f"up to {rule.high} " in documented[name], f"{kind}.{name}"
        if isinstance(rule, rules.List):
            low = f"{rule.low}..{rule.high}" if rule.low else f"up to {rule.high} "
            assert low in documented[name], f"{kind}.{name}"


@pytest.mark.parametrize("kind", messages.KINDS)
def test_nothing_is_documented_that_is_not_there(kind):
    known = {name for name, _ in fields(messages.FIELDS[kind].table)} | set(messages.HEADER)
    if kind == "command":
        known |= set(messages.COMMANDS)
    assert rows(section(kind)).keys() <= known


def test_the_header_is_documented():
    assert messages.HEADER.keys() <= rows(WIRE.split("### measurement")[0]).keys()


def test_every_command_is_documented_with_its_arguments():
    documented = rows(section("command"))
    for name, rule in messages.ARGS.items():
        for argument in rule.table:
            assert f"`{argument.lstrip('?')}`" in documented[name], f"{name}: {argument}"
            assert ("optional" in documented[name]) == argument.startswith("?")


def test_every_flag_is_documented():
    row = rows(section("measurement"))["flags"]
    assert set(re.findall(r"`(\w+)`", row)) == set(messages.FLAGS)


def test_error_codes_are_those_of_the_code_and_all_are_used():
    documented = rows(WIRE.split("## Error codes")[1].split("## Change")[0])
    assert documented.keys() == errors.DO_NEXT.keys()
    used = set()
    for path in PACKAGE.glob("*.py"):
        if path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    assert errors.DO_NEXT.keys() <= used


def test_limits_are_those_of_the_code():
    assert f"at most {cbor.MAX_DEPTH} levels of nesting and {cbor.MAX_ITEMS} items" in WIRE
    tags = WIRE.split("Arrays of numbers")[1].split("A reader can")[0].split("Tags 64 to")[0]
    assert {int(tag) for tag in re.findall(r"\b(\d\d)\s+\(", tags)} == set(cbor.ITEM_SIZE)


def test_every_topic_is_documented_with_sender_qos_and_retain():
    documented = rows(TOPICS)
    expected = set()
    for kind in messages.KINDS:
        topic = topics.topic("u", kind).replace("/u/", "/<unit>/")
        expected.add(topic)
        sender, qos, retain, _ = (cell.strip() for cell in documented[topic].split("|")[:4])
        assert sender == ("unit" if kind in topics.UP else "host")
        assert int(qos) == topics.QOS[kind]
        assert ("yes" in retain) == topics.RETAIN[kind]
    assert documented.keys() == expected
    assert f"`{topics.UP_FILTER}`" in TOPICS
    assert f"`{topics.down_filter('u').replace('/u/', '/<unit>/')}`" in TOPICS


def test_the_wire_imports_only_struct_and_hashlib():
    for path in PACKAGE.glob("*.py"):
        tree = ast.parse(path.read_text())
        hidden = [
            node
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
            for node in ast.walk(block)
        ]
        for node in ast.walk(tree):
            if node in hidden:
                continue
            if isinstance(node, ast.Import):
                allowed = {"struct", "hashlib"} | ({"json"} if path.name == "bundle.py" else set())
                assert {a.name for a in node.names} <= allowed, path.name
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1, f"{path.name} imports from {node.module}"
