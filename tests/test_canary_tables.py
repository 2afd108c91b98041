"""Sightings and verdicts on their way into the lake and back."""

from __future__ import annotations

import itertools

import msgspec
import pyarrow as pa
from canary_worlds import CANARY, FIRST, GRACE_US, PERIOD_US, PLACE, START_US, sighting
from hypothesis import given
from hypothesis import strategies as st

from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA, Place, SlotVerdict, Verdict
from schemas.times import MINUTE_US
from transforms.canary_tables import judged_from, sightings_from, sightings_table, verdicts_table
from transforms.expected import Judged


def verdict(first: int, last: int, kind: Verdict = Verdict.MISSING, place: Place = PLACE) -> SlotVerdict:
    """A verdict in slots after the start."""
    return SlotVerdict(place, FIRST + first, FIRST + last, kind)


def written(*runs: list[SlotVerdict]) -> pa.Table:
    """What several runs wrote, a minute apart."""
    tables = [
        verdicts_table(verdicts, [CANARY], f"run-{number}", START_US + number * MINUTE_US)
        for number, verdicts in enumerate(runs)
    ]
    return pa.concat_tables([VERDICT_SCHEMA.empty_table(), *tables])


def unseen(*spans: tuple[int, int, Verdict]) -> tuple[tuple[int, int, Verdict], ...]:
    """Spans in slots after the start."""
    return tuple((FIRST + first, FIRST + last, kind) for first, last, kind in spans)


def test_sightings_come_back_as_they_went() -> None:
    """Every field survives the table; a missing event id stays missing."""
    sightings = [sighting(0, START_US + 7), msgspec.structs.replace(sighting(1, START_US), event_id=None)]
    table = sightings_table(sightings)
    assert table.schema.equals(SIGHTING_SCHEMA)
    assert list(sightings_from(table, [CANARY])) == sightings


def test_sightings_are_numbered_by_todays_period_and_undeclared_canaries_left_out() -> None:
    """A changed period renumbers slots; a canary no longer declared is nobody's."""
    table = sightings_table([sighting(3, START_US)])
    other = msgspec.structs.replace(CANARY, period_us=MINUTE_US)
    (found,) = sightings_from(table, [other])
    assert found.slot == other.slot_of(found.event_us) != FIRST + 3
    assert list(sightings_from(table, [msgspec.structs.replace(CANARY, name="other")])) == []


def test_verdict_rows_hold_times_and_text() -> None:
    """A row reads without the configuration: when the slots were, and when they were due."""
    late = SlotVerdict(PLACE, FIRST, FIRST, Verdict.LATE, START_US, Verdict.UNSURE, ("event-1",))
    (row,) = verdicts_table([late], [CANARY], "run-1", START_US).cast(_plain(VERDICT_SCHEMA)).to_pylist()
    assert row == {
        "canary": PLACE.canary,
        "account_id": PLACE.account_id,
        "region": PLACE.region,
        "first_slot": FIRST,
        "last_slot": FIRST,
        "verdict": "late",
        "first_start": START_US,
        "last_deadline": CANARY.deadline_us(FIRST),
        "period_us": PERIOD_US,
        "grace_us": GRACE_US,
        "delivered_at": START_US,
        "prior": "unsure",
        "evidence": ["event-1"],
        "run_id": "run-1",
        "judged_at": START_US,
    }


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(pa.int64()) if pa.types.is_timestamp(field.type) else field for field in schema])


def test_tables_of_nothing_have_their_schemas() -> None:
    """A run that judges nothing still writes a readable file, and reads nothing back."""
    assert verdicts_table([], [CANARY], "run-1", START_US).schema.equals(VERDICT_SCHEMA)
    assert sightings_table([]).schema.equals(SIGHTING_SCHEMA)
    assert judged_from(VERDICT_SCHEMA.empty_table()) == []


def test_judged_holds_how_far_and_what_was_not_seen() -> None:
    """One state for each place and period, from all runs together."""
    table = written([verdict(0, 4, Verdict.SEEN), verdict(5, 6)], [verdict(7, 9, Verdict.UNSURE)])
    assert judged_from(table) == [
        Judged(
            PLACE,
            PERIOD_US,
            GRACE_US,
            START_US + 10 * PERIOD_US,
            START_US + MINUTE_US,
            unseen((5, 6, Verdict.MISSING), (7, 9, Verdict.UNSURE)),
        )
    ]


def test_a_later_verdict_of_a_slot_holds_in_any_order_of_files() -> None:
    """Corrections cut holes into what an earlier run said."""
    corrected = msgspec.structs.replace(verdict(6, 6, Verdict.SEEN), prior=Verdict.MISSING)
    late = msgspec.structs.replace(verdict(8, 8, Verdict.LATE), prior=Verdict.MISSING)
    table = written([verdict(5, 9)], [corrected, late])
    expected = unseen((5, 5, Verdict.MISSING), (7, 7, Verdict.MISSING), (8, 8, Verdict.LATE), (9, 9, Verdict.MISSING))
    assert judged_from(table)[0].unseen == expected
    assert judged_from(table.take([2, 1, 0]))[0].unseen == expected


def test_neighbours_of_one_verdict_join() -> None:
    """A silence over many runs is one span."""
    assert judged_from(written([verdict(0, 4)], [verdict(5, 9)]))[0].unseen == unseen((0, 9, Verdict.MISSING))


def test_places_and_periods_are_kept_apart() -> None:
    """A changed period starts a state of its own."""
    other = msgspec.structs.replace(PLACE, region="us-east-1")
    changed = msgspec.structs.replace(CANARY, period_us=2 * PERIOD_US)
    tables = [written([verdict(0, 1), verdict(0, 0, place=other)]), verdicts_table([verdict(0, 0)], [changed], "r", 0)]
    states = judged_from(pa.concat_tables(tables))
    assert sorted((state.place.region, state.period_us) for state in states) == [
        ("eu-west-1", PERIOD_US),
        ("eu-west-1", 2 * PERIOD_US),
        ("us-east-1", PERIOD_US),
    ]


_SPANS = st.tuples(st.integers(0, 30), st.integers(0, 8), st.sampled_from(Verdict))


@given(st.lists(st.lists(_SPANS, max_size=1), max_size=8))
def test_laying_runs_over_one_another_equals_writing_slot_by_slot(runs: list[list[tuple[int, int, Verdict]]]) -> None:
    """The newest verdict of each slot, whatever overlaps."""
    newest: dict[int, Verdict] = {}
    verdicts = [
        [
            msgspec.structs.replace(verdict(first, first + more, kind), prior=Verdict.MISSING)
            for first, more, kind in each
        ]
        for each in runs
    ]
    for each in itertools.chain.from_iterable(verdicts):
        newest |= dict.fromkeys(range(each.first, each.last + 1), each.verdict)
    laid = {
        slot: kind
        for state in judged_from(written(*verdicts))
        for first, last, kind in state.unseen
        for slot in range(first, last + 1)
    }
    assert laid == {slot: kind for slot, kind in newest.items() if kind is not Verdict.SEEN}
