"""`clockwork` as a test drives it: submitted, submitted again, and compared with what it must have written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from clockwork import PER_SECOND, WINDOW_S, Firing, Schedule, firings
from flink_cluster import FlinkCluster, code_folder

from deploy.flink.cluster import ROOT
from deploy.flink.processes import wait_for

_FIRED_WITHIN_S = 90
_LONG_ENOUGH_S = 600
_MAIN = "import sys, clockwork; clockwork.main(sys.argv[1:])"

Window = tuple[str, int]


class ClockedJob:
    """One schedule and one file of what fired; Flink's id of the job that runs it, once it does."""

    def __init__(self, flink: FlinkCluster, folder: Path, ahead_s: int = 0) -> None:
        self.flink = flink
        self.name = folder.name
        self.output = folder / "firings.jsonl"
        start = int(time.time()) // WINDOW_S * WINDOW_S
        self.schedule = Schedule(start, ahead_s, _LONG_ENOUGH_S * PER_SECOND)
        self.id = ""

    def submit(self, parallelism: int = 1, restore: str = "") -> None:
        """Hand the job to the cluster, and wait until it runs."""
        options = self.flink.submit_arguments(parallelism, restore)
        command = [sys.executable, "-c", _MAIN, self.name, *map(str, self.schedule), str(self.output), *options]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{code_folder()}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        self.id = self.flink.await_job(self.name)

    def firings(self) -> list[Firing]:
        """Everything that fired, in order."""
        return firings(self.output)

    def last_end_s(self) -> int:
        """The end of the newest window that fired."""
        return max((firing.end_s for firing in self.firings()), default=self.schedule.start_s)

    def await_windows(self, more: int) -> int:
        """Wait until so many windows from now on have fired, with all their keys; the end of the last."""
        end = (int(time.time()) // WINDOW_S + more) * WINDOW_S
        expected = self._due(end).keys()
        seen = f"windows up to {end}: the last was {self.last_end_s()}"
        wait_for(lambda: expected <= {(each.key, each.end_s) for each in self.firings()}, seen, _FIRED_WITHIN_S)
        return end

    def check(self, more: int = 2) -> None:
        """Some windows fire from now on; all so far have all their numbers, each once, and never fired with others."""
        end = self.await_windows(more)
        found: dict[Window, set[tuple[int, ...]]] = defaultdict(set)
        for firing in self.firings():
            if firing.end_s <= end:
                found[firing.key, firing.end_s].add(firing.numbers)
        assert found == {window: {numbers} for window, numbers in self._due(end).items()}

    def _due(self, end_s: int) -> dict[Window, tuple[int, ...]]:
        return {window: numbers for window, numbers in self.schedule.gathered().items() if window[1] <= end_s}
