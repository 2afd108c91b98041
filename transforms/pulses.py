"""Deliveries, summarised: was anything arriving, and what could not be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TypeAlias

import apache_beam as beam
import msgspec
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from schemas.canaries import Canary, Place, Pulse
from schemas.times import MINUTE_US
from transforms.expected import window_of

Span: TypeAlias = tuple[int, int]
"""First and last of consecutive slots."""

KEYS_KEPT = 5
"""Object keys kept as evidence for each minute and for each slot: enough to look, whatever arrives."""


class Lost(msgspec.Struct, frozen=True):
    """Objects of one place, delivered in one minute, that could not be read."""

    at_us: int
    object_keys: tuple[str, ...]


class Pulses(msgspec.Struct, frozen=True):
    """Minutes in which something readable was delivered, ascending, and what was lost, by (account, region).

    A delivery counts at the end of its minute, where the keys of CloudTrail's objects put it anyway: never before it
    happened, so that a run that judges up to a deadline has seen all that counts there. None stands for an unknown
    account or region.
    """

    readable: tuple[int, ...] = ()
    lost: dict[tuple[str | None, str | None], tuple[Lost, ...]] = {}

    def lost_at(self, place: Place) -> tuple[Lost, ...]:
        """What was lost that may have been of this place, by time; the unknown counts against every place."""
        keys = product((place.account_id, None), (place.region, None))
        return tuple(sorted((each for key in keys for each in self.lost.get(key, ())), key=_by_time))


def _by_time(lost: Lost) -> tuple[int, tuple[str, ...]]:
    return lost.at_us, lost.object_keys


def counted_us(pulse: Pulse) -> int:
    """The time at which a delivery counts: the end of its minute, or the minute itself."""
    return -(-pulse.delivered_us // MINUTE_US) * MINUTE_US


def slots_around(canary: Canary, at_us: int) -> Span:
    """Slots that a delivery at `at_us` says something about: those with start < `at_us` ≤ deadline."""
    return -(-(at_us - canary.grace_us) // canary.period_us) - 1, (at_us - 1) // canary.period_us


def alive_slots(canary: Canary, readable: Iterable[int]) -> list[Span]:
    """Slots of a canary in which anything readable arrived, as ascending disjoint spans; `readable` ascends."""
    spans: list[Span] = []
    for at_us in readable:
        first, last = slots_around(canary, at_us)
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        elif first <= last:
            spans.append((first, last))
    return spans


class StampPulses(beam.DoFn):
    """Stamp each pulse into every window of deadlines that it may matter to.

    That is one window or two where windows are longer than `reach_us`, the longest period + grace. Of what was
    readable one pulse for each minute of a bundle is enough.
    """

    def __init__(self, window_us: int, reach_us: int) -> None:
        self._window_us = window_us
        self._reach_us = reach_us

    def start_bundle(self) -> None:
        """Forget what the last bundle proved."""
        self._alive_at: set[int] = set()

    def process(self, pulse: Pulse) -> Iterator[TimestampedValue[Pulse]]:
        """Stamp one pulse, unless its minute is proven."""
        at_us = counted_us(pulse)
        if pulse.readable and at_us in self._alive_at:
            return
        if pulse.readable:
            self._alive_at.add(at_us)
        last = window_of(at_us + self._reach_us - 1, self._window_us)
        for window in range(window_of(at_us, self._window_us), last + 1):
            yield TimestampedValue(pulse, Timestamp(micros=max(at_us - 1, window * self._window_us)))


_Readable: TypeAlias = set[int]
_Unreadable: TypeAlias = dict[tuple[str | None, str | None, int], set[str]]


class SummarisePulses(beam.CombineFn):
    """Combine `Pulse` elements into one `Pulses`; the order and the grouping of the elements never matter."""

    def __init__(self) -> None:
        super().__init__()

    def create_accumulator(self) -> tuple[_Readable, _Unreadable]:
        """Nothing arrived, nothing was lost."""
        return set(), {}

    def add_input(self, accumulator: tuple[_Readable, _Unreadable], element: Pulse) -> tuple[_Readable, _Unreadable]:
        """Count one delivery."""
        readable, lost = accumulator
        if element.readable:
            readable.add(counted_us(element))
        else:
            keys = lost.setdefault((element.account_id, element.region, counted_us(element)), set())
            _keep(keys, [element.object_key] if element.object_key else [])
        return accumulator

    def merge_accumulators(
        self, accumulators: Iterable[tuple[_Readable, _Unreadable]]
    ) -> tuple[_Readable, _Unreadable]:
        """Count what others counted."""
        readable, lost = self.create_accumulator()
        for theirs, their_lost in accumulators:
            readable |= theirs
            for key, keys in their_lost.items():
                _keep(lost.setdefault(key, set()), keys)
        return readable, lost

    def extract_output(self, accumulator: tuple[_Readable, _Unreadable]) -> Pulses:
        """Everything in order of time."""
        readable, unreadable = accumulator
        lost: dict[tuple[str | None, str | None], list[Lost]] = defaultdict(list)
        for (account_id, region, at_us), keys in unreadable.items():
            lost[account_id, region].append(Lost(at_us, tuple(sorted(keys))))
        return Pulses(tuple(sorted(readable)), {key: tuple(sorted(each, key=_by_time)) for key, each in lost.items()})


def _keep(keys: set[str], more: Iterable[str]) -> None:
    """Add keys, and drop all but the first few in the order of their text."""
    keys.update(more)
    if len(keys) > KEYS_KEPT:
        keys.intersection_update(sorted(keys)[:KEYS_KEPT])


def summarise(pulses: Sequence[Pulse]) -> Pulses:
    """`SummarisePulses` without Beam."""
    combine = SummarisePulses()
    accumulator = combine.create_accumulator()
    for pulse in pulses:
        accumulator = combine.add_input(accumulator, pulse)
    return combine.extract_output(accumulator)
