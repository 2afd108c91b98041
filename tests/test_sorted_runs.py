"""Rows in order of time, out of memory or out of temporary files."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.sorted_runs import SortedRuns

SCHEMA = pa.schema(
    [("event_time", pa.timestamp("us", tz="UTC")), ("object_number", pa.int32()), ("record_index", pa.int32())]
)
Objects = Sequence[Sequence[int]]
objects = st.lists(st.lists(st.integers(-5, 20), max_size=12), max_size=6)


def batch(number: int, times: Sequence[int]) -> pa.RecordBatch:
    """The rows of one object."""
    columns = [times, [number] * len(times), range(len(times))]
    return pa.record_batch(
        [pa.array(list(each), field.type) for each, field in zip(columns, SCHEMA, strict=True)], SCHEMA
    )


def chunks(runs: Sequence[Sequence[pa.RecordBatch]], rows: int) -> list[list[tuple[int, int, int]]]:
    """Chunks of what was collected, as (time, object, index)."""
    collected = SortedRuns()
    for run in runs:
        collected.add(run)
    assert collected.rows == sum(each.num_rows for run in runs for each in run)
    found = []
    for table in collected.chunks(rows):
        times = table["event_time"].cast(pa.int64()).to_pylist()
        found.append(list(zip(times, *(table[name].to_pylist() for name in SCHEMA.names[1:]), strict=True)))
    return found


def keys(world: Objects) -> list[tuple[int, int, int]]:
    """The order that is promised: time, object, index."""
    return sorted((time, number, at) for number, times in enumerate(world) for at, time in enumerate(times))


@given(objects, st.integers(1, 9))
def test_one_run_or_many_give_the_same(world: Objects, rows: int) -> None:
    """Spilled or not, all rows come in order, and in the same chunks."""
    batches = [batch(number, times) for number, times in enumerate(world)]
    apart = chunks([[each] for each in batches], rows)
    together = chunks([batches], rows) if batches else []
    assert apart == together
    assert [row for chunk in apart for row in chunk] == keys(world)


@given(objects, st.integers(1, 9))
def test_equal_times_are_never_split(world: Objects, rows: int) -> None:
    """Copies have equal times, so that all of them lie in one chunk; that aside a chunk is no larger than asked."""
    found = chunks([[batch(number, times)] for number, times in enumerate(world)], rows)
    seen = [time for chunk in found for time in {time for time, _, _ in chunk}]
    assert len(seen) == len(set(seen))
    for chunk in found:
        first = chunk[0][0]
        assert len([time for time, _, _ in chunk if time != first]) <= rows


def test_a_spilled_run_is_read_from_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges that begin and end inside the file's blocks come back whole."""
    monkeypatch.setattr("transforms.sorted_runs._SPILL_ROWS", 7)
    world = [range(0, 100, 2), range(1, 100, 2), range(40, 60)]
    found = chunks([[batch(number, times)] for number, times in enumerate(world)], 11)
    assert [row for chunk in found for row in chunk] == keys(world)
    assert len(found) > 8


def test_nothing_gives_nothing() -> None:
    """No rows, no chunks."""
    assert chunks([], 5) == []
    assert chunks([[batch(0, [])], [batch(1, [])]], 5) == []
