"""What cannot be evaluated as it is written is refused by name, all of it at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from schemas.alerts import Severity
from schemas.errors import UsageError
from transforms.sigma import Rule, parse_rules

GOOD = """
title: Trail stopped
id: 352a918a-34d8-4882-8470-44830c507aa3
tags: [attack.t1562.008, attack.defense-evasion, attack.T1070, cve.2021-1]
level: critical
logsource: {product: aws, service: cloudtrail}
detection:
    sel: {eventName: StopLogging}
    condition: sel
trailcanary: {scope: trail, category: trail}
"""


def problems_of(**sources: str) -> tuple[str, ...]:
    """The problems that the sources are refused for."""
    with pytest.raises(UsageError) as refused:
        parse_rules({f"{name}.yml": text for name, text in sources.items()})
    return refused.value.problems


def only_rule(text: str, source: str = "folder/trail_stopped.yml") -> Rule:
    """The one rule of a source."""
    (rule,) = parse_rules({source: text}).rules
    return rule


def test_rule_attributes() -> None:
    """A rule keeps its stem, id, title, level, techniques and placement."""
    rule = only_rule(GOOD)
    assert (rule.name, rule.sigma_id, rule.title) == (
        "trail_stopped",
        "352a918a-34d8-4882-8470-44830c507aa3",
        "Trail stopped",
    )
    assert (rule.severity, rule.scope, rule.category) == (Severity.CRITICAL, "trail", "trail")
    assert rule.mitre == ("T1070", "T1562.008")


def test_defaults_of_a_foreign_rule() -> None:
    """A rule without level, id and our attribute is medium, of scope rule."""
    bare = "\n".join(
        line for line in GOOD.splitlines() if line.split(":")[0] not in ("id", "level", "tags", "trailcanary")
    )
    rule = only_rule(bare, "x.yaml")
    assert (rule.name, rule.sigma_id, rule.severity, rule.scope, rule.category) == (
        "x",
        None,
        Severity.MEDIUM,
        "rule",
        None,
    )


@pytest.mark.parametrize(
    "prose",
    [
        "falsepositives: one text, not a list",
        "falsepositives: |\n    Few:\n      - one",
        "references: https://example.com",
        "author: [a, b]",
        "description: 5",
        "fields: eventName",
        "related: none",
        "date: 2020/13/45",
        "modified: yesterday",
        "status: unheard-of",
        "license: 5",
        "scope: server",
    ],
)
def test_prose_out_of_form_is_no_reason_to_refuse(prose: str) -> None:
    """A fault in a member that decides neither what a rule finds nor what its alert says leaves the rule whole."""
    assert only_rule(f"{GOOD}{prose}\n") == only_rule(GOOD)


@pytest.mark.parametrize(
    ("level", "severity"), [("informational", Severity.INFO), ("low", Severity.LOW), ("high", Severity.HIGH)]
)
def test_levels(level: str, severity: Severity) -> None:
    """Sigma's levels are our severities."""
    assert only_rule(GOOD.replace("level: critical", f"level: {level}")).severity is severity


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("title: Trail stopped", "title: [", "bad YAML"),
        ("title: Trail stopped", "title: \ttab: x", "bad YAML"),
        ("title: Trail stopped", "- x", "bad YAML"),
        ("title: Trail stopped", "title: a\ntitle: b", "Duplicate key 'title'"),
        ("title: Trail stopped", "other: x", "must have a title"),
        ("352a918a-34d8-4882-8470-44830c507aa3", "not-a-uuid", "must be an UUID"),
        ("352a918a-34d8-4882-8470-44830c507aa3", "5", "not a Sigma rule"),
        ("level: critical", "level: dreadful", "'dreadful' is not a valid Sigma rule level"),
        ("detection:", "detections:", "must have a detection"),
        ("detection:", "detection: text\nother:", "must be a valid YAML map"),
        ("condition: sel", "other: x", "at least one condition"),
        ("condition: sel", "condition: null", "not a Sigma rule"),
        ("condition: sel", "condition: 5", "not a Sigma rule"),
        ("condition: sel", "condition: []", "at least one condition"),
        ("condition: sel", "condition: sel and", "Expected"),
        ("condition: sel", "condition: missing", "'missing', which is not defined"),
        ("condition: sel", "condition: 1 of x_*", "'1 of x_*', and nothing is so called"),
        ("condition: sel", "condition: sel | count() > 5", "pipe syntax"),
        ("condition: sel", "condition: 2 of sel*", "Expected"),
        ("condition: sel", "condition: sel\n    timeframe: 5m", "'timeframe' is not supported"),
        ("detection:", "correlation: {type: event_count}\ndetection:", "'correlation' is not supported"),
        ("detection:", "filter: {rules: [x]}\ndetection:", "'filter' is not supported"),
        ("detection:", "action: global\ndetection:", "'action' is not supported"),
        ("{product: aws, service: cloudtrail}", "{product: windows}", "logsource must be product: aws"),
        ("{product: aws, service: cloudtrail}", "{product: aws, service: guardduty}", "logsource must be product: aws"),
        ("{product: aws, service: cloudtrail}", "{product: aws, service: cloudtrail, category: x}", "nothing else"),
        ("{product: aws, service: cloudtrail}", "{}", "log source can't be empty"),
        ("logsource:", "logsources:", "must have a log source"),
        ("eventName: StopLogging", "eventName|approximately: StopLogging", "Unknown modifier 'approximately'"),
        ("eventName: StopLogging", "'eventName|re': '('", "invalid"),
        ("eventName: StopLogging", "'eventName|re': '(?=x)'", "invalid"),
        ("eventName: StopLogging", "'eventName|cidr': 192.0.2.1/24", "Invalid CIDR"),
        ("eventName: StopLogging", "'eventName|contains': null", "incompatible"),
        ("eventName: StopLogging", "'eventName|lt': many", "incompatible"),
        ("eventName: StopLogging", "'eventName|exists': maybe", "incompatible"),
        ("eventName: StopLogging", "'eventTime|hour': 3", "not supported"),
        ("eventName: StopLogging", "'eventName|expand': '%names%'", "placeholder %names%"),
        ("eventName: StopLogging", "eventName: []", "eventName has no values"),
        ("eventName: StopLogging", "eventName: {a: b}", "Unsupported type"),
        ("eventName: StopLogging", "eventname: StopLogging", "CloudTrail writes 'eventName'"),
        ("eventName: StopLogging", "'userIdentity..arn': x", "no field path"),
        ("{eventName: StopLogging}", "{}", "Detection is empty"),
        ("{eventName: StopLogging}", "[]", "has no values"),
        ("{eventName: StopLogging}", "[null]", "keyword without a field"),
        ("{scope: trail, category: trail}", "{scope: house, category: trail}", "scope of trail, watcher, recovery"),
        ("{scope: trail, category: trail}", "{scope: trail}", "must name a category"),
        ("{scope: trail, category: trail}", "trail", "'trailcanary' must be a map"),
    ],
)
def test_refusals(old: str, new: str, reason: str) -> None:
    """Each thing that we cannot evaluate is refused with the file and the reason."""
    assert old in GOOD
    problems = problems_of(bad=GOOD.replace(old, new), other=GOOD.replace("352a918a", "352a918b"))
    assert len(problems) == 1
    assert problems[0].startswith("bad.yml: ")
    assert reason in problems[0]


@pytest.mark.parametrize("text", ["", "---\n", "text", "- a\n- b\n", f"{GOOD}---{GOOD}"])
def test_one_map_a_file(text: str) -> None:
    """A file holds one rule, no more and no less."""
    assert problems_of(bad=text)[0].startswith("bad.yml: one YAML map is wanted")


def test_all_problems_at_once() -> None:
    """Every bad file is named, and each of its errors."""
    worse = GOOD.replace("title: Trail stopped", "other: x").replace("level: critical", "level: 5")
    problems = problems_of(a="[", b=worse, c=GOOD.replace("sel: {eventName", "sel: {event.Name|x"))
    assert [problem.split(":")[0] for problem in problems] == ["a.yml", "b.yml", "b.yml", "c.yml"]


def test_duplicated_ids_and_names() -> None:
    """Two rules with one Sigma id, or one stem, would be one rule to whoever reads the alert."""
    assert problems_of(a=GOOD, b=GOOD) == ("a, b: the same id 352a918a-34d8-4882-8470-44830c507aa3",)
    with pytest.raises(UsageError, match="the same name a"):
        parse_rules({"x/a.yml": GOOD, "y/a.yml": GOOD.replace("352a918a", "352a918b")})


def test_alias_bomb() -> None:
    """A YAML document that explodes into millions of values is refused at once."""
    layers = "\n".join(f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
    assert "bad.yml" in problems_of(bad=GOOD.replace("detection:\n", f"detection:\n    a0: &a0 [x, y]\n{layers}\n"))[0]


def test_deep_nesting_is_refused() -> None:
    """Two thousand negations are a problem of the rule, not a crash."""
    deep = "not " * 2_000 + "sel"
    assert problems_of(bad=GOOD.replace("condition: sel", f"condition: '{deep}'"))[0].startswith("bad.yml: ")


def test_evaluation_needs_no_pysigma() -> None:
    """Workers load and evaluate compiled rules without importing pySigma."""
    code = "import sys, transforms.sigma; sys.exit(any(name.split('.')[0] == 'sigma' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_an_unknown_derived_field_is_refused() -> None:
    """A misspelt derived field would never hold, and nobody would notice."""
    (problem,) = problems_of(x=GOOD.replace("eventName: StopLogging", "derived.logs_objects: true"))
    assert "x.yml" in problem
    assert "derived.logs_objects" in problem
