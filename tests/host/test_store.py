"""The evidence store: nothing is lost after a commit, changed ever, or dropped uncounted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldassay import schema, store
from fieldassay.database import connect
from fieldassay.errors import FrameError, RecordError
from fieldassay.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

WHY = FrameError("bad_mac", "The tag does not fit.", "Check the key.")


@dataclasses.dataclass(frozen=True)
class Facts:
    unit: str = "unit-1"
    boot: int = 1
    seq: int = 1
    time_ms: int = 1_790_000_000_000
    clock: str = "rtc"
    flags: tuple[str, ...] = ("low_signal",)

    @property
    def record_id(self) -> str:
        return f"{self.unit}-{self.boot}-{self.seq}"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "evidence.db") as opened:
        yield opened


def test_a_record_comes_back_byte_for_byte_with_its_verdicts_in_order(db: Store) -> None:
    sealed = bytes(range(256)) * 64
    stored = db.add_measurement(sealed, Facts(), 7)
    assert (stored.record_id, stored.status) == ("unit-1-1-1", "stored")
    assert db.unidentified() == ["unit-1-1-1"]
    db.add_verdict("unit-1-1-1", json.dumps({"verdict": "match"}), 8)
    db.add_verdict("unit-1-1-1", json.dumps({"verdict": "mixture"}), 9)
    record = db.record("unit-1-1-1")
    assert record.sealed == sealed
    assert record.summary.sha256 == hashlib.sha256(sealed).hexdigest()
    assert record.summary.size_bytes == len(sealed)
    assert record.summary.flags == ("low_signal",)
    assert record.summary.verdict == {"verdict": "mixture"}
    assert [(v["verdict"], v["created_ms"]) for v in record.verdicts] == [
        ("match", 8),
        ("mixture", 9),
    ]
    assert db.unidentified() == []


def test_paging_shows_every_record_once_newest_first(db: Store) -> None:
    for seq in range(1, 8):
        db.add_measurement(b"%d" % seq, Facts(seq=seq), seq)
    seen, before = [], None
    while page := db.records(3, before):
        seen += [line.seq for line in page]
        before = page[-1].number
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=25))
def test_repeats_in_any_order_make_one_record_each(
    tmp_path_factory: pytest.TempPathFactory, sends: list[tuple[int, int]]
) -> None:
    first: dict[int, int] = {}
    with Store.open(tmp_path_factory.mktemp("s") / "e.db") as db:
        for seq, content in sends:
            status = db.add_measurement(b"content %d" % content, Facts(seq=seq), 0).status
            if seq not in first:
                first[seq] = content
                assert status == "stored"
            else:
                assert status == ("known" if first[seq] == content else "conflict")
        assert db.counts()["measurements"] == len(first)
        for seq, content in first.items():
            assert db.record(f"unit-1-1-{seq}").sealed == b"content %d" % content


@pytest.mark.parametrize("table", ["measurement", "verdict", "quarantine"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {} SET number = number + 1",
        "DELETE FROM {}",
        "REPLACE INTO {} SELECT * FROM {}",
        "INSERT INTO {} SELECT * FROM {} WHERE true ON CONFLICT DO UPDATE SET number = 9",
    ],
)
def test_rows_cannot_be_changed_even_by_another_program(
    db: Store, tmp_path: Path, table: str, change: str
) -> None:
    db.add_measurement(b"sealed", Facts(), 1)
    db.add_verdict("unit-1-1-1", "{}", 1)
    db.quarantine(b"junk", "topic", WHY, 1)
    stranger = sqlite3.connect(tmp_path / "evidence.db")
    try:
        before = stranger.execute(f"SELECT * FROM {table}").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            stranger.execute(change.format(table, table))
        stranger.rollback()
        assert stranger.execute(f"SELECT * FROM {table}").fetchall() == before != []
    finally:
        stranger.close()


def test_a_counter_cannot_be_turned_back(db: Store, tmp_path: Path) -> None:
    db.quarantine(b"junk", "topic", WHY, 1)
    db.quarantine(b"junk", "topic", WHY, 1)
    assert db.counts()["quarantine_repeated"] == 1
    stranger = sqlite3.connect(tmp_path / "evidence.db")
    try:
        for change in ("UPDATE counter SET value = 1", "DELETE FROM counter"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                stranger.execute(change)
    finally:
        stranger.close()


def test_a_verdict_needs_its_record(db: Store) -> None:
    with pytest.raises(RecordError) as caught:
        db.add_verdict("unit-9-1-1", "{}", 1)
    assert caught.value.code == "record_missing"
    with pytest.raises(RecordError):
        db.record("unit-9-1-1")


def test_a_flood_of_strangers_is_bounded_and_counted(
    db: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "STRANGERS_PER_TOPIC", 3)
    monkeypatch.setattr(store, "STRANGERS_TOTAL", 5)
    numbers = [db.quarantine(b"%d" % i, f"topic/{i % 2}", WHY, i) for i in range(20)]
    kept = [number for number in numbers if number]
    assert len(kept) == 5
    counts = db.counts()
    assert counts["quarantined"] + counts["quarantine_not_kept"] == 20
    # What a key holder sent is kept however full it is, and whole.
    big = os.urandom(store.RAW_KEPT_BYTES + 10)
    assert db.quarantine(big, "topic/0", WHY, 21, authentic=True) > 0
    assert db.quarantined(1)[0].raw == big
    assert db.quarantined(1)[0].authentic is True


def test_a_long_stranger_is_cut_but_kept_whole_once_its_key_is_known(db: Store) -> None:
    big = os.urandom(store.RAW_KEPT_BYTES + 10)
    stranger = db.quarantine(big, "t", WHY, 1)
    (entry,) = db.quarantined(1)
    assert (len(entry.raw), entry.size_bytes) == (store.RAW_KEPT_BYTES, len(big))
    assert db.quarantine(big, "t", WHY, 2, authentic=True) != stranger
    assert db.quarantined(1)[0].raw == big


def test_durability_is_asserted_at_every_open(db: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = db._writer
    assert writer is not None
    assert writer.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert writer.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_database_that_cannot_do_wal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "fieldassay.database.connect",
        lambda path, mode: sqlite3.connect(":memory:", isolation_level=None),
    )
    with pytest.raises(RecordError) as caught:
        Store.open(tmp_path / "e.db")
    assert caught.value.code == "store_not_durable"


def test_one_writer_and_readers_beside_it(db: Store, tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    with pytest.raises(RecordError) as caught:
        Store.open(path)
    assert caught.value.code == "store_in_use"
    db.add_measurement(b"sealed", Facts(), 1)
    with Store.open_read_only(path) as reader:
        assert reader.record("unit-1-1-1").sealed == b"sealed"
        with pytest.raises(RecordError) as caught:
            reader.add_verdict("unit-1-1-1", "{}", 1)
        assert caught.value.code == "store_read_only"
    with pytest.raises(RecordError) as caught:
        Store.open_read_only(tmp_path / "other.db")
    assert caught.value.code == "store_missing"


def test_reading_from_many_threads_while_one_writes(db: Store) -> None:
    wrong: list[object] = []

    def read() -> None:
        for _ in range(40):
            for line in db.records(100):
                if db.record(line.record_id).sealed != b"%d" % line.seq:
                    wrong.append(line)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seq in range(60):
        db.add_measurement(b"%d" % seq, Facts(seq=seq), 0)
    for thread in threads:
        thread.join()
    assert wrong == []


def test_damage_and_foreign_files_are_refused_not_repaired(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    path.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(RecordError) as caught:
        Store.open(path)
    assert caught.value.code == "store_damaged"
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (id)")
    other.close()
    with pytest.raises(RecordError) as caught:
        Store.open(path)
    assert caught.value.code == "store_damaged"


def test_a_damaged_page_is_found_at_start(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    with Store.open(path) as db:
        for seq in range(50):
            db.add_measurement(os.urandom(3000), Facts(seq=seq), 0)
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):  # every page's header but the first
        data[page : page + 8] = b"\xa5" * 8
    path.write_bytes(data)
    with pytest.raises(RecordError) as caught:
        Store.open(path)
    assert caught.value.code == "store_damaged"


def test_versions_go_forward_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "e.db"
    with Store.open(path) as db:
        db.add_measurement(b"sealed", Facts(), 1)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later (a INT);"))
    with pytest.raises(RecordError) as caught:
        Store.open_read_only(path)
    assert caught.value.code == "store_older"
    with Store.open(path) as db:
        assert db.record("unit-1-1-1").sealed == b"sealed"
        assert db.counts()["measurements"] == 1
    monkeypatch.undo()
    for opener in (Store.open, Store.open_read_only):
        with pytest.raises(RecordError) as caught:
            opener(path)
        assert caught.value.code == "store_newer"


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "e.db"
    with Store.open(path) as db:
        db.add_measurement(b"sealed", Facts(), 1)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later (a); CREATE nonsense;")
    )
    with pytest.raises(RecordError):
        Store.open(path)
    monkeypatch.undo()
    with Store.open(path) as db:
        assert db.record("unit-1-1-1").sealed == b"sealed"


@pytest.mark.parametrize("write", ["measurement", "verdict", "quarantine"])
def test_a_full_disk_loses_nothing_and_heals(db: Store, tmp_path: Path, write: str) -> None:
    db.add_measurement(b"before", Facts(seq=0), 0)
    big = os.urandom(100_000)

    def attempt(seq: int) -> None:
        if write == "measurement":
            db.add_measurement(big, Facts(seq=seq), 0)
        elif write == "verdict":
            db.add_verdict("unit-1-1-0", json.dumps({"x": big.hex()}), 0)
        else:
            db.quarantine(big + b"%d" % seq, "t", WHY, 0, authentic=True)

    before = db.counts()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(p.stat().st_size for p in tmp_path.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, hard))
    try:
        for seq in range(1, 4):
            with pytest.raises(RecordError) as caught:
                attempt(seq)
            assert caught.value.code in ("store_full", "store_io")
            assert db.counts() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    attempt(1)
    assert sum(db.counts().values()) == sum(before.values()) + 1


def test_a_locked_store_is_a_typed_error_and_heals(
    db: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fieldassay.database.BUSY_MS", 50)
    writer = db._writer
    assert writer is not None
    writer.execute("PRAGMA busy_timeout = 50")
    stranger = sqlite3.connect(tmp_path / "evidence.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordError) as caught:
        db.add_measurement(b"sealed", Facts(), 0)
    assert caught.value.code == "store_busy"
    stranger.execute("ROLLBACK")
    stranger.close()
    assert db.add_measurement(b"sealed", Facts(), 0).status == "stored"


WRITER = """
import os, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from fieldassay.store import Store
class Facts:
    unit, boot, time_ms, clock, flags = "unit-1", {boot}, 0, "rtc", ()
    def __init__(self, seq): self.seq, self.record_id = seq, f"unit-1-{boot}-{{seq}}"
with Store.open(Path({path!r})) as db:
    for seq in range(100_000):
        sealed = os.urandom(12_000)
        db.add_measurement(sealed, Facts(seq), 0)
        import hashlib
        print(seq, hashlib.sha256(sealed).hexdigest(), flush=True)
"""


def test_killed_at_any_moment_every_acknowledged_record_is_there(tmp_path: Path) -> None:
    path = tmp_path / "e.db"
    acknowledged: dict[str, str] = {}
    for boot in range(8):
        code = WRITER.format(paths=sys.path, path=str(path), boot=boot)
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for count, line in enumerate(child.stdout):
            if count == 5 + 7 * boot:
                os.kill(child.pid, signal.SIGKILL)
            if line.endswith("\n"):
                seq, digest = line.split()
                acknowledged[f"unit-1-{boot}-{seq}"] = digest
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
    assert len(acknowledged) > 8 * 5
    with Store.open(path) as db:
        for record_id, digest in acknowledged.items():
            assert hashlib.sha256(db.record(record_id).sealed).hexdigest() == digest


def test_connect_is_read_only_when_asked(db: Store, tmp_path: Path) -> None:
    reader = connect(tmp_path / "evidence.db", "ro")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("CREATE TABLE x (a)")
    reader.close()
