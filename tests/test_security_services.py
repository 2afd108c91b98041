"""Derived fields of calls on security services and on what responds to incidents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.trails import LogPath, Trail
from transforms.rules.derived import derive

DECLARED = LogPath(trails=(Trail("org-trail", "999999999999", "us-east-1", "security-logs"),))
KEY = "arn:aws:kms:us-east-1:{}:key/11111111-2222-4333-8444-555555555555"
WORKFLOW = "arn:aws:states:us-east-1:111122223333:stateMachine:"


def derived_of(source: str, name: str, sent: Any) -> dict[str, Any]:
    """The derived fields of a call, without their prefix."""
    event = {
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "recipientAccountId": "111122223333",
        "requestParameters": sent,
    }
    return {field.removeprefix("derived."): value for field, value in derive(event, DECLARED).items()}


@pytest.mark.parametrize(
    ("source", "name", "member"),
    [
        ("guardduty", "UpdateFindingsFeedback", "findingIds"),
        ("securityhub", "BatchUpdateFindings", "FindingIdentifiers"),
        ("securityhub", "BatchUpdateFindings", "findingIdentifiers"),
        ("securityhub", "BatchUpdateFindingsV2", "MetadataUids"),
        ("access-analyzer", "UpdateFindings", "ids"),
    ],
)
@pytest.mark.parametrize(("count", "expected"), [(0, True), (1, False), (9, False), (10, True), (100, True)])
def test_findings_in_bulk(source: str, name: str, member: str, count: int, expected: bool) -> None:  # noqa: FBT001
    """Ten findings are a bulk, and so is a call that lists none."""
    assert derived_of(source, name, {member: ["x"] * count})["findings_in_bulk"] is expected


def test_findings_of_both_lists_add_up() -> None:
    """Security Hub's newer call takes findings by two kinds of identifiers at once."""
    sent = {"MetadataUids": ["x"] * 5, "FindingIdentifiers": [{"CloudAccountUid": "111122223333"}] * 5}
    assert derived_of("securityhub", "BatchUpdateFindingsV2", sent)["findings_in_bulk"] is True


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IncidentResponse", True),
        ("auto-remediation", True),
        ("Quarantine_EC2", True),
        ("guardduty-to-ticket", True),
        ("nightly-orders", False),
        ("container-build", False),
        ("correspondence", True),  # a word within a word counts: better one too many
    ],
)
def test_names_responder(name: str, expected: bool) -> None:  # noqa: FBT001
    """Names tell what responds: of documents, of state machines, and of the machine in an execution's ARN."""
    machine, run = f"{WORKFLOW}{name}", f"arn:aws:states:us-east-1:111122223333:execution:{name}:run-1"
    assert derived_of("ssm", "DeleteDocument", {"name": name})["names_responder"] is expected
    assert derived_of("states", "UpdateStateMachine", {"stateMachineArn": machine})["names_responder"] is expected
    assert derived_of("states", "StopExecution", {"executionArn": run})["names_responder"] is expected


def test_definition_names_no_responder() -> None:
    """What a workflow does is not its name."""
    sent = {"stateMachineArn": f"{WORKFLOW}orders", "definition": '{"Comment": "security incident"}'}
    assert derived_of("states", "UpdateStateMachine", sent)["names_responder"] is False


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps({"inputs": {"s3BucketName": "logs", "cloudWatchLogGroupName": ""}}), False),
        (json.dumps({"inputs": {"s3BucketName": "", "cloudWatchLogGroupName": "sessions"}}), False),
        (json.dumps({"inputs": {"s3BucketName": "", "cloudWatchLogGroupName": ""}}), True),
        (json.dumps({"inputs": ["s3BucketName"]}), True),
        ("inputs: {s3BucketName: logs}", True),
        (None, True),
    ],
)
def test_session_logging_off(content: str | None, expected: bool) -> None:  # noqa: FBT001
    """Only preferences with a destination log; only the preferences' own document counts."""
    sent = {"name": "SSM-SessionManagerRunShell", "content": content}
    assert derived_of("ssm", "UpdateDocument", sent)["session_logging_off"] is expected
    assert derived_of("ssm", "UpdateDocument", {**sent, "name": "Other"})["session_logging_off"] is False


@pytest.mark.parametrize(
    ("kind", "managed", "expected"),
    [
        ("WAFV2", {"loggingConfiguration": {"logDestinationConfigs": ["arn"]}}, False),
        ("WAFV2", {"loggingConfiguration": {"logDestinationConfigs": []}}, True),
        ("WAFV2", {"networkFirewallLoggingConfiguration": {"logDestinationConfigs": ["arn"]}}, True),
        ("NETWORK_FIREWALL", {"networkFirewallLoggingConfiguration": {"logDestinationConfigs": [{}]}}, False),
        ("NETWORK_FIREWALL", {}, True),
        ("SECURITY_GROUPS_COMMON", {}, False),
    ],
)
def test_firewall_policy_unlogged(kind: str, managed: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A policy that could log and names no destination does not; both spellings of members are read."""
    lower = {"policy": {"securityServicePolicyData": {"type": kind, "managedServiceData": json.dumps(managed)}}}
    upper = {"Policy": {"SecurityServicePolicyData": {"Type": kind, "ManagedServiceData": json.dumps(managed)}}}
    assert derived_of("fms", "PutPolicy", lower)["firewall_policy_unlogged"] is expected
    assert derived_of("fms", "PutPolicy", upper)["firewall_policy_unlogged"] is expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (KEY.format("111122223333"), False),
        (KEY.format("999999999999"), False),
        (KEY.format("444455556666"), True),
        ("11111111-2222-4333-8444-555555555555", False),
        (None, True),
    ],
)
def test_key_outside(key: str | None, expected: bool) -> None:  # noqa: FBT001
    """The recipient's keys and those of declared accounts are inside; a bare id is the caller's own."""
    sent = {"kmsKeyId": key, "scanType": "CODE"}
    assert derived_of("inspector2", "UpdateEncryptionKey", sent)["key_outside"] is expected


@pytest.mark.parametrize(
    ("source", "name", "sent", "expected"),
    [
        ("guardduty", "UpdateDetector", {"detectorId": "d1", "enable": False}, "d1"),
        (
            "securityhub",
            "DeleteInsight",
            {"InsightArn": "arn:aws:securityhub:::insight/1"},
            "arn:aws:securityhub:::insight/1",
        ),
        ("states", "DeleteStateMachine", {"stateMachineArn": f"{WORKFLOW}orders"}, f"{WORKFLOW}orders"),
        ("fms", "PutPolicy", {"policy": {"policyName": "web"}}, "web"),
        ("macie2", "DisableMacie", None, None),
    ],
)
def test_resource(source: str, name: str, sent: Any, expected: str | None) -> None:
    """What was touched, where the request names it."""
    assert derived_of(source, name, sent).get("resource") == expected
