"""What events say of the log path, under one spelling, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_worlds import ACCOUNT, ALIAS_ARN, DECLARED, KEY_ARN, KEY_ID, REGION, TRAIL_ARN, archive_rows, at_us, call
from record_worlds import values

from pipeline.run import load_rules
from schemas.log_path import Aspect, PathFact, distinct_facts
from schemas.times import DAY_US, parse_iso_us
from schemas.trails import LogPath
from transforms.path_calls import SAYS
from transforms.path_facts import path_facts
from transforms.path_graph import learned
from transforms.path_names import canonical

RULES = load_rules(())
KEY = f"key/{KEY_ID}"
BY_CLOUDTRAIL = {"userIdentity": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}}


def facts_of(*records: dict[str, Any], log_path: LogPath = DECLARED) -> list[PathFact]:
    """What rules and facts make of these records."""
    rows = archive_rows(*records)
    return path_facts(rows, RULES.evaluate(rows, log_path), log_path)


def said(*records: dict[str, Any]) -> set[tuple[Aspect, str, bool]]:
    """Aspect, resource, and whether it is sound."""
    return {(each.aspect, each.resource, each.sound) for each in facts_of(*records)}


SELECT_ALL = [{"readWriteType": "All", "includeManagementEvents": True}]
CALLS = [
    (call("cloudtrail", "StopLogging", 0, {"name": "org-trail"}), {(Aspect.LOGGING, TRAIL_ARN, False)}),
    (call("cloudtrail", "StartLogging", 0, {"name": TRAIL_ARN}), {(Aspect.LOGGING, TRAIL_ARN, True)}),
    (call("cloudtrail", "DeleteTrail", 0, {"name": TRAIL_ARN}), {(Aspect.LOGGING, TRAIL_ARN, False)}),
    (
        call("cloudtrail", "PutEventSelectors", 0, {"trailName": "org-trail", "eventSelectors": SELECT_ALL}),
        {(Aspect.MANAGEMENT_SELECTORS, TRAIL_ARN, True), (Aspect.DATA_SELECTORS, TRAIL_ARN, False)},
    ),
    (
        call("cloudtrail", "UpdateTrail", 0, {"name": "org-trail", "isMultiRegionTrail": False}),
        {(Aspect.MULTI_REGION, TRAIL_ARN, False), (Aspect.LINK, TRAIL_ARN, True)},
    ),
    (call("kms", "DisableKey", 0, {"keyId": KEY_ID}), {(Aspect.KEY_USE, KEY, False)}),
    (call("kms", "EnableKey", 0, {"keyId": KEY_ARN}), {(Aspect.KEY_USE, KEY, True)}),
    (call("kms", "CancelKeyDeletion", 0, {"keyId": KEY_ID}), {(Aspect.KEY_DELETION, KEY, True)}),
    (
        call("kms", "ScheduleKeyDeletion", 0, {"keyId": KEY_ID}),
        {(Aspect.KEY_USE, KEY, False), (Aspect.KEY_DELETION, KEY, False)},
    ),
    (
        call("s3", "DeleteBucketLifecycle", 0, {"bucketName": "security-logs"}),
        {(Aspect.LIFECYCLE, "security-logs", True)},
    ),
    (
        call("cloudtrail", "DeleteTrail", 0, {"name": TRAIL_ARN}, errorCode="AccessDenied"),
        set(),
    ),
    (
        call("cloudtrail", "PutInsightSelectors", 0, {"trailName": TRAIL_ARN, "insightSelectors": []}),
        {(Aspect.OTHER, TRAIL_ARN, False)},
    ),
]


@pytest.mark.parametrize(("record", "expected"), CALLS, ids=[record["eventName"] for record, _ in CALLS])
def test_call_says(record: dict[str, Any], expected: set[tuple[Aspect, str, bool]]) -> None:
    """Each call says what it does to which aspect of which resource; a refused one nothing."""
    assert said(record) == expected


@pytest.mark.parametrize(
    ("members", "deadline_us"),
    [
        ({"requestParameters": {"keyId": KEY_ID}}, at_us(0) + 30 * DAY_US),
        ({"requestParameters": {"keyId": KEY_ID, "pendingWindowInDays": 7}}, at_us(0) + 7 * DAY_US),
        ({"requestParameters": {"keyId": KEY_ID, "pendingWindowInDays": 10**12}}, at_us(0) + 30 * DAY_US),
        (
            {
                "requestParameters": {"keyId": KEY_ID},
                "responseElements": {"deletionDate": "Nov 20, 2026, 12:00:00 AM"},
            },
            parse_iso_us("2026-11-20T00:00:00Z"),
        ),
    ],
)
def test_deletion_has_a_deadline(members: dict[str, Any], deadline_us: int) -> None:
    """The date in the response, or the window that was asked for within AWS's bounds, or 30 days."""
    found = facts_of({**call("kms", "ScheduleKeyDeletion"), **members})
    assert [each.deadline_us for each in found if each.aspect is Aspect.KEY_DELETION] == [deadline_us]


def test_short_lifecycle_has_a_deadline() -> None:
    """The next midnight for a rule in days; none where logs stay for a year."""
    rule = {"ID": "tidy", "Status": "Enabled", "Expiration": {"Days": 1}}
    sent = {"bucketName": "security-logs", "LifecycleConfiguration": {"Rule": rule}}
    (short,) = facts_of(call("s3", "PutBucketLifecycle", 90, sent))
    assert (short.sound, short.deadline_us) == (False, at_us(0) + DAY_US)
    kept = {**sent, "LifecycleConfiguration": {"Rule": {**rule, "Expiration": {"Days": 400}}}}
    (long,) = facts_of(call("s3", "PutBucketLifecycle", 90, kept))
    assert (long.sound, long.deadline_us) == (True, None)


def test_a_fact_names_the_incident_of_its_event() -> None:
    """Of what rules found in it; so that the call that undoes it can close the right one."""
    stopped, started = facts_of(
        call("cloudtrail", "StopLogging", 0, {"name": "org-trail"}),
        call("cloudtrail", "StartLogging", 1, {"name": "org-trail"}),
    )
    assert stopped.incident_id is not None
    assert started.incident_id is None


def test_cloudtrails_own_calls_show_the_path() -> None:
    """Its data keys link trail, key and bucket, however many; anyone else's link nothing, but for what they decrypt."""
    context = {"aws:cloudtrail:arn": TRAIL_ARN, "aws:s3:arn": "arn:aws:s3:::learned-logs/AWSLogs/x/{}.json.gz"}
    keys = [
        call(
            "kms",
            "GenerateDataKey",
            minute,
            {"keyId": KEY_ARN, "encryptionContext": {**context, "aws:s3:arn": context["aws:s3:arn"].format(minute)}},
            **BY_CLOUDTRAIL,
        )
        for minute in range(50)
    ]
    acl = call("s3", "GetBucketAcl", 60, {"bucketName": "acl-logs"}, **BY_CLOUDTRAIL)
    anyones = call("kms", "GenerateDataKey", 61, {"keyId": "key/x", "encryptionContext": {**context}})
    read = call("kms", "Decrypt", 62, {"keyId": KEY_ARN, "encryptionContext": {**context}})
    denied = call("kms", "Decrypt", 63, {"keyId": "key/y", "encryptionContext": {**context}}, errorCode="AccessDenied")
    found = facts_of(*keys, acl, anyones, read, denied, log_path=LogPath())
    assert [(each.aspect, each.resource, each.links) for each in found] == [
        (Aspect.LINK, TRAIL_ARN, (KEY, "learned-logs")),
        (Aspect.LINK, "acl-logs", ()),
        (Aspect.LEADS, TRAIL_ARN, (KEY,)),
        (Aspect.LEADS, TRAIL_ARN, ("learned-logs",)),
    ]


def test_names_are_one_resource() -> None:
    """Bare names, ARNs, ids and aliases all lead to the same key and bucket, in whatever order that is learned."""
    created = call(
        "cloudtrail",
        "CreateTrail",
        0,
        {"name": "mine", "s3BucketName": "my-logs", "kmsKeyId": ALIAS_ARN},
    )
    alias = call(
        "kms", "CreateAlias", 1, {"aliasName": "alias/logs", "targetKeyId": KEY_ID},
        resources=[{"ARN": ALIAS_ARN}, {"ARN": KEY_ARN}],
    )  # fmt: skip
    found = facts_of(created, alias, log_path=LogPath())
    for facts in (found, found[::-1]):
        graph = learned(LogPath(), facts)
        names = (KEY_ARN, f"key/{KEY_ID}", ALIAS_ARN, "my-logs", "arn:aws:s3:::my-logs/AWSLogs/x", "my-logs/AWSLogs/x")
        assert all(map(graph.owns, names))
        assert graph.owns(f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/mine")
        assert not any(map(graph.owns, ("other-logs", "key/9", "arn:aws:kms:us-east-1:111122223333:alias/other")))
        assert graph.resolve(ALIAS_ARN) == KEY


def test_canonical_names() -> None:
    """Partitions are not told apart, and what is left of a hostile name is short and can be written."""
    assert canonical("arn:aws-cn:cloudtrail:cn-north-1:1:trail/t") == "arn:aws:cloudtrail:cn-north-1:1:trail/t"
    assert len(canonical("x" * 10_000)) < 3000
    assert canonical("\ud800") == "?"


@given(call_of=st.sampled_from(sorted(SAYS)), sent=values, answered=values, resources=values)
def test_hostile_events_are_survived(call_of: tuple[str, str], sent: Any, answered: Any, resources: Any) -> None:
    """Whatever the members are; and facts are never of a refused call's making."""
    source, name = call_of
    record = call(source.partition(".")[0], name, 0, sent, responseElements=answered, resources=resources)
    facts = facts_of(record)
    assert distinct_facts(tuple(facts)) == tuple(facts)
    assert all(each.event_name == name for each in facts)
