"""From archive rows back to the records that CloudTrail wrote: equal JSON, up to key order and absent ≡ null."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from schemas.archive import RECORD_MEMBERS, Member, members_of
from schemas.times import datetime_us, format_us

_STRUCT_MEMBERS = {member.struct: members_of(member.struct) for member in RECORD_MEMBERS if member.struct}


def records_of(rows: pa.Table | pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Rebuild each row (any subset of the archive's columns) as a record under the vendor's names, nulls left out.

    What `unmapped` holds is laid over the rest, so odd types and unknown members come back as they were.
    """
    for row in rows.to_pylist():
        record = _members(RECORD_MEMBERS, row)
        event_time = row.get("event_time")
        if event_time is not None:
            record["eventTime"] = format_us(datetime_us(event_time))
        unmapped = row.get("unmapped")
        yield overlay(record, load_json(unmapped)) if unmapped else record


def load_json(text: str | bytes) -> Any:
    """Parse JSON; what orjson refuses (lone surrogates, huge integers) goes to the standard library's parser."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def overlay(record: Any, unmapped: Any) -> Any:
    """Lay `unmapped` over a rebuilt record: objects merge member by member, anything else replaces."""
    if not (isinstance(record, dict) and isinstance(unmapped, dict)):
        return unmapped
    merged = dict(record)
    for name, value in unmapped.items():
        merged[name] = overlay(merged[name], value) if name in merged else value
    return merged


def _members(members: tuple[Member, ...], row: dict[str, Any]) -> dict[str, Any]:
    return {
        member.vendor_name: _value(member, row[member.name])
        for member in members
        if member.name != "event_time" and row.get(member.name) is not None
    }


def _value(member: Member, value: Any) -> Any:
    if member.json:
        return load_json(value)
    if member.struct is None:
        return value
    inner = _STRUCT_MEMBERS.get(member.struct) or _STRUCT_MEMBERS.setdefault(member.struct, members_of(member.struct))
    if isinstance(value, list):
        return [None if element is None else _members(inner, element) for element in value]
    return _members(inner, value)
