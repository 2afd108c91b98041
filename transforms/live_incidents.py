"""Incidents of canaries in a stream: each place's story goes on as its verdicts come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple
from apache_beam.utils.timestamp import Timestamp

from schemas.alerts import Alert
from schemas.canaries import Canary, Expected, SlotVerdict, Verdict
from transforms.canaries import PlaceKey, place_key
from transforms.canary_alerts import OpenIncident
from transforms.expected import by_name
from transforms.incidents import Telling
from transforms.live_canaries import LiveVerdict

VERDICTS = "verdicts"


class _Memory(msgspec.Struct, frozen=True):
    """What is kept of a place: incidents that go on, and slots called absent, and when, that may still be corrected."""

    incidents: tuple[OpenIncident, ...]
    absent: dict[int, tuple[Verdict, int]]


class TrackIncidentsLive(beam.PTransform[Any, beam.pvalue.DoOutputsTuple]):
    """LiveVerdict → Alert; tagged `VERDICTS`: SlotVerdict, as they are to be kept.

    A verdict that comes again is only kept where it corrects one: it then says which, as a bounded run's would, and is
    stamped no earlier than that one, so that it is written no earlier.
    `prior` and `absent` are what the lake had when the stream began: incidents and slots that may be corrected.
    """

    def __init__(
        self,
        canaries: Iterable[Canary],
        allowed_lateness_us: int,
        prior: Iterable[OpenIncident],
        absent: Iterable[Expected],
    ) -> None:
        super().__init__()
        self._canaries = by_name(canaries)
        self._allowed_lateness_us = allowed_lateness_us
        self._before: dict[PlaceKey, _Memory] = {}
        for incident in prior:
            memory = self._before.setdefault(place_key(incident.place), _Memory((), {}))
            self._before[place_key(incident.place)] = _Memory((*memory.incidents, incident), memory.absent)
        for span in absent:
            memory = self._before.setdefault(place_key(span.place), _Memory((), {}))
            if span.prior is not None:
                memory.absent.update(dict.fromkeys(range(span.first, span.last + 1), (span.prior, 0)))

    def expand(self, verdicts: PCollection[LiveVerdict]) -> beam.pvalue.DoOutputsTuple:
        """Key by place, and tell."""
        tell = beam.ParDo(_Tell(self._canaries, self._allowed_lateness_us, self._before))
        keyed = verdicts | "ByPlace" >> beam.Map(_by_place).with_output_types(Tuple[Tuple[str, str, str], AnyType])
        return keyed | "Tell" >> tell.with_outputs(VERDICTS, main="alerts")


def _by_place(live: LiveVerdict) -> tuple[PlaceKey, LiveVerdict]:
    return place_key(live.verdict.place), live


class _Tell(beam.DoFn):
    MEMORY = ReadModifyWriteStateSpec("memory", PickleCoder())

    def __init__(
        self, canaries: Mapping[str, Canary], allowed_lateness_us: int, before: Mapping[PlaceKey, _Memory]
    ) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us
        self._before = before

    def process(
        self,
        keyed: tuple[PlaceKey, LiveVerdict],
        at: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(MEMORY),
    ) -> Iterator[Alert | beam.pvalue.TaggedOutput]:
        key, live = keyed
        canary = self._canaries[key[0]]
        before: _Memory = state.read() or self._before.get(key) or _Memory((), {})
        verdict = _corrected(live, before)
        if verdict is None:
            return
        telling = Telling(canary, before.incidents)
        yield from telling.go_on([verdict])
        corrected_us = before.absent.get(verdict.first, (verdict.verdict, 0))[1]
        stamped = TimestampedValue(verdict, max(at, Timestamp(micros=corrected_us)))
        yield beam.pvalue.TaggedOutput(VERDICTS, stamped)
        settled = canary.last_slot_due(canary.deadline_us(verdict.last) - self._allowed_lateness_us)
        after = _Memory(telling.left_open(), _still_absent(before.absent, verdict, at.micros, settled))
        if after != before:
            state.write(after)


def _corrected(live: LiveVerdict, before: _Memory) -> SlotVerdict | None:
    """The verdict with the one that it corrects; None for one that was told before."""
    prior, _ = before.absent.get(live.verdict.first, (None, 0))
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
