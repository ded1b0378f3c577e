"""The demo fails when a promise is broken: shown by breaking each, in words and in a real run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3

import pytest
from fieldassay_sim import demo

GOOD = {
    "step": 1,
    "title": "scan",
    "unit": "sim-1",
    "truth": ["acetaminophen"],
    "truth_text": "acetaminophen",
    "accept": ["match", "mixture"],
    "acceptable": True,
    "outcome": "match",
    "detail": "",
    "violations": 0,
    "boot": 1,
    "seq": 1,
}


def record(verdict="match", *substances, hazard=True):
    named = [{"id": name, "name": name, "share": None} for name in substances]
    return {
        "verdicts": [{"verdict": verdict, "substances": named}],
        "hazard": {"id": "medicine"} if hazard else None,
    }


RIGHT = record("match", "acetaminophen")


def found(**changes):
    return "; ".join(demo.problems({**GOOD, "record": RIGHT, **changes}))


def test_what_is_right_has_no_problem():
    assert found() == ""
    both = record("mixture", "acetaminophen", "polyethylene")
    assert found(outcome="mixture", record=both) == ""
    assert found(outcome="inconclusive", record=record("inconclusive", "caffeine")) == ""
    stopped = {"outcome": "stopped", "accept": ["stopped"], "seq": None, "record": None}
    assert found(**stopped) == ""
    bag = record("match", "polyethylene")
    assert found(truth=["polyethylene"], record=bag) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"acceptable": False, "accept": ["refused"]}, "match is not one of refused"),
        ({"violations": 1}, "1 laser rule(s) broken"),
        ({"record": None}, "record is missing"),
        ({"record": None, "seq": None}, "record is missing"),
        ({"record": record("match", "caffeine")}, "names caffeine"),
        ({"record": record("match", "acetaminophen", "caffeine")}, "names caffeine"),
        ({"record": record("match", "acetaminophen", "ptfe")}, "names ptfe"),
        ({"record": record("match")}, "names nothing that is there"),
        ({"record": record("match", "polyethylene")}, "names nothing that is there"),
        ({"truth": []}, "names acetaminophen"),
        ({"truth": [], "record": record("match", "polyethylene")}, "names nothing that is there"),
        ({"outcome": "class", "record": record("class", "caffeine")}, "names caffeine"),
        ({"record": record("inconclusive")}, "the store says inconclusive, the unit match"),
        ({"record": {**RIGHT, "verdicts": []}}, "the store says None, the unit match"),
        ({"record": record("match", "acetaminophen", hazard=False)}, "no hazard card"),
        ({"outcome": "timeout", "accept": [], "acceptable": None}, "timeout"),
        ({"outcome": "no_restart", "accept": [], "acceptable": None}, "no_restart"),
    ],
)
def test_each_broken_promise_is_a_problem(changes, said):
    assert said in found(**changes)


STORED = {"measurements": 1, "quarantined": 0}


@pytest.mark.parametrize(
    ("results", "stored", "violations", "status"),
    [
        ([{**GOOD, "record": RIGHT, "problems": []}], STORED, [], 0),
        ([{**GOOD, "record": RIGHT, "problems": ["names caffeine"]}], STORED, [], 1),
        ([{**GOOD, "record": RIGHT, "problems": []}], {**STORED, "measurements": 2}, [], 1),
        ([{**GOOD, "record": RIGHT, "problems": []}], {**STORED, "measurements": 0}, [], 1),
        ([{**GOOD, "record": RIGHT, "problems": []}], {**STORED, "quarantined": 1}, [], 1),
        ([{**GOOD, "record": RIGHT, "problems": []}], STORED, [{"rule": "idle"}], 1),
        ([], {**STORED, "measurements": 0}, [], 1),
    ],
)
def test_the_status_tells_whether_all_held(results, stored, violations, status, capsys):
    assert demo.summary(results, stored, violations, 1) == status
    assert ("WRONG" in capsys.readouterr().out) == (status == 1 and not _has_problems(results))


def _has_problems(results):
    return any(result["problems"] for result in results)


SCENARIO = """
title = "one scan"
[settings.laser]
warning_ms = 100
[settings.acquire]
total_ms = 400
dark_frames_max = 2
[samples.acetone]
reference = "acetone"
[[steps]]
title = "scan"
sample = "acetone"
truth = ["acetone"]
accept = ["match"]
why = "alone and in the library"
"""


@pytest.fixture
def whole_chain(tmp_path, sources_dir, monkeypatch):
    """Runs the demo on a scenario; `args` says where it keeps its files meanwhile."""
    monkeypatch.setenv("FIELDASSAY_HOME", str(sources_dir.parents[1]))
    path = tmp_path / "one.toml"
    args = argparse.Namespace(scenario=str(path), events=None, sources=sources_dir, seed=None)

    def run(text=SCENARIO):
        path.write_text(text, encoding="utf-8")
        return asyncio.run(demo.demo(args))

    run.args = args
    return run


@pytest.mark.needs("micropython")
def test_a_right_run_is_right_and_a_wrong_name_is_not(whole_chain, capsys):
    assert whole_chain() == 0
    assert "1 scans, 1 records stored, 0 wrong; 1 laser shots, 0" in capsys.readouterr().out
    assert whole_chain(SCENARIO.replace('truth = ["acetone"]', 'truth = ["caffeine"]')) == 1
    assert "WRONG: names acetone" in capsys.readouterr().out


@pytest.mark.needs("micropython")
def test_a_record_that_vanished_is_noticed(whole_chain, monkeypatch, capsys):
    looked_up = demo._record

    async def deleted_first(page, result):
        store = whole_chain.args.keys.parent / "evidence.db"
        with contextlib.closing(sqlite3.connect(store)) as db:
            guards = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (guard,) in guards:
                db.execute(f"DROP TRIGGER {guard}")
            assert (
                db.execute(
                    "DELETE FROM measurement WHERE number = (SELECT max(number) FROM measurement)"
                ).rowcount
                == 1
            )
            db.commit()
        return await looked_up(page, result)

    monkeypatch.setattr(demo, "_record", deleted_first)
    assert whole_chain() == 1
    assert "WRONG: the record is missing in the evidence store" in capsys.readouterr().out


@pytest.mark.needs("micropython")
def test_a_laser_rule_broken_before_the_first_step_is_noticed(whole_chain, firing_at_boot, capsys):
    assert whole_chain() == 1
    said = capsys.readouterr().out
    assert "1 scans, 1 records stored, 0 wrong; 2 laser shots" in said
    assert "before_selftest" in said
