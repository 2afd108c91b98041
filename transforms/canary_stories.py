"""The story of one kind of incident at one place, told in the order of the times in the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec

from schemas.alerts import Alert
from schemas.canaries import Canary, Place, SlotVerdict, Verdict
from transforms.canary_alerts import IncidentKind, OpenIncident, arrived, heard, new_incident, opened, still, taken_back
from transforms.maintenance import excuse, first_unexcused
from transforms.silence_reasons import escalated, explained
from transforms.time_spans import Span, TimeSpans


class Misses(msgspec.Struct, frozen=True):
    """Absent slots of a place that no incident of this kind is about, and that may still count towards one.

    Ascending disjoint spans as (start, end) in microseconds: of the kind's own verdict, and of the other one.
    """

    kind: str
    place: Place
    own: tuple[Span, ...] = ()
    others: tuple[Span, ...] = ()


Untold: TypeAlias = OpenIncident | Misses
"""What is left of a story for whoever tells the rest."""


class Event(msgspec.Struct, frozen=True):
    """What the data's clock shows at `at_us`: a deadline of the slots, or (`late`) the arrival of a late sighting.

    Consecutive slots of one verdict are one event, at the first deadline: nothing between them opens or closes.
    """

    at_us: int
    start_us: int
    end_us: int
    slots: SlotVerdict
    late: bool = False


def events_of(canary: Canary, verdicts: Iterable[SlotVerdict]) -> list[Event]:
    """What verdicts in any order show, in the order of time."""
    return sorted(_events(canary, verdicts), key=lambda each: (each.at_us, each.late, each.start_us))


def times_of(canary: Canary, slots: SlotVerdict) -> Span:
    """Where slots begin and end."""
    return canary.slot_start_us(slots.first), canary.slot_start_us(slots.last + 1)


def _events(canary: Canary, verdicts: Iterable[SlotVerdict]) -> Iterator[Event]:
    for each in verdicts:
        if each.verdict is Verdict.LATE and each.delivered_us is not None:
            yield Event(each.delivered_us, *times_of(canary, each), each, late=True)
        shown = each.at_deadline if each.verdict is Verdict.LATE else each
        if shown is not None and each.prior is None:
            pieces = [shown] if shown.verdict is Verdict.SEEN else _pieces(canary, shown)
            yield from (Event(canary.deadline_us(some.first), *times_of(canary, some), some) for some in pieces)


def _pieces(canary: Canary, absent: SlotVerdict) -> Iterator[SlotVerdict]:
    """Slots cut where something may open or page: a late sighting may come between two deadlines, and count.

    That is slot by slot until as many are absent as open an incident, and where maintenance no longer excuses them.
    """
    edges = set(range(absent.first, min(absent.first + canary.open_after.misses - 1, absent.last) + 1))
    unexcused = first_unexcused(canary, absent.place, absent.first, absent.last)
    edges |= set() if unexcused is None else {unexcused}
    for first, after in pairwise([*sorted(edges), absent.last + 1]):
        yield msgspec.structs.replace(absent, first=first, last=after - 1)


class Story:
    """One kind of incident at one place. `prior` is what was left of it.

    `_waiting` holds absent slots that have not been heard since: those of the open incident, else those that may open
    one; `_others` absent slots of the other verdict, which may count.
    """

    def __init__(self, canary: Canary, kind: IncidentKind, prior: Iterable[Untold]) -> None:
        self._canary = canary
        self._kind = kind
        left = list(prior)
        incidents = sorted((each for each in left if isinstance(each, OpenIncident)), key=lambda each: each.start_us)
        misses = next((each for each in left if isinstance(each, Misses)), None)
        own, self._others = (TimeSpans(misses.own), TimeSpans(misses.others)) if misses else (TimeSpans(), TimeSpans())
        self._open = next(iter(incidents), None)
        self._waiting = TimeSpans(self._open.outstanding) if self._open else own
        self._place = next((each.place for each in left), None)

    def left(self) -> Iterator[Untold]:
        """What goes on."""
        own = self._waiting.spans()
        if self._open is not None:
            yield msgspec.structs.replace(self._open, outstanding=own)
            own = ()
        if self._place is not None and (own or self._others):
            yield Misses(self._kind.name, self._place, own, self._others.spans())

    def tell(self, event: Event) -> Iterator[Alert]:
        """What one event opens or closes; events come in the order of time."""
        verdict, self._place = event.slots.verdict, event.slots.place
        if event.late:
            yield from self._arrive(event)
            return
        if verdict is self._kind.verdict:
            yield from self._miss(event)
        elif verdict is not Verdict.SEEN:
            self._others.add(event.start_us, event.end_us)
            yield from self._go_on(event.slots, event.slots.first)
        elif self._open is not None and event.start_us > self._open.start_us:
            yield heard(self._open, event.start_us, event.at_us)
            self._close(event.start_us)
        self._forget(event.slots.last + 1)

    def correct(self, corrected: Sequence[Span]) -> Iterator[Alert]:
        """Take back what was delivered in time all along: (start, end) of slots that had been called absent."""
        awaited = bool(self._waiting)
        for start_us, end_us in corrected:
            self._waiting.remove(start_us, end_us)
            self._others.remove(start_us, end_us)
        if self._open is None or not corrected or not awaited:
            return
        left = self._waiting.spans()
        later = [start_us for start_us, _ in corrected if left and start_us >= left[-1][1]]
        if not left:
            end_us = corrected[-1][1]
            yield taken_back(self._open, end_us, end_us + self._canary.grace_us)
            self._close(end_us if self._open.late else 0)
        elif later:
            yield heard(self._open, later[0], later[0] + self._canary.period_us + self._canary.grace_us)
            self._close(later[0])

    def _miss(self, event: Event) -> Iterator[Alert]:
        first = event.slots.first
        if self._open is None:
            opening = self._enough(event.slots)
            if opening is None:
                return
            yield self._opening(event.slots, opening)
            first = opening + 1
        yield from self._go_on(event.slots, first)
        self._waiting.add(event.start_us, event.end_us)

    def _enough(self, slots: SlotVerdict) -> int | None:
        """The slot with which as many are absent as an incident needs; None where none of these is."""
        for slot in range(slots.first, slots.last + 1):
            self._forget(slot)
            self._waiting.add(self._canary.slot_start_us(slot), self._canary.slot_start_us(slot + 1))
            absent_us = sum(end - start for start, end in (*self._waiting.spans(), *self._others.spans()))
            if absent_us >= self._canary.open_after.misses * self._canary.period_us:
                return slot
        return None

    def _opening(self, slots: SlotVerdict, opening: int) -> Alert:
        period_us, absent = self._canary.period_us, self._waiting.spans()
        incident = msgspec.structs.replace(
            new_incident(self._kind.name, slots.place, absent[0][0]),
            opened_us=self._canary.deadline_us(opening),
            suppressed_by=excuse(self._canary, slots.place, opening),
        )
        alert = self._told(incident, slots, opening)
        if self._kind.verdict is Verdict.MISSING:
            starts = [at_us for start_us, end_us in absent for at_us in range(start_us, end_us, period_us)]
            alert = explained(alert, self._canary, slots.place, starts)
        self._open = msgspec.structs.replace(incident, uncalled=alert.severity < self._kind.severity)
        return alert

    def _told(self, incident: OpenIncident, slots: SlotVerdict, slot: int) -> Alert:
        ends_us, deadline_us = self._canary.slot_start_us(slot + 1), self._canary.deadline_us(slot)
        return opened(incident, ends_us, deadline_us, slots.evidence, self._canary.open_after)

    def _go_on(self, slots: SlotVerdict, first: int) -> Iterator[Alert]:
        """What absent slots from `first` on add to the open incident: a call after all, the end of maintenance."""
        incident, canary, place = self._open, self._canary, slots.place
        if incident is None or first > slots.last:
            return
        told: list[Alert] = []
        if incident.uncalled and slots.verdict is self._kind.verdict:
            further = escalated(self._told(incident, slots, slots.first), canary, place, first, slots.last)
            told += [] if further is None else [further]
        over = None if incident.suppressed_by is None else first_unexcused(canary, place, first, slots.last)
        if over is not None:
            told = list(self._paged(incident, place, over, told))
        self._open = msgspec.structs.replace(
            incident,
            uncalled=incident.uncalled and all(alert.severity < self._kind.severity for alert in told),
            suppressed_by=None if over is not None else incident.suppressed_by,
        )
        yield from told

    def _paged(self, incident: OpenIncident, place: Place, over: int, told: Sequence[Alert]) -> Iterator[Alert]:
        """The page of an incident that maintenance kept quiet, among what else is told; `over` is the slot after it."""
        due_us = self._canary.deadline_us(over)
        before = [alert for alert in told if alert.detected_us < due_us]
        yield from before
        if not any(alert.detected_us == due_us for alert in told):
            page = still(incident, self._canary.slot_start_us(over + 1), due_us)
            if incident.uncalled and not before:
                page = explained(page, self._canary, place, [self._canary.slot_start_us(over)])
            yield page
        rest = told[len(before) :]
        yield from (msgspec.structs.replace(alert, suppressed_by=None) for alert in rest)

    def _arrive(self, event: Event) -> Iterator[Alert]:
        awaited = self._waiting.remove(event.start_us, event.end_us)
        self._others.remove(event.start_us, event.end_us)
        if self._open is not None and awaited and not self._waiting:
            delivered_us, evidence = event.at_us, event.slots.evidence
            yield arrived(self._open, event.start_us, event.end_us, delivered_us, evidence)
            self._close(event.end_us)
        elif self._open is not None and awaited:
            self._open = msgspec.structs.replace(self._open, late=True)

    def _close(self, end_us: int) -> None:
        """No slot that begins before `end_us` counts towards the next incident."""
        self._open, self._waiting = None, TimeSpans()
        self._others.remove(0, end_us)

    def _forget(self, slot: int) -> None:
        """Keep what may count when `slot` is absent."""
        oldest_us = self._canary.slot_start_us(slot - self._canary.open_after.slots + 1)
        self._others.remove(0, oldest_us)
        if self._open is None:
            self._waiting.remove(0, oldest_us)
