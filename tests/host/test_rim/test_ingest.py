"""Ingest on real brokers: committed before acknowledged, answered always, never stopped."""

from __future__ import annotations

import hashlib
import os
import resource
import threading
import time
from typing import Any

import pytest
from fieldassay import ingest
from fieldassay.errors import RecordError
from fieldassay.units import UnitRegistry
from fieldassay_wire import cbor, mac0, topics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_a_measurement_becomes_a_record_a_receipt_and_a_verdict(rig, measurement) -> None:
    unit = rig.unit()
    sealed = unit.send("measurement", measurement(pixels=2048))
    (receipt,) = unit.wait("receipt")
    assert receipt["status"] == "stored"
    assert receipt["record"] == "unit-1-1-1"
    assert receipt["sha256"] == hashlib.sha256(sealed).digest()
    (verdict,) = unit.wait("verdict")
    assert (verdict["verdict"], verdict["title"]) == ("match", "Acetone")
    assert verdict["substances"][0]["share_permille"] == 1000
    assert verdict["hazard"]["lines"] == ["Do not open.", "Wear gloves."]
    assert [kind for kind, _ in unit.got] == ["receipt", "verdict"]
    record = rig.store.record("unit-1-1-1")
    assert record.sealed == sealed
    assert record.verdicts[0]["hazard"]["id"] == "unknown-powder"
    rig.until(lambda: len(rig.events) >= 2)
    assert [e["type"] for e in rig.events] == ["measurement", "verdict"]
    assert rig.acks("measurement") == [True]


def test_a_repeat_gets_the_receipt_and_the_stored_verdict_again(rig, measurement) -> None:
    unit = rig.unit()
    sealed = unit.send("measurement", measurement())
    unit.wait("verdict")
    rig.identify = lambda frame: pytest.fail("identified twice")  # type: ignore
    unit.send("measurement", sealed)
    receipts = unit.wait("receipt", 2)
    assert [r["status"] for r in receipts] == ["stored", "known"]
    first, second = unit.wait("verdict", 2)
    assert {**second, "time_ms": 0} == {**first, "time_ms": 0}
    assert rig.store.counts()["measurements"] == rig.store.counts()["verdicts"] == 1


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.lists(st.integers(0, 4), min_size=1, max_size=20), data=st.data())
def test_duplicates_in_any_order_make_one_record_each(rig, measurement, order, data) -> None:
    boot = rig.store.counts()["measurements"] + 1
    unit = rig.clients[0] if rig.clients else rig.unit()
    before = len(unit.of("receipt"))
    for seq in order:
        unit.send("measurement", measurement(seq=seq, boot=boot))
    receipts = unit.wait("receipt", before + len(order))[before:]
    assert [r["seq"] for r in receipts] == order
    assert [r["status"] for r in receipts] == [
        "known" if seq in order[:place] else "stored" for place, seq in enumerate(order)
    ]
    ids = [r.record_id for r in rig.store.records(1000) if r.boot == boot]
    assert sorted(ids) == sorted({f"unit-1-{boot}-{seq}" for seq in order})
    assert all(rig.acks("measurement"))


def test_other_bytes_under_the_same_number_are_kept_for_review(rig, measurement) -> None:
    unit = rig.unit()
    first = unit.send("measurement", measurement())
    other = unit.send("measurement", measurement(spot=7))
    stored, kept = unit.wait("receipt", 2)
    assert (stored["status"], kept["status"]) == ("stored", "quarantined")
    assert kept["sha256"] == hashlib.sha256(other).digest()
    assert rig.store.record("unit-1-1-1").sealed == first
    (entry,) = rig.store.quarantined(9)
    assert (entry.code, entry.raw, entry.authentic) == ("record_conflict", other, True)
    assert kept["record"] == f"q{entry.number}"
    assert all(rig.acks("measurement"))


def test_what_cannot_be_used_is_quarantined_with_its_reason(rig, measurement, state) -> None:
    unit, good = rig.unit(), measurement()
    stranger = b"\x01" * 32
    revoked = rig.unit("unit-2")
    rig.registry.remove("unit-2", 1)
    cases = {
        "bad_mac": (unit, mac0.seal("measurement", stranger, "unit-1", good)),
        "not_sealed": (unit, b"hello"),
        "sender_mismatch": (unit, mac0.seal("measurement", unit.key, "unit-2", good)),
        "missing_field": (unit, unit.seal("measurement", {"v": 1, "unit": "unit-1"})),
        "unit_revoked": (revoked, revoked.seal("measurement", measurement("unit-2"))),
        "frame_inconsistent": (unit, unit.seal("measurement", measurement(pixels=3))),
    }
    for sender, sealed in cases.values():
        sender.send("measurement", sealed)
    rig.until(lambda: rig.store.counts()["quarantined"] == len(cases))
    found = {entry.code: entry for entry in rig.store.quarantined(99)}
    assert set(found) == set(cases)
    for code, (_, sealed) in cases.items():
        assert found[code].raw == sealed
        assert found[code].do_next
    # Only what its key holder sent, with a place of its own, is answered.
    assert [r["status"] for r in unit.wait("receipt")] == ["quarantined"]
    assert revoked.of("receipt") == []
    assert all(rig.acks("measurement"))


def test_an_unknown_unit_is_quarantined_until_it_is_added(rig, measurement) -> None:
    unit = rig.unit()
    key = b"\x07" * 32
    sealed = mac0.seal("measurement", key, "unit-9", measurement("unit-9"))
    unit.client.publish(topics.topic("unit-9", "measurement"), sealed, 1)
    rig.until(lambda: rig.store.counts()["quarantined"] == 1)
    assert rig.store.quarantined(1)[0].code == "unit_unknown"


def test_one_unit_cannot_speak_for_another(rig, measurement) -> None:
    one, two = rig.unit("unit-1"), rig.unit("unit-2")
    forged = mac0.seal("measurement", two.key, "unit-2", measurement("unit-1"))
    two.send("measurement", forged)
    two.client.publish(topics.topic("unit-1", "measurement"), forged, 1)
    rig.until(lambda: rig.store.counts()["quarantined"] == 2)
    assert {entry.code for entry in rig.store.quarantined(9)} == {"sender_mismatch"}
    assert rig.store.counts()["measurements"] == 0
    assert one.of("receipt") == two.of("receipt") == []


@pytest.mark.parametrize("kind", ["measurement", "state", "telemetry"])
def test_an_authentic_but_unreadable_message_with_its_place_is_answered(
    rig, measurement, state, kind
) -> None:
    unit = rig.unit()
    message = measurement(seq=5) if kind == "measurement" else state(seq=5)
    unit.send(kind, {**message, "battery_mv": "full"})
    rig.until(lambda: rig.store.counts()["quarantined"] == 1)
    assert rig.store.quarantined(1)[0].authentic
    unit.send("measurement", measurement(seq=6))
    receipts = unit.wait("receipt", 2 if kind == "measurement" else 1)
    assert [(r["seq"], r["status"]) for r in receipts] == (
        [(5, "quarantined")] if kind == "measurement" else []
    ) + [(6, "stored")]


_NOISE = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda kind, key, value: mac0.seal(kind, key, "unit-1", value),
        st.sampled_from(["measurement", "state", "telemetry", "command"]),
        st.sampled_from([b"real", b"\x00" * 32]),
        st.recursive(
            st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9) | st.binary(max_size=9),
            lambda inner: st.dictionaries(st.text(max_size=9), inner, max_size=4),
            max_leaves=6,
        ),
    ),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.lists(_NOISE, min_size=1, max_size=10), data=st.data())
def test_no_bytes_stop_ingest(rig, measurement, noise, data) -> None:
    unit = rig.clients[0] if rig.clients else rig.unit()
    for junk in noise:
        if junk[:2] == b"\xd1\x84" and data.draw(st.booleans()):
            try:  # the same content under the unit's own key
                kind, kid, payload = mac0.open_sealed(junk, b"\x00" * 32)
                junk = mac0.seal(kind, unit.key, kid, cbor.decode(payload))
            except ValueError:
                pass
        unit.send(data.draw(st.sampled_from(["measurement", "state", "telemetry"])), junk)
    before = len(unit.of("receipt"))
    boot = rig.store.counts()["measurements"] + 1
    unit.send("measurement", measurement(boot=boot))
    assert unit.wait("receipt", before + 1)[-1]["status"] == "stored"


def test_a_crash_of_identification_leaves_the_record_and_says_so(rig, measurement) -> None:
    def broken(frame: object) -> Any:
        raise ZeroDivisionError("division by zero")

    rig.identify = broken
    unit = rig.unit()
    unit.send("measurement", measurement())
    assert unit.wait("receipt")[0]["status"] == "stored"
    (verdict,) = unit.wait("verdict")
    assert verdict["verdict"] == "inconclusive"
    assert "could not analyse" in verdict["reasons"][0]
    stored = rig.store.record("unit-1-1-1").verdicts[0]
    assert stored["reasons"][0]["code"] == "identification_failed"


def test_nothing_is_acknowledged_when_storing_fails(rig, measurement, monkeypatch) -> None:
    monkeypatch.setattr(ingest, "RETRY_MAX_S", 0.1)
    unit, tries = rig.unit(), []
    real = rig.store.add_measurement

    def failing(*args: Any) -> Any:
        tries.append(args)
        if len(tries) < 4:
            raise RecordError("store_full", "No space.", "Free space.")
        assert rig.acks("measurement") == []
        assert unit.of("receipt") == []
        return real(*args)

    monkeypatch.setattr(rig.store, "add_measurement", failing)
    unit.send("measurement", measurement())
    assert unit.wait("receipt")[0]["status"] == "stored"
    assert len(tries) == 4
    rig.until(lambda: {"type": "store", "state": "ok"} in rig.events)
    assert rig.acks("measurement") == [True]


def test_our_own_failure_at_a_message_puts_it_aside_and_goes_on(
    rig, measurement, monkeypatch
) -> None:
    monkeypatch.setattr(ingest, "RETRY_FIRST_S", 0.01)
    unit = rig.unit()
    real = rig.store.add_measurement

    def failing(sealed: bytes, frame: Any, now: int) -> Any:
        if frame.seq == 1:
            raise RuntimeError("a bug")
        return real(sealed, frame, now)

    monkeypatch.setattr(rig.store, "add_measurement", failing)
    unit.send("measurement", measurement(seq=1))
    unit.send("measurement", measurement(seq=2))
    (receipt,) = unit.wait("receipt")
    assert (receipt["seq"], receipt["status"]) == (2, "stored")  # none for 1: the unit keeps it
    assert rig.store.quarantined(1)[0].code == "ingest_failed"
    assert rig.acks("measurement") == [True, True]


def test_stopped_before_commit_the_broker_sends_it_again(rig, measurement, monkeypatch) -> None:
    def full(*args: Any) -> Any:
        raise RecordError("store_full", "No space.", "Free space.")

    monkeypatch.setattr(rig.store, "add_measurement", full)
    unit = rig.unit()
    for seq in range(5):
        unit.send("measurement", measurement(seq=seq))
    rig.until(lambda: any(e["type"] == "store" for e in rig.events))
    rig.stop()
    assert rig.acks("measurement") == []
    rig.start()
    receipts = unit.wait("receipt", 5)
    assert sorted(r["seq"] for r in receipts) == [0, 1, 2, 3, 4]
    assert all(rig.acks("measurement"))


def test_what_arrives_while_the_host_is_away_is_stored_later(rig, measurement) -> None:
    unit = rig.unit()
    rig.stop()
    for seq in range(30):
        unit.send("measurement", measurement(seq=seq))
    rig.start()
    unit.wait("receipt", 30)
    assert rig.store.counts()["measurements"] == 30


def test_a_full_disk_loses_nothing_and_heals(rig, measurement, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ingest, "RETRY_MAX_S", 0.1)
    unit = rig.unit()
    unit.send("measurement", measurement(seq=0))
    unit.wait("verdict")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(path.stat().st_size for path in tmp_path.glob("evidence.db*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, hard))
    try:
        for seq in range(1, 9):
            unit.send("measurement", measurement(seq=seq, pixels=2048))
        rig.until(lambda: any(e.get("state") == "failing" for e in rig.events))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    receipts = unit.wait("receipt", 9)
    assert {r["status"] for r in receipts} <= {"stored", "known"}
    assert rig.store.counts()["measurements"] == 9
    unit.wait("verdict", 9)
    assert all(rig.acks("measurement"))
    assert rig.store.unidentified() == []


def test_a_verdict_that_cannot_be_stored_comes_later(rig, measurement, monkeypatch) -> None:
    real, calls = rig.store.add_verdict, []

    def failing(*args: Any) -> None:
        calls.append(args)
        if len(calls) < 3:
            raise RecordError("store_full", "No space.", "Free space.")
        real(*args)

    monkeypatch.setattr(rig.store, "add_verdict", failing)
    unit = rig.unit()
    unit.send("measurement", measurement())
    unit.wait("verdict")
    assert len(calls) == 3
    assert len(unit.of("verdict")) == 1
    assert rig.store.counts()["verdicts"] == 1


@pytest.mark.parametrize("receipts_first", [True, False])
def test_what_waits_is_safe_before_it_is_identified(
    rig, measurement, monkeypatch, receipts_first: bool
) -> None:
    """Identification takes many times longer than storing; verdicts are late but never starved."""
    monkeypatch.setattr(ingest, "VERDICT_EVERY_S", 3600.0 if receipts_first else -1.0)
    unit, begun, waiting, plain = rig.unit(), threading.Event(), threading.Event(), rig.identify

    def identify(frame):
        begun.set()
        assert waiting.wait(30)
        return plain(frame)

    rig.ingest._caught_up_s = time.monotonic()
    rig.identify = identify
    for seq in range(1, 10):
        unit.send("measurement", measurement(seq=seq))
        assert begun.wait(30)  # the first is being identified
    rig.until(lambda: rig.ingest._queue.qsize() == 8)
    waiting.set()
    unit.wait("verdict", 9)
    got = [(kind, message["seq"]) for kind, message in unit.got]
    later = list(range(2, 10))
    if receipts_first:
        assert got[2:10] == [("receipt", seq) for seq in later]
        assert got[10:] == [("verdict", seq) for seq in later[::-1]]
    else:
        assert got == [(kind, seq) for seq in range(1, 10) for kind in ("receipt", "verdict")]


def test_records_without_a_verdict_are_identified_at_start(rig, measurement, monkeypatch) -> None:
    unit = rig.unit()
    monkeypatch.setattr(rig.ingest, "_judge", lambda *_: None)  # a crash between the two commits
    for seq in range(3):
        unit.send("measurement", measurement(seq=seq))
    unit.wait("receipt", 3)
    rig.stop()
    rig.start()
    rig.until(lambda: rig.store.unidentified() == [])
    assert sorted(v["seq"] for v in unit.wait("verdict", 3)) == [0, 1, 2]


def test_the_queue_is_bounded_and_what_did_not_fit_comes_again(
    rig, measurement, monkeypatch
) -> None:
    unit = rig.unit()
    rig.ingest._queue.maxsize = 2
    slow = rig.store.add_measurement

    def wait_a_little(*args: Any) -> Any:
        rig.until(lambda: rig.ingest._overflowed or len(rig.acks("measurement")) > 5)
        return slow(*args)

    monkeypatch.setattr(rig.store, "add_measurement", wait_a_little)
    fetched: list[bool] = []
    again = rig.link.reconnect
    monkeypatch.setattr(rig.link, "reconnect", lambda: (fetched.append(True), again()))
    sealed = {seq: unit.send("measurement", measurement(seq=seq)) for seq in range(12)}
    rig.until(lambda: fetched)
    # Not every broker sends all of it again after quick reconnects; a unit sends what has no
    # receipt, and so does this one.
    deadline = time.monotonic() + 60
    while missing := set(sealed) - {r["seq"] for r in unit.of("receipt")}:
        assert time.monotonic() < deadline, missing
        for seq in missing:
            unit.send("measurement", sealed[seq])
        time.sleep(1)
    assert rig.store.counts()["measurements"] == 12


def test_states_are_shown_and_old_ones_are_not(rig, state) -> None:
    unit = rig.unit(will=None)
    unit.send("state", state(n=5, state="measuring"))
    rig.until(lambda: rig.units.state("unit-1") is not None)
    unit.send("state", state(n=3, state="fault"))
    unit.send("state", state(n=6, state="ready"))
    rig.until(lambda: rig.units.state("unit-1")["n"] == 6)
    shown = [e["state"] for e in rig.events if e["type"] == "unit"]
    assert shown == ["measuring", "ready"]
    (known,) = rig.units.all()
    assert known["firmware"]["sha256"] == "00" * 32


def test_the_retained_state_is_known_after_a_restart(rig, state) -> None:
    unit = rig.unit()
    unit.send("state", state(n=5, state="fault", fault="laser too hot"))
    rig.until(lambda: rig.units.state("unit-1") is not None)
    rig.stop()
    rig.start()
    rig.until(lambda: rig.units.state("unit-1") is not None)
    assert rig.units.state("unit-1")["fault"] == "laser too hot"


def test_the_last_will_shows_that_a_unit_is_lost(rig, state) -> None:
    key = rig.registry.add("unit-1").key
    will = mac0.seal("state", key, "unit-1", state(n=1, state="lost"))
    unit = rig.unit("unit-1", will=will)
    unit.send("state", state(n=2))
    rig.until(lambda: (rig.units.state("unit-1") or {}).get("n") == 2)
    unit.client.socket().shutdown(2)  # the link is cut; nobody says goodbye
    rig.until(lambda: rig.units.state("unit-1")["state"] == "lost")
    assert rig.units.state("unit-1")["n"] == 2


def test_a_unit_without_a_clock_is_told_the_time(rig, state) -> None:
    unit = rig.unit()
    unit.send("state", state(clock="unset", boot=4))
    (command,) = unit.wait("command")
    assert (command["command"], command["boot"]) == ("set_time", 4)
    assert command["args"]["time_ms"] > 1_700_000_000_000
    unit.send("state", state(clock="unset", boot=4, n=2))
    rig.until(lambda: rig.units.state("unit-1")["n"] == 2)
    rig.ingest.send_command("unit-1", "get_state", {})
    first, second = unit.wait("command", 2)
    assert second["command"] == "get_state"  # not the time again at every state
    assert second["n"] > first["n"]


def test_telemetry_is_shown_beside_the_state(rig) -> None:
    unit = rig.unit()
    unit.send(
        "telemetry",
        {
            "v": 1,
            "unit": "unit-1",
            "boot": 1,
            "n": 1,
            "time_ms": 0,
            "uptime_ms": 9,
            "detector_mdegc": -5000,
            "laser_mdegc": 25000,
            "battery_mv": 3900,
            "free_heap": 100_000,
            "counters": {"measurements": 2},
        },
    )
    rig.until(lambda: rig.units.all()[0]["telemetry"])
    assert rig.units.all()[0]["telemetry"]["counters"] == {"measurements": 2}
    rig.until(lambda: any(e.get("kind") == "telemetry" for e in rig.events))


def test_a_dead_network_loop_comes_back_and_gets_everything_again(
    rig, measurement, monkeypatch
) -> None:
    real, calls = rig.link._deliver, []

    def dying(delivery: Any) -> None:
        calls.append(delivery)
        if len(calls) == 1:
            raise MemoryError("out of memory")
        real(delivery)

    monkeypatch.setattr(rig.link, "_deliver", dying)
    unit = rig.unit()
    unit.send("measurement", measurement())
    assert unit.wait("receipt")[0]["status"] == "stored"
    assert ("link", "disconnected") in rig.log
    assert rig.link.connected


def test_a_late_acknowledgement_is_not_sent_on_the_next_connection(rig, measurement) -> None:
    unit, kept = rig.unit(), []
    real = rig.ingest._link.ack
    rig.ingest._link.ack = lambda delivery: kept.append(delivery) or True  # type: ignore
    unit.send("measurement", measurement(seq=1))
    rig.until(lambda: kept)
    rig.link.reconnect()
    rig.until(lambda: len(kept) == 2)  # unacknowledged: it came again
    assert real(kept[0]) is False
    assert real(kept[1]) is True


def test_keys_of_units_added_while_running_are_seen(rig, measurement) -> None:
    other_process = UnitRegistry(rig.home / "units.json")
    other_process.add("unit-7")
    unit = rig.unit("unit-7")
    unit.send("measurement", measurement("unit-7"))
    assert unit.wait("receipt")[0]["status"] == "stored"


def test_random_sealed_content_of_a_key_holder_is_kept_whole(rig) -> None:
    unit = rig.unit()
    sealed = unit.seal("measurement", {"x": os.urandom(100_000)})
    unit.send("measurement", sealed)
    rig.until(lambda: rig.store.counts()["quarantined"] == 1)
    assert rig.store.quarantined(1)[0].raw == sealed
