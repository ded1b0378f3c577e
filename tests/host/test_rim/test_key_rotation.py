"""Keys of a unit over time: rotation, grace, confirmation; what an old key still is good for."""

from __future__ import annotations

from pathlib import Path

import pytest
from fieldassay.errors import SetupError, UnitError
from fieldassay.intake import Refused, open_message, open_with
from fieldassay.unit_states import UnitStates
from fieldassay.units import UnitRegistry
from fieldassay_wire import keys, mac0, topics

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def registry(tmp_path: Path) -> UnitRegistry:
    made = UnitRegistry(tmp_path / "units.json")
    made.add("a")
    return made


def telemetry(key: bytes) -> bytes:
    message = {
        "v": 1, "unit": "a", "boot": 1, "n": 1, "time_ms": 0, "uptime_ms": 1,
        "detector_mdegc": 0, "laser_mdegc": 0, "battery_mv": 4000, "free_heap": 1, "counters": {},
    }  # fmt: skip
    return bytes(mac0.seal("telemetry", key, "a", message))


def taken(registry: UnitRegistry, key: bytes, now_ms: int) -> bool:
    """Whether a host takes a new message sealed with this key, as ingest does it."""
    states = UnitStates(registry)
    topic = topics.topic("a", "telemetry")
    try:
        message = open_message(topic, telemetry(key), states.unit, now_ms)
    except Refused as refused:
        assert refused.error.code == "bad_mac"
        return False
    states.seen_with(message.unit, message.key, now_ms)
    return True


def test_both_keys_are_taken_until_the_grace_is_over(registry: UnitRegistry) -> None:
    old = registry.get("a").key
    coming = registry.begin_rotation("a").coming
    assert coming is not None
    assert registry.begin_rotation("a").coming == coming  # interrupted and repeated
    assert registry.get("a").key == old
    assert taken(registry, old, NOW_MS)
    assert registry.get("a").key == old
    assert taken(registry, coming, NOW_MS)  # the unit has it: from now on it counts
    assert registry.get("a").key == coming
    assert taken(registry, old, NOW_MS + 30 * DAY_MS - 1)
    assert not taken(registry, old, NOW_MS + 30 * DAY_MS)
    assert taken(registry, coming, NOW_MS + 900 * DAY_MS)


def test_after_confirmation_the_old_key_is_refused_but_verifies(registry: UnitRegistry) -> None:
    old = registry.get("a").key
    evidence = telemetry(old)
    coming = registry.begin_rotation("a").coming
    assert coming is not None
    with pytest.raises(UnitError) as caught:
        registry.confirm_rotation("a", NOW_MS)
    assert caught.value.code == "rotation_open"
    registry.complete_rotation("a", coming, NOW_MS, 30)
    registry.confirm_rotation("a", NOW_MS + 5)
    assert not taken(registry, old, NOW_MS + 5)
    assert open_with(evidence, registry.get("a").every_key())[0] == old
    registry.remove("a", NOW_MS)
    assert open_with(evidence, registry.get("a").every_key())[0] == old


def test_another_process_sees_the_same(registry: UnitRegistry, tmp_path: Path) -> None:
    coming = registry.begin_rotation("a").coming
    assert coming is not None
    other = UnitRegistry(tmp_path / "units.json")
    assert other.get("a") == registry.get("a")
    other.complete_rotation("a", coming, NOW_MS, 30)
    other.complete_rotation("a", coming, NOW_MS + 9, 30)  # once is enough
    assert registry.get("a") == other.get("a")
    assert len(registry.get("a").old) == 1
    for path in tmp_path.glob("units*.json"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("at", ["units.json", "units-keys.json"])
def test_a_crash_in_the_middle_loses_no_key(
    registry: UnitRegistry, tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = registry.get("a").key
    coming = registry.begin_rotation("a").coming
    assert coming is not None
    from fieldassay import units

    real = units.write_private

    def crashing(path: Path, text: str) -> None:
        if path.name == at:
            raise OSError("power")
        real(path, text)

    monkeypatch.setattr(units, "write_private", crashing)
    with pytest.raises(OSError, match="power"):
        registry.complete_rotation("a", coming, NOW_MS, 30)
    monkeypatch.setattr(units, "write_private", real)
    after = UnitRegistry(tmp_path / "units.json")
    assert {old, coming} == set(after.get("a").every_key())
    after.complete_rotation("a", coming, NOW_MS, 30)
    assert after.get("a").key == coming
    assert [entry.key for entry in after.get("a").old] == [old]


@pytest.mark.parametrize(
    "key", [bytes(32), b"\xff" * 32, b"k" * 32, bytes(range(32)), b"0123456789abcdef" * 2]
)
def test_guessable_keys_are_refused(tmp_path: Path, key: bytes) -> None:
    assert not keys.usable(key)
    path = tmp_path / "units.json"
    path.write_text('{"a": "%s"}' % key.hex())  # noqa: UP031
    with pytest.raises(SetupError) as caught:
        UnitRegistry(path).all()
    assert caught.value.code == "units_unreadable"
    path.unlink()
    with pytest.raises(UnitError) as refused:
        UnitRegistry(path).add("a", key)
    assert refused.value.code == "key_guessable"


def test_a_random_key_is_usable_and_its_fingerprint_is_short() -> None:
    from fieldassay.units import new_key

    made = [new_key() for _ in range(2000)]
    assert all(keys.usable(key) for key in made)
    assert len({keys.fingerprint(key) for key in made}) > 1990
    assert len(keys.fingerprint(made[0])) == 9
