"""Elements of a stateful step that wait until the watermark has passed the time of each."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from apache_beam.utils.timestamp import Timestamp

_T = TypeVar("_T")

_MILLISECOND_US = 1000
"""Java's runners set timers to whole milliseconds, rounded down: one set between two would fire before its time, find
nothing that is due, be set again, and hold the watermark for ever."""


class Waiting(Generic[_T]):
    """What waits at one key: a bag of it, the first of its times, and the timer that is set to that.

    Nothing that a step before gave out up to some time comes after the watermark has passed it; so what is taken
    together is complete. The timer holds the watermark for the steps that follow.
    """

    def __init__(self, bag: Any, first: Any, timer: Any) -> None:
        self._bag = bag
        self._first = first
        self._timer = timer

    def add(self, item: _T, at: Timestamp, not_before_us: int | None = None) -> None:
        """Let one wait; what a runner has stamped with the beginning of time counts from `not_before_us`."""
        at_us = _rounded_up(at.micros if not_before_us is None else max(at.micros, not_before_us))
        self._bag.add((at_us, item))
        first_us = self._first.read()
        if first_us is None or at_us < first_us:
            self._set(at_us)

    def take(self, until: Timestamp) -> list[_T]:
        """What waited up to the time that the timer was set to, in order; the rest goes on waiting."""
        waiting = sorted(self._bag.read(), key=lambda each: each[0])
        rest = [each for each in waiting if each[0] > until.micros]
        self._bag.clear()
        self._first.clear()
        for each in rest:
            self._bag.add(each)
        if rest:
            self._set(rest[0][0])
        return [item for at_us, item in waiting if at_us <= until.micros]

    def wake(self, at_us: int) -> None:
        """Set the timer to that time, unless something waits for an earlier one. What is added later comes first."""
        first_us = self._first.read()
        if first_us is None or at_us < first_us:
            self._timer.set(Timestamp(micros=_rounded_up(at_us)))

    def _set(self, at_us: int) -> None:
        self._first.write(at_us)
        self._timer.set(Timestamp(micros=at_us))


def _rounded_up(at_us: int) -> int:
    return -(-at_us // _MILLISECOND_US) * _MILLISECOND_US
