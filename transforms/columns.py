"""Parsed records to Arrow, in batches small enough that their strings are still in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.archive import ARCHIVE_SCHEMA, EVENT_TIME, RECORD_MEMBERS, Member
from schemas.records import ABSENT
from transforms.nested import nested_column
from transforms.parse import EVENT_TIME_BYTES, FlatRecord, Parsed, object_json

BATCH_ROWS = 1000

OBJECT_NUMBER = pa.field("object_number", pa.int32(), nullable=False)
"""Stands for `object_key` and `delivered_at` until a bundle's rows are written."""

_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])"  # Arrow knows a year 0, Python and SQL do not
_VENDOR_FORM = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
_IS_DIGIT = np.isin(_VENDOR_FORM, ord("0"))
_ANY_FORM = rf"^{_YEAR}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"
_ORIGIN = [ARCHIVE_SCHEMA.field("unmapped"), OBJECT_NUMBER, ARCHIVE_SCHEMA.field("record_index")]
_NESTED = [member for member in RECORD_MEMBERS if member.struct]


def _flat_type(member: Member) -> pa.DataType:
    if member.name == "event_time":
        return EVENT_TIME
    return pa.string() if member.struct else member.arrow


_FLAT_SCHEMA = pa.schema([pa.field(member.name, _flat_type(member)) for member in RECORD_MEMBERS] + _ORIGIN)


class NotTimes(Exception):
    """A text of the right length is no time; the batch's objects must be parsed record by record."""


def flat_batch(parts: Sequence[tuple[int, Parsed]]) -> pa.RecordBatch:
    """Turn (object number, parsed object) pairs into one batch in which nested members are still JSON text.

    Raises:
        NotTimes: an `event_time` of the fast path is not a time after all.
    """
    records = [record for _, parsed in parts for record in parsed.records]
    columns = [_column(values, member) for values, member in zip(_by_column(records), RECORD_MEMBERS, strict=True)]
    return pa.RecordBatch.from_arrays([*columns, _unmapped(parts, len(records)), *_origin(parts)], schema=_FLAT_SCHEMA)


def nest(flat: pa.Table) -> pa.Table:
    """Parse the nested members of a table of flat batches; what their types cannot say joins `unmapped`."""
    rests: dict[int, list[bytes]] = {}
    for member in _NESTED:
        position = flat.schema.get_field_index(member.name)
        texts = flat.column(position).combine_chunks()
        column, lost = nested_column(texts, member)
        flat = flat.set_column(position, pa.field(member.name, member.arrow), column)
        for row, rest in lost.items():
            rests.setdefault(row, []).append(object_json({member.vendor_name: rest}))
    return _add_unmapped(flat, rests) if rests else flat


def _by_column(records: list[FlatRecord]) -> Sequence[tuple[Any, ...]]:
    return list(zip(*map(msgspec.structs.astuple, records), strict=True)) or [()] * len(RECORD_MEMBERS)


def _column(values: tuple[Any, ...], member: Member) -> pa.Array:
    if member.name == "event_time":
        return _times(values)
    if not (member.json or member.struct):
        return pa.array(values, member.arrow)
    return _json_column(values)


def _json_column(values: tuple[Any, ...]) -> pa.Array:
    """Raw JSON as text, absent and `null` as null; joined in one step, without a Python object for each value."""
    if values.count(ABSENT) == len(values):
        return pa.nulls(len(values), pa.string())
    lengths = np.fromiter(map(len, values), np.int32, len(values))
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]  # valid UTF-8, like the body that it is from
    texts = pa.Array.from_buffers(pa.string(), len(values), [None, *buffers])
    valid = (lengths > 0) & (pc.not_equal(texts, "null").to_numpy(zero_copy_only=False))
    return pa.Array.from_buffers(pa.string(), len(values), [_bitmap(valid), *buffers])


def _bitmap(valid: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))


def _times(texts: tuple[str, ...]) -> pa.Array:
    column = pa.array(texts, pa.string())
    if not (_has_vendor_form(texts) or pc.all(pc.match_substring_regex(column, _ANY_FORM), min_count=0).as_py()):
        raise NotTimes
    try:
        return column.cast(EVENT_TIME)
    except pa.ArrowInvalid:
        raise NotTimes from None


def _has_vendor_form(texts: tuple[str, ...]) -> bool:
    """True where all are like `2026-11-01T00:00:00Z`, of the year 1 or later: Arrow knows a year 0, others do not."""
    joined = "".join(texts)
    if len(joined) != EVENT_TIME_BYTES * len(texts) or not joined.isascii():
        return False
    characters = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), EVENT_TIME_BYTES)
    digits = characters[:, _IS_DIGIT] - ord("0")  # unsigned: what lies below 0 wraps round
    dated = (characters[:, :4] != ord("0")).any(axis=1)
    return bool(dated.all() and (digits <= 9).all() and (characters[:, ~_IS_DIGIT] == _VENDOR_FORM[~_IS_DIGIT]).all())


def _unmapped(parts: Sequence[tuple[int, Parsed]], rows: int) -> pa.Array:
    if not any(parsed.unmapped for _, parsed in parts):
        return pa.nulls(rows, pa.string())
    texts: list[bytes | None] = []
    for _, parsed in parts:
        texts.extend(parsed.unmapped.get(row) for row in range(len(parsed.records)))
    return pa.array(texts, pa.string())


def _add_unmapped(table: pa.Table, rests: dict[int, list[bytes]]) -> pa.Table:
    position = table.schema.get_field_index("unmapped")
    texts: list[str | None] = table.column(position).to_pylist()
    for row, objects in rests.items():
        earlier = [texts[row].encode()] if texts[row] else []  # type: ignore[union-attr]
        texts[row] = "{" + b",".join(text[1:-1] for text in [*earlier, *objects]).decode() + "}"
    return table.set_column(position, table.schema.field(position), pa.array(texts, pa.string()))


def _origin(parts: Sequence[tuple[int, Parsed]]) -> list[pa.Array]:
    counts = [len(parsed.records) for _, parsed in parts]
    numbers = np.repeat(np.array([number for number, _ in parts], np.int32), counts)
    indexes = [np.asarray(parsed.indexes, np.int32) for _, parsed in parts]
    return [pa.array(numbers), pa.array(np.concatenate(indexes) if indexes else np.empty(0, np.int32))]
