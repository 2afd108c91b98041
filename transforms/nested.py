"""Nested members (identities, resources, TLS) to Arrow, each distinct JSON text parsed once.

In a bundle a few identities make thousands of calls, so the work is done on the distinct texts and spread by a take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from schemas.archive import Member, members_of
from transforms.json_text import elements, members
from transforms.parse import object_json, scalar

_ALL = b"all"


def nested_column(texts: pa.Array, member: Member) -> tuple[pa.Array, dict[int, bytes]]:
    """Parse a column of JSON text (null where absent) into the member's struct or list type.

    Returns the column and, by row, the JSON of what the type cannot say; that text goes to `unmapped`.
    """
    encoded = texts.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    decode = _decoder(member).decode
    typed: list[Any] = []
    odd: list[int] = []
    for code, text in enumerate(distinct):
        try:
            typed.append(decode(text))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            typed.append(None)
            odd.append(code)
    column = _array(typed, member)
    return _with_odd(column, odd, distinct, encoded.indices, member) if odd else (column.take(encoded.indices), {})


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {}


def _decoder(member: Member) -> msgspec.json.Decoder[Any]:
    if member.name not in _DECODERS:
        wanted: Any = list[member.struct] if pa.types.is_list(member.arrow) else member.struct  # type: ignore[name-defined]
        _DECODERS[member.name] = msgspec.json.Decoder(wanted)
    return _DECODERS[member.name]


def _array(values: Sequence[Any], member: Member) -> pa.Array:
    """Typed values, column by column, without a dict in between; None is null."""
    if member.json:
        texts = [None if raw is None or (text := bytes(raw)) in (b"", b"null") else text for raw in values]
        return pa.array(texts, pa.string())
    if member.struct is None:
        return pa.array(values, member.arrow)
    if not pa.types.is_list(member.arrow):
        return _struct_array(values, member.struct)
    lengths = np.fromiter((len(value or ()) for value in values), np.int32, len(values))
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)]))
    elements = _struct_array([element for value in values for element in value or ()], member.struct)
    nulls = pa.array(np.fromiter((value is None for value in values), np.bool_, len(values)))
    return pa.ListArray.from_arrays(offsets, elements, mask=nulls)


def _struct_array(values: Sequence[Any], kind: type[msgspec.Struct]) -> pa.StructArray:
    members = members_of(kind)
    absent = (None,) * len(members)
    rows = [absent if value is None else msgspec.structs.astuple(value) for value in values]
    columns = list(zip(*rows, strict=True)) or [()] * len(members)
    arrays = [_array(column, member) for column, member in zip(columns, members, strict=True)]
    nulls = pa.array(np.fromiter((value is None for value in values), np.bool_, len(values)))
    fields = [pa.field(member.name, member.arrow) for member in members]
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=nulls)


def _with_odd(
    column: pa.Array, odd: list[int], distinct: list[str], codes: pa.Array, member: Member
) -> tuple[pa.Array, dict[int, bytes]]:
    """Put tolerant values behind the typed ones, and point the odd codes at them."""
    values = []
    rests: dict[int, bytes] = {}
    moved = np.arange(len(distinct))
    for position, code in enumerate(odd, start=len(distinct)):
        value, rest = _tolerant(distinct[code].encode(), member)
        values.append(value)
        moved[code] = position
        if rest is not None:
            rests[code] = distinct[code].encode() if rest is _ALL else rest
    numbers = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.isin(numbers, list(rests)))
    spread = pa.array(moved[numbers], mask=numbers < 0)
    whole = pa.concat_arrays([column, pa.array(values, member.arrow)])
    return whole.take(spread), {int(row): rests[int(numbers[row])] for row in rows}


def _tolerant(text: bytes, member: Member) -> tuple[Any, bytes | None]:
    """The nearest value of a member's type, and the JSON of the rest: None for nothing, `_ALL` for the whole."""
    if member.json:
        return text.decode(), None
    if member.struct is None:
        value, exact = scalar(text, pa.types.is_boolean(member.arrow))
        return value, None if exact else _ALL
    if pa.types.is_list(member.arrow):
        if not text.startswith(b"["):
            return None, _ALL
        return [_tolerant_struct(element, member.struct)[0] for element in elements(text)], _ALL
    return _tolerant_struct(text, member.struct)


def _tolerant_struct(text: bytes, kind: type[msgspec.Struct]) -> tuple[dict[str, Any] | None, bytes | None]:
    if not text.startswith(b"{"):
        return None, _ALL
    columns: dict[str, Any] = {}
    rest: dict[str, bytes] = {}
    known = {member.vendor_name: member for member in members_of(kind)}
    for name, inner in members(text).items():
        if (member := known.get(name)) is None:
            rest[name] = inner
        elif inner != b"null":
            columns[member.name], lost = _tolerant(inner, member)
            if lost is not None:
                rest[name] = inner if lost is _ALL else lost
    return columns, object_json(rest) if rest else None
