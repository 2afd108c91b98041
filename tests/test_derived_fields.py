"""Derived fields: on records that mean something, and on hostile ones."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.trails import LogPath, Trail
from transforms.rules import derived, policies

RULES_PAGE = Path(__file__).parents[1] / "docs" / "rules.md"
DECLARED = LogPath(trails=(Trail("org-trail", "111122223333", "us-east-1", "security-logs", "alias/logs"),))
CALLS = [("s3.amazonaws.com", "DeleteBucket"), *sorted(derived.DESCRIBE)]
MEMBER_NAMES = sorted(
    {
        *("name", "trailName", "bucketName", "key", "keyId", "policy", "bucketPolicy", "resourcePolicy", "Statement"),
        *("Principal", "AWS", "Service", "Action", "Condition", "eventSelectors", "advancedEventSelectors", "equals"),
        *(
            "fieldSelectors",
            "field",
            "readWriteType",
            "excludeManagementEventSources",
            "LifecycleConfiguration",
            "Rule",
        ),
        *("Expiration", "Days", "Date", "Status", "Transition", "StorageClass", "NoncurrentVersionExpiration", "Rules"),
        *("ObjectLockConfiguration", "DefaultRetention", "Years", "Mode", "ReplicationConfiguration", "Destination"),
        *("AccessControlPolicy", "AccessControlList", "Grant", "Grantee", "ID", "URI", "Owner", "x-amz-acl", "validTo"),
        *("Retention", "RetainUntilDate", "ObjectEncryption", "Delete", "Object", "Key", "granteePrincipal", "type"),
        *("attributes", "attributeName", "attributeValue", "RedrivePolicy", "deadLetterTargetArn", "maxReceiveCount"),
        *(
            "queueUrl",
            "topicArn",
            "endpoint",
            "filterCriteria",
            "filters",
            "functionResponseTypes",
            "VisibilityTimeout",
        ),
        *("kmsKeyId", "s3BucketName", "retentionPeriod", "insightSelectors", "insightType", "contextKeySelectors"),
        *("FindingIdentifiers", "ids", "Policy", "SecurityServicePolicyData", "ManagedServiceData", "Type", "content"),
        *(
            "alarmActions",
            "recordingGroup",
            "recordingMode",
            "patchOperations",
            "attributes",
            "clusterLogging",
            "logging",
        ),
        *("loggingConfiguration", "logDestinationConfigs", "CreateFlowLogsRequest", "policyDocument", "configuration"),
    }
)
TELLING = [
    "*",
    "Allow",
    "Deny",
    "Enabled",
    "GLACIER",
    "eventCategory",
    "readOnly",
    "Management",
    "s3:*",
    "[?*",
    "1" * 400,
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [*TELLING, "arn:aws:iam::x:root", '{"Statement": [{"Condition": {"a": 1}}]}', "9999-12-31", "\ud800"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBER_NAMES), inner, max_size=6),
    max_leaves=25,
)


@given(
    call=st.sampled_from(CALLS),
    members=st.dictionaries(
        st.sampled_from(
            ["requestParameters", "userIdentity", "resources", "errorMessage", "serviceEventDetails", "eventTime"]
        ),
        JSON,
    ),
)
def test_derive_never_raises(call: tuple[str, str], members: dict[str, Any]) -> None:
    """Whatever the members of a record are, derive answers with text, booleans, integers or lists."""
    described = derived.derive({"eventSource": call[0], "eventName": call[1], **members}, DECLARED)
    assert described["derived.ownership"] in ("own", "unknown", "other")
    assert all(isinstance(value, str | bool | int | list) for value in described.values())


def test_derive_survives_depth() -> None:
    """Nesting deeper than Python's stack is no reason to fail, nor are names of other types."""
    deep: Any = "x"
    for _ in range(5000):
        deep = {"Statement": [deep], "Rule": deep} if isinstance(deep, str) else {"Statement": [deep]}
    for source, name in CALLS:
        for member in MEMBER_NAMES:
            event = {"eventSource": source, "eventName": name, "requestParameters": {member: deep}, "resources": deep}
            assert derived.derive(event, DECLARED)["derived.parameters_missing"] is False
    assert derived.derive({"eventSource": 1, "eventName": ["x"]}, DECLARED)["derived.parameters_missing"] is True


ADMIN = {"userIdentity": {"accountId": "111122223333"}, "awsRegion": "us-east-1", "recipientAccountId": "111122223333"}


def derived_of(source: str, name: str, log_path: LogPath = DECLARED, **members: Any) -> dict[str, Any]:
    """The derived fields of a call, without their prefix."""
    event = {"eventSource": f"{source}.amazonaws.com", "eventName": name, **ADMIN, **members}
    return {field.removeprefix("derived."): value for field, value in derived.derive(event, log_path).items()}


TRAIL_ARN = "arn:aws:cloudtrail:us-east-1:111122223333:trail/org-trail"
KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/0123"
REFUSAL = "User: arn:aws:iam::111122223333:user/mallory is not authorized to perform: x:Y on resource: {} because …"


@pytest.mark.parametrize(
    ("source", "name", "members", "resource", "ownership"),
    [
        ("cloudtrail", "StopLogging", {"requestParameters": {"name": "org-trail"}}, TRAIL_ARN, "own"),
        ("cloudtrail", "StopLogging", {"requestParameters": {"name": TRAIL_ARN}}, TRAIL_ARN, "own"),
        ("cloudtrail", "PutEventSelectors", {"requestParameters": {"trailName": "org-trail"}}, TRAIL_ARN, "own"),
        ("cloudtrail", "StopLogging", {"errorMessage": REFUSAL.format(TRAIL_ARN)}, TRAIL_ARN, "own"),
        ("cloudtrail", "StopLogging", {"requestParameters": {"name": "x"}}, TRAIL_ARN[:-9] + "x", "other"),
        ("cloudtrail", "StopImport", {"requestParameters": {"importId": "i"}}, "i", "unknown"),
        ("s3", "DeleteBucket", {"requestParameters": {"bucketName": "security-logs"}}, "security-logs", "own"),
        ("s3", "DeleteBucket", {"requestParameters": {"bucketName": "web"}}, "web", "other"),
        (
            "s3",
            "DeleteBucket",
            {"errorMessage": REFUSAL.format('"arn:aws:s3:::security-logs"')},
            "security-logs",
            "own",
        ),
        (
            "s3",
            "PutObject",
            {"requestParameters": {"bucketName": "security-logs", "key": "k"}},
            "security-logs/k",
            "own",
        ),
        ("s3", "PutAccountPublicAccessBlock", {}, "111122223333", "own"),
        (
            "s3",
            "DeleteAccessPoint",
            {"requestParameters": {"name": "p"}},
            "arn:aws:s3:us-east-1:111122223333:accesspoint/p",
            "unknown",
        ),
        ("kms", "DisableKey", {"requestParameters": {"keyId": "0123"}}, KEY_ARN, "other"),
        (
            "kms",
            "DisableKey",
            {"requestParameters": {"keyId": "0123"}, "resources": [{"ARN": KEY_ARN}]},
            KEY_ARN,
            "other",
        ),
        ("kms", "DeleteAlias", {"requestParameters": {"aliasName": "alias/logs"}}, KEY_ARN[:-8] + "alias/logs", "own"),
        (
            "kms",
            "DeleteAlias",
            {"requestParameters": {"aliasName": "alias/web"}},
            KEY_ARN[:-8] + "alias/web",
            "unknown",
        ),
        ("kms", "DeleteKey", {"serviceEventDetails": {"keyId": "0123"}}, KEY_ARN, "other"),
    ],
)
def test_resource_has_one_spelling(
    source: str, name: str, members: dict[str, Any], resource: str, ownership: str
) -> None:
    """However the record names it, a resource comes out under one name, with its ownership."""
    described = derived_of(source, name, **members)
    assert (described["resource"], described["ownership"]) == (resource, ownership)


def test_nothing_named_is_unknown() -> None:
    """Where the record names nothing, there is no resource and nobody owns it."""
    described = derived_of("kms", "DisableKey")
    assert "resource" not in described
    assert described["ownership"] == "unknown"


def test_undeclared_is_unknown() -> None:
    """Where nothing is declared, ownership is unknown, and sending a member counts as the change."""
    described = derived_of("cloudtrail", "UpdateTrail", LogPath(), requestParameters={"name": "t", "s3BucketName": "b"})
    assert described["ownership"] == "unknown"
    assert described["trail_diverted"] is True


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("s3:Put*", "s3:putobject", True),
        ("s3:*Object", "s3:putobject", True),
        ("*", "anything", True),
        ("s3:?utObject", "S3:PutObject", True),
        ("s3:Put", "s3:putobject", False),
        ("s3:[p]*", "s3:putobject", False),
        ("a*b*c", "aXbXbXc", True),
        ("a*bc*c", "aXbXc", False),
    ],
)
def test_policy_wildcards(pattern: str, name: str, *, matches: bool) -> None:
    """IAM's wildcards are `*` and `?`, brackets are plain, case does not matter."""
    assert policies.glob_matches(pattern, name) is matches


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_policy_wildcards_are_globs(pattern: str, name: str) -> None:
    """Without brackets they agree with fnmatch."""
    assert policies.glob_matches(pattern, name) is fnmatch.fnmatchcase(name, pattern)


@given(st.permutations(["ReadOnly", "WriteOnly", "All"]).map(lambda kinds: kinds[:2]))
def test_selectors_add_up(kinds: list[str]) -> None:
    """Any two different basic selectors are All together, and so are their advanced forms."""
    basic = [{"readWriteType": kind, "includeManagementEvents": True} for kind in kinds]
    described = derived_of("cloudtrail", "PutEventSelectors", requestParameters={"eventSelectors": basic})
    assert described["read_write_narrowed"] is False
    only = {"ReadOnly": [["true"]], "WriteOnly": [["false"]], "All": []}
    advanced = [
        {
            "fieldSelectors": [
                {"field": "eventCategory", "equals": ["Management"]},
                *({"field": "readOnly", "equals": value} for value in only[kind]),
            ]
        }
        for kind in kinds
    ]
    described = derived_of("cloudtrail", "PutEventSelectors", requestParameters={"advancedEventSelectors": advanced})
    assert described["advanced_selectors_narrowed"] is False


def test_every_field_is_documented() -> None:
    """docs/rules.md lists the fields that are derived, each once, and no other."""
    listed = re.findall(r"^\| `(\w+)` \| (?:text|bool) \|", RULES_PAGE.read_text(), re.MULTILINE)
    emitted = {field for source, name in CALLS for field in derived_of(source.partition(".")[0], name)}
    assert sorted(listed) == sorted({*emitted, "resource", "security_named"})
