"""From an object's inflated body to typed records, each isolated from the others.

The fast path decodes the whole body in one call. Whatever it refuses (an unknown member, an odd type, a record that is
no object) sends that one object down the tolerant path, record by record: a change at AWS costs speed, never data.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeAlias

import msgspec

from schemas.archive import RECORD_MEMBERS
from schemas.dead_letters import Reason
from schemas.errors import UnreadableContent
from schemas.records import ABSENT
from schemas.times import format_us, parse_iso_us
from transforms.json_text import members
from transforms.raw_records import MAX_RECORDS, raw_records
from transforms.unicode_text import encodable

EVENT_TIME_BYTES = 20  # 2026-11-01T00:00:00Z, the only form that AWS documents


def _member_type(name: str, *, opaque: bool, boolean: bool) -> Any:
    if name == "event_time":
        return Annotated[str, msgspec.Meta(min_length=EVENT_TIME_BYTES, max_length=EVENT_TIME_BYTES)]
    if opaque:
        return msgspec.Raw
    return bool | None if boolean else str | None


_NAMES = {member.name: member.vendor_name for member in RECORD_MEMBERS}
_OPAQUE = {member.name: member.json or member.struct is not None for member in RECORD_MEMBERS}
_BOOLEAN = {member.name: str(member.arrow) == "bool" for member in RECORD_MEMBERS}

# Built from `schemas.records.Record`, with structs left as raw JSON too: identities repeat, so that parsing each
# distinct one once (`transforms.nested`) beats a Python object per member and event.
FlatRecord: TypeAlias = Any
_FlatRecord = msgspec.defstruct(
    "FlatRecord",
    [("event_time", _member_type("event_time", opaque=False, boolean=False))]
    + [
        (name, _member_type(name, opaque=opaque, boolean=_BOOLEAN[name]), ABSENT if opaque else None)
        for name, opaque in _OPAQUE.items()
        if name != "event_time"
    ],
    rename=_NAMES,
    forbid_unknown_fields=True,
    gc=False,
)


class DeadRecord(msgspec.Struct, frozen=True):
    """A record that cannot be a row: its position, the reason, and its JSON."""

    index: int
    reason: Reason
    detail: str
    body: bytes


class Parsed(msgspec.Struct, frozen=True):
    """An object's records in file order: row i is record `indexes[i]`; `unmapped` has JSON by row number."""

    records: list[FlatRecord]
    indexes: list[int] | range
    unmapped: dict[int, bytes] = {}
    dead: tuple[DeadRecord, ...] = ()

    @property
    def count(self) -> int:
        """Records in the object, dead ones included."""
        return len(self.records) + len(self.dead)


class _Document(msgspec.Struct):
    Records: list[_FlatRecord]  # type: ignore[valid-type]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODE_FAST = msgspec.json.Decoder(_Document).decode
_DECODE_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DECODE_TEXT = msgspec.json.Decoder(str).decode
_DECODE_BOOL = msgspec.json.Decoder(bool, strict=False).decode
_CHECK = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant).decode


def parse_fast(body: bytes) -> Parsed | None:
    """Decode a body in which every record is as AWS documents it; None where one is not.

    Raises:
        UnreadableContent: too_large, for more than MAX_RECORDS.
    """
    try:
        records = _DECODE_FAST(body).Records
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(records) > MAX_RECORDS:
        raise UnreadableContent(Reason.TOO_LARGE, f"more than {MAX_RECORDS:,} records")
    return Parsed(records, range(len(records))) if _is_utf8(body) else None


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def parse_tolerant(body: bytes) -> Parsed:
    """Decode a body record by record, keeping what fits no column and isolating what is no record.

    Raises:
        UnreadableContent: not_json, no_records or too_large, for the object as a whole.
    """
    records: list[FlatRecord] = []
    indexes: list[int] = []
    unmapped: dict[int, bytes] = {}
    dead: list[DeadRecord] = []
    for index, raw in enumerate(raw_records(body)):
        try:
            record, rest = tolerant_record(raw)
        except UnreadableContent as error:
            dead.append(DeadRecord(index, error.reason, error.detail, raw))
            continue
        if rest:
            unmapped[len(records)] = object_json(rest)
        records.append(record)
        indexes.append(index)
    return Parsed(records, indexes, unmapped, tuple(dead))


def tolerant_record(raw: bytes) -> tuple[FlatRecord, dict[str, bytes]]:
    """One record's JSON to its columns and, by vendor name, the JSON of what they cannot say.

    Raises:
        UnreadableContent: record_not_object, no_event_time, or not_json (bytes that are not UTF-8).
    """
    values = _members(raw)
    columns: dict[str, Any] = {"event_time": _event_time(values.get("eventTime", b"null"))}
    rest: dict[str, bytes] = {}
    for name, vendor_name in _NAMES.items():
        value = values.pop(vendor_name, b"null")
        if name == "event_time":
            if _text(value) != columns[name]:
                rest[vendor_name] = value
        elif value != b"null":
            columns[name], exact = (msgspec.Raw(value), True) if _OPAQUE[name] else scalar(value, _BOOLEAN[name])
            if not exact:
                rest[vendor_name] = value
    return _FlatRecord(**columns), rest | values


def _members(raw: bytes) -> dict[str, bytes]:
    try:
        text = raw.decode()
        return {name: bytes(value) for name, value in _DECODE_MEMBERS(raw).items()}
    except UnicodeDecodeError as error:
        raise UnreadableContent(Reason.NOT_JSON, f"not UTF-8: {error.reason}") from None
    except msgspec.ValidationError:
        raise UnreadableContent(Reason.RECORD_NOT_OBJECT, f"starts with {raw[:20]!r}") from None
    except (msgspec.DecodeError, RecursionError):  # JSON may hold half a surrogate pair, which no UTF-8 can
        return _members_with_halves(raw, text)


def _members_with_halves(raw: bytes, text: str) -> dict[str, bytes]:
    try:
        document = _CHECK(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableContent(Reason.NOT_JSON, str(error)) from None
    if not isinstance(document, dict):
        raise UnreadableContent(Reason.RECORD_NOT_OBJECT, f"starts with {raw[:20]!r}")
    return members(raw)


def _event_time(value: bytes) -> str:
    """Any ISO 8601 time, in the vendor's own form."""
    text = _text(value)
    if text is None:
        raise UnreadableContent(Reason.NO_EVENT_TIME, f"eventTime is {value[:40].decode(errors='replace')}")
    try:
        return format_us(parse_iso_us(text))
    except (ValueError, OverflowError):
        raise UnreadableContent(Reason.NO_EVENT_TIME, f"eventTime is {text[:40]!r}") from None


def _text(value: bytes) -> str | None:
    try:
        return _DECODE_TEXT(value)
    except msgspec.MsgspecError:
        return None


def scalar(value: bytes, boolean: bool) -> tuple[str | bool | None, bool]:  # noqa: FBT001
    """The nearest column value of some JSON, and whether it says all that the JSON says."""
    if boolean:
        try:
            return _DECODE_BOOL(value.lower()), value in (b"true", b"false")
        except msgspec.MsgspecError:
            return None, False
    text = _text(value)
    if text is not None:
        return text, True
    if value[:1] == b'"':  # text that is no UTF-8 once unescaped
        return encodable(json.loads(value)), False
    return (None if value[:1] in b"[{" else value.decode()), False


def object_json(values: dict[str, bytes]) -> bytes:
    """A JSON object from members that are JSON already."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in values.items()) + b"}"
