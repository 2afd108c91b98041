"""`trailcanary emit`: makes the calls of canaries, once or slot by slot."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

import msgspec

from pipeline.emit_log import EmitLog
from pipeline.emit_receipts import Receipts
from schemas.canaries import Canary, Place
from schemas.errors import StorageError, UsageError
from schemas.receipts import Outcome, Receipt
from schemas.times import MINUTE_US, SECOND_US
from transforms.canary_tokens import margin_us
from transforms.expected import by_name, places

THREADS = 32
_FLUSH_US = MINUTE_US
_CLEAR_US = 5 * SECOND_US


def _threads() -> Executor:
    return ThreadPoolExecutor(THREADS, "emit")


class Calls(Protocol):
    """Makes one call (`pipeline.emit_sender.Sender`)."""

    def send(self, canary: Canary, place: Place, slot: int) -> Receipt:
        """Make the call of a slot, and say what became of it."""


class Pause(Protocol):
    """Waits, and says when to stop (`pipeline.watch_signals.Wakeup`)."""

    stopping: bool

    def wait(self, length_us: int) -> None:
        """Wait for the end to be asked for, but no longer than that."""


class Due(msgspec.Struct, frozen=True, order=True):
    """When a place's call is to be made."""

    at_us: int
    place: Place


class Emitter:
    """Makes calls concurrently, keeps receipts, and stops a canary with the first call that is not refused."""

    def __init__(
        self,
        canaries: Sequence[Canary],
        calls: Calls,
        receipts: Receipts,
        *,
        log: EmitLog,
        clock: Callable[[], int],
        chance: random.Random,
        pool: Callable[[], Executor] = _threads,
    ) -> None:
        self._canaries = by_name(canary for canary in canaries if canary.emission is not None)
        if not self._canaries:
            raise UsageError(["no canary has a [canary.emit]: there is nothing to make"])
        self._calls = calls
        self._receipts = receipts
        self._log = log
        self._clock = clock
        self._chance = chance
        self._pool = pool
        self._stopped: dict[str, str | None] = {}
        self._lock = threading.Lock()
        self._failed = False
        self._crashes: list[BaseException] = []
        self._underway: set[Place] = set()

    def once(self, pause: Pause, spread_us: int = 0) -> int:
        """A call of every place, spread over that time; 0 if every call was refused, else 1. Raises StorageError."""
        self._read_marks()
        now_us = self._clock()
        due = [Due(self._clear_of_ends(place, now_us + self._draw(spread_us)), place) for place in self._places()]
        self._follow(sorted(due), pause, lambda _: None)
        return 1 if self._failed or self._stopped else 0

    def every(self, pause: Pause, every_us: int | None = None) -> int:
        """A call of every place in each slot, or in each span of `every_us`, until stopped.

        0 if no canary was stopped, else 1: at once where none is left.

        Raises:
            StorageError: the receipts could not be read at the beginning. Later they are written when they can be.
        """
        self._read_marks()
        now_us = self._clock()
        heap = [self._first(place, every_us, now_us) for place in self._places()]
        heapq.heapify(heap)

        def again(due: Due) -> None:
            span_us = self._span_us(due.place, every_us)
            heapq.heappush(heap, self._in_span(due.place, due.at_us // span_us + 1, span_us))

        self._follow(heap, pause, again)
        return 1 if self._stopped else 0

    def _follow(self, heap: list[Due], pause: Pause, done: Callable[[Due], None]) -> None:
        """Make calls as they come due; `done` may add others to the heap."""
        flushed_us = self._clock()
        with self._pool() as pool:
            while heap and not pause.stopping and self._stopped.keys() < self._canaries.keys() and not self._crashes:
                now_us = self._clock()
                if heap[0].at_us <= now_us:
                    due = heapq.heappop(heap)
                    if due.place not in self._underway:  # else AWS does not answer, and calls would pile up
                        self._underway.add(due.place)
                        pool.submit(self._make, due.place).add_done_callback(partial(self._made, due.place))
                    done(due)
                elif now_us - flushed_us >= _FLUSH_US:
                    self._flush()
                    flushed_us = now_us
                else:
                    pause.wait(min(heap[0].at_us - now_us, _FLUSH_US))
        self._receipts.flush()
        self._log.summary()
        if self._crashes:
            raise self._crashes[0]

    def _made(self, place: Place, future: Future[None]) -> None:
        self._underway.discard(place)
        crash = future.exception()
        if crash is not None:
            self._crashes.append(crash)

    def _make(self, place: Place) -> None:
        canary = self._canaries[place.canary]
        if canary.name in self._stopped:
            return
        receipt = self._calls.send(canary, place, canary.slot_of(self._clock()))
        self._receipts.add(receipt)
        self._log.made(receipt)
        if receipt.outcome is Outcome.ALLOWED:
            self._stop(receipt)
        elif receipt.outcome is Outcome.FAILED:
            self._failed = True

    def _stop(self, receipt: Receipt) -> None:
        name = receipt.place.canary
        with self._lock:
            if name not in self._stopped:
                self._stopped[name] = None
                try:
                    self._stopped[name] = self._receipts.stop(receipt)
                except StorageError as error:
                    self._log.unwritten(error)
        self._log.allowed(receipt, self._stopped[name])

    def _flush(self) -> None:
        try:
            self._receipts.flush()
        except StorageError as error:
            self._log.unwritten(error)

    def _read_marks(self) -> None:
        for canary in self._canaries.values():
            mark = self._receipts.stopped(canary)
            if mark is not None:
                self._stopped[canary.name] = mark
                self._log.still_stopped(canary.name, mark)

    def _places(self) -> Iterator[Place]:
        for canary in self._canaries.values():
            if canary.name not in self._stopped:
                yield from places(canary)

    def _span_us(self, place: Place, every_us: int | None) -> int:
        return self._canaries[place.canary].period_us if every_us is None else every_us

    def _first(self, place: Place, every_us: int | None, now_us: int) -> Due:
        """In the span that goes on, if there is still time for it."""
        span_us = self._span_us(place, every_us)
        due = self._in_span(place, now_us // span_us, span_us)
        return due if due.at_us >= now_us else self._in_span(place, now_us // span_us + 1, span_us)

    def _in_span(self, place: Place, number: int, span_us: int) -> Due:
        """Somewhere in a span, and not near the ends of its slot."""
        canary = self._canaries[place.canary]
        margin = min(margin_us(canary), span_us // 10)
        at_us = number * span_us + margin + self._draw(span_us - 2 * margin)
        slot_us = canary.slot_start_us(canary.slot_of(at_us))
        return Due(min(max(at_us, slot_us + margin), slot_us + canary.period_us - margin), place)

    def _clear_of_ends(self, place: Place, at_us: int) -> int:
        """That time, or soon after it: where a slot ends, AWS's clock and ours might be in different ones."""
        canary = self._canaries[place.canary]
        margin = min(margin_us(canary), _CLEAR_US)
        slot_us = canary.slot_start_us(canary.slot_of(at_us))
        if at_us > slot_us + canary.period_us - margin:
            return slot_us + canary.period_us + margin
        return max(at_us, slot_us + margin)

    def _draw(self, span_us: int) -> int:
        return self._chance.randrange(span_us) if span_us > 0 else 0
