"""Measurements leave the spool only on a true receipt; what comes in is checked first."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("micropython", "mosquitto")


def wait_for(condition):
    import time

    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "hang"
        time.sleep(0.01)


def test_delivers_everything_once_and_says_goodbye(unit, host, mosquitto):
    broker = mosquitto()
    there = host(broker.port)
    result = unit(port=broker.port, count=12).result()
    assert result["pending"] == []
    assert sorted(there.seen) == [(1, seq) for seq in range(12)]
    assert result["counters"]["released"] == result["counters"]["sent"] == 12
    wait_for(lambda: len(there.states) >= 2)
    assert there.states[0][0] == "ready"
    assert there.states[-1][0] == "disconnected"
    numbers = [n for _, n in there.states]
    assert numbers == sorted(set(numbers))


def test_oldest_first_and_the_measurement_just_taken_before_all(unit, host, mosquitto):
    broker = mosquitto()
    there = host(broker.port)
    unit(port=broker.port, count=30, pixels=100, fresh_after=5).result()
    backlog = [seq for _, seq in there.order if seq != 9999]
    assert backlog == list(range(30))
    # Four of the backlog may be under way when it is announced, and some come while it is written.
    assert there.order.index((1, 9999)) < 25


def test_the_broker_tells_when_the_unit_is_lost(unit, host, mosquitto):
    broker = mosquitto()
    there = host(broker.port)
    lonely = unit(port=broker.port, until=("never", 1), verbose=True)
    lonely.until("link_up")
    wait_for(lambda: there.states)
    lonely.kill()
    wait_for(lambda: there.states[-1][0] == "lost")
    assert not there.bad


def test_a_later_boot_delivers_what_an_earlier_one_left(unit, host, mosquitto):
    broker = mosquitto()
    first = unit(port=broker.port, count=3, until=("receipt_timeout", 3), receipt_timeout_ms=100)
    assert len(first.result()["pending"]) == 3
    there = host(broker.port)
    second = unit(port=broker.port, count=2).result()
    assert second["boot"] == 2
    assert set(there.seen) == {(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)}


FALSE_RECEIPTS = {
    "other_digest": lambda host, m, sealed: host.receipt(m, sealed, sha256=bytes(32)),
    "no_such_measurement": lambda host, m, sealed: host.receipt(m, sealed, seq=m["seq"] + 100),
    "not_ours": lambda host, m, sealed: host.receipt(m, sealed, unit="u2"),
    "out_of_range": lambda host, m, sealed: host.receipt(m, sealed, seq=-1),
    "bad_value": lambda host, m, sealed: host.receipt(m, sealed, status="fine"),
    "bad_mac": None,
    "wrong_kind": None,
    "not_sealed": None,
}


@pytest.mark.parametrize("reason", FALSE_RECEIPTS)
def test_a_false_receipt_frees_nothing(unit, host, mosquitto, reason):
    def lie(host, name, message, sealed):
        from fieldassay_wire import mac0, topics

        if reason == "bad_mac":
            host.send(name, "receipt", host.receipt(message, sealed), key=bytes(32))
        elif reason == "wrong_kind":
            bytes_ = mac0.seal("verdict", bytes(range(32)), b"u1", host.receipt(message, sealed))
            host.client.publish(topics.topic(name, "receipt"), bytes_, qos=1)
        elif reason == "not_sealed":
            host.client.publish(topics.topic(name, "receipt"), b"\x00junk", qos=1)
        else:
            lying = FALSE_RECEIPTS[reason](host, message, sealed)
            host.send(name, "receipt", lying, topic_unit=name)

    broker = mosquitto()
    there = host(broker.port, lie)
    liar = unit(
        port=broker.port, count=2, pixels=50, until=("drop." + reason, 2), receipt_timeout_ms=200
    ).result()
    assert len(liar["pending"]) == 2
    assert "released" not in liar["counters"]
    assert there.seen


@pytest.mark.parametrize("status", ["stored", "known", "quarantined"])
def test_every_true_status_frees(unit, host, mosquitto, status):
    def answer(host, name, message, sealed):
        host.send(name, "receipt", host.receipt(message, sealed, status=status))

    broker = mosquitto()
    host(broker.port, answer)
    one = unit(port=broker.port, count=1, pixels=50, say_receipts=True)
    assert one.until("receipt")["details"] == [1, 0, status]
    assert one.result()["pending"] == []


def test_the_digest_is_that_of_the_file(unit, host, mosquitto, tmp_path):
    """The host hashes what it got; the file on flash has the same bytes."""
    digests = []

    def note(host, name, message, sealed):
        digests.append(hashlib.sha256(sealed).digest())

    broker = mosquitto()
    host(broker.port, note)
    unit(port=broker.port, count=1, until=("receipt_timeout", 1), receipt_timeout_ms=300).result()
    (file,) = Path(tmp_path / "spool").glob("*.rec")
    assert digests[0] == hashlib.sha256(file.read_bytes()).digest()


def test_commands_count_up_within_one_boot(unit, host, mosquitto):
    broker = mosquitto()
    there = host(broker.port)
    obeying = unit(port=broker.port, until=("drop.old_command", 3), verbose=True)
    obeying.until("link_up")

    def order(n, boot=1, command="abort", args=None):
        message = {"v": 1, "unit": "u1", "boot": boot, "n": n, "command": command}
        there.send("u1", "command", {**message, "args": args or {}})

    order(5)
    order(5)  # repeated
    order(4)  # older
    order(9, boot=2)  # of another boot
    order(6, command="set_time", args={"time_ms": 7})
    order(1)
    result = obeying.result()
    done = [e["details"] for e in obeying.events if e["event"] == "command"]
    assert done in ([[5, "abort", {}], [6, "set_time", {"time_ms": 7}]], [[5, "abort", {}]])
    assert result["counters"]["drop.old_command"] >= 3


def test_a_verdict_reaches_the_app(unit, host, mosquitto):
    def answer(host, name, message, sealed):
        host.send(name, "verdict", host.verdict(message))
        host.send(name, "receipt", host.receipt(message, sealed))

    broker = mosquitto()
    host(broker.port, answer)
    asking = unit(port=broker.port, count=3, pixels=50)
    asking.result()
    assert [e["details"] for e in asking.events] == [[1, seq, "match"] for seq in range(3)]


def test_get_state_is_answered_at_once(unit, host, mosquitto):
    broker = mosquitto()
    there = host(broker.port)
    asked = unit(port=broker.port, until=("never", 1), verbose=True)
    asked.until("link_up")
    wait_for(lambda: len(there.states) == 1)
    there.send(
        "u1",
        "command",
        {"v": 1, "unit": "u1", "boot": 1, "n": 1, "command": "get_state", "args": {}},
    )
    wait_for(lambda: len(there.states) == 2)


@pytest.mark.parametrize("poison", [b"x" * 17_000, b""])
def test_a_queued_message_it_cannot_take_does_not_block_the_rest(unit, host, mosquitto, poison):
    """Too large, or empty: the broker would bring it again and again with the session."""
    broker = mosquitto()
    there = host(broker.port)
    first = unit(port=broker.port, until=("link_up", 1))
    first.result()
    there.client.publish("fieldassay/1/u1/down/verdict", poison, qos=1).wait_for_publish(30)
    result = unit(port=broker.port, count=5, pixels=50).result()
    assert result["pending"] == []
    assert result["counters"].get("link_down", 0) == (1 if poison else 0)
