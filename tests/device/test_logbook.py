"""The technician's log: what is kept, what is spared, its bounds, and power cuts."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEVICE = HERE.parents[1] / "device"
BEFORE = """
import json, os, sys
from logbook import BUDGET, FILE_BYTES, LINE_BYTES, REPEAT_MS, Logbook
root = sys.argv[1]
now = [0]
def ticks():
    return now[0]
book = Logbook(root, ticks)
"""


@pytest.fixture
def run(micropython, tmp_path):
    return lambda script: micropython(BEFORE + script, tmp_path).stdout


def test_keeps_what_matters_and_leaves_the_rest(run, tmp_path):
    run("""
for kind in ("boot", "saved", "fault", "verdict", "command"):
    book.add(kind, {"code": kind}, (1000, "synced"))
assert [e["kind"] for e in book.tail(9)] == ["boot", "fault"]
assert book.tail(1) == [
    {"time_ms": 1000, "clock": "synced", "kind": "fault", "details": {"code": "fault"}}
]
assert Logbook(root).tail(9) == book.tail(9)
""")
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["new.jsonl"]


def test_repetitions_are_counted_not_written(run):
    run("""
for at in range(5):
    now[0] = at
    book.add("fault", {"code": "key_open"}, (0, "unset"))
book.add("fault", {"code": "lid_open"}, (0, "unset"))
assert len(book.tail(9)) == 2
now[0] = REPEAT_MS
book.add("fault", {"code": "key_open"}, (0, "unset"))
assert book.tail(1)[0]["repeated"] == 4
""")


def test_two_files_of_bounded_size(run):
    run("""
for start in range(4):
    book = Logbook(root, ticks)
    for n in range(BUDGET + 9):
        book.add("fault", {"n": n, "start": start, "text": "x" * 100}, (0, "unset"))
for name in os.listdir(root + "/log"):
    assert os.stat(root + "/log/" + name)[6] <= FILE_BYTES
entries = book.tail(1000)
assert entries[-1]["details"]["n"] == BUDGET - 1 and entries[-1]["last"] is True
numbers = [e["details"]["start"] * BUDGET + e["details"]["n"] for e in entries]
assert numbers == list(range(numbers[0], 4 * BUDGET)) and len(numbers) > 80
assert sorted(os.listdir(root + "/log")) == ["new.jsonl", "old.jsonl"]
""")


def test_a_long_event_is_cut_and_stays_readable(run):
    run("""
book.add("fault", {"text": "x" * 5000}, (0, "unset"))
book.add("fault", {"text": "short"}, (0, "unset"))
assert len(book.tail(9)) == 2 and "cut" in book.tail(9)[0]["details"]
assert os.stat(root + "/log/new.jsonl")[6] < 2 * LINE_BYTES
""")


def test_a_torn_line_costs_only_itself(run):
    run("""
book.add("fault", {"n": 1}, (0, "unset"))
with open(root + "/log/new.jsonl", "a") as file:
    file.write('{"kind": "fau')
book.add("fault", {"n": 2}, (0, "unset"))
assert [e["details"]["n"] for e in book.tail(9)] == [1, 2]
""")


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("progsize", [32, 256])
def test_every_power_cut(micropython, progsize, record_property):
    done = micropython(HERE / "logbook_cuts.py", progsize, path=(DEVICE, HERE), heap="2M")
    points = int(done.stdout)
    assert points >= 40, "fewer cut points than the writing has: a hole in the harness"
    record_property("cut_points", points)


def test_a_flash_that_cannot_be_written_stops_nothing(micropython):
    micropython("""
from status import Status
class Board:
    flash_root = "/nowhere/at/all"
    told = []
    def log(self, kind, details): self.told.append(kind)
    def clock(self): raise OSError(5)
status = Status(Board(), None, None, {})
status.log("fault", {"code": "lid_open"})
assert Board.told == ["fault"]
""")
