"""Incidents of canaries: a state machine for each place over its verdicts, in the order of the times in the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from schemas.alerts import Alert, Status
from schemas.canaries import Canary, Place, SlotVerdict, Verdict
from transforms.calibration import flagged
from transforms.canaries import PlaceKey, place_key
from transforms.canary_alerts import KINDS, IncidentKind, OpenIncident, arrived, heard, new_incident, opened, taken_back
from transforms.expected import Judged, by_name
from transforms.silence_reasons import escalated, explained
from transforms.time_spans import Span, TimeSpans


class TrackIncidents(beam.PTransform[Any, PCollection[Alert]]):
    """Turn verdicts into the alerts of incidents.

    Input: a dict of `verdicts` (SlotVerdict, one run's) and `prior` (OpenIncident, what earlier runs left open).
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


def _by_place(element: SlotVerdict | OpenIncident) -> tuple[PlaceKey, SlotVerdict | OpenIncident]:
    return place_key(element.place), element


def _track_joined(joined: tuple[PlaceKey, dict[str, Iterable[Any]]], canaries: Mapping[str, Canary]) -> Iterator[Alert]:
    (name, _, _), sides = joined
    if name in canaries:
        yield from track(canaries[name], sides["verdicts"], sides["prior"])


def open_incidents(alerts: Iterable[Alert], judged: Iterable[Judged]) -> list[OpenIncident]:
    """Rebuild what earlier runs left open from their alerts and from what they said of each place."""
    alerts = [alert for alert in alerts if alert.kind in KINDS]
    closed = {alert.incident_id for alert in alerts if alert.status in {Status.RESOLVED, Status.RETRACTED}}
    told = {alert.incident_id for alert in alerts if alert.status is Status.UPDATED}
    running = {alert.incident_id: alert for alert in alerts if alert.status is Status.OPENED}
    states: dict[Place, list[Judged]] = {}
    for state in judged:
        states.setdefault(state.place, []).append(state)
    left = [(each, alert) for each, alert in sorted(running.items()) if each not in closed]
    return [_reopened(alert, states, told=each in told) for each, alert in left]


def _reopened(alert: Alert, states: Mapping[Place, list[Judged]], *, told: bool) -> OpenIncident:
    place = Place(alert.canary or "", alert.account_id or "", alert.region or "")
    since_us, verdict = alert.window_start_us, KINDS[alert.kind].verdict
    unseen = [
        (max(first * state.period_us, since_us), (last + 1) * state.period_us, each)
        for state in states.get(place, ())
        for first, last, each in state.unseen
        if (last + 1) * state.period_us > since_us
    ]
    outstanding = TimeSpans((start_us, end_us) for start_us, end_us, each in unseen if each is verdict).spans()
    late = any(each is Verdict.LATE for _, _, each in unseen)
    uncalled = not told and alert.severity < KINDS[alert.kind].severity
    return OpenIncident(alert.incident_id, alert.kind, place, since_us, outstanding, late, uncalled)


def track(canary: Canary, verdicts: Iterable[SlotVerdict], prior: Iterable[OpenIncident]) -> Iterator[Alert]:
    """The alerts of one place: its verdicts in any order, and the incidents that earlier runs left open.

    An incident opens at the deadline of a slot that was not heard, and goes on over all that follow. It is resolved
    at the deadline of the next slot that was heard in time, or by the late arrival of the last slot it still waits
    for. It is retracted when all its slots prove to have been delivered in time. UNSURE closes nothing.
    """
    yield from Telling(canary, prior).go_on(verdicts)


class Telling:
    """The incidents of one place while they are told, verdicts by verdicts."""

    def __init__(self, canary: Canary, prior: Iterable[OpenIncident]) -> None:
        ordered = sorted(prior, key=lambda incident: incident.start_us)
        first = {kind: next((each for each in ordered if each.kind == kind), None) for kind in KINDS}
        self._canary = canary
        self._stories = [_Story(canary, kind, first[kind.name]) for kind in KINDS.values()]

    def go_on(self, verdicts: Iterable[SlotVerdict]) -> Iterator[Alert]:
        """What these verdicts open and close; those of one call in any order, from one call to the next as judged."""
        return (flagged(alert, self._canary) for alert in self._tell(list(verdicts)))

    def _tell(self, verdicts: Sequence[SlotVerdict]) -> Iterator[Alert]:
        events = sorted(_events(self._canary, verdicts), key=lambda each: (each.at_us, each.late, each.start_us))
        corrections = (each for each in verdicts if each.prior and each.verdict is Verdict.SEEN)
        corrected = TimeSpans(_times(self._canary, each) for each in corrections).spans()
        for story in self._stories:
            yield from story.correct(corrected)
            for event in events:
                yield from story.tell(event)

    def left_open(self) -> tuple[OpenIncident, ...]:
        """The incidents that go on, for whoever tells the rest."""
        return tuple(incident for story in self._stories if (incident := story.left_open()) is not None)


class _Event(msgspec.Struct, frozen=True):
    """What the data's clock shows at `at_us`: a deadline of the slots, or (`late`) the arrival of a late sighting.

    Consecutive slots of one verdict are one event, at the first deadline: nothing between them opens or closes.
    """

    at_us: int
    start_us: int
    end_us: int
    slots: SlotVerdict
    late: bool = False


def _events(canary: Canary, verdicts: Iterable[SlotVerdict]) -> Iterator[_Event]:
    for each in verdicts:
        start_us, end_us = _times(canary, each)
        if each.verdict is Verdict.LATE and each.delivered_us is not None:
            yield _Event(each.delivered_us, start_us, end_us, each, late=True)
        shown = each.at_deadline if each.verdict is Verdict.LATE else each
        if shown is not None and each.prior is None:
            yield _Event(canary.deadline_us(each.first), start_us, end_us, shown)


def _times(canary: Canary, slots: SlotVerdict) -> tuple[int, int]:
    return canary.slot_start_us(slots.first), canary.slot_start_us(slots.last + 1)


class _Story:
    """One kind of incident at one place, told in the order of time."""

    def __init__(self, canary: Canary, kind: IncidentKind, incident: OpenIncident | None) -> None:
        self._canary = canary
        self._kind = kind
        self._open = incident
        self._waiting = TimeSpans(incident.outstanding if incident else ())

    def left_open(self) -> OpenIncident | None:
        if self._open is None:
            return None
        return msgspec.structs.replace(self._open, outstanding=self._waiting.spans())

    def tell(self, event: _Event) -> Iterator[Alert]:
        if event.late:
            yield from self._arrive(event)
        elif event.slots.verdict is self._kind.verdict:
            yield from self._miss(event)
        elif self._open is not None and event.slots.verdict is Verdict.SEEN and event.start_us > self._open.start_us:
            yield heard(self._open, event.start_us, event.at_us)
            self._close()

    def correct(self, corrected: Sequence[Span]) -> Iterator[Alert]:
        """Take back what was delivered in time all along: (start, end) of slots that had been called absent."""
        if self._open is None or not corrected or not self._waiting:
            return
        for start_us, end_us in corrected:
            self._waiting.remove(start_us, end_us)
        left = self._waiting.spans()
        later = [start_us for start_us, _ in corrected if left and start_us >= left[-1][1]]
        if not left:
            end_us = corrected[-1][1]
            yield taken_back(self._open, end_us, end_us + self._canary.grace_us)
            self._close()
        elif later:
            yield heard(self._open, later[0], later[0] + self._canary.period_us + self._canary.grace_us)
            self._close()

    def _miss(self, event: _Event) -> Iterator[Alert]:
        first = event.slots.first
        if self._open is None:
            self._open = new_incident(self._kind.name, event.slots.place, event.start_us)
            alert, first = self._opened(self._open, event), first + 1
            if self._kind.verdict is Verdict.MISSING:
                alert = explained(alert, self._canary, event.slots.place, event.start_us)
            self._open = msgspec.structs.replace(self._open, uncalled=alert.severity < self._kind.severity)
            yield alert
        if self._open.uncalled:
            opening = self._opened(self._open, event)
            further = escalated(opening, self._canary, event.slots.place, first, event.slots.last)
            if further is not None:
                self._open = msgspec.structs.replace(self._open, uncalled=False)
                yield further
        self._waiting.add(event.start_us, event.end_us)

    def _opened(self, incident: OpenIncident, event: _Event) -> Alert:
        return opened(incident, event.start_us + self._canary.period_us, event.at_us, event.slots.evidence)

    def _arrive(self, event: _Event) -> Iterator[Alert]:
        awaited = self._waiting.remove(event.start_us, event.end_us)
        if self._open is not None and awaited and not self._waiting:
            delivered_us, evidence = event.at_us, event.slots.evidence
            yield arrived(self._open, event.start_us, event.end_us, delivered_us, evidence)
            self._close()
        elif self._open is not None and awaited:
            self._open = msgspec.structs.replace(self._open, late=True)

    def _close(self) -> None:
        self._open, self._waiting = None, TimeSpans()
