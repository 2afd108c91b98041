"""The wall clock: the only module that reads it."""

from __future__ import annotations

import time


def now_us() -> int:
    """The time now: microseconds since the epoch, UTC."""
    return time.time_ns() // 1000
