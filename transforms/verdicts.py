"""What became of each slot: judged by the times in the data alone, so that any splitting into runs says the same.

S is a slot's start, D its deadline, A the earliest delivery of a sighting. SEEN: A ≤ D. LATE: D < A ≤ D + allowed
lateness. Otherwise UNSURE if an unreadable object of the place, or nothing readable from anywhere, was delivered in
(S, D]; else MISSING.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec

from schemas.canaries import Canary, Expected, SlotVerdict, Verdict
from transforms.pulses import KEYS_KEPT, Lost, Span, slots_around

Arrival: TypeAlias = tuple[int, str]
"""When a slot's earliest sighting was delivered, and its event id ("" where it has none)."""


class Rules(msgspec.Struct, frozen=True):
    """What a place's slots are judged by.

    `alive` holds the slots in which anything readable arrived (`pulses.alive_slots`), `lost` what could not be read
    here (`Pulses.lost_at`); a sighting delivered more than `allowed_lateness_us` after its deadline no longer counts.
    """

    canary: Canary
    allowed_lateness_us: int
    alive: Sequence[Span]
    lost: Sequence[Lost]


def earliest(sightings: Iterable[tuple[int, int, str]]) -> dict[int, Arrival]:
    """The earliest delivery of each slot, from (slot, delivered_us, event id)."""
    arrivals: dict[int, Arrival] = {}
    for slot, delivered_us, event_id in sightings:
        arrival = (delivered_us, event_id)
        if slot not in arrivals or arrival < arrivals[slot]:
            arrivals[slot] = arrival
    return arrivals


def judge(rules: Rules, expected: Iterable[Expected], arrivals: Mapping[int, Arrival]) -> Iterator[SlotVerdict]:
    """Judge the expected slots of one place; consecutive slots of one verdict come as one, except LATE.

    A span with a prior verdict yields only slots that a sighting has since come for: what an earlier run had called
    missing stays so until then.
    """
    slots = sorted(slot for slot, arrival in arrivals.items() if _counts(rules, slot, arrival))
    for span in sorted(expected, key=lambda each: each.first):
        heard = slots[bisect_left(slots, span.first) : bisect_right(slots, span.last)]
        yield from _merged(
            _corrected(rules, span, heard, arrivals) if span.prior else _judged(rules, span, heard, arrivals)
        )


def _counts(rules: Rules, slot: int, arrival: Arrival) -> bool:
    return arrival[0] <= rules.canary.deadline_us(slot) + rules.allowed_lateness_us


def _corrected(
    rules: Rules, span: Expected, heard: Sequence[int], arrivals: Mapping[int, Arrival]
) -> Iterator[SlotVerdict]:
    for slot in heard:
        yield _heard(rules, span, slot, arrivals[slot])


def _judged(
    rules: Rules, span: Expected, heard: Sequence[int], arrivals: Mapping[int, Arrival]
) -> Iterator[SlotVerdict]:
    unjudged = span.first
    for slot in heard:
        yield from _absent(rules, span, unjudged, slot - 1)
        yield _heard(rules, span, slot, arrivals[slot])
        unjudged = slot + 1
    yield from _absent(rules, span, unjudged, span.last)


def _heard(rules: Rules, span: Expected, slot: int, arrival: Arrival) -> SlotVerdict:
    delivered_us, event_id = arrival
    if delivered_us <= rules.canary.deadline_us(slot):
        return SlotVerdict(span.place, slot, slot, Verdict.SEEN, prior=span.prior)
    at_deadline = None if span.prior else next(_absent(rules, span, slot, slot))
    evidence = (event_id,) if event_id else ()
    return SlotVerdict(span.place, slot, slot, Verdict.LATE, delivered_us, span.prior, evidence, at_deadline)


def _absent(rules: Rules, span: Expected, first: int, last: int) -> Iterator[SlotVerdict]:
    """Verdicts of slots without a sighting, cut where the deliveries around them change."""
    if first > last:
        return
    edges = {first, last + 1}
    around = [slots_around(rules.canary, lost.at_us) for lost in rules.lost]
    for low, high in (*_overlapping(rules.alive, first, last), *around):
        edges.update(edge for edge in (low, high + 1) if first < edge <= last)
    for start, end in pairwise(sorted(edges)):
        lost = _lost_around(rules, start)
        verdict = Verdict.UNSURE if lost or not _overlapping(rules.alive, start, start) else Verdict.MISSING
        keys = sorted({key for each in lost for key in each.object_keys})
        yield SlotVerdict(span.place, start, end - 1, verdict, evidence=tuple(keys[:KEYS_KEPT]))


def _overlapping(spans: Sequence[Span], first: int, last: int) -> Sequence[Span]:
    """Those of ascending disjoint spans that share a slot with `first` to `last`."""
    return spans[
        bisect_left(spans, first, key=lambda span: span[1]) : bisect_right(spans, last, key=lambda span: span[0])
    ]


def _lost_around(rules: Rules, slot: int) -> Sequence[Lost]:
    low = bisect_right(rules.lost, rules.canary.slot_start_us(slot), key=lambda lost: lost.at_us)
    return rules.lost[low : bisect_right(rules.lost, rules.canary.deadline_us(slot), key=lambda lost: lost.at_us)]


def _merged(verdicts: Iterable[SlotVerdict]) -> Iterator[SlotVerdict]:
    held: SlotVerdict | None = None
    for each in verdicts:
        if held is not None and _joins(held, each):
            held = msgspec.structs.replace(held, last=each.last)
            continue
        if held is not None:
            yield held
        held = each
    if held is not None:
        yield held


def _joins(one: SlotVerdict, other: SlotVerdict) -> bool:
    same = (one.verdict, one.evidence, one.prior) == (other.verdict, other.evidence, other.prior)
    return same and one.verdict is not Verdict.LATE and one.last + 1 == other.first
