"""Cycle after cycle, until somebody asks for the end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.errors import StorageError


class Loop(msgspec.Struct):
    """Calls `cycle` with the time every `every_us`, and at once when `wait` ends early.

    The clock and the wait are given, so that a week takes as long as its cycles do. A cycle that fails because a store
    does is told to `failed`, and another one follows; every other error ends the loop.
    """

    cycle: Callable[[int], object]
    failed: Callable[[StorageError], None]
    every_us: int
    clock: Callable[[], int]
    wait: Callable[[int], None]
    stopping: Callable[[], bool]

    def run(self) -> None:
        """Go on until `stopping`."""
        while not self.stopping():
            started_us = self.clock()
            try:
                self.cycle(started_us)
            except StorageError as error:
                self.failed(error)
            if not self.stopping():
                self.wait(started_us + self.every_us - self.clock())
