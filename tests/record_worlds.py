"""Records for tests of the decoder: bodies, the rows that they become, and strategies for records of any shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from schemas.archive import Member, members_of
from schemas.records import Record
from transforms.columns import NotTimes, flat_batch, nest
from transforms.parse import Parsed, parse_fast, parse_tolerant
from transforms.rebuild import record_lines, records_of

EVENT_TIME = "2026-11-01T00:00:00Z"


def minimal(**members: Any) -> dict[str, Any]:
    """A record of a time and whatever else is named."""
    return {"eventTime": EVENT_TIME, **members}


def body_of(records: Sequence[Any]) -> bytes:
    """An object's body, as CloudTrail writes it: no spaces."""
    return json.dumps({"Records": records}, separators=(",", ":")).encode()


def parse(body: bytes) -> Parsed:
    """Parse as the reader of bundles does: fast if that is possible, else record by record."""
    return parse_fast(body) or parse_tolerant(body)


def rows_of(body: bytes, how: Callable[[bytes], Parsed] = parse) -> pa.Table:
    """The rows of a body, without provenance, nested members parsed."""
    parsed = how(body)
    try:
        batch = flat_batch([(0, parsed)])
    except NotTimes:
        batch = flat_batch([(0, parse_tolerant(body))])
    return nest(pa.Table.from_batches([batch]))


def rebuilt(body: bytes) -> list[Any]:
    """The records of a body after a detour through rows; both ways of rebuilding them agree."""
    rows = rows_of(body)
    lines = [json.loads(line) for line in record_lines(rows)]
    assert [without_nulls(record) for record in records_of(rows)] == [without_nulls(line) for line in lines]
    return [without_nulls(line) for line in lines]


def without_nulls(value: Any) -> Any:
    """Leave out null members of the record and of its known objects, where null says the same as absence."""
    return _strip(value, Record) if isinstance(value, dict) else value


def _strip(value: dict[str, Any], kind: Any) -> dict[str, Any]:
    inner = {member.vendor_name: member.struct for member in members_of(kind)}
    return {name: _stripped(each, inner.get(name)) for name, each in value.items() if each is not None}


def _stripped(value: Any, kind: Any) -> Any:
    if kind is not None and isinstance(value, list):
        return [_strip(each, kind) if isinstance(each, dict) else each for each in value]
    return _strip(value, kind) if kind is not None and isinstance(value, dict) else value


# Halves of surrogate pairs included: JSON may hold them as escapes.
texts = st.text(st.characters(codec="utf-8") | st.sampled_from('\ud800\udfff\x00\x1f\x7f\u2028é"\\'), max_size=6)
integers = st.integers() | st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**40, -(10**400)])
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
event_times = st.sampled_from(
    [
        EVENT_TIME,
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2070-06-30T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-11-01T00:00:00.5Z",
        "2026-11-01T00:00:00.123456Z",
        "2026-11-01T02:00:00+02:00",
        "2026-11-01T02:00:00.25+0200",
        "2026-11-01 00:00:00",
        "20261101T000000Z",
        "2026-11-01",
    ]
)


def objects_of(kind: Any, *, strict: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with members of a record type: right, null, or unless `strict` of any type; and unknown ones."""
    known = {
        member.vendor_name: _member(member, strict=strict) for member in members_of(kind) if member.name != "event_time"
    }
    exact = st.fixed_dictionaries({}, optional=known)
    if strict:
        return exact
    return st.builds(lambda unknown, exact: {**unknown, **exact}, st.dictionaries(texts, values, max_size=2), exact)


def _member(member: Member, *, strict: bool) -> st.SearchStrategy[Any]:
    if member.json:
        return values
    if member.struct:
        inner = objects_of(member.struct, strict=strict)
        right = st.lists(inner, max_size=2) if pa.types.is_list(member.arrow) else inner
    else:
        right = st.booleans() if pa.types.is_boolean(member.arrow) else st.text(max_size=6)
    return st.none() | right if strict else st.none() | right | values


def records(*, strict: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Records with a usable time."""
    times = st.sampled_from([EVENT_TIME, "2026-11-01T00:00:01Z"]) if strict else event_times
    return st.builds(lambda time, record: {**record, "eventTime": time}, times, objects_of(Record, strict=strict))
