"""Names in requests of services that many workloads share, as the ARNs that they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.trails import LogPath, Ownership, Trail
from transforms.rules.derived import derive

DECLARED = LogPath(trails=(Trail("org-trail", "111122223333", "us-east-1", "security-logs"),))
TOPIC = "arn:aws:sns:us-east-1:111122223333:logs"


def described(source: str, name: str, sent: Any, **members: Any) -> dict[str, Any]:
    """The derived fields of a call."""
    caller = {"userIdentity": {"accountId": "111122223333"}, "awsRegion": "us-east-1", **members}
    return derive(
        {"eventSource": f"{source}.amazonaws.com", "eventName": name, "requestParameters": sent, **caller}, DECLARED
    )


@pytest.mark.parametrize(
    ("source", "name", "sent", "resource"),
    [
        ("sns", "DeleteTopic", {"topicArn": TOPIC}, TOPIC),
        ("sns", "Unsubscribe", {"subscriptionArn": f"{TOPIC}:11111111-2222-4333-8444-555555555555"}, TOPIC),
        (
            "sqs",
            "PurgeQueue",
            {"queueUrl": "https://sqs.us-east-1.amazonaws.com/444455556666/in"},
            "arn:aws:sqs:us-east-1:444455556666:in",
        ),
        ("sqs", "PurgeQueue", {"queueUrl": "in"}, "in"),
        ("iam", "DeleteRole", {"roleName": "reader"}, "arn:aws:iam::111122223333:role/reader"),
        (
            "iam",
            "AttachRolePolicy",
            {"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "roleName": "reader"},
            "arn:aws:iam::111122223333:role/reader",
        ),
        ("pipes", "StopPipe", {"Name": "in"}, "arn:aws:pipes:us-east-1:111122223333:pipe/in"),
        (
            "scheduler",
            "DeleteSchedule",
            {"name": "canary"},
            "arn:aws:scheduler:us-east-1:111122223333:schedule/default/canary",
        ),
        (
            "ecs",
            "DeleteService",
            {"cluster": "arn:aws:ecs:us-east-1:111122223333:cluster/jobs", "service": "in"},
            "arn:aws:ecs:us-east-1:111122223333:service/jobs/in",
        ),
        (
            "ec2",
            "DeleteVpcEndpoints",
            {"DeleteVpcEndpointsRequest": {"VpcEndpointId": [{"content": "vpce-1", "tag": 1}]}},
            "arn:aws:ec2:us-east-1:111122223333:vpc-endpoint/vpce-1",
        ),
        (
            "glue",
            "UpdateTable",
            {"databaseName": "lake", "tableInput": {"name": "events"}},
            "arn:aws:glue:us-east-1:111122223333:table/lake/events",
        ),
        (
            "controltower",
            "DisableControl",
            {"controlIdentifier": "arn:aws:controlcatalog:::control/opaque"},
            "arn:aws:controlcatalog:::control/opaque",
        ),
    ],
)
def test_resource_is_named(source: str, name: str, sent: Any, resource: str) -> None:
    """Bare names, ids, URLs and ARNs come out in one spelling; whose they are cannot be declared."""
    found = described(source, name, sent)
    assert (found["derived.resource"], found["derived.ownership"]) == (resource, Ownership.UNKNOWN.value)


def test_account_is_declared() -> None:
    """An account that a call on the organization names is ours where a declared trail lives."""
    found = described("organizations", "CloseAccount", {"accountId": "111122223333"})
    assert (found["derived.resource"], found["derived.ownership"]) == ("111122223333", Ownership.OWN.value)
    found = described("organizations", "CloseAccount", {"accountId": "444455556666"})
    assert found["derived.ownership"] == Ownership.UNKNOWN.value


def test_place_of_the_call() -> None:
    """An ARN is made for the partition, Region and account of the call."""
    found = described("lambda", "DeleteFunction20150331", {"functionName": "in"}, awsRegion="cn-north-1")
    assert found["derived.resource"] == "arn:aws-cn:lambda:cn-north-1:111122223333:function:in"


@pytest.mark.parametrize("sent", [None, {}, {"queueUrl": None}, {"queueUrl": [{}]}, "x", {"aRequest": 3}, []])
def test_nothing_named(sent: Any) -> None:
    """Where the request names nothing, there is no resource."""
    assert "derived.resource" not in described("sqs", "PurgeQueue", sent)


@pytest.mark.parametrize(
    ("source", "blinding", "recovering", "sent"),
    [
        ("cloudtrail", "StopLogging", "StartLogging", {"name": "org-trail"}),
        ("cloudtrail", "DeleteEventDataStore", "RestoreEventDataStore", {"eventDataStore": "e-1"}),
        ("cloudtrail", "StopEventDataStoreIngestion", "StartEventDataStoreIngestion", {"eventDataStore": "e-1"}),
        ("kms", "ScheduleKeyDeletion", "CancelKeyDeletion", {"keyId": "11111111-2222-4333-8444-555555555555"}),
        ("kms", "DisableKey", "EnableKey", {"keyId": "alias/logs"}),
        ("kms", "DisconnectCustomKeyStore", "ConnectCustomKeyStore", {"customKeyStoreId": "cks-1"}),
        ("config", "StopConfigurationRecorder", "StartConfigurationRecorder", {"configurationRecorderName": "default"}),
        ("events", "DisableRule", "EnableRule", {"name": "trail-stopped"}),
        ("monitoring", "DisableAlarmActions", "EnableAlarmActions", {"alarmNames": ["trail-stopped"]}),
        ("guardduty", "StopMonitoringMembers", "StartMonitoringMembers", {"detectorId": "d-1", "accountIds": ["1"]}),
    ],
)
def test_recovery_names_what_was_blinded(source: str, blinding: str, recovering: str, sent: Any) -> None:
    """A recovering call touches the same resource as the call that it undoes."""
    resource = described(source, blinding, sent)["derived.resource"]
    assert described(source, recovering, sent)["derived.resource"] == resource


def test_who_leaves_is_what_is_touched() -> None:
    """LeaveOrganization names nothing: it is about the account that makes it."""
    found = described("organizations", "LeaveOrganization", None, userIdentity={"accountId": "444455556666"})
    assert (found["derived.resource"], found["derived.ownership"]) == ("444455556666", Ownership.UNKNOWN.value)
