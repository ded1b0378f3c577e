"""The benchmark can be believed: its check catches wrong answers, and a run of it shows them."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import exactness, page, spectra
from benchmarks.__main__ import main
from benchmarks.pairing import NotBuiltError, Worker, WorkerError
from benchmarks.run import FORMAT, Run, everything
from benchmarks.table import ROWS, TINY_SIZES, Case, Row, verdict

SIDES = '''
import numpy as np
from benchmarks.peers import numpy_batch, numpy_query

def crooked(case, k, queries="queries"):
    """Forgets the best reference of the last query."""
    calls = numpy_query(case, k + 1, queries)
    last = calls[-1]
    return [lambda c=c: tuple(part[(c is last):][:k] for part in c()) for c in calls]

def wide(case, k, queries="queries"):
    """In float64, as the check expects of fieldassay."""
    library = np.load(case / "library.npy").astype(np.float64)
    def call(query):
        scores = library @ query.astype(np.float64)
        best = np.lexsort((np.arange(scores.size), -scores))[:k]
        return best, scores[best]
    return [lambda q=q: call(q) for q in np.load(case / f"{queries}.npy")]

def boom(case):
    raise RuntimeError("no such luck")

TASKS = {"wide": wide, "crooked": crooked, "query": wide, "boom": boom}
'''


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run over tiny libraries whose own side is numpy in float64."""
    (tmp_path / "stand_in.py").write_text(SIDES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    python = Path(sys.executable)
    return Run(
        tmp_path / "cases",
        (python, "stand_in"),
        (python, "benchmarks.peers"),
        TINY_SIZES,
        columns=64,
        pairs=2,
        block_s=0.001,
    )


def row(ours: str, peer: str = "numpy_query") -> Row:
    case = Case("15k", ours, peer, "top_k", {"k": 10})
    return Row("key", "measure", "x", 1e-9, 1e9, (case,))


def test_a_right_side_is_measured(run: Run) -> None:
    found = run.measure(row("wide"), lambda _: None)
    case = found["cases"][0]
    assert found["verdict"] == "at least"
    assert case["exact"]["queries"] == case["peer_exact"]["queries"] == spectra.QUERIES
    assert case["exact"]["wrong"] == case["peer_exact"]["wrong"] == 0
    assert 0 < case["ratio"]["low"] <= case["ratio"]["median"] <= case["ratio"]["high"]
    assert found["value"] == case["ratio"]["median"]
    assert case["pairs"] == 2


def test_one_wrong_answer_in_all_queries_is_seen(run: Run) -> None:
    found = run.measure(row("crooked"), lambda _: None)
    assert found["verdict"] == "WRONG"
    assert found["cases"][0]["exact"]["wrong"] >= 1


def test_what_is_not_built_is_said(run: Run) -> None:
    for built in (row("nowhere"), row("wide", "nowhere")):
        found = run.measure(built, lambda _: None)
        assert (found["verdict"], found["value"]) == ("not built", None)
        assert "nowhere" in found["cases"][0]["not_built"]


def test_a_failing_side_stops_the_run(run: Run) -> None:
    with pytest.raises(WorkerError, match="no such luck"):
        run.measure(Row("key", "", "ms", 5, 2, (Case("15k", "boom"),)), lambda _: None)
    with Worker(Path(sys.executable), "stand_in") as worker:
        with pytest.raises(NotBuiltError):
            worker.prepare("nowhere", None)
        with pytest.raises(WorkerError):
            worker.ask(do="answers", path="/nowhere/at/all")


def library(seed: int, rows: int = 30) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 16))
    values[rows // 2] = values[3]  # a tie in every query
    return spectra.unit_rows(values), spectra.unit_rows(random.normal(size=(5, 16)) + values[3])


def best(expected: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.stack([np.lexsort((np.arange(len(row)), -row))[:k] for row in expected])
    return ids, np.take_along_axis(expected, ids, axis=1)


def test_the_check_accepts_the_truth_only() -> None:
    rows, queries = library(1)
    expected = exactness.truth(rows, queries)
    ids, scores = best(expected, 6)
    right = exactness.check(ids, scores, expected, exactness.SAME)
    assert (right.queries, right.wrong, right.score_error) == (5, 0, 0.0)

    swapped = ids.copy()
    at = int(np.flatnonzero(ids[0] == 3)[0])
    assert ids[0, at + 1] == 15  # the tie, lower id first
    swapped[0, [at, at + 1]] = swapped[0, [at + 1, at]]
    repeated = ids.copy()
    repeated[2, 5] = repeated[2, 0]
    outside = ids.copy()
    outside[4, 0] = -1
    missed = best(expected, 7)[0][:, 1:]
    for wrong, count in ((swapped, 1), (repeated, 1), (outside, 1), (missed, 5)):
        assert exactness.check(wrong, scores, expected, exactness.SAME).wrong == count
    # float32 may confuse a tie, but nothing else of this
    assert exactness.check(swapped, scores, expected, exactness.FLOAT32_ROUNDING).wrong == 0
    assert exactness.check(missed, scores, expected, exactness.FLOAT32_ROUNDING).wrong == 5
    assert exactness.check(ids, scores + 0.25, expected, 0.0).score_error == pytest.approx(0.25)
    assert exactness.check(ids, scores * np.nan, expected, 0.0).wrong == 5


def test_best_subsets_are_those_of_least_squares() -> None:
    """The oracle for pairs and triples against numpy's least squares over every subset."""
    rows, queries = library(2, 9)
    wide = rows.astype(float)
    wide[4] = np.roll(wide[3], 1)  # no two rows are equal here
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    for query in queries.astype(float):
        for size, oracle in ((2, exactness.best_pair), (3, exactness.best_triple)):
            found = {}
            for subset in itertools.combinations(range(9), size):
                part = wide[list(subset)].T
                weights, *_ = np.linalg.lstsq(part, query, rcond=None)
                if np.all(weights > 0):
                    found[subset] = float(np.sum((part @ weights) ** 2))
            if not found:
                continue
            chosen = max(found, key=found.__getitem__)
            subset, explained = oracle(wide @ wide.T, wide @ query)
            assert subset == chosen
            assert explained == pytest.approx(found[chosen], abs=1e-9)


def test_verdicts() -> None:
    faster, smaller = ROWS[0], next(r for r in ROWS if r.unit == "MB")
    assert [verdict(faster, v, 0) for v in (None, 9.9, 10, 40)] == [
        "not built", "short", "at least", "aim",
    ]  # fmt: skip
    assert [verdict(smaller, v, 0) for v in (701, 700, 250)] == ["short", "at least", "aim"]
    assert verdict(faster, 1000, 1) == "WRONG"


def test_the_whole_benchmark_runs_on_tiny_libraries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `make bench`, without installing peers: every row is there, and the page can be made."""
    target = tmp_path / "bench.json"
    assert main(["--tiny", "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    assert result["format"] == FORMAT
    assert [r["key"] for r in result["rows"]] == [r.key for r in ROWS]
    assert result["machine"]["cores"] >= 1
    text = page.render(result)
    table = capsys.readouterr().out
    for each in ROWS:
        assert each.measure in table
        assert f"| {each.measure} |" in text


def test_a_page_shows_what_was_measured(run: Run) -> None:
    words = ("processor", "cores", "memory_gb", "system", "compiler")
    machine = {**dict.fromkeys(words, "?"), "extensions": []}
    facts = {"commit": "abc", "versions": {}, "machine": machine}
    result = everything(run, facts, lambda _: None, ["query_500"])
    text = page.render(json.loads(json.dumps(result)))
    value = result["rows"][0]["value"]
    assert f"| 3x | 5x | {page.amount(value, 'x')} |" in text
    assert "64, 0" in text


def test_the_published_page_is_that_of_the_published_figures(root: Path) -> None:
    folder = root / "docs" / "reference"
    result = json.loads((folder / "performance.json").read_text(encoding="utf-8"))
    assert result["format"] == FORMAT
    assert (folder / "performance.md").read_text(encoding="utf-8") == page.render(result)
