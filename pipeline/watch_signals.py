"""What wakes a watch, and what ends it."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from types import FrameType

from schemas.times import SECOND_US

_PATIENCE_S = 10.0


class Wakeup:
    """Waits between cycles. Whoever has news may call `wake`, from any thread, and from a signal's handler.

    A `queue.SimpleQueue`, whose `put` may interrupt its own `get`, as an Event's `set` may not.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        """End the wait that goes on, or else the next."""
        self._news.put(None)

    def stop(self) -> None:
        """Ask for the end: no cycle begins after this."""
        self.stopping = True
        self.wake()

    def wait(self, length_us: int) -> None:
        """Wait for news, but no longer than `length_us`; any number of news are one."""
        try:
            self._news.get(timeout=max(0, length_us) / SECOND_US)
            while True:
                self._news.get_nowait()
        except queue.Empty:
            pass


def stop_on_signals(wakeup: Wakeup) -> None:
    """SIGTERM and SIGINT finish the bundle at hand and end with exit code 0.

    One that hangs, or takes longer than some seconds, is abandoned: the next run does it again. So does a second
    signal, at once.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        if wakeup.stopping:
            _abandon()
        wakeup.stop()
        timer = threading.Timer(_PATIENCE_S, _abandon)
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _abandon() -> None:
    """Whatever is half done is no part of the lake, and worker processes end with this one."""
    sys.stderr.write("trailcanary: stopped in the middle of a cycle; the next run completes the lake\n")
    sys.stderr.flush()
    os._exit(0)
