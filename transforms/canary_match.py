"""The conditions of a canary on archive rows: vectorised on the columns, then exact on the few rows that are left."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.archive import ARCHIVE_SCHEMA, JSON_COLUMNS, RECORD_MEMBERS, members_of
from schemas.canaries import Match

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


def rows_meeting(table: pa.Table, match: Iterable[Match]) -> Any:
    """Numbers of the rows of `ARCHIVE_SCHEMA` that meet all conditions, as an Arrow array of uint64.

    A missing value meets none; numbers and booleans inside JSON compare by their JSON text.

    Raises:
        KeyError: a condition is on a field that `known_field` refuses (the configuration is checked before).
    """
    if not table.num_rows:
        return pa.array([], pa.uint64())  # pyarrow 25 crashes in indices_nonzero of a column without chunks
    conditions = [(_field(each.field), each.globs) for each in match]
    rows = _rows_with_literals(table, conditions)
    for field, globs in sorted(conditions, key=lambda condition: condition[0].json):
        if not len(rows):
            break
        if field.json or not _literal(globs):
            rows = rows.take(_holding(_leaf(table, field).take(rows), field, globs))
    return rows


def field_texts(table: pa.Table, name: str) -> list[str | None]:
    """The text of a field in each row, as conditions see it. Raises KeyError as `rows_meeting` does."""
    field = _field(name)
    return [None if value is None else _text(value, field) for value in _leaf(table, field).to_pylist()]


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
