"""Which calls show how the log path is joined up, and that only what is on the path leads further."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_worlds import ACCOUNT, ALIAS_ARN, DECLARED, KEY_ARN, KEY_ID, REGION, TRAIL_ARN, archive_rows, call
from record_worlds import values

from pipeline.rule_files import load_rules
from schemas.alerts import Severity
from schemas.log_path import Aspect, PathFact
from schemas.trails import LogPath, Ownership, Trail
from transforms.path_facts import path_facts
from transforms.path_graph import learned
from transforms.path_links import SHOWS, links_of
from transforms.path_names import canonical
from transforms.rules.derived import derive
from transforms.rules.touched import touched_names

RULES = load_rules(())
KEY = f"key/{KEY_ID}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:logs"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:notices"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/notices"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/writer"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:trail"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/objects"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:read"


def policy(service: str, key: str, *arns: str) -> dict[str, Any]:
    """One that lets a service in for some sources."""
    condition = {"ArnLike": {key: list(arns)}}
    return {"Statement": {"Effect": "Allow", "Principal": {"Service": service}, "Action": "*", "Condition": condition}}


CALLS = [
    (
        "s3",
        "PutBucketPolicy",
        {
            "bucketName": "security-logs",
            "bucketPolicy": policy(
                "cloudtrail.amazonaws.com", "AWS:SourceArn", TRAIL_ARN, "arn:aws:cloudtrail:*:*:trail/x"
            ),
        },
        {(TRAIL_ARN, "security-logs")},
    ),
    (
        "s3",
        "PutBucketPolicy",
        {"bucketName": "security-logs", "bucketPolicy": policy("config.amazonaws.com", "aws:SourceArn", TRAIL_ARN)},
        set(),
    ),
    (
        "s3",
        "PutBucketNotification",
        {
            "bucketName": "security-logs",
            "NotificationConfiguration": {
                "QueueConfiguration": {"Queue": QUEUE, "Event": "s3:ObjectCreated:*"},
                "TopicConfiguration": [{"Topic": TOPIC}],
                "CloudFunctionConfiguration": {"CloudFunction": f"{FUNCTION}:live"},
            },
        },
        {("security-logs", QUEUE), ("security-logs", TOPIC), ("security-logs", FUNCTION)},
    ),
    (
        "s3",
        "PutBucketEncryption",
        {
            "bucketName": "security-logs",
            "ServerSideEncryptionConfiguration": {
                "Rule": {"ApplyServerSideEncryptionByDefault": {"KMSMasterKeyID": KEY_ID, "SSEAlgorithm": "aws:kms"}}
            },
        },
        {("security-logs", KEY)},
    ),
    (
        "kms",
        "CreateGrant",
        {"keyId": KEY_ARN, "constraints": {"encryptionContextSubset": {"aws:cloudtrail:arn": TRAIL_ARN}}},
        {(TRAIL_ARN, KEY)},
    ),
    (
        "kms",
        "PutKeyPolicy",
        {
            "keyId": KEY_ID,
            "policy": json.dumps(
                policy("cloudtrail.amazonaws.com", "kms:EncryptionContext:aws:cloudtrail:arn", TRAIL_ARN)
            ),
        },
        {(TRAIL_ARN, KEY)},
    ),
    ("sns", "Subscribe", {"topicArn": TOPIC, "protocol": "sqs", "endpoint": QUEUE}, {(TOPIC, QUEUE)}),
    ("sns", "Subscribe", {"topicArn": TOPIC, "protocol": "email", "endpoint": "eve@example.com"}, set()),
    (
        "sns",
        "SetTopicAttributes",
        {
            "topicArn": TOPIC,
            "attributeName": "Policy",
            "attributeValue": json.dumps(policy("s3.amazonaws.com", "aws:SourceArn", "arn:aws:s3:*:*:security-logs")),
        },
        {("security-logs", TOPIC)},
    ),
    (
        "sqs",
        "SetQueueAttributes",
        {
            "queueUrl": QUEUE_URL,
            "attributes": {
                "Policy": json.dumps(policy("sns.amazonaws.com", "aws:SourceArn", TOPIC)),
                "KmsMasterKeyId": "alias/logs",
            },
        },
        {(TOPIC, QUEUE), (QUEUE, ALIAS_ARN)},
    ),
    ("sqs", "SetQueueAttributes", {"queueUrl": QUEUE_URL, "attributes": {"KmsMasterKeyId": "alias/aws/sqs"}}, set()),
    (
        "events",
        "PutRule",
        {"name": "objects", "eventPattern": '{"source":["aws.s3"],"detail":{"bucket":{"name":["security-logs"]}}}'},
        {("security-logs", RULE)},
    ),
    (
        "events",
        "PutTargets",
        {"rule": "objects", "eventBusName": "default", "targets": [{"id": "1", "arn": QUEUE, "roleArn": ROLE}]},
        {(RULE, QUEUE), (RULE, ROLE)},
    ),
    (
        "logs",
        "PutSubscriptionFilter",
        {"logGroupName": "trail", "filterName": "all", "destinationArn": FUNCTION, "roleArn": ROLE},
        {(GROUP, FUNCTION), (GROUP, ROLE)},
    ),
    ("logs", "AssociateKmsKey", {"logGroupName": "trail", "kmsKeyId": KEY_ARN}, {(GROUP, KEY)}),
    (
        "lambda",
        "CreateEventSourceMapping20150331",
        {"eventSourceArn": QUEUE, "functionName": "read"},
        {(QUEUE, FUNCTION)},
    ),
]


@pytest.mark.parametrize(("service", "name", "sent", "expected"), CALLS, ids=[f"{each[0]}-{each[1]}" for each in CALLS])
def test_call_shows_links(service: str, name: str, sent: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    """Each call says what leads to what, under canonical names; patterns and AWS's own keys lead nowhere."""
    assert set(links_of(call(service, name, 0, sent))) == expected


def facts_of(*records: dict[str, Any]) -> list[PathFact]:
    """The links that these records show."""
    facts = path_facts(archive_rows(*records), (), LogPath())
    return [each for each in facts if each.aspect in (Aspect.LINK, Aspect.LEADS)]


def shown(*names: str) -> list[dict[str, Any]]:
    """The calls of those names among `CALLS`, one after the other."""
    return [call(service, name, at, sent) for at, (service, name, sent, _) in enumerate(CALLS) if name in names]


def test_path_leads_from_trail_to_rule() -> None:
    """Trail, bucket, key, topic, queue, role, log group, rule, whatever is learned first; nothing without the trail."""
    created = call(
        "cloudtrail",
        "CreateTrail",
        99,
        {
            "name": "mine",
            "s3BucketName": "security-logs",
            "snsTopicName": "told",
            "cloudWatchLogsLogGroupArn": f"{GROUP}:*",
            "cloudWatchLogsRoleArn": ROLE.replace("role/", "role/service-role/"),
        },
    )
    names = {name for _, name, _, _ in CALLS}
    path = {"security-logs", TOPIC, QUEUE, ROLE, GROUP, RULE, KEY, FUNCTION, ALIAS_ARN, TOPIC.replace("logs", "told")}
    for facts in (found := facts_of(*shown(*names), created), found[::-1]):
        graph = learned(LogPath(), facts)
        assert {name for name in path if graph.owns(name)} == path
        assert not graph.owns(f"arn:aws:sqs:{REGION}:{ACCOUNT}:other")
    elsewhere = learned(LogPath(), facts_of(*shown(*names - {"CreateTrail"})))
    assert not any(map(elsewhere.owns, path))


def test_declared_bucket_leads_on() -> None:
    """To the queue that its notifications go to, and through the queue's policy from the topic."""
    graph = learned(DECLARED, facts_of(*shown("PutBucketNotification", "SetQueueAttributes")))
    assert all(map(graph.owns, (TOPIC, QUEUE, QUEUE_URL, FUNCTION)))
    assert not graph.owns(RULE)


@given(call_of=st.sampled_from(sorted(SHOWS)), sent=values, answered=values)
def test_hostile_calls_show_few_links_or_none(call_of: tuple[str, str], sent: Any, answered: Any) -> None:
    """Whatever the members are."""
    service, name = call_of
    found = links_of(call(service.partition(".")[0], name, 0, sent, responseElements=answered))
    assert len(found) <= 50
    assert all(each.resource and each.to for each in found)


FULL = LogPath(
    (
        Trail(
            *("org-trail", ACCOUNT, REGION, "security-logs"),
            topics=("logs",),
            queues=(QUEUE_URL,),
            roles=(ROLE.replace("role/", "role/service-role/"),),
            log_groups=(f"{GROUP}:*",),
            rules=("objects",),
        ),
    )
)
NAMED = [
    (call("sns", "DeleteTopic", 0, {"topicArn": TOPIC}), TOPIC),
    (call("sns", "Unsubscribe", 0, {"subscriptionArn": f"{TOPIC}:1-2"}), TOPIC),
    (call("sqs", "PurgeQueue", 0, {"queueUrl": QUEUE_URL}), QUEUE),
    (call("sqs", "PurgeQueue", 0, None, errorCode="AccessDenied", errorMessage=f"not on resource: {QUEUE}"), QUEUE),
    (call("iam", "DeleteRole", 0, {"roleName": "writer"}), ROLE),
    (call("logs", "DeleteLogGroup", 0, {"logGroupName": "trail"}), GROUP),
    (call("logs", "DeleteLogGroup", 0, None, errorCode="AccessDenied", errorMessage=f"on resource: {GROUP}:*"), GROUP),
    (call("events", "DisableRule", 0, {"name": "objects"}), RULE),
    (call("events", "RemoveTargets", 0, {"rule": "objects", "eventBusName": "default", "ids": ["1"]}), RULE),
]


@pytest.mark.parametrize(("record", "name"), NAMED, ids=[record["eventName"] for record, _ in NAMED])
def test_whatever_a_call_names_it_by(record: dict[str, Any], name: str) -> None:
    """Names, ARNs, URLs and error messages lead to the same resource, which is ours where it is declared."""
    assert name in touched_names(record)
    assert derive(record, FULL)["derived.ownership"] == Ownership.OWN.value
    elsewhere = json.loads(json.dumps(record).replace(ACCOUNT, "444455556666"))
    assert derive(elsewhere, FULL)["derived.ownership"] == Ownership.OTHER.value
    assert derive(record, DECLARED)["derived.ownership"] == Ownership.UNKNOWN.value


@pytest.mark.parametrize(
    ("record", "own", "other"),
    [
        (call("sqs", "PurgeQueue", 0, {"queueUrl": QUEUE_URL}), Severity.CRITICAL, Severity.INFO),
        (call("sns", "DeleteTopic", 0, {"topicArn": TOPIC}), Severity.CRITICAL, Severity.INFO),
        (call("events", "DisableRule", 0, {"name": "objects"}), Severity.HIGH, Severity.LOW),
        (call("logs", "DeleteLogGroup", 0, {"logGroupName": "trail"}), Severity.CRITICAL, Severity.HIGH),
    ],
    ids=["queue", "topic", "rule", "log-group"],
)  # fmt: skip
def test_severity_on_the_path_and_elsewhere(record: dict[str, Any], own: Severity, other: Severity) -> None:
    """The same call counts in full on what is declared."""
    elsewhere = json.loads(json.dumps(record).replace(ACCOUNT, "444455556666"))
    found = [max(each.severity for each in RULES.evaluate(archive_rows(one), FULL)) for one in (record, elsewhere)]
    assert found == [own, other]


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("arn:aws-us-gov:s3:::b/AWSLogs/x", "b"),
        ("arn:aws:s3:us-east-1:1:accesspoint/p", "arn:aws:s3:us-east-1:1:accesspoint/p"),
        ("https://queue.amazonaws.com/111122223333/q", "arn:aws:sqs:us-east-1:111122223333:q"),
        ("https://eu-west-1.queue.amazonaws.com/111122223333/q", "arn:aws:sqs:eu-west-1:111122223333:q"),
        ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/111122223333/q", "arn:aws:sqs:eu-west-1:111122223333:q"),
        ("arn:aws:iam::1:role/a/b/c", "arn:aws:iam::1:role/c"),
        ("arn:aws:logs:eu-west-1:1:log-group:/aws/x:log-stream:s", "arn:aws:logs:eu-west-1:1:log-group:/aws/x"),
        ("arn:aws:events:eu-west-1:1:rule/default/r", "arn:aws:events:eu-west-1:1:rule/r"),
        ("arn:aws:events:eu-west-1:1:rule/bus/r", "arn:aws:events:eu-west-1:1:rule/bus/r"),
        ("arn:aws", "arn:aws"),
        ("https://", "arn:aws:sqs:us-east-1::"),
    ],
)
def test_canonical_spelling(name: str, one: str) -> None:
    """One resource, one spelling; and of that again the same."""
    assert canonical(name) == one
    assert canonical(one) == one
