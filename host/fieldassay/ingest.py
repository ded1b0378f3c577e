"""From the broker into the evidence store and back to the unit: check, commit, acknowledge, answer.

Owns the order of these steps and the one thread that writes. The order is the promise: nothing is
acknowledged and no receipt sent before COMMIT; no message can stop the next one. While messages
wait, their receipts come first and verdicts afterwards. While the store cannot write, the thread
waits with the message in hand and the broker and the units keep the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fieldassay_wire import mac0, messages, topics

from fieldassay import answers
from fieldassay.commander import Commander
from fieldassay.errors import FieldassayError, FrameError, RecordError
from fieldassay.frame import Frame
from fieldassay.intake import Message, Refused, open_message, open_with
from fieldassay.link import Delivery
from fieldassay.live import Feed
from fieldassay.store import Store
from fieldassay.unit_states import UnitStates, plain
from fieldassay.verdict import Identification

log = logging.getLogger(__name__)

WAITING_MAX = 2_000  # more than brokers have in flight; beyond it messages come again later
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 5.0
VERDICT_EVERY_S = 1.0  # receipts go first while messages wait, but verdicts never stop
ATTEMPTS = 3  # at a message that makes our own code fail, before it is put aside

Identify = Callable[[Frame], Identification]
CardFor = Callable[[str, Sequence[str]], answers.HazardCard]


class Connection(Protocol):
    """What ingest needs from `link.Link`."""

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Send, or keep to send later."""

    def ack(self, delivery: Delivery) -> bool:
        """The message is safe."""

    def reconnect(self) -> None:
        """Have everything unacknowledged sent again."""


class Ingest:
    """Takes deliveries from the link (`deliver`) and works through them in one thread."""

    def __init__(
        self,
        store: Store,
        units: UnitStates,
        feed: Feed,
        identify: Identify,
        card_for: CardFor,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._units = units
        self._feed = feed
        self._identify = identify
        self._card_for = card_for
        self._now_ms = now_ms
        self._queue: queue.Queue[Delivery | None] = queue.Queue(WAITING_MAX)
        self._unidentified: deque[str] = (
            deque()
        )  # someone may wait for the newest: the last is next
        self._caught_up_s = 0.0
        self._overflowed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._link: Connection
        self._commander: Commander

    def start(self, link: Connection) -> None:
        """Begin, also with the records that a crash left without a verdict."""
        self._link = link
        self._commander = Commander(self._units, link.publish)
        self._unidentified.extend(self._store.unidentified())
        self._thread.start()

    def stop(self) -> None:
        """Finish the message in hand; the others were not acknowledged and come again."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join()

    def send_command(self, unit: str, command: str, args: dict[str, Any]) -> None:
        """See `Commander.send`."""
        self._commander.send(unit, command, args)

    def deliver(self, delivery: Delivery) -> None:
        """Take a message from the link's thread; never blocks."""
        try:
            self._queue.put_nowait(delivery)
        except queue.Full:
            if delivery.qos:
                self._overflowed = True  # not acknowledged: fetched again when there is room
            log.warning("ingest is full, message on %s not taken now", delivery.topic)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                delivery = self._queue.get(timeout=0 if self._unidentified else 1.0)
            except queue.Empty:
                if self._unidentified:
                    self._catch_up()
                elif self._overflowed:  # a whole second without a message
                    self._overflowed = False
                    self._link.reconnect()
                continue
            if delivery is not None:
                self._settle(delivery)
            if self._unidentified and time.monotonic() - self._caught_up_s > VERDICT_EVERY_S:
                self._catch_up()

    def _settle(self, delivery: Delivery) -> None:
        wait_s, failures, refused = RETRY_FIRST_S, 0, False
        while not self._stopping.is_set():
            try:
                if failures < ATTEMPTS:
                    self._take(delivery)
                else:
                    self._put_aside(delivery, Refused(_internal()))
            except RecordError as error:
                refused = True
                log.error("store refuses, trying again: %s", error)
                self._feed.publish({"type": "store", "state": "failing", **error.as_dict()})
            except Exception:
                failures += 1
                log.exception("message on %s failed, attempt %d", delivery.topic, failures)
            else:
                if refused:
                    self._feed.publish({"type": "store", "state": "ok"})
                return
            self._stopping.wait(wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)

    def _take(self, delivery: Delivery) -> None:
        """Everything up to and including the acknowledgement; may be called again if it raises."""
        try:
            now_ms = self._now_ms()
            message = open_message(delivery.topic, delivery.payload, self._units.unit, now_ms)
            self._units.seen_with(message.unit, message.key, now_ms)
            if message.kind == "measurement":
                frame = _frame(delivery.payload, message)
            else:
                fresh = self._units.update(message.kind, message.fields)
                self._link.ack(delivery)
                self._attempt("state", self._on_unit, message, fresh)
                return
            stored = self._store.add_measurement(delivery.payload, frame, self._now_ms())
            if stored.status == "conflict":
                raise Refused(_conflict(frame), message.unit, (frame.boot, frame.seq))
        except Refused as refused:
            self._put_aside(delivery, refused)
            return
        self._link.ack(delivery)
        status = "stored" if stored.status == "stored" else "known"
        # Answers are sealed with the key that the unit has now, whichever sealed the measurement.
        key = self._units.key(message.unit.name)
        self._attempt("answer", self._on_measurement, frame, key, status)

    def _put_aside(self, delivery: Delivery, refused: Refused) -> None:
        error, unit = refused.error, refused.unit
        number = self._store.quarantine(
            delivery.payload, delivery.topic, error, self._now_ms(), authentic=unit is not None
        )
        self._link.ack(delivery)
        log.warning("quarantined %d from %s: %s", number, delivery.topic, error.code)
        event = {"type": "quarantine", "number": number, "topic": delivery.topic}
        self._feed.publish({**event, **error.as_dict()})
        if unit is not None and refused.place is not None:
            if refused.key is not None:  # a unit that has its new key reads no other
                self._units.seen_with(unit, refused.key, self._now_ms())
            boot, seq = refused.place
            digest = hashlib.sha256(delivery.payload).digest()
            self._send(
                "receipt",
                self._units.key(unit.name),
                answers.receipt(
                    unit.name, boot, seq, digest, "quarantined", f"q{number}", self._now_ms()
                ),
            )

    def _attempt(self, what: str, step: Callable[..., None], *args: Any) -> None:
        """A step after the acknowledgement: whatever goes wrong there, the record is safe."""
        try:
            step(*args)
        except Exception:
            log.exception("%s failed after the message was settled", what)

    def _on_unit(self, message: Message, fresh: bool) -> None:
        if not fresh:
            log.debug("old %s of %s ignored", message.kind, message.unit.name)
            return
        self._feed.publish({"type": "unit", "kind": message.kind, **plain(message.fields)})
        if message.kind == "state":
            self._commander.set_time_if_needed(message.fields)

    def _on_measurement(self, frame: Frame, key: bytes, status: answers.Status) -> None:
        digest = frame.sha256
        self._send(
            "receipt",
            key,
            answers.receipt(
                frame.unit,
                frame.boot,
                frame.seq,
                digest,
                status,
                frame.record_id,
                self._now_ms(),
            ),
        )
        if status == "known":
            record = self._store.record(frame.record_id)
            if record.summary.verdict is not None:
                self._send_verdict(frame, key, record.summary.verdict)
                return
        else:
            self._feed.publish({"type": "measurement", "id": frame.record_id, "unit": frame.unit})
        if self._queue.empty():
            self._judge(frame, key)
        else:  # what a unit holds is safe here before anything is identified
            self._unidentified.append(frame.record_id)

    def _judge(self, frame: Frame, key: bytes) -> None:
        """Identify, store, send. If the verdict cannot be stored it is made again later."""
        try:
            identification = self._identify(frame)
            ids = [substance.id for substance in identification.verdict.substances]
            body = answers.body(identification, self._card_for(identification.verdict.kind, ids))
        except Exception:
            log.exception("identification of %s failed", frame.record_id)
            body = answers.body_of_failure(self._card_for("inconclusive", []))
        try:
            self._store.add_verdict(frame.record_id, json.dumps(body), self._now_ms())
        except RecordError as error:
            log.error("verdict on %s not stored, trying again: %s", frame.record_id, error)
            self._unidentified.appendleft(frame.record_id)
            self._stopping.wait(RETRY_FIRST_S)
            return
        self._send_verdict(frame, key, body)
        self._feed.publish(
            {
                "type": "verdict",
                "id": frame.record_id,
                "unit": frame.unit,
                "verdict": body["verdict"],
            }
        )

    def _catch_up(self) -> None:
        """The verdict of one record that has none."""
        self._caught_up_s = time.monotonic()
        record_id = self._unidentified.pop()
        try:
            record = self._store.record(record_id)
            if record.summary.verdict is not None:
                return
            sealed = record.sealed
            unit = self._units.unit(unit_of_record(record_id))
            _, opened = open_with(sealed, unit.every_key())
            frame = Frame.from_message(sealed, messages.parse("measurement", opened))
            self._judge(frame, unit.key)
        except RecordError as error:
            log.error("record %s not read, trying again: %s", record_id, error)
            self._unidentified.appendleft(record_id)
            self._stopping.wait(RETRY_FIRST_S)
        except Exception:
            log.exception("record %s stays without a verdict until the next start", record_id)

    def _send_verdict(self, frame: Frame, key: bytes, body: dict[str, Any]) -> None:
        self._send("verdict", key, answers.verdict(frame, body, self._now_ms()))

    def _send(self, kind: str, key: bytes, message: dict[str, Any]) -> None:
        messages.check(kind, message)
        unit = message["unit"]
        sealed = mac0.seal(kind, key, unit, message)
        self._link.publish(topics.topic(unit, kind), sealed, topics.QOS[kind])


def unit_of_record(record_id: str) -> str:
    """The unit of a record id; boot and seq are its last two parts."""
    return record_id.rsplit("-", 2)[0]


def _frame(sealed: bytes, message: Message) -> Frame:
    fields = message.fields
    try:
        return Frame.from_message(sealed, fields)
    except FrameError as error:
        raise Refused(error, message.unit, (fields["boot"], fields["seq"])) from error


def _conflict(frame: Frame) -> FieldassayError:
    return RecordError(
        "record_conflict",
        f"There is already another measurement {frame.record_id}.",
        "Compare both; a unit that lost its memory must be given a new name.",
    )


def _internal() -> FieldassayError:
    return RecordError(
        "ingest_failed",
        "The host failed at this message; see its log.",
        "Report the log with the version; the message is kept here.",
    )
