"""A PUBACK is not a receipt: where a broker says success and drops the message, the file remains.

And it is delivered once the cause is gone.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.needs("micropython", "mosquitto")

ACL = """topic write fieldassay/1/u1/up/state
topic read fieldassay/1/u1/down/#
topic read fieldassay/1/+/up/#
topic write fieldassay/1/u1/down/#
"""


def denied(tmp_path):
    rules = tmp_path / "acl"
    rules.write_text(ACL)
    rules.chmod(0o644)
    return f"acl_file {rules}\n"


SILENT_LOSS = {
    "denied by the access list": denied,
    "nobody subscribes": lambda tmp_path: "",
    "larger than the broker's limit": lambda tmp_path: "message_size_limit 1000\n",
}


@pytest.mark.parametrize("case", SILENT_LOSS)
def test_the_file_remains(unit, mosquitto, host, tmp_path, case):
    broker = mosquitto(SILENT_LOSS[case](tmp_path))
    silent = host(broker.port) if case != "nobody subscribes" else None
    # Each measurement was acknowledged by the broker and waited for a receipt in vain, twice.
    result = unit(
        port=broker.port, count=3, pixels=500, until=("receipt_timeout", 6), receipt_timeout_ms=50
    ).result()
    assert len(result["pending"]) == 3
    assert "released" not in result["counters"]
    assert silent is None or not silent.seen
    # The cause goes away: everything arrives.
    healthy = mosquitto()
    there = host(healthy.port)
    assert unit(port=healthy.port).result()["pending"] == []
    assert set(there.seen) == {(1, 0), (1, 1), (1, 2)}


def test_the_brokers_queue_overflows(unit, host, mosquitto):
    """The host is away; the broker keeps 5 of 20 messages and calls all 20 a success."""
    broker = mosquitto("max_queued_messages 5\nmax_inflight_messages 5\n")
    there = host(broker.port)
    there.close()
    away = unit(
        port=broker.port, count=20, pixels=50, until=("receipt_timeout", 20), receipt_timeout_ms=50
    ).result()
    assert len(away["pending"]) == 20
    back = host(broker.port)
    assert unit(port=broker.port, receipt_timeout_ms=300).result()["pending"] == []
    assert set(back.seen) == {(1, seq) for seq in range(20)}


@pytest.mark.parametrize("persistence", ["none", "default autosave", "every change"])
def test_the_broker_dies_after_the_puback(unit, host, mosquitto, tmp_path, long_run, persistence):
    count = 50 if long_run else 12
    store = tmp_path / "broker-store"
    store.mkdir()
    store.chmod(0o777)
    config = f"persistence true\npersistence_location {store}/\n"
    if persistence == "none":
        config = ""
    elif persistence == "every change":
        config += "autosave_on_changes true\nautosave_interval 1\n"
    broker = mosquitto(config)
    host(broker.port).close()  # subscribed, and away
    sent = unit(
        port=broker.port,
        count=count,
        pixels=50,
        receipt_timeout_ms=50,
        receipt_timeout_max_ms=100,
        until=("receipt_timeout", count),
    ).result()
    assert len(sent["pending"]) == count
    broker.kill()
    broker.start()
    back = host(broker.port)
    assert unit(port=broker.port, receipt_timeout_ms=300).result()["pending"] == []
    assert set(back.seen) == {(1, seq) for seq in range(count)}
