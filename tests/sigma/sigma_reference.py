"""A slow, obvious Sigma evaluator on pySigma's own tree, and records as archive rows without the decoder."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
from typing import Any

import pyarrow as pa
import yaml
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SpecialChars,
)

from schemas.archive import ARCHIVE_SCHEMA, RECORD_MEMBERS, Member, members_of
from schemas.times import parse_iso_us

DELIVERED_US = 1_767_226_000_000_000


def archive_table(records: list[dict[str, Any]]) -> pa.Table:
    """Records as rows; what fits no column goes to `unmapped`. Row n has the object key `object-n`."""
    return pa.Table.from_pylist([_row(number, record) for number, record in enumerate(records)], ARCHIVE_SCHEMA)


def _row(number: int, record: dict[str, Any]) -> dict[str, Any]:
    row, unmapped = _split(record, RECORD_MEMBERS)
    event_us = parse_iso_us(record.get("eventTime", "2026-01-01T00:00:00Z"))
    return {
        **row,
        "event_time": dt.datetime.fromtimestamp(event_us / 1e6, dt.UTC),
        "delivered_at": dt.datetime.fromtimestamp(DELIVERED_US / 1e6, dt.UTC),
        "object_key": f"object-{number}",
        "record_index": 0,
        "unmapped": json.dumps(unmapped) if unmapped else None,
    }


def _split(record: dict[str, Any], members: tuple[Member, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What fits the columns, and the rest."""
    by_name = {member.vendor_name: member for member in members if member.name != "event_time"}
    row: dict[str, Any] = {}
    unmapped: dict[str, Any] = {}
    for name, value in record.items():
        member = by_name.get(name)
        if value is None or name == "eventTime":
            continue
        if member is not None and member.struct is not None and isinstance(value, dict) and not _is_list(member):
            row[member.name], rest = _split(value, members_of(member.struct))
            if rest:
                unmapped[name] = rest
        elif member is not None and _fits(member, value):
            row[member.name] = _column_value(member, value)
        else:
            unmapped[name] = value
    return row, unmapped


def _is_list(member: Member) -> bool:
    return bool(pa.types.is_list(member.arrow))


def _fits(member: Member, value: Any) -> bool:
    if member.json:
        return True
    if member.struct is not None:
        inner = members_of(member.struct)
        return (
            _is_list(member)
            and isinstance(value, list)
            and all(isinstance(one, dict) and not _split(one, inner)[1] for one in value)
        )
    if member.arrow == pa.bool_():
        return isinstance(value, bool)
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _column_value(member: Member, value: Any) -> Any:
    if member.json:
        return json.dumps(value)
    return [_split(one, members_of(member.struct))[0] for one in value] if member.struct is not None else value


def slow_holds(rule_yaml: str, record: dict[str, Any], derived: dict[str, Any] | None = None) -> bool:
    """Whether any condition of a rule holds, decided by plain recursion."""
    flat = {**record, **(derived or {})}
    rule = SigmaRule.from_dict(yaml.safe_load(rule_yaml))
    return any(_holds(condition.parsed, record, flat) for condition in rule.detection.parsed_condition)


def _holds(node: Any, record: dict[str, Any], flat: dict[str, Any]) -> bool:
    if isinstance(node, ConditionAND):
        return all(_holds(part, record, flat) for part in node.args)
    if isinstance(node, ConditionOR):
        return any(_holds(part, record, flat) for part in node.args)
    if isinstance(node, ConditionNOT):
        return not _holds(node.args[0], record, flat)
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _field_holds(_reach(flat, node.field), node.value, flat)
    assert isinstance(node, ConditionValueExpression)
    if isinstance(node.value, SigmaRegularExpression):
        return any(_regex(node.value, text) for text in _texts(record))
    parts = [SpecialChars.WILDCARD_MULTI, *SigmaString(str(node.value)).s, SpecialChars.WILDCARD_MULTI]
    return any(_glob(parts, text.lower(), lowered=True) for text in _texts(record))


def _reach(value: Any, field: str | None) -> list[Any]:
    if isinstance(value, list):
        return [found for element in value for found in _reach(element, field)]
    if field is None:
        return [] if value is None else [value]
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        if name == field:
            found += _reach(inner, None)
        elif field.startswith(name + "."):
            found += _reach(inner, field.removeprefix(name + "."))
    return found


def _field_holds(values: list[Any], wanted: Any, flat: dict[str, Any]) -> bool:
    if isinstance(wanted, SigmaExpansion):
        return any(_field_holds(values, expanded, flat) for expanded in wanted.values)
    if isinstance(wanted, SigmaNull):
        return values == []
    if isinstance(wanted, SigmaExists):
        return (values != []) == wanted.exists
    if isinstance(wanted, SigmaFieldReference):
        others = [text for value in _reach(flat, wanted.field) for text in _texts(value)]
        mine = [text for value in values for text in _texts(value)]
        return any(_refers(wanted, text.lower(), other.lower()) for text in mine for other in others)
    return any(_value_holds(value, wanted) for value in values)


def _refers(wanted: SigmaFieldReference, text: str, other: str) -> bool:
    if wanted.starts_with and wanted.ends_with:
        return other in text
    if wanted.starts_with:
        return text.startswith(other)
    return text.endswith(other) if wanted.ends_with else text == other


def _value_holds(value: Any, wanted: Any) -> bool:  # noqa: PLR0911 - one return a type
    if isinstance(wanted, SigmaString):
        cased = isinstance(wanted, SigmaCasedString)
        return any(_glob(wanted.s, text if cased else text.lower(), lowered=not cased) for text in _texts(value))
    if isinstance(wanted, SigmaRegularExpression):
        return any(_regex(wanted, text) for text in _texts(value))
    if isinstance(wanted, SigmaBool):
        return any(text.lower() == str(wanted.boolean).lower() for text in _texts(value))
    if isinstance(wanted, SigmaCIDRExpression):
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in wanted.network
        except ValueError:
            return False
    plain = isinstance(value, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None
    if isinstance(value, bool) or not (plain or isinstance(value, int | float)):
        return False
    number = float(value)
    if isinstance(wanted, SigmaCompareExpression):
        bound = wanted.number.number
        return {
            CompareOperators.LT: number < bound,
            CompareOperators.LTE: number <= bound,
            CompareOperators.GT: number > bound,
            CompareOperators.GTE: number >= bound,
        }[wanted.op]
    assert isinstance(wanted, SigmaNumber)
    return number == wanted.number


def _glob(parts: list[Any], text: str, *, lowered: bool) -> bool:
    if not parts:
        return text == ""
    first, *rest = parts
    if first is SpecialChars.WILDCARD_MULTI:
        return any(_glob(rest, text[start:], lowered=lowered) for start in range(len(text) + 1))
    if first is SpecialChars.WILDCARD_SINGLE:
        return text != "" and _glob(rest, text[1:], lowered=lowered)
    literal = first.lower() if lowered else first
    return text.startswith(literal) and _glob(rest, text[len(literal) :], lowered=lowered)


def _regex(wanted: SigmaRegularExpression, text: str) -> bool:
    flags = re.RegexFlag(0)
    for flag in wanted.flags:
        flags |= {
            SigmaRegularExpressionFlag.IGNORECASE: re.IGNORECASE,
            SigmaRegularExpressionFlag.MULTILINE: re.MULTILINE,
            SigmaRegularExpressionFlag.DOTALL: re.DOTALL,
        }[flag]
    return re.search(str(wanted.regexp), text, flags) is not None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [_json(value, escape=True), _json(value, escape=False)]
    return [json.dumps(value)]


def _json(value: Any, *, escape: bool) -> str:
    if isinstance(value, dict):
        pairs = (f"{_json(name, escape=escape)}:{_json(inner, escape=escape)}" for name, inner in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_json(inner, escape=escape) for inner in value) + "]"
    if isinstance(value, str) and not escape:
        return f'"{value}"'
    return json.dumps(value, ensure_ascii=False)
