"""Fixtures of the system tests: the world of processes that they start and hurt."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def world_module() -> Any:
    """tests/system/world.py as a module."""
    spec = importlib.util.spec_from_file_location("world", Path(__file__).parent / "world.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
