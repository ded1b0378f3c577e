"""The unit with a real broker and a host: delivered after the receipt, then verdict; commands."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import queue
import socket
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from fieldassay_wire import mac0, messages, topics

pytestmark = pytest.mark.needs("micropython", "mosquitto")

spec = importlib.util.spec_from_file_location(
    "firmware_bus", Path(__file__).with_name("firmware_bus.py")
)
bus = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bus)
KEY = bytes.fromhex(bus.KEY)
UNIT = "bench-1"


class Host:
    """The host's side of the wire by hand: reads messages, answers as told."""

    def __init__(self, port):
        self.inbox = queue.Queue()
        self.kept = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "host")
        self.client.on_message = lambda c, u, m: self.inbox.put((m.topic, m.payload))
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(topics.UP_FILTER, 1)
        self.client.loop_start()
        self.n = 0

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def next(self, kind, wanted=lambda m: True):
        for item in list(self.kept):
            if item[0] == kind and wanted(item[1]):
                self.kept.remove(item)
                return item[1:]
        end = time.monotonic() + 30  # hang detector
        while time.monotonic() < end:
            topic, payload = self.inbox.get(timeout=30)
            unit, got = topics.parse(topic)
            assert unit == UNIT
            sealed_kind, _, body = mac0.open_sealed(payload, KEY)
            assert sealed_kind == got
            message = messages.parse(got, body)
            if got == kind and wanted(message):
                return message, payload
            self.kept.append((got, message, payload))
        raise AssertionError(f"no {kind}: {[(k, m.get('state')) for k, m, _ in self.kept]}")

    def send(self, kind, boot, **fields):
        message = {"v": 1, "unit": UNIT, "boot": boot, **fields}
        messages.check(kind, message)
        sealed = mac0.seal(kind, KEY, UNIT, message)
        self.client.publish(topics.topic(UNIT, kind), sealed, 1)

    def command(self, name, boot=1, **args):
        self.n += 1
        self.send("command", boot, n=self.n, command=name, args=args)

    def receipt(self, message, sealed, status="stored"):
        digest = hashlib.sha256(sealed).digest()
        number = {"seq": message["seq"], "sha256": digest, "status": status}
        self.send("receipt", message["boot"], **number, record="r", stored_ms=1)

    def verdict(self, message, kind="match", title="Caffeine"):
        self.send(
            "verdict",
            message["boot"],
            seq=message["seq"],
            verdict=kind,
            title=title,
            substances=[],
            hazard={"id": "h", "title": "Wear gloves", "lines": ["Do not open the bag."]},
            do_next="Seal the bag.",
            reasons=[],
            time_ms=1,
        )


@pytest.fixture
def port(tmp_path, tool):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with (tmp_path / "mosquitto.log").open("wb") as log:
        broker = subprocess.Popen([tool("mosquitto"), "-c", str(config)], stdout=log, stderr=log)
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            broker.kill()
            broker.wait()


@pytest.fixture
def host(port):
    host = Host(port)
    yield host
    host.close()


@pytest.fixture
def bench(tmp_path, port, host, tool):
    settings = json.loads(json.dumps(bus.SETTINGS))
    settings["broker"]["port"] = port
    with bus.Bench(tmp_path, settings) as bench:
        yield bench.boot(tool("micropython")).ready()


def test_saved_then_delivered_then_the_verdict(bench, host):
    state, _ = host.next("state", lambda m: m["state"] == "ready")
    assert (state["spool_used"], state["spool_capacity"]) == (0, 100)
    bench.press()
    saved = bench.wait_log("saved")
    message, sealed = host.next("measurement")
    assert hashlib.sha256(sealed).hexdigest() == saved["sha256"]
    host.next("state", lambda m: m["spool_used"] == 1)
    assert "DELIVERED" not in bench.screen
    assert not bench.logs("delivered")
    host.receipt(message, sealed)
    bench.wait_screen("DELIVERED")
    assert bench.wait_log("delivered")["sha256"] == saved["sha256"]
    host.next("state", lambda m: m["spool_used"] == 0)
    host.verdict(message)
    bench.wait_screen("MATCH")
    shown = bench.screen.replace("\n", " ")
    for part in ("Caffeine", "Wear gloves", "Do not open the bag.", "Seal the bag."):
        assert part in shown
    verdict = bench.wait_log("verdict")
    assert (verdict["boot"], verdict["seq"], verdict["verdict"]) == (1, 1, "match")
    assert 0 < verdict["last_frame_to_verdict_ms"] < 60000
    bench.press(4)
    bench.wait_screen("DARK OR COLOURED")
    assert not [path for path in bench.end() if path.endswith(".rec")]


def long_verdict(reason="because of this "):
    return {
        "verdict": "mixture",
        "title": "T " * 100,
        "substances": [{"id": f"s{n}", "name": "n" * 100, "share_permille": 1} for n in range(16)],
        "hazard": {"id": "h", "title": "H " * 100, "lines": ["l " * 100] * 4},
        "do_next": "d " * 250,
        "reasons": [(reason * 30)[:300].strip()] * 32,
        "time_ms": 1,
    }


def test_the_longest_verdict_is_shown_and_the_next_measurement_has_its_memory(bench, host):
    bench.press()
    message, sealed = host.next("measurement")
    host.receipt(message, sealed)
    host.send("verdict", 1, seq=1, **long_verdict())
    bench.wait_log("verdict")
    bench.wait_screen("NEXT: page 1/")
    pages = int(bench.screen.split("page 1/")[1].split()[0])
    shown = ""
    for page in range(1, pages + 1):
        shown += bench.wait_screen(f"page {page}/{pages}").replace("\n", " ")
        bench.press(2)
    assert "because of this" in shown
    assert "host's page" in shown
    assert "Presumptive" in shown
    bench.press()
    bench.wait_log("saved", 2)
    assert not bench.logs("fault")
    assert not bench.logs("link_error")


def test_a_flood_of_long_verdicts_costs_no_measurement(bench, host):
    host.next("state", lambda m: m["state"] == "ready")
    sent = []

    def flood(op, args):
        if op == "laser_fire":
            for seq in range(20):
                host.send("verdict", 1, seq=100 + seq, **long_verdict())
            sent.append(True)

    bench.hook = flood
    for count in (1, 2):
        bench.press()
        bench.wait_log("saved", count)
    assert len(sent) == 2
    bench.hook = lambda op, args: None
    message, sealed = host.next("measurement")
    host.receipt(message, sealed)
    bench.wait_log("delivered")
    assert not bench.logs("fault")


def test_receipts_wait_while_the_laser_is_on_and_an_abort_does_not(bench, host):
    bench.press()
    message, sealed = host.next("measurement")
    bench.wait_screen("SAVED")
    lit = []

    def answers(op, args):
        if op == "laser_fire":
            host.receipt(message, sealed)
            host.command("abort")
        if op == "expose_ready" and bench.lit:
            bench._exposure_end = time.monotonic() + 0.05  # the frame does not end
        if op == "log" and bench.lit:
            lit.append(args[0])

    bench.hook = answers
    bench.press()
    assert bench.wait_log("stopped")["reason"] == "abort"
    bench.wait_log("delivered")
    assert lit == ["fire"]


def test_a_request_does_not_take_the_verdict_from_the_screen(bench, host):
    bench.press()
    message, _ = host.next("measurement")
    host.verdict(message)
    bench.wait_screen("MATCH")
    host.command("request_measurement")
    bench.wait_log("command")
    seen = bench.ops["buttons"]
    bench.wait(lambda: bench.ops["buttons"] > seen + 20)
    assert "MATCH" in bench.screen
    bench.press(4)
    bench.wait_screen("The host asks")
    bench.press(4)  # not dark
    bench.wait_screen("READY")
    assert "The host asks" in bench.screen
    bench.press(4)
    bench.wait(lambda: "The host asks" not in bench.screen)


def test_a_receipt_for_other_bytes_frees_nothing(bench, host):
    bench.press()
    message, sealed = host.next("measurement")
    host.receipt(message, sealed + b"x")
    host.command("get_state")
    bench.wait_log("command")
    assert not bench.logs("delivered")
    assert "DELIVERED" not in bench.screen
    assert [path for path in bench.end() if path.endswith(".rec")]


def test_quarantined_is_shown_as_kept_for_review(bench, host):
    bench.press()
    message, sealed = host.next("measurement")
    host.receipt(message, sealed, "quarantined")
    bench.wait_screen("KEPT FOR REVIEW")
    bench.wait_log("kept_for_review")
    assert not bench.logs("delivered")


def test_no_command_fires_and_a_request_only_asks(bench, host):
    host.next("state", lambda m: m["state"] == "ready")
    for _ in range(3):
        host.command("request_measurement")
    bench.wait_log("command", 3)
    bench.wait_screen("The host asks")
    host.command("abort")
    host.command("set_time", time_ms=1_800_000_000_000)
    host.command(
        "set_answers", packaging="glass", sample="powder", dark_sample="yes", series=7, spot=3
    )
    bench.wait_log("command", 6)
    assert not bench.fires
    assert not bench.lit
    bench.wait_screen("Packaging: glass")
    bench.press()
    message, _ = host.next("measurement")
    assert message["answers"] == {
        "packaging": "glass",
        "sample": "powder",
        "dark_sample": "yes",
    }
    assert (message["series"], message["spot"]) == (7, 3)
    assert (message["time_ms"], message["clock"]) == (1_800_000_000_000, "synced")
    assert len(bench.fires) == 1


def test_a_time_before_provisioning_or_far_back_is_refused(bench, host):
    host.next("state", lambda m: m["state"] == "ready")
    host.command("set_time", time_ms=1_600_000_000_000)
    bench.wait_log("time_refused")
    host.command("set_time", time_ms=1_800_000_000_000)
    host.command("set_time", time_ms=1_799_000_000_000)
    bench.wait_log("time_refused", 2)
    reasons = [details["reason"] for details in bench.logs("time_refused")]
    assert reasons == ["before_provisioning", "backwards"]
    state, _ = host.next("state", lambda m: m["clock"] == "synced")
    assert 1_800_000_000_000 <= state["time_ms"] < 1_800_000_600_000


def test_commands_of_another_boot_or_replayed_do_nothing(bench, host):
    host.next("state", lambda m: m["state"] == "ready")
    host.command("set_answers", boot=9, packaging="paper")
    host.command("set_answers", packaging="glass")
    host.n -= 1
    host.command("set_answers", packaging="paper")
    host.command("get_state")
    bench.wait_log("command", 2)
    bench.wait_screen("Packaging: glass")
    assert "paper" not in bench.screen


def test_abort_stops_a_measurement(bench, host):
    host.next("state", lambda m: m["state"] == "ready")
    sent = []

    def stuck(op, args):
        if op == "expose_ready" and bench.lit:
            if not sent:
                sent.append(True)
                host.command("abort")
            bench._exposure_end = time.monotonic() + 0.05  # the frame does not end

    bench.hook = stuck
    bench.press()
    assert bench.wait_log("stopped")["reason"] == "abort"
    assert not bench.lit
    host.next("state", lambda m: m["state"] == "measuring" and m["interlock"] == "armed")


def test_telemetry_has_heap_and_counters(bench, host):
    message, _ = host.next("telemetry")
    assert message["free_heap"] > 8000
    assert message["counters"]["measured"] == 0
    assert message["detector_mdegc"] == 25000


def test_what_was_taken_offline_is_delivered_after_a_restart(tmp_path, port, host, tool):
    with bus.Bench(tmp_path) as bench:  # its broker port is closed
        bench.boot(tool("micropython")).ready()
        bench.press()
        saved = bench.wait_log("saved")
        bench.end()
    settings = json.loads(json.dumps(bus.SETTINGS))
    settings["broker"]["port"] = port
    with bus.Bench(tmp_path, settings) as bench:
        bench.boot(tool("micropython")).ready()
        message, sealed = host.next("measurement")
        assert (message["boot"], message["seq"]) == (1, 1)
        host.receipt(message, sealed)
        assert bench.wait_log("delivered")["sha256"] == saved["sha256"]
        host.verdict(message)
        verdict = bench.wait_log("verdict")
        assert verdict["last_frame_to_verdict_ms"] is None
        assert not [path for path in bench.end() if path.endswith(".rec")]


def test_a_full_spool_of_100_is_delivered_from_a_256_kb_heap(tmp_path, port, host, tool):
    files = {"/spool/boot": b"4"}
    sealed = {}
    for seq in range(1, 100):
        body = bytes([seq]) * 17000
        digest = hashlib.sha256(body)
        files[f"/spool/00000003-{seq:08x}-{digest.hexdigest()[:16]}.rec"] = body
        sealed[(3, seq)] = digest.digest()
    settings = json.loads(json.dumps(bus.SETTINGS))
    settings["broker"]["port"] = port
    with bus.Bench(tmp_path, settings) as bench:
        bench.put(files)
        bench.boot(tool("micropython")).ready()
        bench.press()
        bench.wait_log("saved")
        bench.press()
        assert bench.wait_log("refused")["reason"] == "spool_full"
        waiting = set(sealed.values()) | {bytes.fromhex(bench.wait_log("saved")["sha256"])}
        number = {digest: key for key, digest in sealed.items()} | {
            bytes.fromhex(bench.wait_log("saved")["sha256"]): (5, 1)
        }
        while waiting:
            topic, payload = host.inbox.get(timeout=30)
            if topics.parse(topic)[1] != "measurement":
                continue
            digest = hashlib.sha256(payload).digest()
            boot, seq = number[digest]
            host.send(
                "receipt", boot, seq=seq, sha256=digest, status="stored", record="r", stored_ms=1
            )
            waiting.discard(digest)
        bench.wait_log("delivered", 100)
        bench.press()
        bench.wait_log("saved", 2)
        assert not bench.logs("fault")
        assert not [error for error in bench.logs("link_error") if error["code"] == "MemoryError"]
        assert len([path for path in bench.end() if path.endswith(".rec")]) == 1
