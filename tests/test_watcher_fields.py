"""Derived fields of what watches beside the trails: names, alarms, recorders and the logs that services write."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_rules import RULES, names_of, table_of

from schemas.alerts import Severity
from schemas.tampering import Tampering
from schemas.trails import LogPath
from transforms.rules import alarms, builtin_rules, derived, recorders
from transforms.rules.members import member
from transforms.sigma import RuleSet, parse_rules

CATEGORIES = (
    "cloudwatch-logs",
    "cloudwatch-alarms",
    "eventbridge",
    "config",
    "cross-account-observability",
    "flow-dns-logs",
    "service-logs",
)
ALARM = {
    "alarmName": "root-login",
    "threshold": 1.0,
    "comparisonOperator": "GreaterThanThreshold",
    "period": 300,
    "evaluationPeriods": 1,
    "alarmActions": ["arn:aws:sns:us-east-1:111122223333:pager"],
}


def derived_of(source: str, name: str, sent: Any) -> dict[str, Any]:
    """The derived fields of a call, without their prefix."""
    event = {
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "recipientAccountId": "111122223333",
        "requestParameters": sent,
    }
    return {field.removeprefix("derived."): value for field, value in derived.derive(event, LogPath()).items()}


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    """The shipped rules of scope watcher."""
    loaded = builtin_rules()
    watching = {stem: text for stem, text in loaded.items() if "scope: watcher" in text}
    return parse_rules({f"{stem}.yml": text for stem, text in watching.items()})


def found(rules: RuleSet, source: str, name: str, sent: Any, **members: Any) -> list[Tampering]:
    """What the rules find in one call."""
    record = {
        "eventTime": "2026-11-24T06:00:00Z",
        "eventSource": source,
        "eventName": name,
        "requestParameters": sent,
        **members,
    }
    return rules.evaluate(table_of([record]), LogPath())


@pytest.mark.parametrize(
    "name",
    [
        "CIS-3.1-UnauthorizedAPICalls",
        "aws-cloudtrail-logs-111122223333-0a1b2c3d",
        "ConsoleSignInFailures",
        "/aws/eks/prod/cluster",
        "vpc-flow-logs",
        "IAMPolicyChanges",
        "RouteTableChanges",
        "events-DLQ-depth",
        "splunk-hec",
        "GuardDutyToPager",
        "nightly SOC report",
        "root_login",
        "aws-waf-logs-edge",
    ],
)
def test_names_of_security(name: str) -> None:
    """Names that detections, their logs and their readers go by are told, whatever their case and separators."""
    assert derived_of("monitoring", "DeleteAlarms", {"alarmNames": ["web", name]})["security_named"] is True


@pytest.mark.parametrize(
    "name",
    [
        "TargetTracking-service/prod/web-AlarmHigh-11111111",
        "web-cpu-high",
        "/aws/lambda/resize-images",
        "association-updates",
        "social-feed",
        "waffle-orders",
        "diamonds",
        "precision",
        "notBreaching",
    ],
)
def test_names_of_anything(name: str) -> None:
    """Everyday names suggest nothing, nor do words that a telling one is only a part of."""
    assert derived_of("monitoring", "DeleteAlarms", {"alarmNames": [name]})["security_named"] is False


def test_member_names_suggest_nothing() -> None:
    """What AWS calls a member is not what people called their alarm."""
    assert derived_of("monitoring", "DeleteAlarms", {"securityAuditTrail": "web"})["security_named"] is False


def test_nameless_calls_have_no_field() -> None:
    """Where a call has but an id, names neither lower its severity nor raise it."""
    assert "security_named" not in derived_of("logs", "DeleteDelivery", {"id": "jdlNuVF9PN8rhWYc"})


def test_nothing_named_is_not_quiet(rules: RuleSet) -> None:
    """A request that was left out as too large, or refused without a word, keeps the level of its rule."""
    omitted = {"omitted": True, "originalSize": 120000, "reason": "requestParameters too large"}
    for sent in (None, omitted):
        (tampering,) = found(rules, "events.amazonaws.com", "PutTargets", sent)
        assert tampering.severity is Severity.HIGH


@pytest.mark.parametrize(
    ("source", "name", "sent", "arn", "expected"),
    [
        ("monitoring", "DeleteAlarms", {"alarmNames": ["root"]}, "cloudwatch:us-east-1:{}:alarm:root", "root"),
        ("events", "DisableRule", {"name": "r"}, "events:us-east-1:{}:rule/security/r", "r"),
        ("events", "RemoveTargets", {"rule": "r", "ids": ["1"]}, "events:us-east-1:{}:rule/r", "r"),
        ("logs", "DeleteLogStream", {"logGroupName": "/g"}, "logs:us-east-1:{}:log-group:/g:log-stream:s", "/g"),
        ("logs", "PutTransformer", {"logGroupIdentifier": "g"}, "logs:us-east-1:{}:log-group:g:*", "g"),
    ],
)
def test_one_name_for_one_thing(source: str, name: str, sent: Any, arn: str, expected: str) -> None:
    """What a request calls by name and a refusal by ARN is the same thing; in another account it is not."""
    event = {"eventSource": f"{source}.amazonaws.com", "eventName": name, "recipientAccountId": "111122223333"}
    assert derived_of(source, name, sent)["resource"] == expected
    for account, resource in (("111122223333", expected), ("999999999999", f"arn:aws:{arn.format('999999999999')}")):
        message = f"User: arn:aws:iam::1:user/m is not authorized on resource: arn:aws:{arn.format(account)} because …"
        assert derived.derive({**event, "errorMessage": message}, LogPath())["derived.resource"] == resource


@pytest.mark.parametrize(
    ("source", "name", "sent", "severity"),
    [
        ("monitoring", "DeleteAlarms", {"alarmNames": ["root-login"]}, Severity.HIGH),
        ("monitoring", "DeleteAlarms", {"alarmNames": ["web-cpu"]}, Severity.LOW),
        ("monitoring", "DeleteDashboards", {"dashboardNames": ["web"]}, Severity.INFO),
        ("events", "DisableRule", {"name": "guardduty"}, Severity.HIGH),
        ("events", "DisableRule", {"name": "nightly-report"}, Severity.LOW),
        ("logs", "DeleteDelivery", {"id": "jdlNuVF9PN8rhWYc"}, Severity.HIGH),
        ("config", "StopConfigurationRecorder", {"configurationRecorderName": "default"}, Severity.HIGH),
    ],
)
def test_severity_by_name(rules: RuleSet, source: str, name: str, sent: Any, severity: Severity) -> None:
    """In categories that any deployment fills, only a name that suggests security is loud."""
    (tampering,) = found(rules, f"{source}.amazonaws.com", name, sent)
    assert tampering.severity is severity


CALLS = sorted(
    {
        (call["eventSource"], name)
        for path in RULES.values()
        if path.parent.name in CATEGORIES and "scope: watcher" in path.read_text()
        for call in [yaml.safe_load(path.read_text())["detection"]["call"]]
        for name in names_of(call["eventName"])
    }
    - {("s3.amazonaws.com", "PutBucketLogging")}  # of an unknown bucket, that is for the rule on log buckets
)


@pytest.mark.parametrize(("source", "name"), CALLS)
def test_unseen_request_fires_one_rule(rules: RuleSet, source: str, name: str) -> None:
    """A call whose request is null or was left out as too large fires one rule."""
    omitted = {"omitted": True, "originalSize": 120000, "reason": "requestParameters too large"}
    assert len(found(rules, source, name, None, errorCode="AccessDenied")) == 1
    assert len(found(rules, source, name, omitted)) == 1


def test_scaling_is_spared(rules: RuleSet) -> None:
    """Auto scaling makes and deletes alarms all day; the same call by a person counts."""
    scaling = {"type": "AssumedRole", "invokedBy": "dynamodb.application-autoscaling.amazonaws.com"}
    sent = {"alarmNames": ["security"]}
    assert not found(rules, "monitoring.amazonaws.com", "DeleteAlarms", sent, userIdentity=scaling)
    assert len(found(rules, "monitoring.amazonaws.com", "DeleteAlarms", sent, userIdentity={"type": "Root"})) == 1


@pytest.mark.parametrize(
    ("change", "silenced"),
    [
        ({}, False),
        ({"threshold": alarms.HIGHEST_THRESHOLD}, False),
        ({"threshold": alarms.HIGHEST_THRESHOLD + 1}, True),
        ({"threshold": 0, "comparisonOperator": "LessThanThreshold"}, False),
        ({"threshold": -1, "comparisonOperator": "LessThanOrEqualToThreshold"}, True),
        ({"threshold": "1e9"}, False),
        ({"period": 3600, "evaluationPeriods": 24}, False),
        ({"period": 3600, "evaluationPeriods": 25}, True),
        ({"actionsEnabled": "false"}, True),
        ({"actionsEnabled": True}, False),
        ({"alarmActions": []}, True),
        ({"alarmActions": None, "okActions": ["arn"]}, True),
        ({"treatMissingData": "ignore"}, True),
        ({"treatMissingData": "notBreaching"}, False),
    ],
)
def test_alarm_silenced(change: dict[str, Any], silenced: bool) -> None:  # noqa: FBT001
    """An alarm is silenced from the first value that its limits do not allow."""
    assert derived_of("monitoring", "PutMetricAlarm", {**ALARM, **change})["alarm_silenced"] is silenced


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_higher_threshold_never_speaks_up(one: int, other: int) -> None:
    """Raising the threshold of an alarm that is silenced leaves it silenced."""
    low, high = (
        derived_of("monitoring", "PutMetricAlarm", {**ALARM, "threshold": each})["alarm_silenced"]
        for each in sorted((one, other))
    )
    assert high or not low


@pytest.mark.parametrize(
    ("recorder", "narrowed"),
    [
        ({}, False),
        ({"recordingGroup": {"allSupported": True}}, False),
        ({"recordingGroup": {"recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}}}, False),
        ({"recordingGroup": {"allSupported": False, "resourceTypes": ["AWS::S3::Bucket"]}}, True),
        ({"recordingGroup": {}}, True),
        ({"recordingMode": {"recordingFrequency": "CONTINUOUS"}}, False),
        ({"recordingMode": {"recordingFrequency": "DAILY"}}, True),
        ({"recordingMode": {"recordingModeOverrides": {"recordingFrequency": "DAILY"}}}, True),
    ],
)
def test_recorder_narrowed(recorder: dict[str, Any], narrowed: bool) -> None:  # noqa: FBT001
    """A recorder is narrowed by types left out, and by delay; what is not sent leaves nothing out."""
    sent = {"configurationRecorder": {"name": "default", **recorder}}
    assert derived_of("config", "PutConfigurationRecorder", sent)["recorder_narrowed"] is narrowed


def test_kept_by_default_is_not_short() -> None:
    """What AWS Config keeps by itself is no shortening; a day less is."""
    kept = [{"retentionPeriodInDays": days} for days in (recorders.KEPT_DAYS, recorders.KEPT_DAYS - 1, "x")]
    answers = [derived_of("config", "PutRetentionConfiguration", sent)["retention_short"] for sent in kept]
    assert answers == [False, True, True]


def test_log_retention_floor() -> None:
    """A year of a log group is enough, a day less is short."""
    kept = [{"retentionInDays": days} for days in (365, 364, None)]
    assert [derived_of("logs", "PutRetentionPolicy", sent)["retention_short"] for sent in kept] == [False, True, True]


@pytest.mark.parametrize(
    ("destination", "outside"),
    [
        ("arn:aws:kinesis:us-east-1:111122223333:stream/s", False),
        ("arn:aws:kinesis:us-east-1:999999999999:stream/s", True),
        ("arn:aws:s3:::bucket", False),
        ("stream", False),
    ],
)
def test_destination_outside(destination: str, outside: bool) -> None:  # noqa: FBT001
    """An ARN tells the account; a bucket's has none."""
    sent = {"logGroupName": "g", "destinationArn": destination}
    assert derived_of("logs", "PutSubscriptionFilter", sent)["destination_outside"] is outside


@pytest.mark.parametrize(
    ("arn", "declared"), [("arn:aws:kms:us-east-1:111122223333:key/1", True), (None, True), (["x"], True)]
)
def test_undeclared_key_of_log_group(arn: Any, declared: bool) -> None:  # noqa: FBT001
    """Where no key is declared, none is known."""
    assert derived_of("logs", "AssociateKmsKey", {"kmsKeyId": arn})["key_not_declared"] is declared


def capitalized(value: Any) -> Any:
    """A value with a capital first letter in each member's name."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: capitalized(inner) for name, inner in value.items()}
    return [capitalized(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("source", "name", "inner"),
    [
        ("ec2", "CreateFlowLogs", {"trafficType": "REJECT"}),
        ("ec2", "ModifyClientVpnEndpoint", {"connectionLogOptions": {"enabled": False}}),
        ("ec2", "ModifyVerifiedAccessInstanceLoggingConfiguration", {"accessLogs": {"s3": {"enabled": "false"}}}),
    ],
)
@pytest.mark.parametrize("spell", [capitalized, dict])
def test_wrapped_or_not(source: str, name: str, inner: dict[str, Any], spell: Any) -> None:
    """EC2 wraps newer requests and capitalizes their members; either way a log that is turned off is seen."""
    assert derived_of(source, name, {f"{name}Request": spell(inner)})["logging_off"] is True
    assert derived_of(source, name, spell(inner))["logging_off"] is True
    assert derived_of(source, name, {f"{name}Request": {}})["logging_off"] is False


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=4), st.text(max_size=3))
def test_member_in_any_case(value: dict[str, int], name: str) -> None:
    """A member is found as it is spelt, or else by the same letters in any case, and never invented."""
    got = member(value, name)
    if name in value:
        assert got == value[name]
    else:
        assert got is None or any(key.lower() == name.lower() and value[key] == got for key in value)
