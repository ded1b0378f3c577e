"""The host's clock, as milliseconds since 1970 in UTC: the one place that reads it for records."""

from __future__ import annotations

import time


def now_ms() -> int:
    """UTC, milliseconds since 1970."""
    return time.time_ns() // 1_000_000
