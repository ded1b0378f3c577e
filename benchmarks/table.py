"""What is measured against what, and what is to be reached: the table of the project's aims.

A row has one case or more; its value is the worst of them. How a case is timed is `pairing`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

COLUMNS = 1024
HITS = 10
# Case folders and how many references they hold; `real` is as large as the real spectra are.
SIZES = {"500": 500, "15k": 15_000, "100k": 100_000, "identify": 15_000}
TINY_SIZES = {"500": 40, "15k": 90, "100k": 160, "identify": 100}
# With the recipe's own 1e6 and 0.002 the peer's rounding alone is 7e-8 of the largest value (ours 1e-11,
# both against extended precision), so that agreement to 1e-8 could not be checked.
ASLS = {"smoothness": 1e5, "asymmetry": 0.01, "iterations": 12}
SAVGOL = {"window": 11, "order": 3, "derivative": 1}


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison.

    Attributes:
        folder: The library and queries it uses.
        ours, peer: Task of each side; `peer` is empty where there is no peer.
        check: How answers are judged: "top_k", "gram", "values" (against the peer's) or "".
        parameters: For both tasks; those in `ours_only` and `peer_only` for one.
    """

    folder: str
    ours: str
    peer: str = ""
    check: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    peer_only: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        key: Name in the JSON.
        measure: What is measured, in words.
        unit: "x" (peer / ours, more is better), "ms" or "MB" (less is better).
        at_least, aim: What to reach; None where nothing was set.
        cases: What is run.
    """

    key: str
    measure: str
    unit: str
    at_least: float | None
    aim: float | None
    cases: tuple[Case, ...]


def _search(folder: str, queries: str = "queries", peer: str = "faiss_query") -> Case:
    return Case(folder, "query", peer, "top_k", {"k": HITS, "queries": queries})


def _batch(folder: str, peer: str) -> Case:
    return Case(folder, "batch", peer, "top_k", {"k": HITS})


ROWS = (
    Row("query_15k", "one query, 15,000 references, against faiss IndexFlatIP", "x", 10, 40,
        (_search("15k"),)),
    Row("query_100k", "one query, 100,000 references, against faiss IndexFlatIP", "x", 40, 100,
        (_search("100k"),)),
    Row("noise_query", "worst case (white-noise query), 4,000 references and more, against faiss IndexFlatIP",
        "x", 2.5, 5, (_search("real", "noise"), _search("15k", "noise"), _search("100k", "noise"))),
    Row("query_500", "one query, 500 references, from Python, against numpy `library @ query` + argpartition",
        "x", 3, 5, (_search("500", peer="numpy_query"),)),
    Row("batch_64", "batch of 64, 15,000 and 100,000 references, against numpy sgemm", "x", 5, 15,
        (_batch("15k", "numpy_batch"), _batch("100k", "numpy_batch"))),
    Row("pair_triple_500", "best pair and triple of 500, exhaustive, against one scipy nnls over 500",
        "x", 2, 5, (Case("500", "pair_triple", "scipy_nnls", "gram"),)),
    Row("asls", "AsLS baseline, 1,024 points, same answer to 1e-8, against pybaselines", "x", 3, None,
        (Case("spectra", "asls", "pybaselines_asls", "values", ASLS),)),
    Row("asls_batch", "the same, 64 spectra in one call", "x", 3, 10,
        (Case("spectra", "asls_batch", "pybaselines_asls_all", "values", ASLS),)),
    Row("identify_15k", "whole identification (preprocess, search of 15,000, mixture, decision), one spectrum",
        "ms", 5, 2, (Case("identify", "identify"),)),
    Row("memory_100k", "memory: 100,000 references, resident for search", "MB", 700, 250,
        (Case("100k", "stored_query", "", "", {"k": HITS}),)),
    Row("real_query", "one held-out real query, real library, against faiss IndexFlatIP", "x", None, None,
        (_search("real"),)),
    Row("narrow_query", "one query, 15,000 references with bands half as wide, against faiss IndexFlatIP", "x",
        None, None, (_search("15k narrow"),)),
    Row("batch_64_faiss", "batch of 64, 15,000 and 100,000 references, against faiss IndexFlatIP", "x",
        None, None, (_batch("15k", "faiss_batch"), _batch("100k", "faiss_batch"))),
    Row("asls_pentapy", "AsLS baseline, 1,024 points, against pybaselines with pentapy", "x", None, None,
        (Case("spectra", "asls", "pybaselines_asls", "values", ASLS, {"solver": 2}),)),
    Row("savgol", "Savitzky-Golay 11/3, first derivative, 1,024 points, against scipy", "x", None, None,
        (Case("spectra", "savgol", "scipy_savgol", "values", SAVGOL),)),
)  # fmt: skip


def verdict(row: Row, value: float | None, wrong: int) -> str:
    """What to say of a row: "not built", "WRONG", "aim", "at least", "short" or "measured"."""
    if wrong:
        return "WRONG"
    if value is None:
        return "not built"
    if row.at_least is None and row.aim is None:
        return "measured"

    def reached(goal: float | None) -> bool:
        if goal is None:
            return False
        return value >= goal if row.unit == "x" else value <= goal

    if reached(row.aim):
        return "aim"
    return "at least" if reached(row.at_least) else "short"
