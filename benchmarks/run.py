"""One run of the benchmark: makes the cases, times every row, judges the answers."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import exactness, spectra
from benchmarks.pairing import NotBuiltError, Worker, alone, alternate
from benchmarks.table import COLUMNS, ROWS, Case, Row, verdict

FORMAT = "fieldassay-bench/1"
VALUES_AGREE = 1e-8  # of the largest value
SCORES_AGREE = 1e-6
Say = Callable[[str], None]


class Run:
    """The sides, the case folders and how long to measure.

    Attributes:
        folder: Where cases are kept.
        ours, peers: (Python, module) of each side.
        sizes: References of each synthetic library.
        columns: Points of a spectrum.
        pairs: Alternations a case.
        wheel: The real spectra, or None to leave real cases out.
    """

    def __init__(
        self,
        folder: Path,
        ours: tuple[Path, str],
        peers: tuple[Path, str],
        sizes: dict[str, int],
        columns: int = COLUMNS,
        pairs: int = 15,
        wheel: Path | None = None,
        block_s: float = 0.03,
    ) -> None:
        self.folder = folder
        self.ours = ours
        self.peers = peers
        self.sizes = sizes
        self.columns = columns
        self.pairs = pairs
        self.wheel = wheel
        self.block_s = block_s
        self._truth: dict[tuple[str, str], Any] = {}

    def case_folder(self, name: str) -> Path | None:
        """The folder with the arrays of a case, made if need be; None if it cannot be had."""
        if name == "real" and self.wheel is None:
            return None
        folder = (
            self.folder / f"{name.replace(' ', '-')}-{self.sizes.get(name, 'all')}x{self.columns}"
        )
        recipe = hashlib.sha256(Path(spectra.__file__).read_bytes()).hexdigest()
        complete = folder / "complete"
        if complete.exists() and complete.read_text(encoding="ascii") == recipe:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {}
        if name == "spectra":
            arrays["spectra"] = spectra.counts(self.columns)
        elif name == "identify":
            # the task makes the library with the project's own code
            arrays["size"] = np.array(self.sizes[name])
        else:
            if name == "real":
                assert self.wheel is not None
                library, queries = spectra.real(self.wheel, self.columns)
            else:
                size = self.sizes[name.removesuffix(" narrow")]
                narrower = 2.0 if name.endswith(" narrow") else 1.0
                library, queries = spectra.synthetic(size, self.columns, narrower)
            arrays = {
                "library": library,
                "queries": queries,
                "noise": spectra.noise_queries(self.columns),
            }
        for key, values in arrays.items():
            np.save(folder / f"{key}.npy", values)
        complete.write_text(recipe, encoding="ascii")
        return folder

    def measure(self, row: Row, say: Say) -> dict[str, Any]:
        """All cases of a row; the JSON of the row."""
        cases = []
        for case in row.cases:
            say(f"{row.measure}: {case.folder}")
            try:
                cases.append(self._case(row, case))
            except NotBuiltError as error:
                cases.append({"name": case.folder, "not_built": str(error)})
        built = [case["value"] for case in cases if "value" in case]
        worst = min if row.unit == "x" else max
        value = worst(built) if len(built) == len(cases) else None
        wrong = sum(case.get("exact", {}).get("wrong", 0) for case in cases)
        return {
            "key": row.key,
            "measure": row.measure,
            "unit": row.unit,
            "at_least": row.at_least,
            "aim": row.aim,
            "value": value,
            "verdict": verdict(row, value, wrong),
            "cases": cases,
        }

    def _case(self, row: Row, case: Case) -> dict[str, Any]:
        folder = self.case_folder(case.folder)
        if folder is None:
            raise NotBuiltError("the real spectra were not fetched")
        facts: dict[str, Any] = {"name": case.folder, "ours": case.ours, "peer": case.peer or None}
        if case.folder == "identify":
            facts["references"] = self.sizes[case.folder]
        if (folder / "library.npy").exists():
            shape = np.load(folder / "library.npy", mmap_mode="r").shape
            facts |= {"references": shape[0], "columns": shape[1]}
        if row.unit == "MB":
            return facts | self._memory(case, folder)
        with Worker(*self.ours) as ours:
            ours.prepare(case.ours, folder, **case.parameters)
            if not case.peer:
                spread = alone(ours, self.pairs, self.block_s)
                answers = self._answers(ours, folder)
                return facts | {
                    "value": spread.median * 1e3,
                    "ours_s": asdict(spread),
                    "blocks": self.pairs,
                    "calls": len(answers[0]),
                    "named": [int(part.sum()) for part in answers],
                }
            with Worker(*self.peers) as peer:
                peer.prepare(case.peer, folder, **case.parameters, **case.peer_only)
                judged = self._judge(case, folder, ours, peer)
                paired = alternate(ours, peer, self.pairs, self.block_s)
        return facts | {"value": paired.ratio.median, **asdict(paired), **judged}

    def _memory(self, case: Case, folder: Path) -> dict[str, Any]:
        """Peak resident memory of a fresh process that searches; the index is made by another."""
        with Worker(*self.ours) as maker:
            maker.prepare("store", folder)
        with Worker(*self.ours) as fresh:
            fresh.prepare("nothing", None)
            empty = fresh.ask(do="memory")["memory_mb"]
            fresh.prepare(case.ours, folder, **case.parameters)
            answers = self._answers(fresh, folder)
            value = fresh.ask(do="memory")["memory_mb"]
        exact = self._top_k(answers, folder, "queries", exactness.SAME)
        return {"value": value, "interpreter_mb": empty, "exact": exact}

    def _answers(self, worker: Worker, folder: Path) -> list[Any]:
        path = folder / "answers.npz"
        worker.ask(do="answers", path=str(path))
        with np.load(path, allow_pickle=False) as file:
            answers = [file[name] for name in file.files]
        path.unlink()
        return answers

    def _judge(self, case: Case, folder: Path, ours: Worker, peer: Worker) -> dict[str, Any]:
        our_answers, peer_answers = self._answers(ours, folder), self._answers(peer, folder)
        if case.check == "top_k":
            queries = case.parameters.get("queries", "queries")
            return {
                "exact": self._top_k(our_answers, folder, queries, exactness.SAME),
                "peer_exact": self._top_k(
                    peer_answers, folder, queries, exactness.FLOAT32_ROUNDING
                ),
            }
        if case.check == "gram":
            library, queries = np.load(folder / "library.npy"), np.load(folder / "queries.npy")
            return {"exact": asdict(exactness.check_subsets(our_answers, library, queries))}
        return {"exact": asdict(exactness.check_values(our_answers, peer_answers, VALUES_AGREE))}

    def _top_k(self, answers: list[Any], folder: Path, queries: str, slack: float) -> Any:
        ids, scores = (part.reshape(-1, part.shape[-1]) for part in answers[:2])
        key = (folder.name, queries)
        if key not in self._truth:
            self._truth = {
                key: exactness.truth(
                    np.load(folder / "library.npy"), np.load(folder / f"{queries}.npy")
                )
            }
        found = exactness.check(ids, scores, self._truth[key], slack)
        wrong = found.wrong if found.score_error <= SCORES_AGREE else found.queries
        return {**asdict(found), "wrong": wrong}


def everything(run: Run, facts: dict[str, Any], say: Say, only: list[str]) -> dict[str, Any]:
    """All rows (or those named) and the circumstances, as the JSON of the benchmark."""
    began = datetime.datetime.now(datetime.UTC)
    load_before = os.getloadavg()[0]
    rows = [run.measure(row, say) for row in ROWS if not only or row.key in only]
    return {
        "format": FORMAT,
        "date": began.strftime("%Y-%m-%d"),
        **facts,
        "load": [round(load_before, 2), round(os.getloadavg()[0], 2)],
        "threads": 1,
        "columns": run.columns,
        "pairs": run.pairs,
        "rows": rows,
    }
