"""The tables of the evidence store and the forward migrations that make them.

Append-only: triggers refuse UPDATE and DELETE whoever asks. Only `store` reads and writes tables.
Add a version at the end of MIGRATIONS; never change one that was released.
"""

from __future__ import annotations

APPLICATION_ID = 0x46414556  # "FAEV" in the file header, so that `file` and we know what it is


def _append_only(table: str, *keys: str) -> str:
    # INSERT OR REPLACE deletes without asking the DELETE trigger, hence the third trigger.
    same = " OR ".join(f"({key}) = ({key.replace('*', 'NEW.')})".replace("*", "") for key in keys)
    refuse = f"BEGIN SELECT RAISE(ABORT, 'append-only: {table}'); END;\n"
    there = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - the names are ours
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
        f" WHEN {there} {refuse}"
    )


_V1 = f"""
CREATE TABLE measurement (
    number INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL UNIQUE,
    unit TEXT NOT NULL,
    boot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    sealed BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    taken_ms INTEGER NOT NULL,
    clock TEXT NOT NULL,
    flags TEXT NOT NULL,
    UNIQUE (unit, boot, seq)
) STRICT;
CREATE TABLE verdict (
    number INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL REFERENCES measurement (record_id),
    created_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_by_record ON verdict (record_id, number);
CREATE TABLE quarantine (
    number INTEGER PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    code TEXT NOT NULL,
    what TEXT NOT NULL,
    do_next TEXT NOT NULL,
    authentic INTEGER NOT NULL CHECK (authentic IN (0, 1)),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    size INTEGER NOT NULL,
    raw BLOB NOT NULL,
    UNIQUE (topic, sha256, authentic)
) STRICT;
CREATE INDEX quarantine_by_topic ON quarantine (authentic, topic);
-- What arrived but was not kept. A counter may only rise.
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL CHECK (value > 0)) STRICT;
CREATE TRIGGER counter_only_rises BEFORE UPDATE ON counter
    WHEN NEW.value <= OLD.value OR NEW.name <> OLD.name
    BEGIN SELECT RAISE(ABORT, 'append-only: counter'); END;
CREATE TRIGGER counter_no_delete BEFORE DELETE ON counter
    BEGIN SELECT RAISE(ABORT, 'append-only: counter'); END;
{_append_only("measurement", "*number", "*record_id", "*unit, *boot, *seq")}
{_append_only("verdict", "*number")}
{_append_only("quarantine", "*number", "*topic, *sha256, *authentic")}
"""

# Performance checks of units: what was judged, by which calibration, and the whole result.
_V2 = f"""
CREATE TABLE unit_check (
    number INTEGER PRIMARY KEY,
    unit TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
    calibration_id TEXT NOT NULL,
    firmware TEXT NOT NULL,
    record TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX unit_check_by_unit ON unit_check (unit, number);
{_append_only("unit_check", "*number")}
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2)
VERSION = len(MIGRATIONS)


def migration(version: int) -> str:
    """The script from `version` to `version + 1`, one transaction with its version number."""
    return (
        f"BEGIN IMMEDIATE;\n{MIGRATIONS[version]}\n"
        f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version + 1};\nCOMMIT;"
    )
