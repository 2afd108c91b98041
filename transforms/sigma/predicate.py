"""What a compiled Sigma condition is: a small tree of frozen, picklable structs, and what each test says of values.

Sigma compares text without regard to case unless `cased` or `re` is given; both sides are lowered by `str.lower`.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]

from transforms.sigma.values import number_of, texts_of
from transforms.unicode_text import encodable


class Wildcard(enum.Enum):
    """`*` and `?` in a Sigma string; numbers, so that MessagePack tells them from text."""

    MANY = 1
    ONE = 2


class Comparison(enum.Enum):
    """The numeric modifiers."""

    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


class Text(msgspec.Struct, frozen=True, tag=True):
    """Whole-value text comparison; `parts` are literals (already lowered unless `cased`) and wildcards."""

    parts: tuple[str | Wildcard, ...]
    cased: bool = False

    def __str__(self) -> str:
        """As a rule writes it."""
        return "".join(part if isinstance(part, str) else "*?"[part.value - 1] for part in self.parts)


class Regex(msgspec.Struct, frozen=True, tag=True):
    """An RE2 pattern found anywhere in the text; flags are written into it. RE2, so that no content can stall it."""

    pattern: str


class Cidr(msgspec.Struct, frozen=True, tag=True):
    """An address inside a network, `192.0.2.0/24`."""

    network: str


class Number(msgspec.Struct, frozen=True, tag=True):
    """A number, or text that is the same number."""

    number: int | float


class Compare(msgspec.Struct, frozen=True, tag=True):
    """A number, or text that is one, below or above a bound."""

    comparison: Comparison
    bound: int | float


class Null(msgspec.Struct, frozen=True, tag=True):
    """No value: the field is absent, null or an empty list."""


class Exists(msgspec.Struct, frozen=True, tag=True):
    """Whether the field has a value at all."""

    exists: bool


Test = Text | Regex | Cidr | Number | Compare | Null | Exists


class FieldTest(msgspec.Struct, frozen=True, tag=True):
    """Any value at `path` (the vendor's names, without the dots) passes; for Null and Exists: there is none, or one."""

    path: tuple[str, ...]
    test: Test


class Keyword(msgspec.Struct, frozen=True, tag=True):
    """A test on the whole record as text."""

    test: Text | Regex


class SameAs(msgspec.Struct, frozen=True, tag=True):
    """Any text at `path` equals, starts with, ends with or (both) contains any text at `other`."""

    path: tuple[str, ...]
    other: tuple[str, ...]
    starts: bool
    ends: bool


class AllOf(msgspec.Struct, frozen=True, tag=True):
    """Every part holds."""

    parts: tuple[Node, ...]


class AnyOf(msgspec.Struct, frozen=True, tag=True):
    """Some part holds."""

    parts: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    """The part does not hold."""

    part: Node


Node = FieldTest | Keyword | SameAs | AllOf | AnyOf | Not


def passes(test: Test, values: Sequence[Any]) -> bool:
    """Whether a field that holds `values` (neither null nor list) passes the test."""
    if isinstance(test, Null):
        return not values
    if isinstance(test, Exists):
        return bool(values) is test.exists
    return any(_value_passes(test, value) for value in values)


def text_passes(test: Text | Regex, text: str) -> bool:
    """Compare one text."""
    if isinstance(test, Regex):
        return compiled_regex(test.pattern).search(encodable(text)) is not None
    if not test.cased:
        text = text.lower()
    if len(test.parts) == 1 and isinstance(test.parts[0], str):
        return text == test.parts[0]
    return _glob(test.parts).fullmatch(text) is not None


def same(node: SameAs, mine: Sequence[Any], others: Sequence[Any]) -> bool:
    """Compare the values of two fields as text."""
    lowered = [text.lower() for value in others for text in texts_of(value)]
    return any(_same_text(node, text.lower(), other) for value in mine for text in texts_of(value) for other in lowered)


@functools.cache
def compiled_regex(pattern: str) -> Any:
    """The RE2 object of a pattern, which only rules write.

    Raises:
        re2.error: RE2 has no such pattern.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _value_passes(test: Text | Regex | Cidr | Number | Compare, value: Any) -> bool:
    if isinstance(test, Text | Regex):
        return any(text_passes(test, text) for text in texts_of(value))
    if isinstance(test, Cidr):
        return isinstance(value, str) and _inside(test.network, value)
    number = number_of(value)
    if number is None:
        return False
    if isinstance(test, Number):
        return number == test.number
    return _compare(test, number)


def _compare(test: Compare, number: int | float) -> bool:
    match test.comparison:
        case Comparison.LT:
            return number < test.bound
        case Comparison.LTE:
            return number <= test.bound
        case Comparison.GT:
            return number > test.bound
        case Comparison.GTE:
            return number >= test.bound


def _same_text(node: SameAs, text: str, other: str) -> bool:
    if node.starts and node.ends:
        return other in text
    if node.starts:
        return text.startswith(other)
    if node.ends:
        return text.endswith(other)
    return text == other


@functools.cache
def _glob(parts: tuple[str | Wildcard, ...]) -> re.Pattern[str]:
    """Leftmost match of each segment between `*`, never reconsidered (atomic): linear, and enough for globs."""
    segments = [""]
    for part in parts:
        if part is Wildcard.MANY:
            segments.append("")
        else:
            segments[-1] += re.escape(part) if isinstance(part, str) else "."
    first, *middle = segments
    if not middle:
        return re.compile(first, re.DOTALL)
    last = middle.pop()
    return re.compile(first + "".join(f"(?>.*?{segment})" for segment in middle) + ".*" + last, re.DOTALL)


@functools.cache
def _network(network: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(network)


def _inside(network: str, text: str) -> bool:
    try:
        return ipaddress.ip_address(text) in _network(network)
    except ValueError:  # not an address: `AWS Internal`, `cloudtrail.amazonaws.com`
        return False
