"""A host without its page on a real broker, and clients that speak as units do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from fieldassay import broker
from fieldassay.frame import Frame
from fieldassay.ingest import Ingest
from fieldassay.link import BrokerAddress, Delivery, Link
from fieldassay.live import Feed
from fieldassay.store import Store
from fieldassay.unit_states import UnitStates
from fieldassay.units import UnitRegistry
from fieldassay.verdict import Identification, Quality, Reason, Substance, Verdict
from fieldassay_wire import mac0, messages, topics
from fieldassay_wire.cbor import TypedArray
from paho.mqtt.enums import CallbackAPIVersion

HANG_S = 30.0  # a hang detector


def _measurement(unit: str = "unit-1", seq: int = 1, boot: int = 1, **changed: Any) -> dict:
    pixels = changed.pop("pixels", 64)
    counts = TypedArray(TypedArray.U32, struct.pack(f"<{pixels}I", *range(pixels)))
    message = {
        "v": 1,
        "unit": unit,
        "boot": boot,
        "seq": seq,
        "time_ms": 1_790_000_000_000,
        "clock": "rtc",
        "uptime_ms": 5_000,
        "exposure_us": 100_000,
        "frames": 4,
        "dark_frames": 2,
        "raw": counts,
        "dark": counts,
        "full_scale_counts": 65_535,
        "saturated_pixels": 0,
        "flags": [],
        "gain_me_per_count": 5_000,
        "read_noise_me": 20_000,
        "excitation_pm": 785_000,
        "laser_set_uw": 50_000,
        "laser_uw": 49_000,
        "laser_mdegc": 25_000,
        "detector_mdegc": -5_000,
        "calibration": {
            "id": "factory",
            "date": "2026-01-01",
            "coefficients_nm": ["800", "0.1"],
        },
        "selftest": {"ok": True, "checks": {"dark": "pass"}},
        "firmware": {"version": "0.1.0", "sha256": bytes(32)},
        "answers": {"packaging": "bag", "sample": ""},
        "series": 0,
        "spot": 0,
        "battery_mv": 3_900,
    }
    return {**message, **changed}


def _state(unit: str = "unit-1", n: int = 1, boot: int = 1, **changed: Any) -> dict:
    message = {
        "v": 1,
        "unit": unit,
        "boot": boot,
        "n": n,
        "state": "ready",
        "interlock": "safe",
        "fault": "",
        "spool_used": 0,
        "spool_capacity": 100,
        "battery_mv": 3_900,
        "time_ms": 1_790_000_000_000,
        "clock": "synced",
        "firmware": {"version": "0.1.0", "sha256": bytes(32)},
    }
    return {**message, **changed}


@pytest.fixture(scope="session")
def measurement() -> Callable[..., dict]:
    return _measurement


@pytest.fixture(scope="session")
def state() -> Callable[..., dict]:
    return _state


@dataclass(frozen=True)
class Card:
    id: str = "unknown-powder"
    title: str = "Unknown substance"
    lines: tuple[str, ...] = ("Do not open.", "Wear gloves.")


def identified(frame: Frame) -> Identification:
    return Identification(
        verdict=Verdict(
            "match",
            (Substance("acetone", "Acetone", "CSCPPACGZOOCGX-UHFFFAOYSA-N", 1.0),),
            (Reason("good_match", "It fits."),),
            "File the record.",
        ),
        candidates=(),
        quality=Quality(50.0, 0.0, False, (300.0, 1800.0)),
        hazard_card="solvent",
        library="sha256:00",
        algorithm="test",
    )


class UnitClient:
    """Speaks MQTT as a unit does: keeps its session, opens what comes down with its key."""

    def __init__(self, port: int, name: str, key: bytes, will: bytes | None = None) -> None:
        self.name, self.key = name, key
        self.got: list[tuple[str, dict[str, Any]]] = []
        self._came = threading.Condition()
        self._ready = threading.Event()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=False,
            protocol=paho.MQTTv311,
        )
        self.client.reconnect_delay_set(1, 1)
        if will is not None:
            self.client.will_set(topics.topic(name, "state"), will, 1, True)
        self.client.on_connect = lambda c, *_: c.subscribe(topics.down_filter(name), qos=1)
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port, keepalive=30)
        self.client.loop_start()
        assert self._ready.wait(HANG_S)

    def _on_message(self, _c: object, _d: object, message: paho.MQTTMessage) -> None:
        kind, kid, payload = mac0.open_sealed(message.payload, self.key)
        assert (message.topic, kid) == (topics.topic(self.name, kind), self.name.encode())
        with self._came:
            self.got.append((kind, messages.parse(kind, payload)))
            self._came.notify_all()

    def seal(self, kind: str, message: dict) -> bytes:
        return mac0.seal(kind, self.key, self.name, message)

    def send(self, kind: str, message: dict | bytes) -> bytes:
        sealed = message if isinstance(message, bytes) else self.seal(kind, message)
        self.client.publish(
            topics.topic(self.name, kind), sealed, topics.QOS[kind], topics.RETAIN[kind]
        )
        return sealed

    def wait(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The messages of one kind, once there are `count`."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.of(kind)) >= count, HANG_S), self.got
        return self.of(kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for name, message in self.got if name == kind]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class SpyLink(Link):
    """Notes, at each acknowledgement, whether the message was committed by then."""

    def __init__(self, address: BrokerAddress, ingest: Ingest, store: Store, log: list) -> None:
        super().__init__(address, ingest.deliver, lambda state: log.append(("link", state)))
        self.store, self.log = store, log

    def ack(self, delivery: Delivery) -> bool:
        digest = hashlib.sha256(delivery.payload).hexdigest()
        kept = {r.sha256 for r in self.store.records(10_000)} | {
            q.sha256 for q in self.store.quarantined(10_000)
        }
        self.log.append(("ack", delivery.topic, digest in kept))
        return super().ack(delivery)


@dataclass
class Rig:
    """A host: store, units, feed, ingest and link; `restart` is a new process in all but name."""

    port: int
    home: Path
    identify: Callable[[Frame], Identification] = identified
    log: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = UnitRegistry(self.home / "units.json")
        self.clients: list[UnitClient] = []
        self.start()

    def start(self) -> None:
        self.store = Store.open(self.home / "evidence.db")
        self.units = UnitStates(self.registry)
        self.feed = Feed()
        self.events: list[dict[str, Any]] = []
        publish = self.feed.publish
        self.feed.publish = lambda e: (self.events.append(e), publish(e))[1]  # type: ignore
        self.ingest = Ingest(
            self.store,
            self.units,
            self.feed,
            lambda frame: self.identify(frame),
            lambda _kind, _ids: Card(),
        )
        self.link = SpyLink(
            BrokerAddress("127.0.0.1", self.port), self.ingest, self.store, self.log
        )
        self.status = Link.for_status(BrokerAddress("127.0.0.1", self.port), self.ingest.deliver)
        self.ingest.start(self.link)
        self.link.start()
        self.status.start()
        self.until(lambda: self.link.connected and self.status.connected)

    def stop(self) -> None:
        self.ingest.stop()
        self.link.stop()
        self.status.stop()
        self.store.close()

    def unit(self, name: str = "unit-1", **more: Any) -> UnitClient:
        known = {unit.name: unit for unit in self.registry.all()}
        unit = known.get(name) or self.registry.add(name)
        self.clients.append(UnitClient(self.port, name, unit.key, **more))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.stop()

    def until(self, condition: Callable[[], object]) -> None:
        _until(condition)

    def acks(self, kind: str) -> list[bool]:
        return [e[2] for e in self.log if e[0] == "ack" and e[1].endswith(kind)]


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], object]], None]:
    return _until


@pytest.fixture(
    params=["iotcore", pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto"))],
)
def live_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[broker.Broker]:
    running = broker.start(tmp_path / "broker", broker.any_free(), request.param)
    yield running
    running.stop()


@pytest.fixture
def make_rig() -> type[Rig]:
    return Rig


@pytest.fixture
def unit_client() -> type[UnitClient]:
    return UnitClient


@pytest.fixture
def rig(live_broker: broker.Broker, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(live_broker.port, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def collect() -> Callable[..., list[dict[str, Any]]]:
    """Run `act` while subscribed to a feed; what it published."""

    def run(feed: Feed, act: Callable[[], None], count: int) -> list[dict[str, Any]]:
        async def main() -> list[dict[str, Any]]:
            events = feed.subscribe()
            act()
            got = [await asyncio.wait_for(anext(events), HANG_S) for _ in range(count)]
            with contextlib.suppress(AttributeError):
                await events.aclose()  # type: ignore[attr-defined]
            return got

        return asyncio.run(main())

    return run
