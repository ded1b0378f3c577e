"""What the evidence store says: records, verdicts, and what was put aside.

Owns the read-only connections and the questions. Writing, and opening the file, is `store`.
"""

from __future__ import annotations

import contextlib
import json
import queue
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fieldassay.database import connect, explain
from fieldassay.errors import RecordError
from fieldassay.stored import Quarantined, Record, RecordSummary, quarantined_from, summary_from

CONNECTIONS_KEPT = 8

_SUMMARY = """SELECT m.number, m.record_id, m.unit, m.boot, m.seq, m.sha256, length(m.sealed),
    m.received_ms, m.taken_ms, m.clock, m.flags,
    (SELECT v.body FROM verdict v WHERE v.record_id = m.record_id ORDER BY v.number DESC LIMIT 1)
    FROM measurement m"""


class Reader:
    """The reading side of a store. Thread-safe; reads while another process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(CONNECTIONS_KEPT)
        self._closed = False

    def _close_readers(self) -> None:
        """Close the connections at rest; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            with contextlib.suppress(queue.Empty):
                while True:
                    self._readers.get_nowait().close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with explain(self._path):
            try:
                db = self._readers.get_nowait()
            except queue.Empty:
                db = connect(self._path, "ro")
            try:
                db.execute("PRAGMA query_only = ON")
                yield db
            except BaseException:  # whatever it was: this connection is not used again
                db.close()
                raise
        with self._lock:
            if self._closed or self._readers.full():
                db.close()
            else:
                self._readers.put_nowait(db)

    def unidentified(self) -> list[str]:
        """Record ids without a verdict, oldest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT record_id FROM measurement m WHERE NOT EXISTS"
                " (SELECT 1 FROM verdict v WHERE v.record_id = m.record_id) ORDER BY number"
            ).fetchall()
        return [row[0] for row in rows]

    def records(self, limit: int, before: int | None = None) -> list[RecordSummary]:
        """The newest records first, at most `limit`, with a number below `before` if given."""
        with self._reading() as db:
            rows = db.execute(
                f"{_SUMMARY} WHERE m.number < ? ORDER BY m.number DESC LIMIT ?",
                (2**62 if before is None else before, limit),
            ).fetchall()
        return [summary_from(row) for row in rows]

    def axis_shifts(self, unit: str, limit: int) -> list[tuple[float, float]]:
        """(received in s, axis shift in cm-1) of the unit's last matches, newest first.

        Only a match tells the axis of the unit from the bands of the sample. At most `limit`, among
        the last ten times as many records.
        """
        with self._reading() as db:
            rows = db.execute(
                f"{_SUMMARY} WHERE m.unit = ? ORDER BY m.number DESC LIMIT ?", (unit, 10 * limit)
            ).fetchall()
        found = []
        for summary in map(summary_from, rows):
            verdict = summary.verdict or {}
            shift = verdict.get("quality", {}).get("axis_shift_cm1")
            if verdict.get("verdict") == "match" and isinstance(shift, int | float):
                found.append((summary.received_ms / 1000.0, float(shift)))
        return found[:limit]

    def record(self, record_id: str) -> Record:
        """Everything about one record.

        Raises:
            RecordError: `record_missing`.
        """
        if not record_id.isascii():  # ids are; and SQLite takes no half characters
            raise missing(record_id)
        with self._reading() as db:
            row = db.execute(f"{_SUMMARY} WHERE m.record_id = ?", (record_id,)).fetchone()
            if row is None:
                raise missing(record_id)
            (sealed,) = db.execute(
                "SELECT sealed FROM measurement WHERE record_id = ?", (record_id,)
            ).fetchone()
            verdicts = db.execute(
                "SELECT body, created_ms FROM verdict WHERE record_id = ? ORDER BY number",
                (record_id,),
            ).fetchall()
        return Record(
            summary_from(row),
            sealed,
            [{**json.loads(body), "created_ms": ms} for body, ms in verdicts],
        )

    def newest_boot(self, unit: str) -> int:
        """The highest start of a unit that a record is from; 0 if there is none."""
        with self._reading() as db:
            row = db.execute("SELECT max(boot) FROM measurement WHERE unit = ?", (unit,)).fetchone()
        return int(row[0] or 0)

    def checks(self, unit: str, limit: int) -> list[dict[str, Any]]:
        """The newest performance checks of a unit first: the stored form, `number`, `made_ms`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT number, made_ms, body FROM unit_check WHERE unit = ?"
                " ORDER BY number DESC LIMIT ?",
                (unit, limit),
            ).fetchall()
        return [{**json.loads(body), "number": n, "made_ms": ms} for n, ms, body in rows]

    def quarantined(self, limit: int) -> list[Quarantined]:
        """The newest quarantined messages, at most `limit`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT number, received_ms, topic, code, what, do_next, authentic, sha256, size,"
                " raw FROM quarantine ORDER BY number DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [quarantined_from(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Rows per table, and what was not kept: `quarantine_not_kept`, `quarantine_repeated`."""
        with self._reading() as db:
            result = {
                name: int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
                for name, table in (
                    ("measurements", "measurement"),
                    ("verdicts", "verdict"),
                    ("quarantined", "quarantine"),
                )
            }
            result.update({"quarantine_not_kept": 0, "quarantine_repeated": 0})
            result.update(db.execute("SELECT name, value FROM counter").fetchall())
        return result


def missing(record_id: str) -> RecordError:
    """The error for a record that is not there."""
    return RecordError(
        "record_missing",
        f"There is no record {record_id!r}.",
        "See the records there are with `fieldassay record list`.",
    )
