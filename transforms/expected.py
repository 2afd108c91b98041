"""Which slots a run must judge: what no run has judged, and what may still be corrected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

import msgspec

from schemas.canaries import Canary, Expected, Place, Verdict
from schemas.times import DAY_US

_ONE_WINDOW_US = 10_000 * 365 * DAY_US


class Judged(msgspec.Struct, frozen=True):
    """What earlier runs said of a place under one period and grace (slots are numbered by period).

    `through_us` is where the last judged slot ends, `judged_at_us` up to when the newest of those runs judged;
    `unseen` holds the slots whose newest verdict is not SEEN, as ascending (first, last, verdict).
    """

    place: Place
    period_us: int
    grace_us: int
    through_us: int
    judged_at_us: int
    unseen: tuple[tuple[int, int, Verdict], ...] = ()


class Horizon(msgspec.Struct, frozen=True):
    """How far a run judges, and how it cuts its work.

    `first_delivery_us` is the first delivery that the lake knows, None for an empty lake; `window_us` is the size of
    the windows of deadlines; verdicts are corrected for `allowed_lateness_us` after their deadline. What was due by
    `past_us` is not cut: a stream that has only begun judges it at once.
    """

    as_of_us: int
    first_delivery_us: int | None
    window_us: int
    allowed_lateness_us: int
    past_us: int = 0


def window_of(deadline_us: int, window_us: int) -> int:
    """The window of deadlines that one lies in: window k is (k·`window_us`, (k+1)·`window_us`].

    A deadline ends its window, so that a whole second's deadline waits for nothing after it. Beam's windows hold their
    start and not their end: what is due is stamped one microsecond before its deadline.
    """
    return (deadline_us - 1) // window_us


def places(canary: Canary) -> Iterator[Place]:
    """Everywhere that a canary sings."""
    for account_id, region in product(dict.fromkeys(canary.accounts), dict.fromkeys(canary.regions)):
        yield Place(canary.name, account_id, region)


def expected_slots(canaries: Iterable[Canary], judged: Iterable[Judged], horizon: Horizon) -> Iterator[Expected]:
    """Slots that must hold a sighting, as spans whose deadlines lie in one window.

    New slots run from the canary's `since` (else the first delivery) or from where earlier runs stopped, to the last
    one due at `as_of_us`. Slots that were missing or unsure come again, with that prior verdict, if a delivery within
    the allowed lateness may have come after the run that judged them. State of another period only says how far that
    place was judged: a changed canary goes on from there.
    """
    earlier = _by_place(judged)
    for canary in canaries:
        for place in places(canary):
            yield from _correctable(canary, earlier.get(place, ()), horizon)
            yield from _unjudged(canary, place, earlier.get(place, ()), horizon)


def due_between(canaries: Iterable[Canary], from_us: int, horizon: Horizon) -> Iterator[Expected]:
    """Slots of every place whose deadline lies after `from_us`, and not after the horizon; cut like `expected_slots`.

    A canary without a `since` is expected from the first delivery; from nowhere while there is none.
    """
    for canary in canaries:
        since_us = horizon.first_delivery_us if canary.since_us is None else canary.since_us
        if since_us is None:
            continue
        first = max(canary.last_slot_due(from_us) + 1, -(-since_us // canary.period_us))
        for place in places(canary):
            yield from _cut(canary, Expected(place, first, canary.last_slot_due(horizon.as_of_us)), horizon)


def next_slots(
    canaries: Iterable[Canary], judged: Iterable[Judged], first_delivery_us: int | None
) -> Iterator[tuple[Canary, int]]:
    """The first slot of each place that no run has judged; nothing where nothing is expected yet."""
    earlier = _by_place(judged)
    for canary in canaries:
        for place in places(canary):
            first = _first_unjudged(canary, earlier.get(place, ()), first_delivery_us)
            if first is not None:
                yield canary, first


def needed_from_us(canaries: Iterable[Canary], judged: Iterable[Judged], allowed_lateness_us: int) -> int | None:
    """Start of the earliest slot that a run may still judge or correct: what lies before matters no more.

    None where a place has never been judged and has no `since`, and all may matter.
    """
    horizon = Horizon(0, None, _ONE_WINDOW_US, allowed_lateness_us)
    earlier = _by_place(judged)
    starts: list[int] = []
    for canary in canaries:
        for place in places(canary):
            states = earlier.get(place, ())
            if not states and canary.since_us is None:
                return None
            starts.append(max((state.through_us for state in states), default=canary.since_us or 0))
            starts += [canary.slot_start_us(span.first) for span in _correctable(canary, states, horizon)]
    return min(starts, default=None)


def _by_place(judged: Iterable[Judged]) -> dict[Place, list[Judged]]:
    earlier: dict[Place, list[Judged]] = {}
    for state in judged:
        earlier.setdefault(state.place, []).append(state)
    return earlier


def by_name(canaries: Iterable[Canary]) -> Mapping[str, Canary]:
    """Canaries by name."""
    return {canary.name: canary for canary in canaries}


def _unjudged(canary: Canary, place: Place, states: Sequence[Judged], horizon: Horizon) -> Iterator[Expected]:
    first = _first_unjudged(canary, states, horizon.first_delivery_us)
    if first is not None:
        yield from _cut(canary, Expected(place, first, canary.last_slot_due(horizon.as_of_us)), horizon)


def _first_unjudged(canary: Canary, states: Sequence[Judged], first_delivery_us: int | None) -> int | None:
    since_us = first_delivery_us if canary.since_us is None else canary.since_us
    starts = [state.through_us for state in states]
    starts += [] if since_us is None else [since_us]
    return -(-max(starts) // canary.period_us) if starts else None


def _correctable(canary: Canary, states: Sequence[Judged], horizon: Horizon) -> Iterator[Expected]:
    for state in states:
        if (state.period_us, state.grace_us) != (canary.period_us, canary.grace_us):
            continue
        settled = canary.last_slot_due(state.judged_at_us - horizon.allowed_lateness_us)
        for first, last, verdict in state.unseen:
            if verdict is not Verdict.LATE:
                yield from _cut(canary, Expected(state.place, max(first, settled + 1), last, verdict), horizon)


def _cut(canary: Canary, span: Expected, horizon: Horizon) -> Iterator[Expected]:
    first, past = span.first, min(span.last, canary.last_slot_due(horizon.past_us))
    if first <= past:
        yield Expected(span.place, first, past, span.prior)
        first = past + 1
    while first <= span.last:
        window_end_us = (window_of(canary.deadline_us(first), horizon.window_us) + 1) * horizon.window_us
        last = min(span.last, canary.last_slot_due(window_end_us))
        yield Expected(span.place, first, last, span.prior)
        first = last + 1
