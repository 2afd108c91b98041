"""Sightings and verdicts as Arrow tables, and back."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.canaries import SIGHTING_SCHEMA, VERDICT_SCHEMA, Canary, Place, Sighting, SlotVerdict, Verdict
from transforms.expected import Judged, by_name

_Span: TypeAlias = tuple[int, int, Verdict]
_STATE = ["canary", "account_id", "region", "period_us", "grace_us"]


def sightings_table(sightings: Iterable[Sighting]) -> pa.Table:
    """Sightings as rows of `SIGHTING_SCHEMA`."""
    rows = [
        (
            *msgspec.structs.astuple(each.place),
            each.slot,
            each.event_us,
            each.delivered_us,
            each.event_id,
            each.object_key,
        )
        for each in sightings
    ]
    return _table(rows, SIGHTING_SCHEMA)


def sightings_from(table: pa.Table, canaries: Iterable[Canary]) -> Iterator[Sighting]:
    """Rows of `SIGHTING_SCHEMA` as sightings of canaries still declared, numbered by the period of today."""
    declared = by_name(canaries)
    kept = table.filter(pc.is_in(table.column("canary"), value_set=pa.array(list(declared), pa.string())))
    for name, account_id, region, _, event_us, delivered_us, event_id, object_key in _rows(kept, SIGHTING_SCHEMA):
        place = Place(name, account_id, region)
        yield Sighting(place, declared[name].slot_of(event_us), event_us, delivered_us, event_id, object_key)


def verdicts_table(
    verdicts: Iterable[SlotVerdict], canaries: Iterable[Canary], run_id: str, judged_at_us: int
) -> pa.Table:
    """Verdicts of one run, which judged up to `judged_at_us`, as rows of `VERDICT_SCHEMA`."""
    declared = by_name(canaries)
    rows = [_verdict_row(each, declared[each.place.canary], run_id, judged_at_us) for each in verdicts]
    return _table(rows, VERDICT_SCHEMA)


def _verdict_row(verdict: SlotVerdict, canary: Canary, run_id: str, judged_at_us: int) -> tuple[object, ...]:
    return (
        *msgspec.structs.astuple(verdict.place),
        verdict.first,
        verdict.last,
        verdict.verdict.value,
        canary.slot_start_us(verdict.first),
        canary.deadline_us(verdict.last),
        canary.period_us,
        canary.grace_us,
        verdict.delivered_us,
        verdict.prior.value if verdict.prior else None,
        list(verdict.evidence),
        run_id,
        judged_at_us,
    )


def judged_from(table: pa.Table) -> list[Judged]:
    """What earlier runs said, from rows of `VERDICT_SCHEMA` in any order; the newest verdict of a slot holds.

    Newest is by `judged_at`, then by `run_id`. Python looks only at rows that are not plainly SEEN.
    """
    unseen = _unseen(table)
    sums = table.group_by(_STATE).aggregate([("last_slot", "max"), ("judged_at", "max")])
    columns = [*(sums.column(name).to_pylist() for name in (*_STATE, "last_slot_max"))]
    judged_at = sums.column("judged_at_max").cast(pa.int64()).to_pylist()
    return [
        Judged(
            Place(name, account_id, region), period_us, grace_us, (last + 1) * period_us, judged_at_us,
            unseen.get((name, account_id, region, period_us, grace_us), ()),
        )
        for name, account_id, region, period_us, grace_us, last, judged_at_us in zip(*columns, judged_at, strict=True)
    ]  # fmt: skip


def _unseen(table: pa.Table) -> dict[tuple[Any, ...], tuple[_Span, ...]]:
    telling = pc.or_(pc.not_equal(table.column("verdict"), Verdict.SEEN.value), pc.is_valid(table.column("prior")))
    order = [("judged_at", "ascending"), ("run_id", "ascending")]
    rows = table.select([*_STATE, "first_slot", "last_slot", "verdict", "judged_at", "run_id"]).filter(telling)
    spans: dict[tuple[Any, ...], list[_Span]] = {}
    for *state, first, last, verdict, _, _ in _rows(rows.sort_by(order), rows.schema):
        spans.setdefault(tuple(state), []).append((first, last, Verdict(verdict)))
    return {state: lay_spans(each) for state, each in spans.items()}


def lay_spans(spans: Iterable[_Span]) -> tuple[_Span, ...]:
    """Lay each span over the earlier ones, drop what is SEEN then, and join neighbours of one verdict."""
    laid: list[_Span] = []
    for first, last, verdict in spans:
        low = bisect_left(laid, first, key=lambda span: span[1])
        high = bisect_right(laid, last, key=lambda span: span[0])
        under = laid[low:high]
        before = [(a, first - 1, kind) for a, _, kind in under[:1] if a < first]
        after = [(last + 1, b, kind) for _, b, kind in under[-1:] if b > last]
        laid[low:high] = [*before, (first, last, verdict), *after]
    return tuple(_joined(span for span in laid if span[2] is not Verdict.SEEN))


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    joined: list[_Span] = []
    for first, last, verdict in spans:
        if joined and joined[-1][1] + 1 == first and joined[-1][2] is verdict:
            joined[-1] = (joined[-1][0], last, verdict)
        else:
            joined.append((first, last, verdict))
    return joined


def _rows(table: pa.Table, schema: pa.Schema) -> Iterator[tuple[Any, ...]]:
    columns = (
        table.column(field.name).cast(pa.int64()) if pa.types.is_timestamp(field.type) else table.column(field.name)
        for field in schema
    )
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _table(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
