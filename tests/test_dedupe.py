"""Copies of records within a bundle."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from record_worlds import body_of, minimal

from transforms.columns import flat_batch
from transforms.dedupe import drop_duplicates
from transforms.parse import parse_fast, parse_tolerant

# Few values, so that copies, disputes and rows without an id are common.
records = st.fixed_dictionaries(
    {},
    optional={
        "eventID": st.sampled_from(["a", "b", ""]),
        "recipientAccountId": st.sampled_from(["111122223333", "444455556666"]),
        "readOnly": st.booleans(),
        "userIdentity": st.sampled_from([{"type": "Root"}, {}]),
        "requestParameters": st.sampled_from([{"a": 1}, None]),
        "new": st.just(1),
    },
)
worlds = st.lists(st.lists(records.map(lambda members: minimal(**members)), max_size=5), max_size=4)


def table_of(world: list[list[dict[str, Any]]]) -> pa.Table:
    """Flat rows of objects' records."""
    bodies = [body_of(each) for each in world]
    parts = [(number, parse_fast(body) or parse_tolerant(body)) for number, body in enumerate(bodies)]
    return pa.Table.from_batches([flat_batch(parts)])


def contents(table: pa.Table) -> list[tuple[Any, ...]]:
    """What CloudTrail wrote, row by row."""
    names = [name for name in table.column_names if name not in ("object_number", "record_index")]
    return [tuple(row.values()) for row in table.select(names).to_pylist()]


@given(worlds)
def test_no_two_equal_rows_with_an_id_remain(world: list[list[dict[str, Any]]]) -> None:
    """The first of each stays, in its place; rows without an id all stay; nothing is made up."""
    table = table_of(world)
    position = table.column_names.index("event_id")
    expected: list[tuple[Any, ...]] = []
    dropped = []
    for content, number in zip(contents(table), table["object_number"].to_pylist(), strict=True):
        if content[position] is not None and content in expected:
            dropped.append(number)
        else:
            expected.append(content)
    deduped = drop_duplicates(table)
    assert contents(deduped.table) == expected
    assert sorted(deduped.dropped.tolist()) == sorted(dropped)


@given(worlds)
def test_conflicts_count_ids_with_several_contents(world: list[list[dict[str, Any]]]) -> None:
    """An id in dispute within one account counts once, however many contents it has."""
    table = table_of(world)
    rows = [row for row in table.to_pylist() if row["event_id"] is not None]
    told: dict[tuple[str, str | None], set[tuple[Any, ...]]] = {}
    for row in rows:
        content = tuple(value for name, value in row.items() if name not in ("object_number", "record_index"))
        told.setdefault((row["event_id"], row["recipient_account_id"]), set()).add(content)
    assert drop_duplicates(table).conflicts == sum(len(contents) > 1 for contents in told.values())


def test_one_id_with_two_contents_is_kept_and_counted() -> None:
    """Neither may hide the other."""
    deduped = drop_duplicates(
        table_of([[minimal(eventID="a", eventName="One"), minimal(eventID="a", eventName="Two")]])
    )
    assert deduped.table["event_name"].to_pylist() == ["One", "Two"]
    assert (deduped.conflicts, deduped.dropped.tolist()) == (1, [])


def test_one_id_in_two_accounts_is_no_conflict() -> None:
    """CloudTrail's ids are unique within an account."""
    rows = [minimal(eventID="a", recipientAccountId=account) for account in ("111122223333", "444455556666")]
    deduped = drop_duplicates(table_of([rows]))
    assert (deduped.table.num_rows, deduped.conflicts) == (2, 0)


def test_copies_are_counted_with_the_object_that_brought_them() -> None:
    """The later object's copy is the one to go."""
    record = minimal(eventID="a")
    assert drop_duplicates(table_of([[record], [record, record], [minimal()]])).dropped.tolist() == [1, 1]
