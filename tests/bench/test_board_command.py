"""`fieldassay-sim board`: a port that tools work on, until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from fieldassay.bench.repl import Repl

pytestmark = pytest.mark.needs("micropython")


def test_a_board_for_people(tmp_path):
    command = [sys.executable, "-m", "fieldassay_sim", "board", str(tmp_path / "x.flash")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with Repl(process.stdout.readline().strip()) as repl:
                repl.enter()
                repl.put("/a", b"1")
                assert repl.get("/a") == b"1"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
