"""Nothing is lost and nothing hangs when the network and the broker misbehave."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.needs("micropython", "mosquitto")

PIXELS_20_KB = 2480  # raw and dark, 4 bytes each


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "hang"
        time.sleep(0.01)


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker_port(request):
    if request.param == "iotcore":
        return request.getfixturevalue("iotcore_port")
    return request.getfixturevalue("mosquitto")().port


def test_delivers_through_the_chaos_proxy(unit, host, proxy, broker_port, long_run):
    count = 300 if long_run else 30
    there = host(broker_port)
    chaos = proxy(broker_port, "--seed", 7, "--after", 10_000, 200_000)
    result = unit(
        port=chaos.port,
        count=count,
        pixels=PIXELS_20_KB,
        receipt_timeout_ms=1000,
        timeout_ms=1000,
    ).result()
    struck = chaos.stop()
    assert result["pending"] == []
    assert set(there.seen) == {(1, seq) for seq in range(count)}
    assert there.bad == 0  # a torn message never reaches the host
    assert len(struck) >= 2
    repeated = sum(there.seen.values()) - count
    print(count, "delivered,", len(struck), "faults,", repeated, "repeated,", result)


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        ("cut-up", (100, 60_000)),
        ("cut-down", (100, 60_000)),
        ("swallow", (1000, 60_000)),
        ("stall", (100, 60_000)),
        ("delay", (0, 0)),
        ("dribble", (2000, 8000)),
        ("refuse", (0, 0)),
    ],
)
def test_survives_each_fault(unit, host, proxy, mosquitto, fault, after):
    broker = mosquitto()
    there = host(broker.port)
    chaos = proxy(broker.port, "--faults", fault, "--after", *after, "--seed", 1, "--every", 2)
    # An unlucky first connection too: every second one is honest.
    run = unit(
        port=chaos.port,
        count=8,
        pixels=PIXELS_20_KB,
        receipt_timeout_ms=500,
        timeout_ms=400,
        until=("released", 8),
    )
    result = run.result()
    assert result["pending"] == []
    assert set(there.seen) == {(1, seq) for seq in range(8)}
    assert there.bad == 0


def test_broker_killed_and_restarted_while_sending(unit, host, mosquitto, long_run):
    broker = mosquitto()
    there = host(broker.port)
    kills = 5 if long_run else 2
    count = 40 * kills
    sending = unit(port=broker.port, count=count, receipt_timeout_ms=500, timeout_ms=1000)
    for n in range(kills):
        wait_for(lambda n=n: len(there.seen) >= 5 + 20 * n)
        broker.kill()
        time.sleep(0.1)
        broker.start()
    result = sending.result()
    assert result["pending"] == []
    assert set(there.seen) == {(1, seq) for seq in range(count)}
    assert result["counters"]["link_up"] >= 2


def test_heap_does_not_grow(unit, host, mosquitto, long_run):
    """17 kB each, in a heap of 256 kB, from the first to the last; memory stays level."""
    broker = mosquitto()
    host(broker.port)
    count = 3000 if long_run else 200
    result = unit(port=broker.port, count=count, at_once=50, capacity=100).result()
    heap = result["heap"]
    assert len(heap) == count // 50
    # The spool's list of names shrinks meanwhile; nothing may grow beyond the first look.
    assert max(heap) <= heap[0] + 4096
