"""Incidents of canaries in a stream: each place's story goes on as its verdicts come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from schemas.alerts import Alert
from schemas.canaries import Canary, Expected, Place, SlotVerdict, Verdict
from transforms.canary_stories import Untold
from transforms.expected import by_name
from transforms.incidents import Telling
from transforms.live_canaries import AccountKey, LiveVerdict
from transforms.waiting import Waiting

VERDICTS = "verdicts"


class _Memory(msgspec.Struct, frozen=True):
    """What is kept of a place: what goes on, and slots called absent, and when, that may still be corrected."""

    left: tuple[Untold, ...] = ()
    absent: dict[int, tuple[Verdict, int]] = {}


_Memories = Mapping[str, _Memory]
"""By region, of the places of an account of which there is anything to keep."""


class TrackIncidentsLive(beam.PTransform[Any, beam.pvalue.DoOutputsTuple]):
    """Verdicts by canary and account (`DetectMissingCanariesLive`) → Alert; tagged `VERDICTS`: SlotVerdict, to be kept.

    A verdict that comes again is only kept where it corrects one: it then says which, as a bounded run's would, and is
    stamped no earlier than that one, so that it is written no earlier.
    `prior` and `absent` are what the lake had when the stream began: what was `untold`, and what may be corrected.
    """

    def __init__(
        self,
        canaries: Iterable[Canary],
        allowed_lateness_us: int,
        prior: Iterable[Untold],
        absent: Iterable[Expected],
    ) -> None:
        super().__init__()
        self._canaries = by_name(canaries)
        self._allowed_lateness_us = allowed_lateness_us
        self._before = _memories(prior, absent)

    def expand(self, verdicts: PCollection[tuple[AccountKey, tuple[LiveVerdict, ...]]]) -> beam.pvalue.DoOutputsTuple:
        """Tell."""
        tell = beam.ParDo(_Tell(self._canaries, self._allowed_lateness_us, self._before))
        return verdicts | "Tell" >> tell.with_outputs(VERDICTS, main="alerts")


def _memories(prior: Iterable[Untold], absent: Iterable[Expected]) -> dict[AccountKey, _Memories]:
    left: dict[Place, list[Untold]] = defaultdict(list)
    for each in prior:
        left[each.place].append(each)
    slots: dict[Place, dict[int, tuple[Verdict, int]]] = defaultdict(dict)
    for span in absent:
        if span.prior is not None:
            slots[span.place].update(dict.fromkeys(range(span.first, span.last + 1), (span.prior, 0)))
    memories: dict[AccountKey, dict[str, _Memory]] = defaultdict(dict)
    for place in {**left, **slots}:
        memory = _Memory(tuple(left[place]), slots[place])
        memories[place.canary, place.account_id][place.region] = memory
    return dict(memories)


class _Tell(beam.DoFn):
    """Verdicts come as their step is done with them; a place's story needs them in the order of the times in the data.

    So they wait until the watermark has passed them: no other that was due by then comes after that.
    """

    MEMORIES = ReadModifyWriteStateSpec("memories", PickleCoder())
    WAITING = BagStateSpec("waiting", PickleCoder())
    FIRST = ReadModifyWriteStateSpec("first", PickleCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(
        self, canaries: Mapping[str, Canary], allowed_lateness_us: int, before: Mapping[AccountKey, _Memories]
    ) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us
        self._before = before

    def process(
        self,
        keyed: tuple[AccountKey, tuple[LiveVerdict, ...]],
        at: Any = beam.DoFn.TimestampParam,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        """Let them wait."""
        Waiting[tuple[LiveVerdict, ...]](waiting, first, due).add(keyed[1], at)

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def tell(  # noqa: PLR0917 - states and timers come as arguments
        self,
        key: AccountKey = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        memories: Any = beam.DoFn.StateParam(MEMORIES),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        first: Any = beam.DoFn.StateParam(FIRST),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Alert | beam.pvalue.TaggedOutput]:
        """Tell what was due by then, place by place."""
        known: _Memories | None = memories.read()
        before = self._before.get(key, {}) if known is None else known
        after = dict(before)
        ready = Waiting[tuple[LiveVerdict, ...]](waiting, first, due).take(at)
        verdicts = sorted((live for some in ready for live in some), key=_order)
        for place, group in groupby(verdicts, lambda live: live.verdict.place):
            told = _Told(self._canaries[key[0]], before.get(place.region, _Memory()), self._allowed_lateness_us)
            yield from told.go_on(group, at.micros)
            yield from (beam.pvalue.TaggedOutput(VERDICTS, each) for each in told.kept)
            after[place.region] = told.memory
        after = {region: memory for region, memory in after.items() if memory != _Memory()}
        if after != before:
            memories.write(after)


def _order(live: LiveVerdict) -> tuple[Place, int, bool]:
    return live.verdict.place, live.verdict.first, live.again


class _Told:
    """What some verdicts add to one place's story: alerts, verdicts to keep (`kept`), and what is remembered."""

    def __init__(self, canary: Canary, before: _Memory, allowed_lateness_us: int) -> None:
        self._canary = canary
        self._before = before
        self._allowed_lateness_us = allowed_lateness_us
        self.kept: list[TimestampedValue[SlotVerdict]] = []
        self.memory = before

    def go_on(self, verdicts: Iterable[LiveVerdict], at_us: int) -> Iterator[Alert]:
        """Take in verdicts, in order of their slots."""
        absent = self._before.absent
        told: list[SlotVerdict] = []
        taken_back: list[SlotVerdict] = []
        for live in verdicts:
            verdict = _corrected(live, absent)
            if verdict is None:
                continue
            # What is called absent and corrected at once opens first, and is taken back then.
            at_once = verdict.prior is not None and verdict.first not in self._before.absent
            (taken_back if at_once else told).append(verdict)
            corrected_us = absent.get(verdict.first, (verdict.verdict, 0))[1]
            self.kept.append(TimestampedValue(verdict, Timestamp(micros=max(at_us, corrected_us))))
            settled = self._canary.last_slot_due(self._canary.deadline_us(verdict.last) - self._allowed_lateness_us)
            absent = _still_absent(absent, verdict, at_us, settled)
        telling = Telling(self._canary, self._before.left)
        yield from telling.go_on(told)
        yield from telling.go_on(taken_back)
        self.memory = _Memory(telling.left(), absent)


def _corrected(live: LiveVerdict, absent: Mapping[int, tuple[Verdict, int]]) -> SlotVerdict | None:
    """The verdict with the one that it corrects; None for one that was told before."""
    prior, _ = absent.get(live.verdict.first, (None, 0))
    if prior is not None and live.verdict.verdict in {Verdict.SEEN, Verdict.LATE}:
        return msgspec.structs.replace(live.verdict, prior=prior, at_deadline=None)
    return None if live.again or live.verdict.prior else live.verdict


def _still_absent(
    absent: Mapping[int, tuple[Verdict, int]], verdict: SlotVerdict, at_us: int, settled: int
) -> dict[int, tuple[Verdict, int]]:
    slots = range(verdict.first, verdict.last + 1)
    left = {slot: said for slot, said in absent.items() if slot > settled and slot not in slots}
    if verdict.verdict in {Verdict.MISSING, Verdict.UNSURE}:
        left.update(dict.fromkeys(slots, (verdict.verdict, at_us)))
    return left
