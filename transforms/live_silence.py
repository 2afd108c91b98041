"""Silence in a stream, judged by its canary: was anything arriving, and what could not be read.

A bounded run gives each window all deliveries as a side input. In a stream that input would have to be there for
windows in which nothing arrives, which runners do not promise; so silence meets the deliveries in a state of its
canary's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer

from schemas.canaries import Canary, Expected, Place, Pulse, SlotVerdict
from transforms.pulses import Pulses, SummarisePulses, alive_slots, counted_us
from transforms.verdicts import Arrival, Rules, judge
from transforms.waiting import Waiting

_Accumulator: TypeAlias = Any
_COMBINE = SummarisePulses()


class Silent(msgspec.Struct, frozen=True):
    """Slots of one canary and account that are due and were not all heard in time: by place, with what was heard."""

    key: tuple[str, str]
    places: tuple[tuple[Place, tuple[Expected, ...], dict[int, Arrival]], ...]


class ToCanaries(beam.DoFn):
    """A copy of each delivery for each canary; of what was readable, one a minute of each of the runner's bundles."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def start_bundle(self) -> None:
        """Forget what the last bundle proved."""
        self._alive_at: set[int] = set()

    def process(self, pulse: Pulse) -> Iterator[tuple[str, Pulse]]:
        """Copy one."""
        at_us = counted_us(pulse)
        if not pulse.readable or at_us not in self._alive_at:
            self._alive_at.update([at_us] if pulse.readable else [])
            yield from ((name, pulse) for name in self._names)


class JudgeSilence(beam.DoFn):
    """(canary, Pulse or Silent) → ((canary, account), verdicts). A stateful step.

    Silence waits until the watermark has passed its element, and with it all deliveries that came before.
    """

    PULSES = ReadModifyWriteStateSpec("pulses", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, canaries: Mapping[str, Canary], allowed_lateness_us: int) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us

    def process(  # noqa: PLR0917 - states and timers come as arguments
        self,
        keyed: tuple[str, Pulse | Silent],
        at: Any = beam.DoFn.TimestampParam,
        pulses: Any = beam.DoFn.StateParam(PULSES),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        """Keep it."""
        name, item = keyed
        if isinstance(item, Pulse):
            known = _COMBINE.add_input(pulses.read() or _COMBINE.create_accumulator(), item)
            pulses.write(_recent(known, counted_us(item) - self._reach_us(name)))
        else:
            Waiting[Silent](waiting, first, due).add(item, at)

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def judge(  # noqa: PLR0917 - states and timers come as arguments
        self,
        name: str = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        pulses: Any = beam.DoFn.StateParam(PULSES),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[tuple[tuple[str, str], tuple[SlotVerdict, ...]]]:
        """Judge what was due by then."""
        canary = self._canaries[name]
        known: Pulses = _COMBINE.extract_output(pulses.read() or _COMBINE.create_accumulator())
        alive = alive_slots(canary, known.readable)
        for silent in Waiting[Silent](waiting, first, due).take(at):
            verdicts: list[SlotVerdict] = []
            for place, expected, arrivals in silent.places:
                rules = Rules(canary, self._allowed_lateness_us, alive, known.lost_at(place))
                verdicts += judge(rules, expected, arrivals)
            yield silent.key, tuple(verdicts)

    def _reach_us(self, name: str) -> int:
        canary = self._canaries[name]
        return canary.period_us + canary.grace_us + self._allowed_lateness_us


def _recent(known: _Accumulator, from_us: int) -> _Accumulator:
    readable, lost = known
    if readable and min(readable) < from_us:
        readable = {at_us for at_us in readable if at_us >= from_us}
        lost = {key: names for key, names in lost.items() if key[2] >= from_us}
    return readable, lost
