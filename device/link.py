# The unit's session with the host: keeps the connection, shows the unit's state, carries
# measurements out of the spool and brings receipts, verdicts and commands in. Owns no socket
# (mqtt.py), no file (spool.py) and no decision about the laser: a command is handed on, never
# obeyed here.
#
# Promise: a spool slot is released only on a receipt that the unit's key seals, for this unit,
# boot and seq, whose sha256 is that of the file. A PUBACK only ends the retransmission of one
# packet.
#
# Order: a measurement announced by measured() goes before the backlog (an officer waits for its
# verdict); the backlog goes oldest first, a few at a time, round and round until receipts come.

import asyncio
import gc
import time

import mqtt
from backoff import Backoff
from fieldassay_wire import mac0, messages, topics
from inbox import Inbox
from micropython import const

_BACKLOG_SLOTS = const(4)  # measurements of the backlog that wait for a receipt at the same time
_SLOTS_MAX = const(8)  # the same with the newly measured ones
_TRIES = const(5)  # connections lost while sending one measurement; then others get their turn
_BLOCK = const(1024)
_IDLE_MS = const(20)  # longest pause between two looks at the socket
_AWAIT_MS = const(5)  # the same while a receipt or verdict is expected
_STABLE_MS = const(10000)  # a connection that lived so long was a good one


# A measurement under way. `due`: ticks when its receipt is overdue, None until the PUBACK may come.
class _Slot:
    def __init__(self, boot, seq, publication):
        self.boot = boot
        self.seq = seq
        self.publication = publication
        self.connection = 0  # number of the connection it was last sent on
        self.due = None


class Link:
    # settings: the checked dict. spool: see spool.py. key: the unit's 32 bytes. state() gives the
    # fields of a state message that the app knows (state, interlock, fault, battery_mv, time_ms,
    # clock, firmware). on_receipt, on_verdict, on_command(message) are called with a checked
    # message dict, from inside run(): they must return soon. log(kind, details). While quiet() is
    # true (the laser is or will be on) nothing that may block is begun: no connection, no flash.
    def __init__(
        self,
        settings,
        board,
        spool,
        key,
        boot,
        state,
        on_verdict,
        on_receipt,
        on_command,
        log,
        receipt_timeout_ms=10000,
        receipt_timeout_max_ms=300000,
        timeout_ms=5000,
        keepalive_s=30,
        quiet=lambda: False,
    ):
        self.unit = settings["unit"]
        self.online = False
        self.counters = {}
        self._spool = spool
        self._key = key
        self._boot = boot
        self._state = state
        self._on = {"verdict": on_verdict, "receipt": on_receipt, "command": on_command}
        self._log = log
        self._quiet = quiet
        self._receipt_timeout_ms = receipt_timeout_ms
        self._patience = Backoff(
            receipt_timeout_ms * 2, receipt_timeout_max_ms, receipt_timeout_max_ms
        )
        self._timeout_ms = receipt_timeout_ms
        self._timeout_raised = time.ticks_ms()
        self._backoff = Backoff()
        self._slots = []
        self._fresh = []
        self._inbox = Inbox(self.unit, key, self._on, self._drop)
        self._cursor = (-1, -1)
        self._n = 0
        self._command_n = -1
        self._connection = 0
        self._clean = False
        self._stopping = False
        self._hurry = False
        self._state_changed = True
        self._state_publication = None
        self._telemetry = None
        broker = settings["broker"]
        tls = mqtt.tls_of(broker)
        self._client = mqtt.Client(
            lambda: board.open_socket(broker["host"], broker["port"], tls),
            self.unit,
            self._inbox.message,
            broker["user"],
            broker["password"],
            keepalive_s,
            timeout_ms,
        )
        self._client.full = self._inbox.full
        self._client.hold = quiet
        self._client.between = self._open_inbox

    # --- called by the app -----------------------------------------------------------------------

    # A measurement was just put into the spool: send it before everything else, now.
    def measured(self, boot, seq):
        self._fresh.append((boot, seq))
        if len(self._fresh) > _SLOTS_MAX:
            self._fresh.pop(0)  # it is in the spool: the backlog brings it
        self._hurry = True

    def state_changed(self):
        self._state_changed = True

    # Send these fields once at the next chance; newer ones replace them.
    def telemetry(self, fields):
        self._telemetry = fields

    # Say goodbye; run() returns soon after.
    def stop(self):
        self._stopping = self._hurry = True

    # The task. Returns only after stop().
    async def run(self):
        while not self._stopping:
            if self._quiet():
                await asyncio.sleep_ms(_IDLE_MS)
                continue
            started = time.ticks_ms()
            try:
                await self._session()
            except mqtt.MqttError as e:
                # What the broker sent cannot be taken: it would send the same again, so forget it.
                # The spool resends, the host answers again.
                if e.code in ("malformed", "too_large"):
                    self._clean = True
                self._note("link_down", {"code": e.code, "what": e.what})
            except Exception as e:
                if isinstance(e, MemoryError):
                    self._clean = True
                self._note("link_error", {"code": type(e).__name__, "what": str(e)})
                gc.collect()
            finally:
                self.online = False
                self._client.close()
            if time.ticks_diff(time.ticks_ms(), started) > _STABLE_MS:
                self._backoff.reset()
            await self._pause(self._backoff.next_ms())

    async def _pause(self, wait_ms):
        end = time.ticks_add(time.ticks_ms(), wait_ms)
        while not mqtt.past(end, time.ticks_ms()):
            if self._hurry and self._stopping:
                return
            if self._hurry:  # an officer waits: try now, and often again
                self._hurry = False
                self._backoff.reset()
                return
            await asyncio.sleep_ms(min(wait_ms, 50))

    # --- one connection --------------------------------------------------------------------------

    async def _session(self):
        client = self._client
        topic = topics.topic(self.unit, "state")
        client.will = (topic, self._sealed_state("lost"), topics.QOS["state"], True)
        await client.connect(clean=self._clean)
        self._clean = False
        await client.subscribe(topics.down_filter(self.unit))
        self._connection += 1
        self._hurry = False
        self.online = True
        self._state_changed = True
        self._after_connect()
        self._note("link_up", {"session_present": client.session_present})
        pause_ms = 0
        while True:
            moved = await client.service()
            self._open_inbox()
            if self._stopping:
                await self._send_state("disconnected")
                await client.disconnect()
                return
            if await self._send_next() or moved:
                pause_ms = 0
            await asyncio.sleep_ms(pause_ms)
            pause_ms = min(pause_ms + 1, _AWAIT_MS if self._slots else _IDLE_MS)

    # Slots the broker had acknowledged wait on, but not long: it may have died with them. A broker
    # that forgot the session forgot them too.
    def _after_connect(self):
        if not self._client.session_present:
            self._slots = [s for s in self._slots if not s.publication.acked]
        self._expect_soon()
        if self._state_publication is not None:
            self._client.forget(self._state_publication)
            self._state_publication = None

    def _expect_soon(self):
        self._patience.reset()
        self._timeout_ms = self._receipt_timeout_ms
        soon = time.ticks_add(time.ticks_ms(), self._receipt_timeout_ms)
        for slot in self._slots:
            if slot.due is not None and time.ticks_diff(slot.due, soon) > 0:
                slot.due = soon

    # Send at most one thing. True if something was sent.
    async def _send_next(self):
        if self._state_changed and (
            self._state_publication is None or self._state_publication.acked
        ):
            self._state_changed = False
            await self._send_state(None)
            return True
        slot = None if self._quiet() else self._next_slot()
        if slot is not None:
            slot.connection = self._connection
            self._count("resent" if slot.publication.tries else "sent")
            await self._client.send(slot.publication)
            slot.due = time.ticks_add(time.ticks_ms(), self._timeout_ms)
            return True
        if self._telemetry is not None:
            fields = self._telemetry
            self._telemetry = None
            await self._send("telemetry", self._seal("telemetry", fields))
            return True
        return False

    async def _send_state(self, state):
        self._state_publication = await self._send("state", self._sealed_state(state))

    async def _send(self, kind, sealed):
        topic = topics.topic(self.unit, kind)
        publication = mqtt.Publication(
            topic, len(sealed), lambda: (sealed,), topics.QOS[kind], topics.RETAIN[kind]
        )
        await self._client.send(publication)
        return publication

    def _sealed_state(self, state):
        fields = dict(self._state())
        fields["spool_used"] = self._spool.used
        fields["spool_capacity"] = self._spool.capacity
        if state is not None:
            fields["state"] = state
        return self._seal("state", fields)

    def _seal(self, kind, fields):
        self._n += 1
        message = {"v": messages.VERSION, "unit": self.unit, "boot": self._boot, "n": self._n}
        message.update(fields)
        return mac0.seal(kind, self._key, self.unit, message)

    # --- what to send ----------------------------------------------------------------------------

    def _next_slot(self):
        while self._fresh:
            boot, seq = self._fresh.pop()
            if self._slot_of(boot, seq) is None and (boot, seq) in self._spool.pending():
                return self._start(boot, seq)
        now = time.ticks_ms()
        for slot in self._slots:
            if slot.publication.acked:
                if mqtt.past(slot.due, now):
                    self._overdue(slot, now)
                    break
            elif slot.connection != self._connection:
                if slot.publication.tries < _TRIES:
                    return slot
                self._count("deferred")
                self._drop_slot(slot)
                break
        if len(self._slots) < _BACKLOG_SLOTS:
            return self._from_backlog()
        return None

    # The oldest pending measurement after the last one sent; after the newest, from the start.
    def _from_backlog(self):
        first = after = None
        for item in self._spool.pending():
            if self._slot_of(item[0], item[1]) is None:
                if first is None or item < first:
                    first = item
                if item > self._cursor and (after is None or item < after):
                    after = item
        item = first if after is None else after
        if item is None:
            return None
        self._cursor = item
        return self._start(item[0], item[1])

    def _start(self, boot, seq):
        if len(self._slots) >= _SLOTS_MAX:
            self._drop_slot(self._slots[0])
        spool = self._spool
        try:
            size = spool.size(boot, seq)
        except Exception as e:  # this file cannot be read: the others must not wait for it
            self._note("link_error", {"code": "spool", "what": str(e)})
            return None
        publication = mqtt.Publication(
            topics.topic(self.unit, "measurement"),
            size,
            lambda: spool.open_blocks(boot, seq, _BLOCK),
        )
        slot = _Slot(boot, seq, publication)
        self._slots.append(slot)
        return slot

    # No receipt in time: let it go round again, and be more patient, once for each round.
    def _overdue(self, slot, now):
        self._count("receipt_timeout")
        self._drop_slot(slot)
        if time.ticks_diff(now, self._timeout_raised) > self._timeout_ms // 2:
            self._timeout_ms = self._patience.next_ms()
            self._timeout_raised = now

    def _slot_of(self, boot, seq):
        for slot in self._slots:
            if slot.boot == boot and slot.seq == seq:
                return slot
        return None

    def _drop_slot(self, slot):
        self._slots.remove(slot)
        self._client.forget(slot.publication)

    # --- what comes in ---------------------------------------------------------------------------

    # While the laser is on only commands are looked at: a receipt erases flash.
    def _open_inbox(self):
        while True:
            item = self._inbox.take(self._quiet())
            if item is None:
                return
            kind, message = item
            if kind == "receipt" and not self._receipt(message):
                continue
            if kind == "command" and not self._command(message):
                continue
            try:
                self._on[kind](message)
            except Exception as e:  # the app's fault must not cost the session
                self._note("link_error", {"code": type(e).__name__, "what": str(e)})

    def _receipt(self, message):
        boot, seq = message["boot"], message["seq"]
        if (boot, seq) not in self._spool.pending():
            return self._drop("no_such_measurement")  # released before, or never ours
        try:
            if not self._spool.release(boot, seq, message["sha256"]):
                return self._drop("other_digest")
        except Exception as e:  # the flash refuses: the host will answer "known" to the next try
            self._note("link_error", {"code": "spool", "what": str(e)})
            return False
        self._count("released")
        slot = self._slot_of(boot, seq)
        if slot is not None:
            self._drop_slot(slot)
        self._backoff.reset()
        self._expect_soon()
        return True

    def _command(self, message):
        if message["boot"] != self._boot or message["n"] <= self._command_n:
            return self._drop("old_command")
        self._command_n = message["n"]
        if message["command"] == "get_state":
            self._state_changed = True
        return True

    def _drop(self, reason):
        self._count("drop." + reason)
        return False

    def _count(self, name):
        self.counters[name] = self.counters.get(name, 0) + 1

    def _note(self, kind, details):
        self._count(kind)
        self._log(kind, details)
