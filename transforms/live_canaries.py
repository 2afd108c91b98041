"""Missing canaries in a stream: slots and sightings meet in windows of deadlines, and silence is judged by timers.

A bounded run gives each window all deliveries as a side input. In a stream that input would have to be there for
windows in which nothing arrives, which runners do not promise; so silence waits, with the deliveries, in a state of
its canary's own, until the watermark has passed its deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeAlias

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows, TimestampedValue
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming

from schemas.canaries import Canary, Expected, Place, Pulse, SlotVerdict, Verdict
from schemas.times import SECOND_US
from transforms.canaries import PlaceKey, join_slots
from transforms.expected import by_name
from transforms.pulses import Pulses, SummarisePulses, alive_slots, counted_us
from transforms.verdicts import Arrival, Rules, earliest, judge

WINDOW_US = SECOND_US
"""Windows of deadlines in a stream: what a verdict waits for beyond its deadline."""

_Slots: TypeAlias = tuple[PlaceKey, tuple[Expected, ...], dict[int, Arrival]]
_Accumulator: TypeAlias = Any
_COMBINE = SummarisePulses()


class LiveVerdict(msgspec.Struct, frozen=True):
    """A verdict as the stream comes to it; `again` marks slots that had been judged when their deadline passed."""

    verdict: SlotVerdict
    again: bool = False


class DetectMissingCanariesLive(beam.PTransform[Any, PCollection[LiveVerdict]]):
    """Judge every expected slot as its deadline passes, and again when a sighting comes later.

    Input: a dict of `expected` (Expected, each within one window of `WINDOW_US`), `sightings` (Sighting) and `pulses`
    (Pulse). Output: LiveVerdict in the global window. What arrives more than the allowed lateness after the watermark
    yields nothing.
    """

    def __init__(self, canaries: Iterable[Canary], allowed_lateness_us: int) -> None:
        super().__init__()
        self._canaries = by_name(canaries)
        self._allowed_lateness_us = allowed_lateness_us

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[LiveVerdict]:
        """Join by place; what was plainly heard is judged at once, the rest by its canary."""
        joined = join_slots(inputs, self._canaries, WINDOW_US, self._allowed_lateness_us)
        hear = beam.ParDo(_Hear(self._canaries, self._allowed_lateness_us)).with_outputs("silent", main="heard")
        heard = joined | "Hear" >> hear
        keyed = Tuple[str, AnyType]
        names = tuple(self._canaries)
        pulses = inputs["pulses"] | "ToCanaries" >> beam.ParDo(_ToCanaries(names)).with_output_types(keyed)
        silent = heard["silent"] | "ByCanary" >> beam.Map(_by_canary).with_output_types(keyed)
        waiting = [
            part | f"Global{number}" >> beam.WindowInto(GlobalWindows()) for number, part in enumerate((pulses, silent))
        ] | "Waiting" >> beam.Flatten().with_output_types(keyed)
        judge_silence = beam.ParDo(_JudgeSilence(self._canaries, self._allowed_lateness_us))
        verdicts = (
            heard.heard | "GlobalHeard" >> beam.WindowInto(GlobalWindows()),
            waiting | "JudgeSilence" >> judge_silence,
        ) | "Verdicts" >> beam.Flatten().with_output_types(LiveVerdict)
        result: PCollection[LiveVerdict] = verdicts
        return result


def _by_canary(slots: _Slots) -> tuple[str, _Slots]:
    return slots[0][0], slots


class _ToCanaries(beam.DoFn):
    """A copy of each delivery for each canary; of what was readable, one a minute of each of the runner's bundles."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def start_bundle(self) -> None:
        self._alive_at: set[int] = set()

    def process(self, pulse: Pulse) -> Iterator[tuple[str, Pulse]]:
        at_us = counted_us(pulse)
        if not pulse.readable or at_us not in self._alive_at:
            self._alive_at.update([at_us] if pulse.readable else [])
            yield from ((name, pulse) for name in self._names)


class _Hear(beam.DoFn):
    """Split a place's slots: those heard in time need no judge."""

    def __init__(self, canaries: Mapping[str, Canary], allowed_lateness_us: int) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us

    def process(
        self,
        joined: tuple[PlaceKey, dict[str, Iterable[Any]]],
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[TimestampedValue[LiveVerdict] | beam.pvalue.TaggedOutput]:
        key, sides = joined
        place = Place(*key)
        expected = tuple(
            Expected(place, first, last, Verdict(prior) if prior else None) for first, last, prior in sides["expected"]
        )
        arrivals = earliest(chain.from_iterable(sides["sightings"]))
        rules = Rules(self._canaries[place.canary], self._allowed_lateness_us, (), ())
        again = pane.timing == PaneInfoTiming.LATE
        verdicts = list(judge(rules, expected, arrivals))
        plain = all(each.verdict is Verdict.SEEN for each in verdicts)
        if plain or again:
            told = (each for each in verdicts if each.verdict in {Verdict.SEEN, Verdict.LATE})
            # Not before the deadline, which ends the window: silence is stamped with it too.
            yield from (TimestampedValue(LiveVerdict(each, again), window.end) for each in told)
        else:
            yield beam.pvalue.TaggedOutput("silent", (key, expected, arrivals))


class _JudgeSilence(beam.DoFn):
    """For each canary: deliveries of the past that matters, and slots that wait for the watermark."""

    PULSES = ReadModifyWriteStateSpec("pulses", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, canaries: Mapping[str, Canary], allowed_lateness_us: int) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us

    def process(
        self,
        keyed: tuple[str, Pulse | _Slots],
        pulses: Any = beam.DoFn.StateParam(PULSES),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        name, item = keyed
        if isinstance(item, Pulse):
            known = _COMBINE.add_input(pulses.read() or _COMBINE.create_accumulator(), item)
            pulses.write(_recent(known, counted_us(item) - self._reach_us(name)))
            return
        waiting.add(item)
        due.set(Timestamp(micros=max(self._canaries[name].deadline_us(each.last) for each in item[1])))

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def judge(
        self,
        name: str = beam.DoFn.KeyParam,
        pulses: Any = beam.DoFn.StateParam(PULSES),
        waiting: Any = beam.DoFn.StateParam(WAITING),
    ) -> Iterator[LiveVerdict]:
        """Judge all that waits: each came out of a window that had ended, so all their deadlines have passed."""
        canary = self._canaries[name]
        known: Pulses = _COMBINE.extract_output(pulses.read() or _COMBINE.create_accumulator())
        alive = alive_slots(canary, known.readable)
        for key, expected, arrivals in waiting.read():
            rules = Rules(canary, self._allowed_lateness_us, alive, known.lost_at(Place(*key)))
            yield from map(LiveVerdict, judge(rules, expected, arrivals))
        waiting.clear()

    def _reach_us(self, name: str) -> int:
        canary = self._canaries[name]
        return canary.period_us + canary.grace_us + self._allowed_lateness_us


def _recent(known: _Accumulator, from_us: int) -> _Accumulator:
    readable, lost = known
    if readable and min(readable) < from_us:
        readable = {at_us for at_us in readable if at_us >= from_us}
        lost = {key: names for key, names in lost.items() if key[2] >= from_us}
    return readable, lost
