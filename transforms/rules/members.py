"""Members of a record read leniently: whatever the type found, a reader answers and never raises."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from schemas.times import SECOND_US, datetime_us, parse_iso_us

_INTEGER = re.compile(r"-?\d{1,15}")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
# CloudTrail writes some services' dates in the locale of the service host; "18:58:30 PM" is real (facts §2).
_LOCALE_DATES = ("%b %d, %Y %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %H:%M:%S %p", "%b %d, %Y, %H:%M:%S %p")


def at(value: Any, *path: str) -> Any:
    """The member at a path of objects; None where a step is missing or is no object."""
    for name in path:
        if not isinstance(value, dict):  # not Mapping: asked a dozen times for each event, and ten times as slow
            return None
        value = value.get(name)
    return value


def member(value: Any, *path: str) -> Any:
    """`at` for names in any case: services differ in whether CloudTrail lowers the first letter of a member."""
    for name in path:
        if not isinstance(value, dict):
            return None
        lowered = name.lower()
        value = value[name] if name in value else next((value[key] for key in value if key.lower() == lowered), None)
    return value


def parameters(event: Mapping[str, Any], *path: str) -> Any:
    """The member of requestParameters at a path."""
    return at(event, "requestParameters", *path)


def sent(event: Mapping[str, Any]) -> dict[str, Any]:
    """The members of requestParameters that were sent: null ones are not; none where it is no object."""
    found = parameters(event)
    return {name: value for name, value in found.items() if value is not None} if isinstance(found, dict) else {}


def elements(value: Any) -> list[Any]:
    """A list as it is, a single value as a list of one, None as an empty list.

    CloudTrail turns XML into JSON: a repeated element becomes an array, a single one its bare value (facts §4).
    """
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str | None:
    """A text as it is, a number as its digits; None for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and number(value) is not None else None


def texts(value: Any) -> list[str]:
    """The texts of a list, or of a single text; other types are left out."""
    return [found for found in map(text, elements(value)) if found is not None]


def truth(value: Any) -> bool | None:
    """A boolean, also as text ("true", "False", "1"); None for anything else."""
    if isinstance(value, bool):
        return value
    return _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None


def number(value: Any) -> int | None:
    """A whole number, also as text of up to 15 digits; None for anything else, booleans and NaN included."""
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and abs(value) < 1e15 else None


def moment_us(value: Any) -> int | None:
    """A date as microseconds: ISO 8601, the locale form, or epoch seconds or milliseconds; None for anything else."""
    epoch = number(value)
    if epoch is not None:
        return epoch * SECOND_US if epoch < 1e11 else epoch * SECOND_US // 1000
    if not isinstance(value, str):
        return None
    try:
        return parse_iso_us(value.strip())
    except (ValueError, OverflowError):
        return _locale_us(value.strip())


def _locale_us(value: str) -> int | None:
    for form in _LOCALE_DATES:
        try:
            return datetime_us(dt.datetime.strptime(value, form).replace(tzinfo=dt.UTC))
        except ValueError:
            continue
    return None


def document(value: Any) -> Any:
    """A JSON document given as an object or as its text (IAM and KMS policies are text); None if it is not JSON."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def strings_of(value: Any) -> Iterator[str]:
    """Every text anywhere inside a value, names of members included; in no particular order, without recursion."""
    pending = [value]
    while pending:
        found = pending.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, Mapping):
            pending += found.keys()
            pending += found.values()
        elif isinstance(found, list):
            pending += found
