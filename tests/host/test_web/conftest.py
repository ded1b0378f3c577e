"""The bench (bench.py) and a client that asks as a browser on the same machine would."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

with warnings.catch_warnings():  # it prefers a successor of httpx, which works as well
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_bench", Path(__file__).with_name("bench.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bench_module() -> ModuleType:
    return _load()


@pytest.fixture
def bench(tmp_path: Path, library_path: Path, bench_module: ModuleType) -> Iterator[Any]:
    made = bench_module.Bench(tmp_path, library_path)
    yield made
    made.close()


@pytest.fixture
def client(bench: Any) -> Iterator[TestClient]:
    with TestClient(bench.app(), base_url="http://127.0.0.1:8620") as made:
        yield made
