"""One line about a run that goes on, on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.clock import now_us
from schemas.times import SECOND_US, format_duration_us
from transforms.tally import TALLY

_EVERY_S = 0.5
_ERASE = "\r\x1b[K"


@contextmanager
def progress() -> Iterator[None]:
    """Repaint the line twice a second while the body runs; quiet when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    painter = threading.Thread(target=_paint, args=(done, now_us()), daemon=True)
    painter.start()
    try:
        yield
    finally:
        done.set()
        painter.join()
        sys.stderr.write(_ERASE)
        sys.stderr.flush()


def _paint(done: threading.Event, started_us: int) -> None:
    while not done.wait(_EVERY_S):
        sys.stderr.write(_ERASE + line(TALLY.counts, now_us() - started_us))
        sys.stderr.flush()


def line(counts: tuple[int, int, int], elapsed_us: int) -> str:
    """What is done: `1,203 of 3,872 objects · 30,477 events · 41,000 events/s · 12s`."""
    objects, total, records = counts
    rate = records * SECOND_US // max(1, elapsed_us)
    return (
        f"{objects:,} of {total:,} objects · {records:,} events · {rate:,} events/s · {format_duration_us(elapsed_us)}"
    )
