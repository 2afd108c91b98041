"""Incidents of canaries: a state machine for each place over its verdicts, in the order of the times in the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert
from schemas.canaries import Canary, SlotVerdict, Verdict
from transforms.calibration import flagged
from transforms.canaries import PlaceKey, place_key
from transforms.canary_alerts import KINDS
from transforms.canary_stories import Story, Untold, events_of, times_of
from transforms.expected import by_name
from transforms.time_spans import TimeSpans


class TrackIncidents(beam.PTransform[Any, PCollection[Alert]]):
    """Turn verdicts into the alerts of incidents.

    Input: a dict of `verdicts` (SlotVerdict, one run's) and `prior` (`untold` of earlier runs).
    Output: Alert. Windows end here: a place's whole story is told at once.
    """

    def __init__(self, canaries: Iterable[Canary]) -> None:
        super().__init__()
        self._canaries = by_name(canaries)

    def expand(self, inputs: Mapping[str, PCollection[Any]]) -> PCollection[Alert]:
        """Join by place, then track."""
        keyed = {
            name: inputs[name]
            | f"Key {name}" >> beam.Map(_by_place).with_output_types(Tuple[Tuple[str, str, str], AnyType])
            | f"Global {name}" >> beam.WindowInto(GlobalWindows())
            for name in ("verdicts", "prior")
        }
        joined = keyed | "JoinByPlace" >> beam.CoGroupByKey()
        alerts: PCollection[Alert] = joined | "Track" >> beam.FlatMap(_track_joined, self._canaries)
        return alerts


def _by_place(element: SlotVerdict | Untold) -> tuple[PlaceKey, SlotVerdict | Untold]:
    return place_key(element.place), element


def _track_joined(joined: tuple[PlaceKey, dict[str, Iterable[Any]]], canaries: Mapping[str, Canary]) -> Iterator[Alert]:
    (name, _, _), sides = joined
    if name in canaries:
        yield from track(canaries[name], sides["verdicts"], sides["prior"])


def track(canary: Canary, verdicts: Iterable[SlotVerdict], prior: Iterable[Untold]) -> Iterator[Alert]:
    """The alerts of one place: its verdicts in any order, and what earlier runs left of its stories.

    An incident opens at the deadline of a slot that was not heard and with which as many of the last slots are absent
    as the canary says (`open_after`; missing or unsure, without those that came late by then or are of an incident
    that was resolved), and goes on over all that follow. It is resolved at the deadline of the next slot that was
    heard in time, or by the late arrival of the last slot it still waits for. It is retracted when all its slots prove
    to have been delivered in time. UNSURE closes nothing. One that opens in maintenance is suppressed; if it goes on,
    the first absent slot that no window excuses pages.
    """
    yield from Telling(canary, prior).go_on(verdicts)


class Telling:
    """The incidents of one place while they are told, verdicts by verdicts."""

    def __init__(self, canary: Canary, prior: Iterable[Untold]) -> None:
        self._canary = canary
        left = list(prior)
        of_kind = {name: [each for each in left if each.kind == name] for name in KINDS}
        self._stories = [Story(canary, kind, of_kind[kind.name]) for kind in KINDS.values()]

    def go_on(self, verdicts: Iterable[SlotVerdict]) -> Iterator[Alert]:
        """What these verdicts open and close; those of one call in any order, from one call to the next as judged."""
        return (flagged(alert, self._canary) for alert in self._tell(list(verdicts)))

    def _tell(self, verdicts: Sequence[SlotVerdict]) -> Iterator[Alert]:
        events = events_of(self._canary, verdicts)
        corrections = (each for each in verdicts if each.prior and each.verdict is Verdict.SEEN)
        corrected = TimeSpans(times_of(self._canary, each) for each in corrections).spans()
        for story in self._stories:
            yield from story.correct(corrected)
            for event in events:
                yield from story.tell(event)

    def left(self) -> tuple[Untold, ...]:
        """What goes on, for whoever tells the rest."""
        return tuple(each for story in self._stories for each in story.left())
