"""Missing canaries in a stream: each account's slots wait for their deadline, beside what was heard of them.

A bounded run joins slots and sightings in windows of deadlines. Windows of a stream would have to be kept for as long
as a sighting may come late: a day of every slot of every place. What is kept here is what is still to be judged; what
has been judged is only remembered by how far, and the slots that were found absent by whoever tells of them.

The key is a canary and an account, not a place: its regions fall due together, and Beam's price is by the element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeAlias

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.canaries import Canary, Expected, Place, Sighting, SlotVerdict, Verdict
from schemas.times import SECOND_US
from transforms.expected import by_name
from transforms.live_silence import JudgeSilence, Silent, ToCanaries
from transforms.verdicts import Arrival, Rules, earliest, judge
from transforms.waiting import Waiting

AccountKey: TypeAlias = tuple[str, str]
"""Canary and account."""

SPAN_US = SECOND_US
"""Slots of a place that are due within so long, counted from the epoch, are one span, and are judged at its end."""

KEYED = Tuple[Tuple[str, str], AnyType]


class LiveVerdict(msgspec.Struct, frozen=True):
    """A verdict as the stream comes to it; `again` marks slots that had been judged when their deadline passed."""

    verdict: SlotVerdict
    again: bool = False


class DetectMissingCanariesLive(beam.PTransform[Any, PCollection[tuple[AccountKey, tuple[LiveVerdict, ...]]]]):
    """Judge every expected slot as its deadline passes, and again when a sighting comes later.

    Input: a dict of `expected` (Expected, each slot once and in order; its deadlines lie after the watermark, or it is
    judged when the watermark has passed its element), `sightings` (Sighting) and `pulses` (Pulse). Output: verdicts by
    canary and account, no two of an account out of order but for what is heard late. A sighting that was delivered
    more than the allowed lateness after its deadline yields nothing.
    """

    def __init__(self, canaries: Iterable[Canary], allowed_lateness_us: int) -> None:
        super().__init__()
        self._canaries = by_name(canaries)
        self._allowed_lateness_us = allowed_lateness_us

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[tuple[AccountKey, tuple[LiveVerdict, ...]]]:
        """Join by account; what was plainly heard is judged at once, the rest by its canary."""
        sides = [
            inputs[name] | f"ByAccount {name}" >> beam.ParDo(_ByAccount(self._canaries)).with_output_types(KEYED)
            for name in ("expected", "sightings")
        ] | "Sides" >> beam.Flatten().with_output_types(KEYED)
        hear = beam.ParDo(_Hear(self._canaries, self._allowed_lateness_us)).with_outputs("silent", main="heard")
        heard = sides | "Hear" >> hear
        by_canary = Tuple[str, AnyType]
        pulses = inputs["pulses"] | "ToCanaries" >> beam.ParDo(ToCanaries(self._canaries)).with_output_types(by_canary)
        silent = heard["silent"] | "ByCanary" >> beam.Map(_by_canary).with_output_types(by_canary)
        waiting = (pulses, silent) | "Waiting" >> beam.Flatten().with_output_types(by_canary)
        judged = waiting | "JudgeSilence" >> beam.ParDo(JudgeSilence(self._canaries, self._allowed_lateness_us))
        verdicts: PCollection[tuple[AccountKey, tuple[LiveVerdict, ...]]] = (
            heard.heard,
            judged | "Told" >> beam.Map(_first_told).with_output_types(KEYED),
        ) | "Verdicts" >> beam.Flatten().with_output_types(KEYED)
        return verdicts


def _by_canary(silent: Silent) -> tuple[str, Silent]:
    return silent.key[0], silent


def _first_told(judged: tuple[AccountKey, tuple[SlotVerdict, ...]]) -> tuple[AccountKey, tuple[LiveVerdict, ...]]:
    return judged[0], tuple(map(LiveVerdict, judged[1]))


class _ByAccount(beam.DoFn):
    """Slots or sightings of one of the runner's bundles, together; of places that no canary names, none."""

    def __init__(self, canaries: Mapping[str, Canary]) -> None:
        self._places = {name: (frozenset(each.accounts), frozenset(each.regions)) for name, each in canaries.items()}

    def start_bundle(self) -> None:
        self._held: dict[AccountKey, tuple[Timestamp, list[Expected | Sighting]]] = {}

    def process(self, item: Expected | Sighting, at: Any = beam.DoFn.TimestampParam) -> None:
        accounts, regions = self._places.get(item.place.canary, (frozenset(), frozenset()))
        if item.place.account_id in accounts and item.place.region in regions:
            key = item.place.canary, item.place.account_id
            first, items = self._held.setdefault(key, (at, []))
            items.append(item)
            self._held[key] = min(first, at), items

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for key, (at, items) in self._held.items():
            yield GlobalWindows.windowed_value((key, tuple(items)), at)


class _Account(msgspec.Struct, frozen=True):
    """What is kept of an account beside the slots that wait: sightings of those, and how far each region is judged."""

    arrivals: dict[str, dict[int, Arrival]] = {}
    through: dict[str, int] = {}


class _Hear(beam.DoFn):
    """Judge slots that were heard as they fall due; any other goes to the judge of its canary."""

    ACCOUNT = ReadModifyWriteStateSpec("account", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, canaries: Mapping[str, Canary], allowed_lateness_us: int) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us

    def process(  # noqa: PLR0917 - states and timers come as arguments
        self,
        keyed: tuple[AccountKey, tuple[Expected | Sighting, ...]],
        at: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(ACCOUNT),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[tuple[AccountKey, tuple[LiveVerdict, ...]]]:
        """Slots wait; sightings too, or correct what has been judged."""
        key, items = keyed
        canary = self._canaries[key[0]]
        account: _Account = state.read() or _Account()
        expected = [item for item in items if isinstance(item, Expected)]
        sightings = [item for item in items if isinstance(item, Sighting)]
        late = [each for each in sightings if each.slot <= account.through.get(each.place.region, each.slot - 1)]
        if sightings:
            state.write(_Account(_with(account.arrivals, sightings, late), account.through))
        # What was due before the stream knew of it waits for what came before, as the watermark tells.
        time_of = lambda each: max(at, Timestamp(micros=canary.deadline_us(each.last)))  # noqa: E731
        for time, spans in groupby(sorted(expected, key=time_of), time_of):
            Waiting[tuple[Expected, ...]](waiting, first, due).add(tuple(spans), time)
        verdicts = tuple(self._again(canary, late))
        if verdicts:
            yield key, verdicts

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def judge(  # noqa: PLR0917 - states and timers come as arguments
        self,
        key: AccountKey = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(ACCOUNT),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[tuple[AccountKey, tuple[LiveVerdict, ...]] | beam.pvalue.TaggedOutput]:
        """Judge what is due by now."""
        canary = self._canaries[key[0]]
        account: _Account = state.read() or _Account()
        ready = [each for some in Waiting[tuple[Expected, ...]](waiting, first, due).take(at) for each in some]
        heard: list[LiveVerdict] = []
        silent: list[tuple[Place, tuple[Expected, ...], dict[int, Arrival]]] = []
        for place, spans in groupby(sorted(ready, key=lambda each: (each.place, each.first)), lambda each: each.place):
            expected, arrivals = tuple(spans), account.arrivals.get(place.region, {})
            rules = Rules(canary, self._allowed_lateness_us, (), ())
            verdicts = list(judge(rules, expected, arrivals))
            if all(each.verdict is Verdict.SEEN for each in verdicts):
                heard += map(LiveVerdict, verdicts)
            else:
                silent.append((place, expected, {slot: arrivals[slot] for slot in _within(arrivals, expected)}))
        if heard:
            yield key, tuple(heard)
        if silent:
            yield beam.pvalue.TaggedOutput("silent", Silent(key, tuple(silent)))
        state.write(_judged(account, ready))

    def _again(self, canary: Canary, sightings: Iterable[Sighting]) -> Iterator[LiveVerdict]:
        """What slots that have been judged would have been, had these been known."""
        rules = Rules(canary, self._allowed_lateness_us, (), ())
        for place, arrivals in _arrivals(sightings).items():
            for slot in sorted(arrivals):
                verdicts = judge(rules, [Expected(place, slot, slot)], arrivals)
                told = (each for each in verdicts if each.verdict in {Verdict.SEEN, Verdict.LATE})
                yield from (LiveVerdict(each, again=True) for each in told)


def _arrivals(sightings: Iterable[Sighting]) -> dict[Place, dict[int, Arrival]]:
    """The earliest sighting of each slot, by place."""
    ordered = sorted(sightings, key=lambda each: each.place)
    return {
        place: earliest((each.slot, each.delivered_us, each.event_id or "") for each in group)
        for place, group in groupby(ordered, lambda each: each.place)
    }


def _with(
    known: Mapping[str, Mapping[int, Arrival]], sightings: Iterable[Sighting], late: Iterable[Sighting]
) -> dict[str, dict[int, Arrival]]:
    """What was heard of slots that are not judged yet, by region."""
    judged = {id(each) for each in late}
    heard = {region: dict(arrivals) for region, arrivals in known.items()}
    for place, arrivals in _arrivals(each for each in sightings if id(each) not in judged).items():
        region = heard.setdefault(place.region, {})
        region.update((slot, min(arrival, region.get(slot, arrival))) for slot, arrival in arrivals.items())
    return heard


def _within(arrivals: Mapping[int, Arrival], expected: Iterable[Expected]) -> list[int]:
    return [slot for span in expected for slot in arrivals if span.first <= slot <= span.last]


def _judged(account: _Account, ready: Iterable[Expected]) -> _Account:
    """The account when these slots are judged."""
    through = dict(account.through)
    for span in ready:
        through[span.place.region] = max(span.last, through.get(span.place.region, span.last))
    arrivals = {
        region: {slot: each for slot, each in heard.items() if slot > through.get(region, slot - 1)}
        for region, heard in account.arrivals.items()
    }
    return _Account({region: heard for region, heard in arrivals.items() if heard}, through)
