"""What waits at a key of a stateful step, and when it is woken."""

from __future__ import annotations

from typing import Any

from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from canary_worlds import CANARY, FIRST, PLACE

from schemas.canaries import Expected
from schemas.times import DAY_US, MINUTE_US
from transforms.live_canaries import _Hear
from transforms.waiting import Waiting


class Cell:
    """A state, bag or value."""

    def __init__(self) -> None:
        self.kept: Any = None

    def read(self) -> Any:
        """What is there."""
        return self.kept

    def write(self, value: Any) -> None:
        """Put something in its place."""
        self.kept = value

    def add(self, value: Any) -> None:
        """Put something beside it."""
        self.kept = [*(self.kept or []), value]

    def clear(self) -> None:
        """An empty bag reads as one."""
        self.kept = [] if isinstance(self.kept, list) else None


class Timer:
    """Remembers what it was set to."""

    def __init__(self) -> None:
        self.at: Timestamp | None = None

    def set(self, at: Timestamp) -> None:
        """The last word counts, as with a runner."""
        self.at = at


def seconds(at_s: int) -> Timestamp:
    """A time."""
    return Timestamp(at_s)


def test_the_timer_is_set_to_the_first_and_what_comes_later_does_not_put_it_off() -> None:
    """And what is taken is all up to then, in order; the rest waits on."""
    timer = Timer()
    waiting = Waiting[str](Cell(), Cell(), timer)
    for name, at_s in (("b", 20), ("c", 30), ("a", 10), ("d", 40)):
        waiting.add(name, seconds(at_s))
    assert timer.at == seconds(10)
    assert waiting.take(seconds(20)) == ["a", "b"]
    assert timer.at == seconds(30)
    waiting.wake(35_000_000)
    assert timer.at == seconds(30)
    waiting.wake(25_000_000)
    assert timer.at == seconds(25)
    assert waiting.take(seconds(25)) == []
    assert waiting.take(seconds(40)) == ["c", "d"]


def test_a_timer_that_loses_its_microseconds_still_takes_what_it_was_set_for() -> None:
    """Flink's timers fire at whole milliseconds, and were set again and again; no deadline is told before its time."""
    timer = Timer()
    waiting = Waiting[str](Cell(), Cell(), timer)
    waiting.add("a", Timestamp(micros=1_000_001))
    assert timer.at == Timestamp(micros=1_001_000)
    assert waiting.take(timer.at) == ["a"]
    waiting.wake(2_000_999)
    assert timer.at == Timestamp(micros=2_001_000)


def test_what_comes_from_the_beginning_of_time_counts_from_when_the_stream_began() -> None:
    """And what comes later, from its own."""
    timer = Timer()
    waiting = Waiting[str](Cell(), Cell(), timer)
    waiting.add("a", MIN_TIMESTAMP, 20_000_000)
    assert timer.at == seconds(20)
    waiting.add("b", seconds(30), 20_000_000)
    assert waiting.take(seconds(20)) == ["a"]
    assert timer.at == seconds(30)


def test_slots_that_come_after_their_deadline_do_not_put_off_those_before() -> None:
    """A stream that is behind would never judge: each look brings slots, stamped later than the last."""
    hear = _Hear({CANARY.name: CANARY}, DAY_US)
    account, bag, first, timer = Cell(), Cell(), Cell(), Timer()
    behind_us = CANARY.deadline_us(FIRST) + 10 * MINUTE_US
    for slot in range(3):
        slots = (Expected(PLACE, FIRST + slot, FIRST + slot),)
        at = Timestamp(micros=behind_us + slot * MINUTE_US)
        assert list(hear.process(((CANARY.name, PLACE.account_id), slots), at, account, bag, first, timer)) == []
        assert timer.at == Timestamp(micros=behind_us)
