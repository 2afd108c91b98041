"""Columns of the archive, derived from the record types: one definition, read by the decoder, `export` and the docs."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any

import msgspec
import pyarrow as pa

from schemas.records import Json, Record

EVENT_TIME = pa.timestamp("us", tz="UTC")


def _members(kind: type[msgspec.Struct]) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = typing.get_type_hints(kind)
    return [(info, hints[info.name]) for info in msgspec.structs.fields(kind)]


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return hint


def arrow_type(hint: Any) -> pa.DataType:
    """The Arrow type of a record member: text, bool, JSON text, a struct, or a list of structs."""
    hint = _without_none(hint)
    if hint is bool:
        return pa.bool_()
    if hint in (str, Json):
        return pa.string()
    if typing.get_origin(hint) is list:
        return pa.list_(arrow_type(typing.get_args(hint)[0]))
    return pa.struct([(info.name, arrow_type(member)) for info, member in _members(hint)])


def is_json(hint: Any) -> bool:
    """True where a member is kept as JSON text."""
    return _without_none(hint) is Json


def struct_of(hint: Any) -> type[msgspec.Struct] | None:
    """The record type behind a member, also of a list's elements; None for text, bool and JSON."""
    hint = _without_none(hint)
    if typing.get_origin(hint) is list:
        hint = typing.get_args(hint)[0]
    return hint if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None


class Member(msgspec.Struct, frozen=True):
    """A record member and its column: vendor's name, ours, Arrow type, and what it is made of."""

    vendor_name: str
    name: str
    arrow: pa.DataType
    json: bool
    struct: type[msgspec.Struct] | None


@functools.cache
def members_of(kind: type[msgspec.Struct]) -> tuple[Member, ...]:
    """The members of a record type, in column order."""
    return tuple(
        Member(info.encode_name, info.name, arrow_type(hint), is_json(hint), struct_of(hint))
        for info, hint in _members(kind)
    )


RECORD_MEMBERS = members_of(Record)
JSON_COLUMNS = tuple(member.name for member in RECORD_MEMBERS if member.json)

PROVENANCE = (
    pa.field("unmapped", pa.string(), metadata={"doc": "JSON of what fits no column: unknown members, odd types"}),
    pa.field("object_key", pa.string(), nullable=False, metadata={"doc": "the object that held the record"}),
    pa.field("record_index", pa.int32(), nullable=False, metadata={"doc": "its position in the object's Records"}),
    pa.field("delivered_at", EVENT_TIME, nullable=False, metadata={"doc": "when the object was delivered"}),
)

ARCHIVE_SCHEMA = pa.schema(
    [pa.field("event_time", EVENT_TIME, nullable=False)]
    + [pa.field(member.name, member.arrow) for member in RECORD_MEMBERS if member.name != "event_time"]
    + list(PROVENANCE)
)
"""Columns of `events/event_date=YYYY-MM-DD/*.parquet`, sorted by `event_time`."""
