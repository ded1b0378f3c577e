"""What is done at a port in one visit, from opening it to the firmware running again.

The command line and the page do the same here. What is asked, written and judged belongs to the
modules called.
"""

from __future__ import annotations

from fieldassay.bench.repl import Repl
from fieldassay.bench.transfer import Progress

CALIBRATION = "/calibration.json"


def put_calibration(port: str, data: bytes, progress: Progress | None = None) -> None:
    """Write a calibration to the unit and start its firmware anew, which reads it.

    Raises:
        BenchError: The port or the board refuses.
    """
    with Repl(port) as repl:
        repl.enter()
        repl.put(CALIBRATION, data, progress)
        repl.hard_reset()
