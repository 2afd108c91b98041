"""Canaries judged again and again by one process: `DetectMissingCanaries` and `TrackIncidents` without Beam.

What was judged, and what may still matter, is kept in memory between the judgements, and is what a bounded run would
read from the lake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from schemas.alerts import CLOSING, Alert
from schemas.canaries import Canary, Expected, Place, Pulse, Sighting, SlotVerdict, Verdict
from transforms.canary_tables import lay_spans
from transforms.expected import Horizon, Judged, by_name, expected_slots, needed_from_us, next_slots
from transforms.incidents import track
from transforms.pulses import Pulses, Span, alive_slots, summarise
from transforms.untold import place_of, untold
from transforms.verdicts import Rules, earliest, judge

_State: TypeAlias = tuple[Place, int, int]


class NextSlot(msgspec.Struct, frozen=True):
    """Of all slots without a verdict the earliest start, and the earliest deadline."""

    start_us: int
    deadline_us: int


class Heard(msgspec.Struct, frozen=True):
    """What may still matter of the deliveries: calls, proofs of life, losses, and the first and last of all."""

    sightings: tuple[Sighting, ...] = ()
    pulses: tuple[Pulse, ...] = ()
    deliveries: tuple[int, int] | None = None


class JudgedSlots:
    """The slots of all places: what was said of them, and what was heard."""

    def __init__(self, canaries: Sequence[Canary], allowed_lateness_us: int, window_us: int) -> None:
        self.declare(canaries)
        self._lateness_us = allowed_lateness_us
        self._window_us = window_us
        self._judged: dict[_State, Judged] = {}
        self._sightings: dict[Place, set[Sighting]] = defaultdict(set)
        self._readable: set[int] = set()
        self._lost: set[Pulse] = set()
        self._deliveries: tuple[int, int] | None = None
        self._next: tuple[int | None, NextSlot | None] | None = None

    def declare(self, canaries: Sequence[Canary]) -> None:
        """The same canaries, of which something else is known by now."""
        self._canaries = tuple(canaries)
        self._by_name = by_name(canaries)

    def hear(self, heard: Heard) -> None:
        """Take in deliveries."""
        self._next = None
        spans = [span for span in (self._deliveries, heard.deliveries) if span is not None]
        self._deliveries = (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None
        if self._canaries:
            for sighting in heard.sightings:
                self._sightings[sighting.place].add(sighting)
            self._readable.update(pulse.delivered_us for pulse in heard.pulses if pulse.readable)
            self._lost.update(pulse for pulse in heard.pulses if not pulse.readable)

    def next_slot(self, first_delivery_us: int | None = None) -> NextSlot | None:
        """What is to be judged next, perhaps given an earlier first delivery; None where nothing is expected."""
        firsts = [us for us in (first_delivery_us, self._first_delivery_us) if us is not None]
        first_us = min(firsts, default=None)
        if self._next is None or self._next[0] != first_us:
            self._next = first_us, self._find_next(first_us)
        return self._next[1]

    def _find_next(self, first_delivery_us: int | None) -> NextSlot | None:
        slots = list(next_slots(self._canaries, self._judged.values(), first_delivery_us))
        if not slots:
            return None
        starts, deadlines = zip(*((each.slot_start_us(at), each.deadline_us(at)) for each, at in slots), strict=True)
        return NextSlot(min(starts), min(deadlines))

    def judge(self, as_of_us: int, raised: Iterable[Alert]) -> tuple[Horizon, list[SlotVerdict], list[Alert]]:
        """Judge what is due, and correct what may be; `raised` are the alerts that matter (`untold`)."""
        horizon = Horizon(as_of_us, self._first_delivery_us, self._window_us, self._lateness_us)
        spans: dict[Place, list[Expected]] = defaultdict(list)
        for span in expected_slots(self._canaries, self._judged.values(), horizon):
            spans[span.place].append(span)
        pulses = summarise(self._pulses())
        alive = {name: alive_slots(canary, pulses.readable) for name, canary in self._by_name.items()}
        judged = {place: self._judge(each, pulses, alive[place.canary], as_of_us) for place, each in spans.items()}
        prior = defaultdict(list)
        for each in untold(self._canaries, raised, self._judged.values()):
            prior[each.place].append(each)
        alerts = [
            alert
            for place, verdicts in judged.items()
            if verdicts
            for alert in track(self._by_name[place.canary], verdicts, prior[place])
        ]
        return horizon, [verdict for verdicts in judged.values() for verdict in verdicts], alerts

    def settle(self, verdicts: Iterable[SlotVerdict], as_of_us: int, raised: Iterable[Alert]) -> None:
        """Take verdicts for said, and forget what matters no more; `raised` as it is now."""
        by_state: dict[_State, list[SlotVerdict]] = defaultdict(list)
        for verdict in verdicts:
            canary = self._by_name[verdict.place.canary]
            by_state[verdict.place, canary.period_us, canary.grace_us].append(verdict)
        for key, said in by_state.items():
            self._judged[key] = _laid(key, self._judged.get(key), said, as_of_us)
        self._forget(raised)

    def remember(self, judged: Iterable[Judged], raised: Iterable[Alert]) -> None:
        """Begin with what earlier runs said."""
        self._judged = {(each.place, each.period_us, each.grace_us): each for each in judged}
        self._forget(raised)

    def snapshot(self) -> tuple[frozenset[Judged], Heard]:
        """All that is kept, to be compared."""
        sightings = sorted((each for found in self._sightings.values() for each in found), key=msgspec.json.encode)
        return frozenset(self._judged.values()), Heard(tuple(sightings), tuple(self._pulses()), self._deliveries)

    @property
    def _first_delivery_us(self) -> int | None:
        return None if self._deliveries is None else self._deliveries[0]

    def _pulses(self) -> list[Pulse]:
        lost = sorted(self._lost, key=msgspec.json.encode)
        return [*(Pulse(None, None, time, readable=True) for time in sorted(self._readable)), *lost]

    def _judge(
        self, spans: Sequence[Expected], pulses: Pulses, alive: Sequence[Span], as_of_us: int
    ) -> list[SlotVerdict]:
        place = spans[0].place
        rules = Rules(self._by_name[place.canary], self._lateness_us, alive, pulses.lost_at(place))
        heard = [each for each in self._sightings.get(place, ()) if each.delivered_us <= as_of_us]
        return list(judge(rules, spans, earliest((s.slot, s.delivered_us, s.event_id or "") for s in heard)))

    def _forget(self, raised: Iterable[Alert]) -> None:
        self._next = None
        since: dict[Place, int] = {}
        for alert in raised:
            if alert.status not in CLOSING:
                place = place_of(alert)
                since[place] = min(alert.window_start_us, since.get(place, alert.window_start_us))
        self._judged = {key: self._clipped(each, since) for key, each in self._judged.items()}
        needed_us = needed_from_us(self._canaries, self._judged.values(), self._lateness_us)
        if needed_us is None:
            return
        for place, found in list(self._sightings.items()):
            kept = {each for each in found if each.event_us >= needed_us}
            if kept:
                self._sightings[place] = kept
            else:
                del self._sightings[place]
        self._readable = {time for time in self._readable if time >= needed_us}
        self._lost = {pulse for pulse in self._lost if pulse.delivered_us >= needed_us}

    def _clipped(self, state: Judged, since: Mapping[Place, int]) -> Judged:
        """Without slots that neither an open incident, one that may open, nor a correction may ask for."""
        bounds = [since[state.place] // state.period_us] if state.place in since else []
        canary = self._by_name.get(state.place.canary)
        if canary is not None and canary.period_us == state.period_us:
            bounds.append(state.through_us // state.period_us - canary.open_after.slots + 1)
        if canary is not None and (canary.period_us, canary.grace_us) == (state.period_us, state.grace_us):
            bounds.append(canary.last_slot_due(state.judged_at_us - self._lateness_us) + 1)
        unseen = tuple(
            (max(first, min(bounds)), last, verdict)
            for first, last, verdict in state.unseen
            if bounds and last >= min(bounds)
        )
        return msgspec.structs.replace(state, unseen=unseen)


def _laid(key: _State, state: Judged | None, said: Sequence[SlotVerdict], as_of_us: int) -> Judged:
    """What was said of a place, with what was said of it now."""
    place, period_us, grace_us = key
    before = state or Judged(place, period_us, grace_us, 0, as_of_us)
    through_us = (max(each.last for each in said) + 1) * period_us
    telling = [each for each in said if each.verdict is not Verdict.SEEN or each.prior is not None]
    spans = [*before.unseen, *((each.first, each.last, each.verdict) for each in telling)]
    return Judged(
        place, period_us, grace_us, through_us if state is None else max(through_us, state.through_us),
        max(before.judged_at_us, as_of_us), lay_spans(spans),
    )  # fmt: skip
