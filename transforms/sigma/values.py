"""Reading a record by Sigma field paths, and the text and number that a value is compared as."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_DECIMAL = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?")


def values_at(record: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    """Every value that a dotted path reaches; through lists it means any element, and nulls are no values.

    A member whose own name has dots in it (`aws:ec2.vpc`) is reached too. Depth of the data is no matter: no recursion.
    """
    found: list[Any] = []
    pending: list[tuple[Any, int]] = [(record, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, list):
            pending.extend((element, depth) for element in reversed(value))
        elif depth == len(path):
            if value is not None:
                found.append(value)
        elif isinstance(value, dict):
            for end in range(len(path), depth, -1):
                name = ".".join(path[depth:end])
                if name in value:
                    pending.append((value[name], end))
    return found


def texts_of(value: Any) -> tuple[str, ...]:
    """The text of a value; an object has two: its compact JSON, and the same with the strings in it unescaped.

    SigmaHQ's rules look into whole objects (`requestParameters|contains: '"Allow"'`), also at quotes inside strings.
    """
    if isinstance(value, dict | list):
        return json_texts(value)
    return (text_of(value),)


def text_of(scalar: Any) -> str:
    """Text as it is, `true`, `false`, `null`, or a number's decimal form."""
    if isinstance(scalar, str):
        return scalar
    if scalar is None or isinstance(scalar, bool):
        return {None: "null", True: "true", False: "false"}[scalar]
    return str(scalar)


def number_of(value: Any) -> int | float | None:
    """The number that a value is, or that its text says in plain decimals."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, str) and (decimal := _DECIMAL.fullmatch(value)):
        return float(value) if decimal[1] else int(value)
    return None


class _Mark(str):
    """Punctuation waiting its turn."""

    __slots__ = ()


def json_texts(value: Any) -> tuple[str, str]:
    """Compact JSON with and without escapes inside strings; written without recursion, for hostile depth."""
    escaped: list[str] = []
    plain: list[str] = []
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict | list):
            pending.extend(reversed(_opened(item)))
            continue
        quoted = isinstance(item, str) and not isinstance(item, _Mark)
        text = text_of(item)
        escaped.append(json.dumps(text, ensure_ascii=False) if quoted else text)
        plain.append(f'"{text}"' if quoted else text)
    return "".join(escaped), "".join(plain)


def _opened(container: dict[str, Any] | list[Any]) -> list[Any]:
    """A container's members with the punctuation between them."""
    if isinstance(container, list):
        members = [part for element in container for part in (element, _Mark(","))]
        return [_Mark("["), *members[:-1], _Mark("]")]
    members = [part for name, value in container.items() for part in (name, _Mark(":"), value, _Mark(","))]
    return [_Mark("{"), *members[:-1], _Mark("}")]
