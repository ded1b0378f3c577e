"""Fixtures of the bench tests: boards without hardware, on real MicroPython behind PTYs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fieldassay.bench.repl import Repl
from fieldassay_sim.virtual_board import VirtualBoard


@pytest.fixture
def make_board(tmp_path: Path) -> Iterator[Callable[..., VirtualBoard]]:
    """Virtual boards by name; all lose their power after the test."""
    with ExitStack() as stack:

        def make(name: str = "board", **options: Any) -> VirtualBoard:
            return stack.enter_context(VirtualBoard(tmp_path / f"{name}.flash", **options))

        yield make


@pytest.fixture
def board(make_board: Callable[..., VirtualBoard]) -> VirtualBoard:
    return make_board()


@pytest.fixture
def repl(board: VirtualBoard) -> Iterator[Repl]:
    """The raw prompt of `board`."""
    with Repl(board.port) as client:
        client.enter()
        yield client
