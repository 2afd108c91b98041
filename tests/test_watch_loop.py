"""The loop of a watch, what wakes and ends it, and what it says on a terminal."""

from __future__ import annotations

import io
import json
import threading

import msgspec
import pytest

from pipeline.commit import RunReport
from pipeline.watch_cycle import Done
from pipeline.watch_log import WatchLog
from pipeline.watch_loop import Loop
from pipeline.watch_signals import Wakeup
from schemas.balance import BalanceSheet
from schemas.errors import LakeLocked, StorageError
from schemas.times import SECOND_US, parse_iso_us
from transforms.stalled_alerts import stalled

NOON_US = parse_iso_us("2026-11-20T12:00:00Z")
ALERT = stalled("/srv/lake", NOON_US, SECOND_US)
REPORT = RunReport("run-1", "", "", None, (), BalanceSheet(), (), 3, {}, {}, 0, 0, (), 2)


class World:
    """A clock, cycles that take time on it, and waits that let it pass."""

    def __init__(self, took_s: list[float], errors: dict[int, Exception] | None = None) -> None:
        self.now_us = NOON_US
        self.took_s = took_s
        self.errors = errors or {}
        self.began: list[int] = []
        self.waited: list[int] = []
        self.failed: list[StorageError] = []

    def cycle(self, at_us: int) -> None:
        """Take as long as the next one takes, and perhaps fail."""
        number = len(self.began)
        self.began.append((at_us - NOON_US) // SECOND_US)
        self.now_us += round(self.took_s[number] * SECOND_US)
        if number in self.errors:
            raise self.errors[number]

    def wait(self, length_us: int) -> None:
        """Let it pass."""
        self.waited.append(length_us // SECOND_US)
        self.now_us += max(0, length_us)

    def loop(self, every_s: int = 30, due_s: int | None = None) -> Loop:
        """A loop of a cycle every 30 s, until there are no more; something is due at a time after noon, until then."""

        def due() -> int | None:
            at_us = None if due_s is None else NOON_US + due_s * SECOND_US
            return None if at_us is None or self.now_us > at_us else at_us

        over = lambda: len(self.began) == len(self.took_s)  # noqa: E731
        clock = lambda: self.now_us  # noqa: E731
        return Loop(self.cycle, self.failed.append, every_s * SECOND_US, clock, self.wait, over, due)


def test_cycles_begin_every_so_often() -> None:
    """From beginning to beginning; one that takes longer is followed at once."""
    world = World([1, 40, 0, 5])
    world.loop().run()
    assert world.began == [0, 30, 70, 100]
    assert world.waited == [29, -10, 30]


def test_a_deadline_ends_a_wait() -> None:
    """A slot is judged when it is due, and not as late as the next look at the inputs would be."""
    world = World([1, 1, 1])
    world.loop(every_s=300, due_s=200).run()
    assert world.began == [0, 200, 500]


def test_a_failed_cycle_is_tried_again_soon() -> None:
    """Not at once, though a slot be due, and not as late as the next look at the inputs would be."""
    world = World([1, 2, 1, 1], {0: StorageError("s3://logs", "refused"), 1: StorageError("s3://logs", "refused")})
    world.loop(every_s=300, due_s=20).run()
    assert world.began == [0, 31, 63, 363]


def test_a_store_that_fails_ends_nothing_and_other_errors_do() -> None:
    """A cycle follows one whose store failed; a lake that was lost is the end."""
    error = StorageError("s3://logs", "refused")
    world = World([1, 1, 1, 1], {0: error, 2: LakeLocked("taken")})
    with pytest.raises(LakeLocked):
        world.loop().run()
    assert (world.began, world.failed) == ([0, 30, 60], [error])


def test_news_end_a_wait() -> None:
    """From another thread, or before the wait begins; many are one, and a stop is one too."""
    wakeup = Wakeup()
    for _ in range(3):
        wakeup.wake()
    wakeup.wait(3600 * SECOND_US)
    threading.Timer(0.01, wakeup.stop).start()
    wakeup.wait(3600 * SECOND_US)
    assert wakeup.stopping
    wakeup.wait(1)  # nothing is left of the news: this one ends by itself


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_terminal_shows_one_line_and_the_alerts() -> None:
    """The line is painted over; alerts and failures stay."""
    out = Terminal()
    log = WatchLog(out, lambda: NOON_US)
    log.status()
    log.alert(ALERT)
    log.failed(StorageError("s3://logs", "refused"))
    log.status()
    log.end()
    erase, lines = "\r\x1b[K", out.getvalue()
    assert lines.split(erase)[1:] == [
        "watching · 0 objects · 0 events · 0 alerts · 2026-11-20T12:00:00Z",
        "HIGH  ingest.stalled  opened  docs/runbooks/ingest-stalled.md\n",
        "trailcanary: s3://logs: refused; trying again\n",
        "watching · 0 objects · 0 events · 1 alerts · 2026-11-20T12:00:00Z",
        "stopped\n",
    ]


def test_a_file_gets_json_lines() -> None:
    """One for each thing that happens, none for the status."""
    out = io.StringIO()
    log = WatchLog(out, lambda: NOON_US)
    log.status()
    log.alert(ALERT)
    log.warn("look")
    log.end()
    alert, warning = map(json.loads, out.getvalue().splitlines())
    assert (alert["event"], alert["kind"], alert["status"]) == ("alert", "ingest.stalled", "opened")
    assert warning == {"at": "2026-11-20T12:00:00Z", "event": "warning", "text": "look"}


def test_what_does_not_page_is_counted() -> None:
    """Of a cycle's alerts those that page have a line each; the others are one line, or a count in the cycle's."""
    quiet = msgspec.structs.replace(ALERT, alert_id="quiet", suppressed_by="maintenance:move")
    done = Done(REPORT, (ALERT, quiet, quiet))
    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        WatchLog(out, lambda: NOON_US).cycle(done, SECOND_US)
    shown, counted = terminal.getvalue().split("\r\x1b[K")[1:]
    assert shown.startswith("HIGH  ingest.stalled  opened")
    assert counted.startswith("2 suppressed alerts not shown; see `trailcanary query`")
    cycle, alert = map(json.loads, file.getvalue().splitlines())
    assert (cycle["suppressed"], cycle["alerts"]) == (2, {"ingest.stalled": 3})
    assert alert["alert_id"] == ALERT.alert_id
