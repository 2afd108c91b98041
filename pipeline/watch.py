"""`trailcanary watch`: follows inputs on one machine, cycle after cycle, with all state in the lake."""

from __future__ import annotations

import sys

import msgspec

from pipeline.clock import now_us
from pipeline.heartbeat import Heartbeat
from pipeline.lock import hold_lake
from pipeline.ping import Pinger
from pipeline.run import Opened, open_all
from pipeline.sqs_queue import open_queue
from pipeline.watch_cycle import Done
from pipeline.watch_log import WatchLog
from pipeline.watch_loop import Loop
from pipeline.watch_metrics import WatchMetrics
from pipeline.watch_notices import WatchNotices
from pipeline.watch_signals import Wakeup
from pipeline.watcher import Watcher
from schemas.alerts import Alert, Status
from schemas.errors import StorageError, UnbalancedRun
from schemas.settings import Settings
from schemas.times import MINUTE_US, SECOND_US
from transforms.stalled_alerts import STALLED


class Watch(msgspec.Struct, frozen=True):
    """How a watch goes about it; None stands for what suits the inputs, or for nothing."""

    every_us: int | None = None
    stalled_after_us: int | None = None
    metrics_port: int | None = None
    metrics_address: str = "127.0.0.1"
    ping_url: str | None = None
    notices_url: str | None = None


class Signs(msgspec.Struct, frozen=True):
    """Where a watch shows that it is alive, and what it does."""

    log: WatchLog
    metrics: WatchMetrics
    pinger: Pinger | None


def watch(settings: Settings, options: Watch, wakeup: Wakeup) -> None:
    """Follow the inputs until `wakeup` is told to stop.

    Raises:
        UsageError: a rule, an input or an option cannot be used.
        LakeLocked, LakeDamaged, UnbalancedRun: as their names say; what was committed stays, the next run goes on.
        StorageError: the lake's lock could not be read or written. Later, stores may fail for a while.
    """
    opened, signs = open_all(settings), _signs(options)
    every_us = options.every_us or _every_us(opened)
    with hold_lake(opened.lake, settings.run_id, now_us) as hold:
        watcher = Watcher(settings, opened, hold, signs.log.bundle, every_us=every_us)
        notices = _notices(settings, options, opened, wakeup, signs)
        watching = _Watching(watcher, opened, signs, notices, options.stalled_after_us or _limit_us(every_us))
        wait = wakeup.wait if notices is None else notices.wait
        ended = watching.heartbeat.start()
        signs.log.note("watching", inputs=[storage.root for storage in opened.inputs], lake=opened.lake.root)
        try:
            Loop(
                watching.cycle,
                watching.failed,
                every_us,
                now_us,
                wait,
                lambda: wakeup.stopping,
                lambda: watcher.due_us,
            ).run()
        finally:
            ended.set()
            signs.log.end()
    signs.log.note("stopped")


class _Watching:
    """Cycles, and the signs that they give."""

    def __init__(
        self, watcher: Watcher, opened: Opened, signs: Signs, notices: WatchNotices | None, limit_us: int
    ) -> None:
        self._signs = signs
        self._watcher = watcher
        self._notices = notices
        self.heartbeat = Heartbeat(
            opened.lake,
            watcher.name,
            limit_us=limit_us,
            clock=now_us,
            raised=self._raised,
            failed=signs.log.failed,
            lock=watcher.quiet,
        )

    def cycle(self, at_us: int) -> None:
        """One cycle, and all that follows from its being completed."""
        done = self._cycle(at_us)
        ended_us, state = now_us(), self._watcher.state
        written = self.heartbeat.completed(ended_us, () if state is None else state.alerts.open(STALLED))
        known, slot = 0, None
        if state is not None:
            state.alerts.add(written)
            known, slot = len(state.objects), state.slots.next_slot()
        self._signs.metrics.completed(done, ended_us - at_us, known, None if slot is None else slot.start_us)
        self._signs.metrics.stalled(is_stalled=self.heartbeat.is_stalled)
        if done is not None:
            self._signs.log.cycle(done, ended_us - at_us)
        self._signs.log.status()
        if done is not None and done.report.faults:
            raise UnbalancedRun(f"the sheet of {done.report.run_id} does not close: {'; '.join(done.report.faults)}")
        if self._signs.pinger is not None:
            self._signs.pinger.ping()

    def _cycle(self, at_us: int) -> Done | None:
        if self._notices is None:
            return self._watcher.cycle(at_us)
        with self._notices.taken(self._watcher.has) as named:
            return self._watcher.cycle(at_us, named)

    def failed(self, error: StorageError) -> None:
        """A cycle that was not completed."""
        self._signs.metrics.failed()
        self._signs.log.failed(error)

    def _raised(self, alert: Alert) -> None:
        """By the heartbeat, perhaps in its thread."""
        self._signs.metrics.alert(alert)
        self._signs.metrics.stalled(is_stalled=alert.status is Status.OPENED)
        self._signs.log.alert(alert)


def _signs(options: Watch) -> Signs:
    log, metrics = WatchLog(sys.stderr, now_us), WatchMetrics(now_us)
    pinger = None if options.ping_url is None else Pinger(options.ping_url, log.warn)
    if options.metrics_port is not None:
        port = metrics.serve(options.metrics_address, options.metrics_port)
        log.note("metrics", address=f"{options.metrics_address}:{port}")
    return Signs(log, metrics, pinger)


def _notices(settings: Settings, options: Watch, opened: Opened, wakeup: Wakeup, signs: Signs) -> WatchNotices | None:
    if options.notices_url is None:
        return None
    queue = open_queue(options.notices_url, opened.inputs, opened.lake, settings.run_id)
    return WatchNotices(queue, opened.inputs, wakeup.wait, lambda: wakeup.stopping, clock=now_us, warn=signs.log.warn)


def _every_us(opened: Opened) -> int:
    """A folder is asked for nothing, a bucket for money."""
    return (30 if any(storage.remote for storage in opened.inputs) else 1) * SECOND_US


def _limit_us(every_us: int) -> int:
    """Ten cycles; at least as long as a slow one may take."""
    return max(10 * every_us, MINUTE_US)
