"""`trailcanary watch`: follows inputs on one machine, cycle after cycle, with all state in the lake."""

from __future__ import annotations

import sys

import msgspec

from pipeline.clock import now_us
from pipeline.lock import hold_lake
from pipeline.run import open_all
from pipeline.watch_loop import Loop
from pipeline.watch_signals import Wakeup
from pipeline.watcher import Watcher
from schemas.errors import StorageError
from schemas.settings import Settings
from schemas.storage import Storage
from schemas.times import SECOND_US


class Watch(msgspec.Struct, frozen=True):
    """How a watch goes about it. `every_us` None: by what the inputs are."""

    every_us: int | None = None

    def every(self, inputs: tuple[Storage, ...]) -> int:
        """Time between cycles: a folder is asked for nothing, a bucket for money."""
        if self.every_us is not None:
            return self.every_us
        return (30 if any(storage.remote for storage in inputs) else 1) * SECOND_US


def watch(settings: Settings, options: Watch, wakeup: Wakeup) -> None:
    """Follow the inputs until `wakeup` is told to stop.

    Raises:
        UsageError: a rule or an input cannot be used.
        LakeLocked, LakeDamaged: as their names say; what was committed stays, the next run goes on.
        StorageError: the lake's lock could not be read or written. Later, stores may fail for a while.
    """
    opened = open_all(settings)
    with hold_lake(opened.lake, settings.run_id, now_us) as hold:
        watcher = Watcher(settings, opened, hold, lambda _bundle, _report: None)
        Loop(
            cycle=watcher.cycle,
            failed=_failed,
            every_us=options.every(opened.inputs),
            clock=now_us,
            wait=wakeup.wait,
            stopping=lambda: wakeup.stopping,
        ).run()


def _failed(error: StorageError) -> None:
    sys.stderr.write(f"trailcanary: {error}\n")
    sys.stderr.flush()
