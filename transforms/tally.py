"""Live counts for the person who watches: shared by the job's processes, never the source of a balance sheet."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

# Not fork: Beam's threads and Arrow's would be copied mid-step.
PROCESSES: ForkServerContext = multiprocessing.get_context("forkserver")


class Tally:
    """Objects and records handled so far, over all processes that were handed this tally."""

    def __init__(self) -> None:
        self._objects = PROCESSES.Value("q", 0)
        self._records = PROCESSES.Value("q", 0)
        self._total = PROCESSES.Value("q", 0)

    def add(self, objects: int, records: int) -> None:
        """Count what was read."""
        with self._objects.get_lock():
            self._objects.value += objects
        with self._records.get_lock():
            self._records.value += records

    def expect(self, objects: int) -> None:
        """Say how many objects there are to read."""
        with self._total.get_lock():
            self._total.value += objects

    @property
    def counts(self) -> tuple[int, int, int]:
        """Objects read, objects to read, records read."""
        return self._objects.value, self._total.value, self._records.value


TALLY = Tally()
"""This process's tally; a worker process is handed that of its parent (`adopt`)."""


def adopt(tally: Tally) -> None:
    """Count into another process's tally from now on."""
    TALLY.__dict__.update(tally.__dict__)
