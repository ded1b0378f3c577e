"""Units and their keys: kept private, never given twice, seen by a running host; commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fieldassay.commander import Commander
from fieldassay.errors import SetupError, UnitError
from fieldassay.private_file import write_private
from fieldassay.unit_states import UnitStates
from fieldassay.units import UnitRegistry
from fieldassay_wire import mac0, messages


@pytest.fixture
def registry(tmp_path: Path) -> UnitRegistry:
    return UnitRegistry(tmp_path / "units.json")


def test_keys_are_random_private_and_read_back(registry: UnitRegistry, tmp_path: Path) -> None:
    one, two = registry.add("unit-1"), registry.add("unit-2")
    assert len(one.key) == 32
    assert one.key != two.key
    path = tmp_path / "units.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert one.key.hex() not in repr(one)
    assert UnitRegistry(path).all() == [one, two]
    assert json.loads(path.read_text()) == {"unit-1": one.key.hex(), "unit-2": two.key.hex()}


def test_a_name_is_given_once(registry: UnitRegistry) -> None:
    key = registry.add("unit-1").key
    for _ in range(2):
        with pytest.raises(UnitError) as caught:
            registry.add("unit-1")
        assert caught.value.code == "unit_exists"
        registry.remove("unit-1", 3)
    assert registry.get("unit-1").revoked_ms == 3
    assert UnitStates(registry).key("unit-1") == key  # old records stay verifiable


@pytest.mark.parametrize("name", ["", "Unit", "a/b", "+", "#", "x" * 33, "ä"])
def test_names_that_would_break_a_topic_are_refused(registry: UnitRegistry, name: str) -> None:
    with pytest.raises(UnitError) as caught:
        registry.add(name)
    assert caught.value.code == "unit_name_bad"


def test_an_unknown_unit_is_an_error(registry: UnitRegistry) -> None:
    for call in (registry.get, UnitStates(registry).key, lambda n: registry.remove(n, 1)):
        with pytest.raises(UnitError) as caught:
            call("unit-1")
        assert caught.value.code == "unit_unknown"


@pytest.mark.parametrize("text", ["", '{"a": "00"}', '{"A B": 7}', "[", "[1]"])
def test_a_damaged_list_trusts_nobody(registry: UnitRegistry, tmp_path: Path, text: str) -> None:
    (tmp_path / "units.json").write_text(text)
    with pytest.raises(SetupError) as caught:
        registry.all()
    assert caught.value.code == "units_unreadable"


def test_many_processes_adding_at_once_lose_nobody(registry: UnitRegistry, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = {paths!r}\n"
        "from pathlib import Path\n"
        "from fieldassay.units import UnitRegistry\n"
        "for i in range(15): UnitRegistry(Path({path!r})).add(f'p{n}-{{i}}')"
    )
    path = str(tmp_path / "units.json")
    children = [
        subprocess.Popen([sys.executable, "-c", code.format(paths=sys.path, path=path, n=n)])
        for n in range(3)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(registry.all()) == 45


def test_replacing_a_private_file_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_states_do_not_go_back_but_a_will_counts(registry: UnitRegistry, state) -> None:
    registry.add("unit-1")
    registry.add("unit-2")
    units = UnitStates(registry)
    assert [s["state"] for s in units.all()] == ["never seen", "never seen"]
    assert units.update("state", state(n=9, boot=3))
    assert units.update("state", state(n=9, boot=3))  # retained or sent again
    assert not units.update("state", state(n=8, boot=3))
    assert not units.update("state", state(n=10, boot=2))
    assert units.update("state", state(n=1, boot=3, state="lost"))
    assert units.state("unit-1")["state"] == "lost"
    assert not units.update("state", state(n=8, boot=3))
    assert units.update("state", state(n=10, boot=3))
    assert not units.update("state", state(n=99, boot=2, state="lost"))
    assert units.update("state", state(n=1, boot=4))
    shown = {s["unit"]: s["state"] for s in units.all()}
    assert shown == {"unit-1": "ready", "unit-2": "never seen"}
    json.dumps(units.all())


class Wire:
    def __init__(self, up: bool = True) -> None:
        self.up, self.sent = up, []

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        self.sent.append((topic, payload, qos))
        return self.up

    def commands(self, key: bytes) -> list[dict[str, Any]]:
        return [
            messages.parse("command", mac0.open_sealed(payload, key)[2])
            for _, payload, _ in self.sent
        ]


def test_commands_are_sealed_with_rising_numbers(registry: UnitRegistry, state) -> None:
    key, units, wire = registry.add("unit-1").key, UnitStates(registry), Wire()
    units.update("state", state(boot=3))
    for commander in (Commander(units, wire.publish), Commander(units, wire.publish)):
        for _ in range(2):
            commander.send("unit-1", "get_state", {})
    sent = wire.commands(key)
    assert {c["boot"] for c in sent} == {3}
    assert sent[1]["n"] > sent[0]["n"]
    assert wire.sent[0][0] == "fieldassay/1/unit-1/down/command"


def test_commands_that_cannot_be_sent_say_why(registry: UnitRegistry, state) -> None:
    registry.add("unit-1")
    registry.add("gone")
    units = UnitStates(registry)
    commander = Commander(units, Wire(up=False).publish)
    units.update("state", state(unit="gone"))
    registry.remove("gone", 1)

    def code(*args: Any) -> str:
        with pytest.raises(UnitError) as caught:
            commander.send(*args)
        return caught.value.code

    assert code("other", "abort", {}) == "unit_unknown"
    assert code("gone", "abort", {}) == "unit_revoked"
    assert code("unit-1", "abort", {}) == "unit_not_connected"
    units.update("state", state(state="lost"))
    assert code("unit-1", "abort", {}) == "unit_not_connected"
    units.update("state", state(n=2))
    assert code("unit-1", "fire_laser", {}) == "command_bad"
    assert code("unit-1", "set_time", {"time_ms": "noon"}) == "command_bad"
    assert code("unit-1", "abort", {}) == "link_down"


def test_the_time_is_sent_to_connected_units_without_clock_only(
    registry: UnitRegistry, state
) -> None:
    registry.add("unit-1")
    units, wire = UnitStates(registry), Wire()
    commander = Commander(units, wire.publish)
    for message, expected in (
        (state(n=1, clock="synced"), False),
        (state(n=2, clock="unset", state="lost"), False),
        (state(n=3, clock="unset"), True),
        (state(n=4, clock="unset"), False),
    ):
        units.update("state", message)
        assert commander.set_time_if_needed(message) is expected
    assert len(wire.sent) == 1
