"""From Sigma YAML to compiled rules, by pySigma; whatever cannot be compiled whole is refused, by name.

A condition that fails to compile and so never holds would be the worst fault here: nothing is dropped, ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml
from sigma.exceptions import (
    SigmaAuthorError,
    SigmaDateError,
    SigmaDescriptionError,
    SigmaError,
    SigmaFalsePositivesError,
    SigmaFieldsError,
    SigmaLicenseError,
    SigmaModifiedError,
    SigmaReferencesError,
    SigmaRelatedError,
    SigmaScopeError,
    SigmaStatusError,
)
from sigma.rule import SigmaRule
from sigma.rule.attributes import SigmaLevel
from sigma.rule.base import SigmaYAMLLoader
from sigma.rule.detection import SigmaDetection, SigmaDetections

from schemas.alerts import Severity
from schemas.errors import UsageError
from transforms.sigma.bounds import required_texts
from transforms.sigma.conditions import RuleProblem, compile_condition
from transforms.sigma.predicate import Node
from transforms.sigma.rule import Rule
from transforms.sigma.ruleset import RuleSet

_SEVERITY = {
    None: Severity.MEDIUM,
    SigmaLevel.INFORMATIONAL: Severity.INFO,
    SigmaLevel.LOW: Severity.LOW,
    SigmaLevel.MEDIUM: Severity.MEDIUM,
    SigmaLevel.HIGH: Severity.HIGH,
    SigmaLevel.CRITICAL: Severity.CRITICAL,
}
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?", re.IGNORECASE)
_SCOPES = ("trail", "watcher", "recovery")

# Faults in what decides neither whether a rule holds nor what its alert says: SigmaHQ's own rules have some.
_PROSE_ERRORS = (
    SigmaAuthorError,
    SigmaDateError,
    SigmaDescriptionError,
    SigmaFalsePositivesError,
    SigmaFieldsError,
    SigmaLicenseError,
    SigmaModifiedError,
    SigmaReferencesError,
    SigmaRelatedError,
    SigmaScopeError,
    SigmaStatusError,
)

# What pySigma 2.0 lets through from malformed YAML besides its own errors (UUID(5), `"|" in None`, …).
_PARSER_ERRORS = (SigmaError, yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError)


def compile_rules(sources: Mapping[str, str], beside: Sequence[Rule] = ()) -> RuleSet:
    """Compile Sigma rules, each a file name and its YAML, and put them after those compiled before.

    Raises:
        UsageError: Some cannot be compiled; one problem each, `file: reason`, for all of them.
    """
    rules = list(beside)
    problems: list[str] = []
    for source, text in sorted(sources.items()):
        try:
            rules.append(_rule(source, text))
        except RuleProblem as problem:
            problems.extend(f"{source}: {reason}" for reason in problem.reasons)
    problems.extend(_duplicates(rules, "name", (rule.name for rule in rules)))
    problems.extend(_duplicates(rules, "id", (rule.sigma_id for rule in rules)))
    if problems:
        raise UsageError(problems)
    return RuleSet(tuple(rules))


def _duplicates(rules: list[Rule], what: str, values: Iterable[str | None]) -> list[str]:
    owners: dict[str, list[str]] = {}
    for rule, value in zip(rules, values, strict=True):
        if value is not None:
            owners.setdefault(value, []).append(rule.name)
    return [f"{', '.join(names)}: the same {what} {value}" for value, names in owners.items() if len(names) > 1]


def _rule(source: str, text: str) -> Rule:
    document = _document(text)
    try:
        parsed = SigmaRule.from_dict(document, collect_errors=True)
        if faults := [str(error) for error in parsed.errors if not isinstance(error, _PROSE_ERRORS)]:
            raise RuleProblem(*faults)
        return _compiled(source, parsed)
    except _PARSER_ERRORS as error:
        raise RuleProblem(f"not a Sigma rule: {error or type(error).__name__}") from error


def _document(text: str) -> dict[str, Any]:
    """The one YAML document, if it is of the kind that we evaluate."""
    try:
        documents = [document for document in yaml.load_all(text, SigmaYAMLLoader) if document is not None]
    except _PARSER_ERRORS as error:
        raise RuleProblem(f"bad YAML: {' '.join(str(error).split())}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise RuleProblem(f"one YAML map is wanted, found {len(documents)} documents")
    document: dict[str, Any] = documents[0]
    for key in ("correlation", "filter", "action"):
        if key in document:
            raise RuleProblem(f"{key!r} is not supported: only single-event rules are")
    detection = document.get("detection")
    if isinstance(detection, dict) and "timeframe" in detection:
        raise RuleProblem("'timeframe' is not supported: only single-event rules are")
    return document


def _compiled(source: str, parsed: SigmaRule) -> Rule:
    logsource = parsed.logsource
    if (logsource.category, logsource.product, logsource.service) != (None, "aws", "cloudtrail"):
        raise RuleProblem("the logsource must be product: aws, service: cloudtrail, and nothing else")
    scope, category = _placement(parsed.custom_attributes.get("trailcanary"))
    condition = compile_condition(parsed.detection)
    return Rule(
        name=PurePosixPath(source).name.removesuffix(".yml").removesuffix(".yaml"),
        sigma_id=None if parsed.id is None else str(parsed.id),
        title=parsed.title,
        severity=_SEVERITY[parsed.level],
        scope=scope,
        category=category,
        mitre=tuple(sorted({tag.name.upper() for tag in parsed.tags if _is_technique(tag.namespace, tag.name)})),
        condition=condition,
        event_sources=_required(condition, "eventSource", parsed.detection),
        event_names=_required(condition, "eventName", parsed.detection),
    )


def _required(condition: Node, field: str, detections: SigmaDetections) -> tuple[str, ...]:
    """The texts of which a condition requires one in a field, spelt as the rule spells them."""
    spelt = {text.lower(): text for each in detections.detections.values() for text in _texts(each, field)}
    wanted = (str(text).lower() for text in required_texts(condition, (field,)) or ())
    return tuple(sorted({spelt.get(text, text) for text in wanted}))


def _texts(detection: SigmaDetection, field: str) -> Iterator[str]:
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            yield from _texts(item, field)
        elif item.field == field:
            yield from (str(value) for value in item.value)


def _is_technique(namespace: str, name: str) -> bool:
    return namespace == "attack" and _TECHNIQUE.fullmatch(name) is not None


def _placement(attribute: Any) -> tuple[str, str | None]:
    """Scope and category from our custom attribute `trailcanary: {scope: …, category: …}`."""
    if attribute is None:
        return "rule", None
    if not isinstance(attribute, dict) or attribute.get("scope") not in _SCOPES:
        raise RuleProblem(f"'trailcanary' must be a map with a scope of {', '.join(_SCOPES)}")
    category = attribute.get("category")
    if not isinstance(category, str):
        raise RuleProblem("'trailcanary' must name a category")
    return attribute["scope"], category
