"""Missing canaries: expected slots and sightings meet in windows of deadlines, and absence is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue
from apache_beam.typehints import List, Tuple
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.canaries import Canary, Expected, Place, Sighting, SlotVerdict, Verdict
from transforms.expected import by_name, window_of
from transforms.pulses import Pulses, Span, StampPulses, SummarisePulses, alive_slots
from transforms.verdicts import Rules, earliest, judge

PlaceKey: TypeAlias = tuple[str, str, str]
"""Canary, account and region: the deterministic key of what happens at a place."""

_KEYED_EXPECTED = Tuple[Tuple[str, str, str], Tuple[int, int, str]]
_KEYED_SIGHTINGS = Tuple[Tuple[str, str, str], List[Tuple[int, int, str]]]


def place_key(place: Place) -> PlaceKey:
    """The key of a place."""
    return place.canary, place.account_id, place.region


class DetectMissingCanaries(beam.PTransform[Any, PCollection[SlotVerdict]]):
    """Judge every expected slot.

    Input: a dict of `expected` (Expected, each within one window of deadlines, see `expected_slots`), `sightings`
    (Sighting) and `pulses` (Pulse); the latter two from every delivery after the start of the first expected slot,
    by this run or an earlier one. Output: SlotVerdict. Sightings of slots that nothing expects yield nothing, nor
    do those delivered after `as_of_us` (None: all count).

    Timestamps of the input do not matter: slots are stamped by their deadline. A pane that fires late repeats its
    window's verdicts; the newest verdict of a slot holds.
    """

    def __init__(
        self, canaries: Iterable[Canary], window_us: int, allowed_lateness_us: int, as_of_us: int | None = None
    ) -> None:
        super().__init__()
        self._canaries = by_name(canaries)
        self._window_us = window_us
        self._allowed_lateness_us = allowed_lateness_us
        self._as_of_us = as_of_us

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[SlotVerdict]:
        """Join by place and window, then judge."""
        joined = self._joined(inputs)
        pulses = AsSingleton(self._summary(inputs["pulses"]), default_value=Pulses())
        judge_places = beam.ParDo(_Judge(self._canaries, self._allowed_lateness_us), pulses)
        verdicts: PCollection[SlotVerdict] = joined | "Judge" >> judge_places
        return verdicts

    def _joined(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Any]:
        """`expected` and `sightings`, keyed by place, each window of deadlines when the watermark has passed it.

        Output: (place key, dict of `expected`: (first, last, prior or ""), and `sightings`: lists of (slot,
        delivered_us, event id or "")). A pane that fires late repeats what its window held.
        """
        stamp = _StampSightings(self._canaries, self._window_us, self._as_of_us)
        sightings = beam.ParDo(stamp).with_output_types(_KEYED_SIGHTINGS)
        expected = beam.FlatMap(_stamp_expected, self._canaries).with_output_types(_KEYED_EXPECTED)
        sides = {
            "expected": inputs["expected"] | "StampExpected" >> expected,
            "sightings": inputs["sightings"] | "StampSightings" >> sightings,
        }
        windowed = {
            name: side | f"Window {name}" >> _deadline_windows(self._window_us, self._allowed_lateness_us)
            for name, side in sides.items()
        }
        joined: PCollection[Any] = windowed | "JoinByPlace" >> beam.CoGroupByKey()
        return joined

    def _summary(self, pulses: PCollection[Any]) -> PCollection[Pulses]:
        """One `Pulses` for each window: in the global window a stream's side input would never be ready."""
        reach_us = max((canary.period_us + canary.grace_us for canary in self._canaries.values()), default=0)
        summary: PCollection[Pulses] = (
            pulses
            | "StampPulses" >> beam.ParDo(StampPulses(self._window_us, reach_us))
            | "WindowPulses" >> beam.WindowInto(FixedWindows(Duration(micros=self._window_us)))
            | "SummarisePulses" >> beam.CombineGlobally(SummarisePulses()).without_defaults()
        )
        return summary


def _deadline_windows(window_us: int, allowed_lateness_us: int) -> beam.WindowInto:
    return beam.WindowInto(
        FixedWindows(Duration(micros=window_us)),
        trigger=AfterWatermark(late=AfterCount(1)),
        allowed_lateness=Duration(micros=allowed_lateness_us),
        accumulation_mode=AccumulationMode.ACCUMULATING,
    )


def _stamp_expected(expected: Expected, canaries: Mapping[str, Canary]) -> Iterator[TimestampedValue[Any]]:
    """Key a span by place and stamp it just before its last deadline; (first, last, prior or "") travels."""
    canary = canaries[expected.place.canary]
    value = (expected.first, expected.last, expected.prior.value if expected.prior else "")
    due = Timestamp(micros=canary.deadline_us(expected.last) - 1)
    yield TimestampedValue((place_key(expected.place), value), due)


class _StampSightings(beam.DoFn):
    """Key sightings by place, and stamp them just before their deadline.

    A bundle's sightings of one place and window travel as one list of (slot, delivered_us, event id or ""), stamped
    just before the last of their deadlines: Beam's price is by the element.
    """

    def __init__(self, canaries: Mapping[str, Canary], window_us: int, as_of_us: int | None) -> None:
        self._canaries = canaries
        self._window_us = window_us
        self._as_of_us = as_of_us

    def start_bundle(self) -> None:
        self._held: dict[tuple[Place, int], list[tuple[int, int, str]]] = {}

    def process(self, sighting: Sighting) -> None:
        canary = self._canaries.get(sighting.place.canary)
        known = self._as_of_us is None or sighting.delivered_us <= self._as_of_us
        if canary is not None and known:
            window = window_of(canary.deadline_us(sighting.slot), self._window_us)
            held = self._held.setdefault((sighting.place, window), [])
            held.append((sighting.slot, sighting.delivered_us, sighting.event_id or ""))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for (place, _), held in self._held.items():
            deadline_us = self._canaries[place.canary].deadline_us(max(held)[0])
            yield GlobalWindows.windowed_value((place_key(place), held), Timestamp(micros=deadline_us - 1))


class _Judge(beam.DoFn):
    def __init__(self, canaries: Mapping[str, Canary], allowed_lateness_us: int) -> None:
        self._canaries = canaries
        self._allowed_lateness_us = allowed_lateness_us

    def start_bundle(self) -> None:
        self._alive: dict[tuple[object, ...], list[Span]] = {}

    def process(
        self,
        joined: tuple[PlaceKey, dict[str, Iterable[Any]]],
        pulses: Pulses,
        window: object = beam.DoFn.WindowParam,
    ) -> Iterator[SlotVerdict]:
        key, sides = joined
        place = Place(*key)
        canary = self._canaries[place.canary]
        expected = [
            Expected(place, first, last, Verdict(prior) if prior else None) for first, last, prior in sides["expected"]
        ]
        if expected:
            alive = self._alive_slots(canary, pulses, window)
            rules = Rules(canary, self._allowed_lateness_us, alive, pulses.lost_at(place))
            yield from judge(rules, expected, earliest(chain.from_iterable(sides["sightings"])))

    def _alive_slots(self, canary: Canary, pulses: Pulses, window: object) -> list[Span]:
        """The same for every place of a canary, so it is worked out once for a window and a bundle."""
        key = (canary.period_us, canary.grace_us, window)
        if key not in self._alive:
            self._alive[key] = alive_slots(canary, pulses.readable)
        return self._alive[key]
