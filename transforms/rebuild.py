"""From archive rows back to the records that CloudTrail wrote: equal JSON, up to key order and absent ≡ null."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import orjson
import pyarrow as pa

from schemas.archive import RECORD_MEMBERS, Member, members_of
from schemas.times import format_us
from transforms.json_text import members

_MEMBERS = {member.name: member for member in RECORD_MEMBERS if member.name != "event_time"}
_COLUMNS = (*(member.name for member in RECORD_MEMBERS), "unmapped")
_LINE_ENDS = str.maketrans("\r\n", "  ")
_LONGEST_INT = 4_300  # digits; Python refuses to read more


def records_of(rows: pa.Table | pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Rebuild each row (any subset of the archive's columns) as a record under the vendor's names, nulls left out.

    What `unmapped` holds is laid over the rest, so odd types and unknown members come back as they were.
    """
    for row in _rows(rows):
        record = _record(row, load_json)
        unmapped = row.get("unmapped")
        yield overlay(record, load_json(unmapped)) if unmapped else record


def record_lines(rows: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
    """Rebuild each row as `records_of` does, as one line of JSON without the line's end.

    JSON columns and `unmapped` are spliced in as text, never parsed to values: integers of any size, decimals of any
    precision, repeated names and halves of surrogate pairs leave as they came.
    """
    for row in _rows(rows):
        record = _record(row, _spliced)
        if unmapped := row.get("unmapped"):
            _splice_over(record, unmapped.encode())
        yield _line(record)


def load_json(text: str | bytes) -> Any:
    """Parse JSON, integers exactly; lone surrogates and odd numbers go to the standard library's parser.

    A number that Python cannot hold (past a double's range, or of thousands of digits) comes back as its text.

    Raises:
        ValueError: not JSON.
        RecursionError: nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return json.loads(text, parse_int=_integer, parse_float=_decimal)


def _integer(text: str) -> int | str:
    return int(text) if len(text) < _LONGEST_INT else text


def _decimal(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def overlay(record: Any, unmapped: Any) -> Any:
    """Lay `unmapped` over a rebuilt record: objects merge member by member, anything else replaces."""
    if not (isinstance(record, dict) and isinstance(unmapped, dict)):
        return unmapped
    merged = dict(record)
    for name, value in unmapped.items():
        merged[name] = overlay(merged[name], value) if name in merged else value
    return merged


def _rows(rows: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows without provenance and columns that are all null; times as microseconds, which is faster."""
    columns = {name: rows.column(name) for name in _COLUMNS if name in rows.schema.names}
    if "event_time" in columns:
        columns["event_time"] = columns["event_time"].cast(pa.int64())
    kept = {name: column for name, column in columns.items() if column.null_count < rows.num_rows}
    if not kept:
        return [{} for _ in range(rows.num_rows)]
    return list(pa.table(kept).to_pylist())


def _record(row: dict[str, Any], json_value: Callable[[str], Any]) -> dict[str, Any]:
    event_us = row.get("event_time")
    time = {} if event_us is None else {"eventTime": format_us(event_us)}
    return time | _members(_MEMBERS, row, json_value)


def _members(members: dict[str, Member], row: dict[str, Any], json_value: Callable[[str], Any]) -> dict[str, Any]:
    return {
        member.vendor_name: _value(member, value, json_value)
        for name, value in row.items()
        if value is not None and (member := members.get(name))
    }


def _value(member: Member, value: Any, json_value: Callable[[str], Any]) -> Any:
    if member.json:
        return json_value(value)
    if member.struct is None:
        return value
    inner = _struct_members(member.struct)
    if isinstance(value, list):
        return [None if element is None else _members(inner, element, json_value) for element in value]
    return _members(inner, value, json_value)


@functools.cache
def _struct_members(kind: type[msgspec.Struct]) -> dict[str, Member]:
    return {member.name: member for member in members_of(kind)}


def _spliced(text: str) -> orjson.Fragment:
    """JSON text as part of a line; inside JSON's strings there are no bare line ends, so any may become a space."""
    return orjson.Fragment(text.translate(_LINE_ENDS) if "\n" in text or "\r" in text else text)


def _splice_over(record: dict[str, Any], unmapped: bytes) -> None:
    """`overlay`, in place, with the text of an object over values and fragments."""
    for name, text in members(unmapped).items():
        inner = record.get(name)
        if isinstance(inner, dict) and text.startswith(b"{"):
            _splice_over(inner, text)
        else:
            record[name] = _spliced(text.decode())


def _line(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:  # half a surrogate pair in a name
        return _line_with_halves(record)


def _line_with_halves(value: Any) -> bytes:
    if isinstance(value, dict):
        parts = (json.dumps(name).encode() + b":" + _line_with_halves(inner) for name, inner in value.items())
        return b"{" + b",".join(parts) + b"}"
    return orjson.dumps(value)
