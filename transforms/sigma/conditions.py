"""Compile pySigma's detections and condition into a `predicate` tree."""

from __future__ import annotations

import functools
from typing import Any

import re2  # type: ignore[import-untyped]
from sigma.conditions import ConditionAND, ConditionIdentifier, ConditionNOT, ConditionOR, ConditionSelector
from sigma.modifiers import SigmaEndswithModifier, SigmaStartswithModifier
from sigma.rule.detection import SigmaDetection, SigmaDetectionItem, SigmaDetections
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
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from schemas.archive import RECORD_MEMBERS
from transforms.rules.derived import derived_fields
from transforms.sigma.predicate import (
    AllOf,
    AnyOf,
    Cidr,
    Compare,
    Comparison,
    Exists,
    FieldTest,
    Keyword,
    Node,
    Not,
    Null,
    Number,
    Regex,
    SameAs,
    Test,
    Text,
    Wildcard,
    compiled_regex,
)
from transforms.sigma.values import text_of

_WILDCARDS = {SpecialChars.WILDCARD_MULTI: Wildcard.MANY, SpecialChars.WILDCARD_SINGLE: Wildcard.ONE}
_COMPARISONS = {
    CompareOperators.LT: Comparison.LT,
    CompareOperators.LTE: Comparison.LTE,
    CompareOperators.GT: Comparison.GT,
    CompareOperators.GTE: Comparison.GTE,
}
_TOP_LEVEL = {member.vendor_name.lower(): member.vendor_name for member in RECORD_MEMBERS}


class RuleProblem(Exception):
    """Why one rule cannot be compiled; becomes part of a UsageError."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def compile_condition(detections: SigmaDetections) -> Node:
    """Compile a rule's detections; of several conditions any may hold.

    Raises:
        RuleProblem: Something in them has no meaning here.
        SigmaError: A condition cannot be parsed.
    """
    parsed = [condition.parse(postprocess=False) for condition in detections.parsed_condition]
    return _any_of([_condition(node, detections) for node in parsed])


def _condition(node: Any, detections: SigmaDetections) -> Node:
    match node:
        case ConditionAND():
            return _all_of([_condition(part, detections) for part in node.args])
        case ConditionOR():
            return _any_of([_condition(part, detections) for part in node.args])
        case ConditionNOT():
            return Not(_condition(node.args[0], detections))
        case ConditionIdentifier():
            return _named(node.identifier, detections)
        case ConditionSelector():
            return _selected(node, detections)
        case _:
            raise RuleProblem(f"a condition cannot hold {type(node).__name__}")


def _named(identifier: str, detections: SigmaDetections) -> Node:
    if identifier not in detections.detections:
        raise RuleProblem(f"the condition names {identifier!r}, which is not defined")
    return _detection(detections.detections[identifier])


def _selected(selector: ConditionSelector, detections: SigmaDetections) -> Node:
    identifiers = selector.resolve_referenced_detections(detections)
    if not identifiers:
        raise RuleProblem(f"the condition names '{selector.args[0]} of {selector.pattern}', and nothing is so called")
    parts = [_named(reference.identifier, detections) for reference in identifiers]
    return _all_of(parts) if selector.cond_class is ConditionAND else _any_of(parts)


def _detection(detection: SigmaDetection) -> Node:
    parts = [
        _item(item) if isinstance(item, SigmaDetectionItem) else _detection(item) for item in detection.detection_items
    ]
    return _all_of(parts) if detection.item_linking is ConditionAND else _any_of(parts)


def _item(item: SigmaDetectionItem) -> Node:
    if not item.value:
        raise RuleProblem(f"{item.field or 'a keyword list'} has no values")
    parts = [_value(item, value) for value in item.value]
    node = _all_of(parts) if item.value_linking is ConditionAND else _any_of(parts)
    return Not(node) if item.negated else node


def _value(item: SigmaDetectionItem, value: SigmaType) -> Node:
    if isinstance(value, SigmaExpansion):
        return _any_of([_value(item, expanded) for expanded in value.values])
    if item.field is None:
        return Keyword(_keyword(_test(item, value)))
    if isinstance(value, SigmaFieldReference):
        return SameAs(_path(item.field), _path(value.field), starts=value.starts_with, ends=value.ends_with)
    return FieldTest(_path(item.field), _test(item, value))


def _keyword(test: Test) -> Text | Regex:
    """A keyword may stand anywhere in the record."""
    if isinstance(test, Number):
        test = Text((text_of(test.number),))
    if isinstance(test, Text):
        return Text((Wildcard.MANY, *test.parts, Wildcard.MANY), test.cased)
    if isinstance(test, Regex):
        return test
    raise RuleProblem("a keyword without a field must be text, a number or a regular expression")


def _path(field: str) -> tuple[str, ...]:
    path = tuple(field.split("."))
    if not all(path):
        raise RuleProblem(f"{field!r} is no field path")
    vendor_name = _TOP_LEVEL.get(path[0].lower(), path[0])
    if vendor_name != path[0]:
        raise RuleProblem(f"no field is called {path[0]!r}: CloudTrail writes {vendor_name!r}")
    if path[0] == "derived" and field not in _derived_fields():
        raise RuleProblem(f"no field is derived that is called {field!r}: docs/rules.md lists them")
    return path


_derived_fields = functools.cache(derived_fields)


def _test(item: SigmaDetectionItem, value: SigmaType) -> Test:  # noqa: PLR0911 - one return a type
    match value:
        case SigmaString():
            return _text(value)
        case SigmaRegularExpression():
            return _regex(item, value)
        case SigmaBool():
            return Text((text_of(value.boolean),))
        case SigmaNull():
            return Null()
        case SigmaExists():
            return Exists(value.exists)
        case SigmaCIDRExpression():
            return Cidr(str(value.network))
        case SigmaCompareExpression() if value.op in _COMPARISONS:
            return Compare(_COMPARISONS[value.op], value.number.number)
        case SigmaNumber() if not isinstance(value, SigmaTimestampPart):
            return Number(value.number)
        case _:
            raise RuleProblem(f"{item.field or 'a keyword'}: a modifier makes {type(value).__name__}, not supported")


def _text(value: SigmaString) -> Text:
    cased = isinstance(value, SigmaCasedString)
    parts: list[str | Wildcard] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part if cased else part.lower())
        elif isinstance(part, SpecialChars):
            parts.append(_WILDCARDS[part])
        else:
            raise RuleProblem(f"the placeholder %{part.name}% has no value here")
    return Text(tuple(parts), cased)


def _regex(item: SigmaDetectionItem, value: SigmaRegularExpression) -> Regex:
    """The pattern with its flags; pySigma widens for startswith and endswith, and counts on us to anchor."""
    pattern = str(value.regexp)
    if SigmaStartswithModifier in item.modifiers:
        pattern = rf"\A(?:{pattern})"
    if SigmaEndswithModifier in item.modifiers:
        pattern = rf"(?:{pattern})\z"
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    if flags:
        pattern = f"(?{flags}){pattern}"
    try:
        compiled_regex(pattern)
    except re2.error as error:
        raise RuleProblem(f"bad regular expression {pattern!r}: {error}") from error
    return Regex(pattern)


def _all_of(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _any_of(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))
