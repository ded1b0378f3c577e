"""Hosts and brokers killed at any moment: every receipt stands for a record, and all arrive."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fieldassay import broker
from fieldassay.link import BrokerAddress, Delivery, Link
from fieldassay.store import Store
from fieldassay.supervisor import Child
from fieldassay.units import UnitRegistry

SEED = 20261124
KILLS = 6

HOST = """
import sys
sys.path[:0] = {paths!r}
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("rig", {conftest!r})
rig = module_from_spec(spec)
sys.modules["rig"] = rig
spec.loader.exec_module(rig)
from pathlib import Path
host = rig.Rig({port}, Path({home!r}))
print("up", flush=True)
sys.stdin.read()
"""


def _host(port: int, home: Path) -> subprocess.Popen[str]:
    code = HOST.format(
        paths=sys.path,
        conftest=str(Path(__file__).with_name("conftest.py")),
        port=port,
        home=str(home),
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


def _kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    assert child.stdin is not None and child.stdout is not None
    child.stdin.close()
    child.stdout.close()


def _send_until_confirmed(unit: Any, sealed: dict[int, bytes]) -> None:
    """As a unit does: what has no receipt is sent again. A kill may take a receipt along."""
    deadline = time.monotonic() + 60
    while missing := set(sealed) - {r["seq"] for r in unit.of("receipt")}:
        assert time.monotonic() < deadline, missing
        for seq in missing:
            unit.send("measurement", sealed[seq])
        time.sleep(1)


def test_a_host_killed_again_and_again_loses_nothing(
    live_broker: broker.Broker, tmp_path: Path, measurement, until, unit_client
) -> None:
    chance = random.Random(SEED)
    key = UnitRegistry(tmp_path / "units.json").add("unit-1").key
    unit = unit_client(live_broker.port, "unit-1", key)
    sealed: dict[int, bytes] = {}
    try:
        for life in range(KILLS):
            host = _host(live_broker.port, tmp_path)
            for seq in range(life * 10, life * 10 + 10):
                sealed[seq] = unit.send("measurement", measurement(seq=seq))
            wanted = len(unit.of("receipt")) + chance.randrange(9)
            until(lambda wanted=wanted: len(unit.of("receipt")) >= wanted)
            _kill(host)
            with Store.open(tmp_path / "evidence.db") as store:  # what was promised is there
                for receipt in unit.of("receipt"):
                    stored = store.record(f"unit-1-1-{receipt['seq']}").sealed
                    assert hashlib.sha256(stored).digest() == receipt["sha256"]
        host = _host(live_broker.port, tmp_path)
        _send_until_confirmed(unit, sealed)
    finally:
        _kill(host)
        unit.close()
    with Store.open(tmp_path / "evidence.db") as store:
        assert store.counts()["measurements"] == len(sealed)
        assert store.counts()["quarantined"] == 0
        for seq, data in sealed.items():
            assert store.record(f"unit-1-1-{seq}").sealed == data


@pytest.mark.parametrize(
    "kind", ["iotcore", pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto"))]
)
def test_a_broker_killed_and_started_again_is_found_again(
    tmp_path: Path, measurement, until, make_rig, kind: str
) -> None:
    port = broker.any_free()
    serving = broker.start(tmp_path / "b", port, kind)
    rig = make_rig(port, tmp_path)
    unit = rig.unit()
    sealed = {}
    try:
        for life in range(3):
            for seq in range(life * 5, life * 5 + 5):
                sealed[seq] = unit.send("measurement", measurement(seq=seq))
            if life:
                until(lambda: unit.client.is_connected())
            serving.stop()
            until(lambda: not rig.link.connected)
            serving = broker.start(tmp_path / "b", port, kind)
            until(lambda: rig.link.connected and rig.status.connected)
        # What the broker took along is sent again, as the unit does without a receipt.
        until(lambda: unit.client.is_connected())
        _send_until_confirmed(unit, sealed)
        assert rig.store.counts()["measurements"] == len(sealed)
    finally:
        rig.close()
        serving.stop()


@pytest.fixture
def guarded(certificates: Path, tool, until) -> Iterator[int]:
    """A mosquitto with TLS and one user, "host" with the password "secret"."""
    port, folder = broker.any_free(), certificates
    passwd = tool("mosquitto_passwd")
    subprocess.run([passwd, "-b", "-c", str(folder / "pw"), "host", "secret"], check=True)
    (folder / "pw").chmod(0o644)
    config = folder / "m.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
        f"password_file {folder}/pw\nallow_anonymous false\nuser root\n"
    )
    child = Child("mosquitto", [tool("mosquitto"), "-c", str(config)], log_path=folder / "m.log")
    until(lambda: not broker.is_free(port))
    yield port
    child.stop()


def _states_of(address: BrokerAddress, wait_for: str, until) -> list[str]:
    states: list[str] = []
    got: list[Delivery] = []
    link = Link(address, got.append, states.append)
    link.start()
    try:
        if wait_for == "never":
            until(lambda: link.attempts >= 2)
        else:
            until(lambda: wait_for in states)
    finally:
        link.stop()
    return states


# paho does not close the socket of a failed TLS handshake; it goes when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.needs("mosquitto")
def test_tls_and_password_are_used_and_checked(guarded: int, certificates: Path, until) -> None:
    ca = certificates / "ca.pem"

    def address(**changed: object) -> BrokerAddress:
        given = {"tls_ca": ca, "user": "host", "password": "secret", **changed}
        return BrokerAddress("127.0.0.1", guarded, **given)  # type: ignore[arg-type]

    assert "connected" in _states_of(address(), "connected", until)
    assert "connected" not in _states_of(address(password="wrong"), "refused", until)
    assert _states_of(address(tls_ca=None), "never", until) == []
    other = certificates / "other.pem"
    other.write_bytes((certificates / "server.pem").read_bytes())  # not its issuer
    assert _states_of(address(tls_ca=other), "never", until) == []
    assert "secret" not in repr(address())
    gc.collect()


def test_the_guard_ends_a_stubborn_child(tmp_path: Path, until) -> None:
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    output = tmp_path / "log"
    child = Child("stubborn", [sys.executable, "-c", code], log_path=output)
    until(lambda: output.read_text().endswith("\n"))
    pids = [int(word) for word in output.read_text().split()]
    child.stop()
    child.stop()
    for pid in pids:

        def gone(pid: int = pid) -> bool:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"

        until(gone)
    assert not child.running


def test_a_child_that_does_not_exist_says_so(tmp_path: Path, until) -> None:
    child = Child("nothing", ["/no/such/program"], log_path=tmp_path / "log")
    until(lambda: not child.running)
    assert child.status == 127
    child.stop()
    assert "/no/such/program" in (tmp_path / "log").read_text()


def test_a_signal_to_the_guard_ends_its_child(tmp_path: Path, until) -> None:
    output = tmp_path / "log"
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    child = Child("sleeper", [sys.executable, "-c", code], log_path=output)
    until(lambda: output.read_text().endswith("\n"))
    os.kill(child._process.pid, signal.SIGTERM)
    until(lambda: not child.running)
    with pytest.raises(ProcessLookupError):
        os.kill(int(output.read_text()), 0)
    child.stop()
