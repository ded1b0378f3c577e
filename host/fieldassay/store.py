"""The evidence store: what a unit sent, byte for byte, and what was said about it.

Owns the database file and its one writing connection; reading is `store_reader`. Rows are only ever
added.
It does not check MACs, parse messages or decide anything: `ingest` does, before it calls.
A method that returns has committed; one that raises has stored nothing and may be called again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fieldassay.database import explain, open_writer, require_version
from fieldassay.errors import FieldassayError, RecordError
from fieldassay.store_reader import Reader, missing
from fieldassay.stored import StorableFrame, Stored

log = logging.getLogger(__name__)

RAW_KEPT_BYTES = 65_536  # of a message that nobody vouches for; authentic ones are kept whole
STRANGERS_PER_TOPIC = 200  # quarantined messages without a valid MAC: enough to see what is wrong
STRANGERS_TOTAL = 2_000


class Store(Reader):
    """The evidence store. One process may write; any number may read. Thread-safe."""

    def __init__(self, path: Path, lock_file: IO[bytes] | None) -> None:
        super().__init__(path)
        self._lock_file = lock_file  # held while we may write; None: read-only
        self._writer: sqlite3.Connection | None = None

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open for writing, make or migrate the tables, check the file.

        Raises:
            RecordError: `store_in_use`, `store_newer`, `store_damaged`, `store_full` …
        """
        path = Path(path)
        with explain(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock_file = path.with_name(path.name + ".lock").open("ab")
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock_file.close()
                raise RecordError(
                    "store_in_use",
                    f"Another host is writing to {path}.",
                    "Stop the other host, or give this one another --home.",
                ) from error
        store = cls(path, lock_file)
        try:
            with explain(path):
                store._writer = open_writer(path)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open_read_only(cls, path: Path) -> Store:
        """Open for reading, also while a host is writing.

        Raises:
            RecordError: `store_missing`, `store_newer`, `store_damaged` …
        """
        path = Path(path)
        if not path.is_file():
            raise RecordError(
                "store_missing",
                f"There is no evidence store at {path}.",
                "Start `fieldassay run` or `fieldassay host` once, or give the right --home.",
            )
        store = cls(path, None)
        try:
            with store._reading() as db:
                require_version(db, path, exact=True)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection and let another process write."""
        with self._lock:
            self._close_readers()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._lock_file is not None:
                self._lock_file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and synced when the block ends, rolled back when it raises."""
        with self._lock, explain(self._path):
            if self._lock_file is None or self._closed:
                raise RecordError(
                    "store_read_only",
                    f"The evidence store {self._path} was opened for reading or is closed.",
                    "Write through the running host.",
                )
            if self._writer is None:  # it was dropped after an input/output error
                self._writer = open_writer(self._path, check=False)
            db = self._writer
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except sqlite3.OperationalError:
                self._writer = None  # start afresh: the file system may have changed under it
                db.close()  # rolls back
                raise
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def add_measurement(self, sealed: bytes, frame: StorableFrame, received_ms: int) -> Stored:
        """Store the exact bytes of one measurement; a repeat changes nothing.

        Args:
            sealed: The bytes as received, already authenticated.
            frame: The same message, parsed.
            received_ms: UTC, milliseconds since 1970.

        Returns:
            "stored", "known" (same bytes again) or "conflict" (same key, other bytes).

        Raises:
            RecordError: Nothing was stored; it is safe to try again.
        """
        digest = hashlib.sha256(sealed).digest()
        with self._writing() as db:
            known = db.execute(
                "SELECT record_id, sha256 FROM measurement WHERE unit = ? AND boot = ? AND seq = ?",
                (frame.unit, frame.boot, frame.seq),
            ).fetchone()
            if known is not None:
                return Stored(known[0], "known" if known[1] == digest else "conflict")
            db.execute(
                "INSERT INTO measurement (record_id, unit, boot, seq, sha256, sealed, received_ms,"
                " taken_ms, clock, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    frame.record_id,
                    frame.unit,
                    frame.boot,
                    frame.seq,
                    digest,
                    sealed,
                    received_ms,
                    frame.time_ms,
                    frame.clock,
                    json.dumps(list(frame.flags)),
                ),
            )
        return Stored(frame.record_id, "stored")

    def add_verdict(self, record_id: str, body_json: str, created_ms: int) -> None:
        """Append a verdict to a record; earlier ones stay.

        Raises:
            RecordError: `record_missing`, or the store cannot write.
        """
        try:
            with self._writing() as db:
                db.execute(
                    "INSERT INTO verdict (record_id, created_ms, body) VALUES (?, ?, ?)",
                    (record_id, created_ms, body_json),
                )
        except sqlite3.IntegrityError as error:
            raise missing(record_id) from error

    def add_check(self, check: Mapping[str, Any], made_ms: int) -> int:
        """Append the result of a performance check; earlier ones stay.

        Args:
            check: The stored form (`calibrate.check.Check.as_dict`).
            made_ms: UTC, milliseconds since 1970.

        Returns:
            Its number.
        """
        with self._writing() as db:
            cursor = db.execute(
                "INSERT INTO unit_check (unit, made_ms, passed, calibration_id, firmware, record,"
                " body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    check["unit"],
                    made_ms,
                    int(check["passed"]),
                    check["calibration"]["id"],
                    check["firmware"],
                    check["record"],
                    json.dumps(check),
                ),
            )
            return int(cursor.lastrowid or 0)

    def quarantine(
        self,
        raw: bytes,
        topic: str,
        error: FieldassayError,
        received_ms: int,
        *,
        authentic: bool = False,
    ) -> int:
        """Keep a message aside with the reason.

        Args:
            raw: The bytes as received.
            topic: Where they arrived.
            error: Why they cannot be used.
            received_ms: UTC, milliseconds since 1970.
            authentic: The MAC was right. Such messages are kept whole and without limit, since a
                unit may have been told that they are safe here; others are cut to RAW_KEPT_BYTES
                and limited in number.

        Returns:
            The number of the entry; the earlier one for a repeat; 0 if only counted (see `counts`).
        """
        digest = hashlib.sha256(raw).digest()
        with self._writing() as db:
            known = db.execute(
                "SELECT number FROM quarantine WHERE topic = ? AND sha256 = ? AND authentic = ?",
                (topic, digest, int(authentic)),
            ).fetchone()
            if known is not None:
                _count(db, "quarantine_repeated")
                return int(known[0])
            if not authentic and _strangers_full(db, topic):
                _count(db, "quarantine_not_kept")
                return 0
            cursor = db.execute(
                "INSERT INTO quarantine (received_ms, topic, code, what, do_next, authentic,"
                " sha256, size, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    received_ms,
                    topic,
                    error.code,
                    error.what,
                    error.do_next,
                    int(authentic),
                    digest,
                    len(raw),
                    raw if authentic else raw[:RAW_KEPT_BYTES],
                ),
            )
            return int(cursor.lastrowid or 0)


def _count(db: sqlite3.Connection, name: str) -> None:
    db.execute(
        "INSERT INTO counter (name, value) VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1",
        (name,),
    )


def _strangers_full(db: sqlite3.Connection, topic: str) -> bool:
    here, everywhere = db.execute(
        "SELECT count(*) FILTER (WHERE topic = ?), count(*) FROM quarantine WHERE authentic = 0",
        (topic,),
    ).fetchone()
    return bool(here >= STRANGERS_PER_TOPIC or everywhere >= STRANGERS_TOTAL)
