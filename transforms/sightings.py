"""Canary calls found in archive rows: vectorised on the columns, then exact on the few rows that are left."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.archive import ARCHIVE_SCHEMA, JSON_COLUMNS, RECORD_MEMBERS, members_of
from schemas.canaries import Canary, Match, Place, Sighting

_ALIASES = {"user_arn": "user_identity.arn"}
_STRUCTS = {member.name: member.struct for member in RECORD_MEMBERS if pa.types.is_struct(member.arrow)}
_JSON = {*JSON_COLUMNS, "unmapped"}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


class _Field(msgspec.Struct, frozen=True):
    """Where a field lies: a column, members of it, and (`json` only) names inside the JSON text found there."""

    column: str
    members: tuple[str, ...]
    json: bool
    path: tuple[str, ...] = ()


def find_sightings(table: pa.Table, canaries: Sequence[Canary]) -> list[Sighting]:
    """Find each canary's calls in rows of `ARCHIVE_SCHEMA`, in places that the canary declares.

    The account is `recipient_account_id`, else the caller's; a row without account or region is no sighting. A
    missing value matches nothing; numbers and booleans inside JSON compare by their JSON text.

    Raises:
        KeyError: a canary matches on a field that `known_field` refuses (the configuration is checked before).
    """
    if not table.num_rows:
        return []  # pyarrow 25 crashes the process in indices_nonzero of a column without chunks
    return [sighting for canary in canaries for sighting in _sightings_of(table, canary)]


def known_field(name: str) -> bool:
    """True for what a canary may match on.

    That is a text or boolean column, a member of a struct column, a JSON column or a name inside it, and `user_arn`.
    """
    return _resolve(name) is not None


def match_problems(match: Match) -> list[str]:
    """What is wrong with a condition, each problem one sentence; empty when it can be used."""
    problems = []
    if not known_field(match.field):
        problems.append(
            f"unknown field {match.field!r}: name a text or boolean column of the archive such as event_name, "
            "a member such as user_identity.type or request_parameters.clientToken, or user_arn"
        )
    if not match.globs:
        problems.append(f"no pattern for {match.field!r}: name at least one")
    return problems


@functools.cache
def _resolve(name: str) -> _Field | None:
    column, *path = _ALIASES.get(name, name).split(".")
    if column not in ARCHIVE_SCHEMA.names or not all(path):
        return None
    if column in _JSON:
        return _Field(column, (), json=True, path=tuple(path))
    if column in _STRUCTS:
        return _member(column, path)
    kind = ARCHIVE_SCHEMA.field(column).type
    return None if path or not _comparable(kind) else _Field(column, (), json=False)


def _member(column: str, path: list[str]) -> _Field | None:
    kind = _STRUCTS[column]
    for depth, name in enumerate(path, start=1):
        member = next((each for each in members_of(kind) if each.name == name), None) if kind else None
        if member is None:
            return None
        if member.json:
            return _Field(column, tuple(path[:depth]), json=True, path=tuple(path[depth:]))
        if member.struct is None:
            return _Field(column, tuple(path), json=False) if depth == len(path) else None
        kind = member.struct
    return None


def _comparable(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind))


def _sightings_of(table: pa.Table, canary: Canary) -> list[Sighting]:
    conditions = [(_field(match.field), match.globs) for match in canary.match]
    rows = _rows_with_literals(table, conditions)
    for field, globs in sorted(conditions, key=lambda condition: condition[0].json):
        if not len(rows):
            return []
        if field.json or not _literal(globs):
            rows = rows.take(_holding(_leaf(table, field).take(rows), field, globs))
    return [sighting for sighting in _read(table, rows, canary) if _declared(sighting.place, canary)]


def _field(name: str) -> _Field:
    field = _resolve(name)
    if field is None:
        raise KeyError(name)
    return field


def _rows_with_literals(table: pa.Table, conditions: list[tuple[_Field, tuple[str, ...]]]) -> Any:
    """Numbers of the rows that meet every condition made of plain values on plain columns: the cheap first cut."""
    mask = None
    for field, globs in conditions:
        if not field.json and _literal(globs):
            holds = _equals(_leaf(table, field), globs)
            mask = holds if mask is None else pc.and_(mask, holds)
    return pa.array(range(table.num_rows), pa.uint64()) if mask is None else pc.indices_nonzero(mask)


def _literal(globs: tuple[str, ...]) -> bool:
    return not any(char in glob for glob in globs for char in "*?[")


def _equals(leaf: Any, globs: tuple[str, ...]) -> Any:
    if pa.types.is_boolean(leaf.type):
        return pc.is_in(
            leaf, value_set=pa.array([text == "true" for text in globs if text in {"true", "false"}], leaf.type)
        )
    return pc.equal(leaf, globs[0]) if len(globs) == 1 else pc.is_in(leaf, value_set=pa.array(globs, leaf.type))


def _leaf(table: pa.Table, field: _Field) -> Any:
    column = table.column(field.column)
    return pc.struct_field(column, list(field.members)) if field.members else column


def _holding(leaf: Any, field: _Field, globs: tuple[str, ...]) -> Any:
    """Positions in `leaf` whose value meets a glob; each distinct value is looked at once."""
    holds = _matcher(globs)
    values = leaf.unique().to_pylist()
    meeting = [value for value in values if value is not None and holds(_text(value, field))]
    return pc.indices_nonzero(pc.is_in(leaf, value_set=pa.array(meeting, leaf.type)))


def _matcher(globs: tuple[str, ...]) -> Callable[[str | None], bool]:
    pattern = re.compile("|".join(fnmatch.translate(glob) for glob in globs))
    return lambda text: text is not None and pattern.match(text) is not None


def _text(value: Any, field: _Field) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_text(value, field.path) if field.json else str(value)


def json_text(text: str, path: Sequence[str]) -> str | None:
    """The value under nested names in JSON text: a string as it is, a number or boolean as JSON writes it.

    None for anything else, for what is missing, and for text that msgspec refuses (nesting, lone surrogates).
    """
    raw: Any = text
    try:
        for name in path:
            raw = _OBJECT.decode(raw).get(name)
            if raw is None:
                return None
        plain = raw.strip() if isinstance(raw, str) else bytes(raw).decode().strip()
        return _TEXT.decode(plain) if plain.startswith('"') else _number_or_boolean(plain)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _number_or_boolean(plain: str) -> str | None:
    return plain if plain in {"true", "false"} or plain[:1] in set("-0123456789") else None


def _read(table: pa.Table, rows: Any, canary: Canary) -> list[Sighting]:
    def column(name: str, *members: str) -> list[Any]:
        return list(_leaf(table, _Field(name, members, json=False)).take(rows).to_pylist())

    def micros(name: str) -> list[int]:
        return list(table.column(name).take(rows).cast(pa.int64()).to_pylist())

    accounts = zip(column("recipient_account_id"), column("user_identity", "account_id"), strict=True)
    places = [
        Place(canary.name, recipient or caller or "", region or "")
        for (recipient, caller), region in zip(accounts, column("aws_region"), strict=True)
    ]
    times, deliveries = micros("event_time"), micros("delivered_at")
    members = zip(places, times, deliveries, column("event_id"), column("object_key"), strict=True)
    return [
        Sighting(place, canary.slot_of(event_us), event_us, delivered_us, event_id, object_key)
        for place, event_us, delivered_us, event_id, object_key in members
    ]


def _declared(place: Place, canary: Canary) -> bool:
    return place.account_id in canary.accounts and place.region in canary.regions
