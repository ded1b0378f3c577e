"""Opening the evidence database: durable settings, version, migration; SQLite's errors explained.

`store` is the only user. The settings are asserted, not assumed: a SQLite that ignores one is
refused.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fieldassay import schema
from fieldassay.errors import RecordError

BUSY_MS = 5_000
_SYNCHRONOUS_FULL = 2

_FREE_SPACE = "Free space on that disk; nothing is lost, units keep what was not confirmed."
# SQLite's primary result code -> (our code, what happened, what to do)
_EXPLAINED = {
    sqlite3.SQLITE_FULL: ("store_full", "has no space left", _FREE_SPACE),
    sqlite3.SQLITE_IOERR: (
        "store_io",
        "cannot be written or read (disk full, limit reached or disk failing)",
        "Check free space and the health of that disk; units keep what was not confirmed.",
    ),
    sqlite3.SQLITE_READONLY: (
        "store_read_only",
        "cannot be written: file or file system is read-only",
        "Make the folder writable for the user of the host, or remount the disk.",
    ),
    sqlite3.SQLITE_BUSY: (
        "store_busy",
        "is locked by another program",
        "Close the program that has the file open.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "store_busy",
        "is locked by another program",
        "Close the program that has the file open.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "store_damaged",
        "is damaged",
        "Keep the file as it is, restore a copy, and examine the damaged one elsewhere.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "store_damaged",
        "is not an evidence store",
        "Keep the file as it is, and give another --home or restore a copy.",
    ),
}


@contextlib.contextmanager
def explain(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the file system into RecordError; integrity errors pass through."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        number = getattr(error, "sqlite_errorcode", 0) & 0xFF
        code, what, do_next = _EXPLAINED.get(
            number,
            (
                "store_unreachable",
                f"cannot be used: {error}",
                "Check the path and its permissions.",
            ),
        )
        raise RecordError(code, f"The evidence store {path} {what}.", do_next) from error
    except OSError as error:
        raise RecordError(
            "store_unreachable",
            f"The evidence store {path} cannot be opened: {error.strerror}.",
            "Check the path and its permissions.",
        ) from error


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection, mode "rwc" or "ro", without automatic BEGIN, usable from any thread."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
    )


def open_writer(path: Path, check: bool = True) -> sqlite3.Connection:
    """The writing connection: WAL, every commit synced, tables at the newest version, file checked.

    Raises:
        RecordError: `store_newer`, `store_damaged`, `store_not_durable`.
        sqlite3.Error: See `explain`.
    """
    db = connect(path, "rwc")
    try:
        require_version(db, path)
        settings = {
            "journal_mode": db.execute("PRAGMA journal_mode = WAL").fetchone()[0],
            "synchronous": _set(db, "synchronous", "FULL"),
            "foreign_keys": _set(db, "foreign_keys", "ON"),
            "recursive_triggers": _set(db, "recursive_triggers", "ON"),
        }
        expected = {
            "journal_mode": "wal",
            "synchronous": _SYNCHRONOUS_FULL,
            "foreign_keys": 1,
            "recursive_triggers": 1,
        }
        if settings != expected:
            raise RecordError(
                "store_not_durable",
                f"SQLite did not accept the settings that make a commit safe: {settings}.",
                "Keep the evidence store on a local disk, not on a network share.",
            )
        if check and db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise RecordError("store_damaged", *_damaged(path))
        for version in range(version_of(db), schema.VERSION):
            db.executescript(schema.migration(version))
    except BaseException:
        db.close()
        raise
    return db


def require_version(db: sqlite3.Connection, path: Path, exact: bool = False) -> None:
    """Refuse a file of a newer fieldassay, of something else, or (`exact`) not yet migrated.

    Raises:
        RecordError: `store_newer`, `store_older`, `store_damaged`.
    """
    version = version_of(db)
    if version > schema.VERSION:
        raise RecordError(
            "store_newer",
            f"The evidence store {path} has version {version}, this program {schema.VERSION}.",
            "Install the newer fieldassay; an older one must not write to it.",
        )
    if exact and version < schema.VERSION:
        raise RecordError(
            "store_older",
            f"The evidence store {path} has version {version}, this program {schema.VERSION}.",
            "Start the host once: it brings the store up to date.",
        )
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and db.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
        raise RecordError("store_damaged", *_damaged(path))


def version_of(db: sqlite3.Connection) -> int:
    """The schema version of the file, 0 for a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _set(db: sqlite3.Connection, pragma: str, value: str) -> int:
    db.execute(f"PRAGMA {pragma} = {value}")
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])


def _damaged(path: Path) -> tuple[str, str]:
    _, what, do_next = _EXPLAINED[sqlite3.SQLITE_CORRUPT]
    return f"The evidence store {path} {what} or is another program's file.", do_next
