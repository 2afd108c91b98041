"""Expected slots: from since to as-of, in windows, and again where they may be corrected."""

from __future__ import annotations

import msgspec
import pytest
from canary_worlds import CANARY, FIRST, GRACE_US, PERIOD_US, PLACE, START_US
from hypothesis import given
from hypothesis import strategies as st

from schemas.canaries import Expected, Verdict
from schemas.times import DAY_US, HOUR_US, MINUTE_US
from transforms.expected import Horizon, Judged, expected_slots, needed_from_us, next_slots, places, window_of


def horizon(minutes: int, *, window_us: int = DAY_US, first_delivery_us: int | None = START_US) -> Horizon:
    """A run that judges up to `minutes` after the start, and corrects for an hour."""
    return Horizon(START_US + minutes * MINUTE_US, first_delivery_us, window_us, HOUR_US)


def state(through: int, judged_at: int, *unseen: tuple[int, int, Verdict]) -> Judged:
    """What earlier runs said, in slots and minutes after the start."""
    spans = tuple((FIRST + first, FIRST + last, verdict) for first, last, verdict in unseen)
    through_us = START_US + through * PERIOD_US
    return Judged(PLACE, PERIOD_US, GRACE_US, through_us, START_US + judged_at * MINUTE_US, spans)


def indices(spans: list[Expected]) -> list[tuple[int, int]]:
    """First and last slots, counted from the start."""
    return [(span.first - FIRST, span.last - FIRST) for span in spans]


def test_slots_are_due_at_their_deadline_and_not_before() -> None:
    """A slot of five minutes with ten of grace is due fifteen minutes after its start."""
    assert list(expected_slots([CANARY], [], horizon(14))) == []
    assert list(expected_slots([CANARY], [], horizon(15))) == [Expected(PLACE, FIRST, FIRST)]


def test_without_since_the_first_whole_slot_after_the_first_delivery_is_the_first() -> None:
    """A canary cannot be missed before the lake knew any delivery."""
    canary = msgspec.structs.replace(CANARY, since_us=None)
    (span,) = expected_slots([canary], [], horizon(60, first_delivery_us=START_US + 1))
    assert span.first == FIRST + 1
    assert list(expected_slots([canary], [], horizon(60, first_delivery_us=None))) == []


def test_since_holds_without_any_delivery() -> None:
    """Total silence from a declared start must be judged."""
    assert indices(list(expected_slots([CANARY], [], horizon(60, first_delivery_us=None)))) == [(0, 9)]


def test_a_later_run_goes_on_where_the_last_one_stopped() -> None:
    """Judged slots that were seen do not come again."""
    assert indices(list(expected_slots([CANARY], [state(4, 30)], horizon(60)))) == [(4, 9)]
    assert list(expected_slots([CANARY], [state(10, 60)], horizon(60))) == []


def test_missing_and_unsure_slots_come_again_within_the_allowed_lateness() -> None:
    """Corrections need only what an earlier run could not have seen; late slots are settled."""
    earlier = state(30, 165, (2, 12, Verdict.MISSING), (20, 20, Verdict.UNSURE), (25, 25, Verdict.LATE))
    spans = list(expected_slots([CANARY], [earlier], horizon(165)))
    assert [span for span in spans if span.prior] == [Expected(PLACE, FIRST + 20, FIRST + 20, Verdict.UNSURE)]
    recent = state(30, 120, (2, 12, Verdict.MISSING))
    assert indices(list(expected_slots([CANARY], [recent], horizon(165))))[:1] == [(10, 12)]


def test_a_changed_period_goes_on_after_the_time_that_was_judged() -> None:
    """State is numbered by another period: nothing is judged twice, nothing of it is corrected."""
    canary = msgspec.structs.replace(CANARY, period_us=7 * MINUTE_US)
    (span,) = expected_slots([canary], [state(4, 30, (1, 3, Verdict.MISSING))], horizon(60))
    assert (span.first - 1) * canary.period_us < START_US + 4 * PERIOD_US <= span.first * canary.period_us
    assert span.prior is None


def test_a_changed_grace_corrects_nothing() -> None:
    """Deadlines of another grace are not those that were judged."""
    canary = msgspec.structs.replace(CANARY, grace_us=GRACE_US * 2)
    spans = list(expected_slots([canary], [state(4, 30, (1, 3, Verdict.MISSING))], horizon(60)))
    assert indices(spans) == [(4, 7)]


def test_years_of_silence_are_a_span_for_each_window() -> None:
    """Memory does not grow with the slots."""
    spans = list(expected_slots([CANARY], [], horizon(5 * 365 * 24 * 60)))
    assert len(spans) == 5 * 365
    assert sum(span.last - span.first + 1 for span in spans) == 5 * 365 * 288 - 2


@given(st.integers(1, 5000), st.integers(1, 2000), st.integers(1, 400), st.integers(0, 400))
def test_spans_are_contiguous_and_each_lies_in_one_window(minutes: int, window: int, period: int, grace: int) -> None:
    """Every due slot comes once, and the deadlines of a span share a window."""
    canary = msgspec.structs.replace(CANARY, period_us=period * MINUTE_US, grace_us=grace * MINUTE_US)
    spans = list(expected_slots([canary], [], horizon(minutes, window_us=window * MINUTE_US)))
    slots = [slot for span in spans for slot in range(span.first, span.last + 1)]
    first = -(-START_US // canary.period_us)
    assert slots == list(range(first, canary.last_slot_due(START_US + minutes * MINUTE_US) + 1))
    for span in spans:
        assert len({window_of(canary.deadline_us(slot), window * MINUTE_US) for slot in (span.first, span.last)}) == 1


@pytest.mark.parametrize(("accounts", "count"), [(("111122223333", "444455556666"), 4), (("111122223333",) * 2, 2)])
def test_places_are_accounts_by_regions(accounts: tuple[str, ...], count: int) -> None:
    """A canary sings in each region of each account; one named twice sings once."""
    canary = msgspec.structs.replace(CANARY, accounts=accounts, regions=("eu-west-1", "us-east-1"))
    assert len(set(places(canary))) == len(list(places(canary))) == count


def test_what_lies_before_the_slots_to_judge_or_correct_is_not_needed() -> None:
    """A place that was never judged needs all since its beginning; a missing slot as long as it may be corrected."""
    missing = (4, 5, Verdict.MISSING)
    assert needed_from_us([msgspec.structs.replace(CANARY, since_us=None)], [], HOUR_US) is None
    assert needed_from_us([CANARY], [], HOUR_US) == CANARY.since_us
    assert needed_from_us([CANARY], [state(10, 65)], HOUR_US) == START_US + 10 * PERIOD_US
    assert needed_from_us([CANARY], [state(10, 65, missing)], HOUR_US) == START_US + 4 * PERIOD_US
    assert needed_from_us([CANARY], [state(100, 515, missing)], HOUR_US) == START_US + 100 * PERIOD_US


def test_next_slots_are_where_the_judged_end() -> None:
    """Of each place the first that no run has judged; nothing while nothing is expected."""
    undated = msgspec.structs.replace(CANARY, since_us=None)
    assert list(next_slots([undated], [], None)) == []
    assert [slot for _, slot in next_slots([undated], [], START_US + 1)] == [FIRST + 1]
    assert [slot for _, slot in next_slots([CANARY], [], None)] == [FIRST]
    assert [slot for _, slot in next_slots([CANARY], [state(10, 65)], None)] == [FIRST + 10]


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 600))
def test_no_expected_slot_lies_before_what_is_needed(through: int, first: int, judged_at: int) -> None:
    """Whatever a later run expects, its sightings and deliveries have been read."""
    judged = [state(through, judged_at, (min(first, through - 1), through - 1, Verdict.UNSURE))]
    needed_us = needed_from_us([CANARY], judged, HOUR_US)
    assert needed_us is not None
    for span in expected_slots([CANARY], judged, horizon(1000)):
        assert span.first * PERIOD_US >= needed_us
