"""docs/reference/scenarios.md and the how-to say what the simulator's code says."""

from __future__ import annotations

import ast
import re

import pytest
from fieldassay_sim.audit import RULES
from fieldassay_sim.cli import build_parser
from fieldassay_sim.scenario import parse, shipped
from fieldassay_sim.scenario_tables import OUTCOMES, SETTINGS, TABLES, Key

HEADINGS = {
    "": "Top level",
    "instrument": "`[instrument]`",
    "condition": "`[condition]`",
    "sample": "`[samples.<id>]`",
    "fluorescence": "`fluorescence` of a sample",
    "part": "An entry of `mixture`",
    "fleet": "`[fleet]`",
    "vary": "`vary` of the fleet",
    "step": "`[[steps]]`",
}


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/reference/scenarios.md").read_text("utf-8")


@pytest.fixture(scope="module")
def how_to(root):
    return (root / "docs/how-to/simulate-a-unit.md").read_text("utf-8")


def row(name: str, key: Key) -> str:
    kind = key.kind + (", required" if key.required else "")
    allowed = ", ".join(f"`{choice}`" if choice else "empty" for choice in key.choices)
    if key.low is not None and key.high is not None:
        allowed = f"{key.low:g} to {key.high:g}"
    return f"| `{name}` | {kind} | {allowed} | {key.help} |"


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_every_table_is_documented_as_it_is_checked(page, table):
    section = page.split(f"### {HEADINGS[table]}\n")[1].split("\n### ")[0].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [row(name, key) for name, key in TABLES[table].items()]


def test_every_rule_of_the_audit_is_documented_and_no_other(page):
    section = page.split("## The laser audit")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert dict(rows) == RULES


def test_outcomes_settings_and_shipped_scenarios_are_named(page):
    for name in (*OUTCOMES, *SETTINGS, *(path.stem for path in shipped())):
        assert f"`{name}`" in page, name


def test_every_error_code_is_documented_and_no_other(page, root):
    raised = set()
    for path in (root / "sim/fieldassay_sim").glob("*.py"):
        if path.name in ("errors.py", "demo.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", "")
                first = node.args[0]
                if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                    continue
                if name.endswith("Error") and len(node.args) == 3:
                    raised.add(first.value)
                if name == "_error" and path.name == "scenario_checks.py":
                    raised.add(f"scenario_{first.value}")
    section = page.split("\n## Errors")[1]
    documented = set(re.findall(r"`([a-z_]+)`", section.split("\n## ")[0]))
    # The panel passes an unnamed refusal on under this code; it is a default, not a literal call.
    assert documented == raised | {"panel_refused"}


def test_every_event_is_documented_and_no_other(page, root):
    emitted = set()
    for path in (root / "sim/fieldassay_sim").glob("*.py"):
        text = path.read_text("utf-8")
        emitted |= set(re.findall(r"emit\(\s*\"(\w+)\"", text))
    section = page.split("\n## Event log")[1].split("\n## ")[0]
    listed = section.split("Events:")[1].split(".\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) - {"kind", "details"} == emitted


def test_commands_of_the_how_to_are_accepted_by_the_parser(how_to):
    commands = re.findall(r"fieldassay-sim ((?:run|play|trigger|list|demo)\b[^`\n]*)", how_to)
    assert len(commands) >= 6
    for command in commands:
        build_parser().parse_args(command.split("#")[0].split())


def test_the_scenario_of_the_how_to_is_one(how_to, tmp_path):
    text = how_to.split("```toml\n")[1].split("```")[0]
    scenario = parse(text, tmp_path / "warm.toml")
    assert list(scenario.samples) == ["naphthalene"]


def test_every_command_is_mentioned(how_to):
    actions = build_parser()._subparsers._group_actions[0]  # type: ignore[union-attr]
    for command in actions.choices:  # type: ignore[union-attr]
        assert f"fieldassay-sim {command}" in how_to
