"""The bare client against real brokers: delivery, retries, keepalive, half-open lines, TLS."""

from __future__ import annotations

import datetime
import ipaddress
import threading

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

pytestmark = pytest.mark.needs("micropython", "mosquitto")


@pytest.fixture
def subscriber():
    """Count the numbered messages under chaos/#: `subscriber(port) -> dict number: times`."""
    clients = []

    def start(port):
        seen = {}
        ready = threading.Event()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, "counter")
        client.on_connect = lambda c, *_: c.subscribe("chaos/#", 1)
        client.on_subscribe = lambda *_: ready.set()

        def count(_client, _data, message):
            number = int.from_bytes(message.payload[:4], "big")
            seen[number] = seen.get(number, 0) + 1

        client.on_message = count
        client.connect("127.0.0.1", port)
        client.loop_start()
        clients.append(client)
        assert ready.wait(30)
        return seen

    yield start
    for client in clients:
        client.disconnect()
        client.loop_stop()


def test_300_messages_through_chaos_in_a_small_heap(unit, subscriber, mosquitto, proxy, long_run):
    """Specification: 20 kB each, cut connections, lost PUBACKs, 128 kB heap; none lost, no hang."""
    count = 300 if long_run else 40
    broker = mosquitto()
    seen = subscriber(broker.port)
    chaos = proxy(broker.port, "--seed", 3, "--after", 10_000, 200_000)
    result = unit(
        "run_client.py", "128K", port=chaos.port, count=count, size=20_000, timeout_ms=1000
    ).result()
    struck = chaos.stop()
    assert result["done"]
    assert set(seen) == set(range(count))
    assert len(struck) >= 2
    assert sum(result["errors"].values()) == len(struck)
    print(count, "acked,", sum(seen.values()) - count, "repeated,", len(struck), "faults", result)


def test_lost_puback_is_repeated(unit, subscriber, mosquitto, proxy):
    broker = mosquitto()
    seen = subscriber(broker.port)
    chaos = proxy(
        broker.port, "--faults", "swallow", "--after", 2000, 2000, "--every", 2, "--seed", 1
    )
    # The first connection is honest: force one that is not by a first client.
    unit("run_client.py", port=chaos.port, count=0, size=8).result()
    result = unit("run_client.py", port=chaos.port, count=1, size=5000, timeout_ms=100).result()
    assert result["done"]
    assert result["errors"]
    assert seen == {0: 2}


def test_pings_keep_an_idle_session(unit, mosquitto):
    """Broker and client agree on 1 s: without pings the broker would hang up after 1.5 s."""
    broker = mosquitto()
    result = unit(
        "run_client.py",
        port=broker.port,
        count=0,
        size=8,
        keepalive_s=1,
        subscribe="late/#",
        expect=1,
        client_id="idle",
    )
    import time

    time.sleep(3.5)
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.publish("late/x", b"abc", qos=1).wait_for_publish(30)
    client.disconnect()
    client.loop_stop()
    result = result.result()
    assert result["got"] == [["late/x", 3, False]]
    assert result["errors"] == {}


def test_half_open_idle_line_is_noticed(unit, mosquitto, proxy):
    """Nobody answers and nobody hangs up: the missing PINGRESP ends it, other tasks ran on."""
    broker = mosquitto()
    chaos = proxy(broker.port, "--faults", "stall", "--after", 30, 30)
    result = unit(
        "run_client.py",
        port=chaos.port,
        count=0,
        size=8,
        keepalive_s=1,
        timeout_ms=300,
        subscribe="never/#",
        expect=1,
        tries=1,
    ).result()
    assert result["errors"] == {"timeout": 1}
    assert result["ticks"] > 5  # a task of 10 ms steps ran while the client waited


def test_a_line_that_takes_nothing_is_noticed(unit, mosquitto, proxy):
    broker = mosquitto()
    chaos = proxy(broker.port, "--faults", "stall", "--after", 200_000, 200_000)
    result = unit(
        "run_client.py",
        port=chaos.port,
        count=1,
        size=20_000_000,
        timeout_ms=300,
        tries=1,
    ).result()
    assert result["errors"] == {"timeout": 1}
    assert not result["done"]
    assert result["ticks"] > 5


def test_queued_messages_come_with_the_session(unit, mosquitto):
    """Clean session off: what was published while the unit was away arrives at QoS 1."""
    broker = mosquitto()
    given = {"port": broker.port, "count": 0, "size": 8, "subscribe": "down/#", "client_id": "u7"}
    first = unit("run_client.py", **given).result()
    assert first["session_present"] is False
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for number in range(30):
        client.publish("down/x", bytes(number * 100), qos=1).wait_for_publish(30)
    client.disconnect()
    client.loop_stop()
    second = unit("run_client.py", **given, expect=30).result()
    assert second["session_present"] is True
    assert second["got"] == [["down/x", number * 100, False] for number in range(30)]
    # They were acknowledged: they do not come again.
    third = unit("run_client.py", **given, keepalive_s=1).result()
    assert third["got"] == []


def test_refused_password(unit, mosquitto, tmp_path):
    broker = mosquitto(
        f"allow_anonymous false\npassword_file {tmp_path / 'none'}\n".replace(
            f"password_file {tmp_path / 'none'}\n", ""
        )
    )
    result = unit(
        "run_client.py", port=broker.port, count=1, size=8, tries=1, user="x", password="y"
    ).result()
    assert result["errors"] == {"refused": 1}


def test_nobody_listens(unit):
    import socket
    from contextlib import closing

    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    result = unit("run_client.py", port=port, count=1, size=8, tries=2).result()
    assert result["errors"] == {"network": 2}


# --- TLS ------------------------------------------------------------------------------------------


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_certificate(subject, key, issuer, issuer_key, ca, host=None):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if host is not None:
        names = [x509.DNSName(host)]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Two authorities; the broker's files are made for a host name by `issue(host)`."""
    folder = tmp_path_factory.mktemp("tls")
    key, other_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    ca = make_certificate("agency CA", key, "agency CA", key, ca=True)
    other = make_certificate("agency CA", other_key, "agency CA", other_key, ca=True)

    def der(certificate):
        return certificate.public_bytes(serialization.Encoding.DER).hex()

    def issue(host):
        server_key = ec.generate_private_key(ec.SECP256R1())
        server = make_certificate("broker", server_key, "agency CA", key, ca=False, host=host)
        (folder / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
        (folder / "server.key").write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        folder.chmod(0o755)
        return (
            f"listener PORT 127.0.0.1\ncertfile {folder / 'server.crt'}\n"
            f"keyfile {folder / 'server.key'}\n"
        )

    return issue, der(ca), der(other)


@pytest.mark.parametrize("line", ["honest", "dribble"])
def test_tls_delivers_both_ways(unit, mosquitto, proxy, authority, line):
    issue, ca, _ = authority
    broker = mosquitto(issue("localhost"))
    chaos = proxy(
        broker.port, "--faults", "none" if line == "honest" else "dribble", "--after", 9000, 9000
    )
    result = unit(
        "run_client.py",
        port=chaos.port,
        host="localhost",
        ca=ca,
        count=20,
        size=15_000,
        subscribe="chaos/#",
        expect=20,
        timeout_ms=5000,
    ).result()
    assert result["done"]
    assert result["errors"] == {}


def test_tls_recovers_from_cuts(unit, mosquitto, proxy, authority):
    issue, ca, _ = authority
    broker = mosquitto(issue("localhost"))
    chaos = proxy(broker.port, "--seed", 5, "--after", 10_000, 150_000)
    result = unit(
        "run_client.py",
        port=chaos.port,
        host="localhost",
        ca=ca,
        count=20,
        size=17_000,
        timeout_ms=2000,
    ).result()
    assert result["done"]
    assert chaos.stop()


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_tls_refuses_a_broker_it_cannot_trust(unit, mosquitto, authority, wrong):
    issue, ca, other = authority
    broker = mosquitto(issue("localhost" if wrong == "authority" else "broker.example"))
    result = unit(
        "run_client.py",
        port=broker.port,
        host="localhost",
        ca=other if wrong == "authority" else ca,
        count=1,
        size=100,
        tries=1,
    ).result()
    assert result["errors"] == {"tls": 1}
    assert not result["done"]


def test_tls_client_against_a_plain_broker(unit, mosquitto, authority):
    _, ca, _ = authority
    broker = mosquitto()
    result = unit(
        "run_client.py",
        port=broker.port,
        host="localhost",
        ca=ca,
        count=1,
        size=8,
        tries=1,
        timeout_ms=500,
    ).result()
    assert not result["done"]
    assert result["errors"]
