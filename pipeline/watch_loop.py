"""Cycle after cycle, until somebody asks for the end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.errors import StorageError
from schemas.times import SECOND_US

_RETRY_US = 30 * SECOND_US


class Loop(msgspec.Struct):
    """Calls `cycle` with the time every `every_us`, at the time that `due` says, and at once when `wait` ends early.

    The clock and the wait are given, so that a week takes as long as its cycles do. A cycle that fails because a store
    does is told to `failed`, and another one follows, after half a minute at most; every other error ends the loop.
    """

    cycle: Callable[[int], object]
    failed: Callable[[StorageError], None]
    every_us: int
    clock: Callable[[], int]
    wait: Callable[[int], None]
    stopping: Callable[[], bool]
    due: Callable[[], int | None] = lambda: None

    def run(self) -> None:
        """Go on until `stopping`."""
        while not self.stopping():
            started_us = self.clock()
            try:
                self.cycle(started_us)
                due_us = self.due()
            except StorageError as error:
                self.failed(error)
                due_us = self.clock() + _RETRY_US
            if not self.stopping():
                next_us = started_us + self.every_us
                self.wait((next_us if due_us is None else min(due_us, next_us)) - self.clock())
