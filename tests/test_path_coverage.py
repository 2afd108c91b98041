"""Coverage: the alert is for the last trail that is known to record something, and says what is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from path_worlds import ACCOUNT, DECLARED, KEY_ARN, REGION, archive_rows, call

from pipeline.run import load_rules
from schemas.trails import LogPath
from transforms.path_facts import path_facts
from transforms.path_fold import tell

RULES = load_rules(())
NOTHING = LogPath()
READS = {"eventSelectors": [{"readWriteType": "ReadOnly", "includeManagementEvents": True}]}
ALL = {"eventSelectors": [{"readWriteType": "All", "includeManagementEvents": True}]}
NO_KMS = {"eventSelectors": [{**ALL["eventSelectors"][0], "excludeManagementEventSources": ["kms.amazonaws.com"]}]}
WRITES_ADVANCED = {
    "advancedEventSelectors": [
        {
            "fieldSelectors": [
                {"field": "eventCategory", "equals": ["Management"]},
                {"field": "readOnly", "equals": ["false"]},
            ]
        }
    ]
}


def trail_call(name: str, minute: float, trail: str = "org-trail", **sent: Any) -> dict[str, Any]:
    """A call on a trail."""
    named = "trailName" if name == "PutEventSelectors" else "name"
    return call("cloudtrail", name, minute, {named: trail, **sent})


def created(trail: str, minute: float, **sent: Any) -> list[dict[str, Any]]:
    """A trail that is made and started."""
    return [
        trail_call("CreateTrail", minute, trail, s3BucketName="logs", **sent),
        trail_call("StartLogging", minute + 1, trail),
    ]


def told(*records: dict[str, Any], log_path: LogPath = DECLARED) -> list[tuple[str, str | None, str | None, str]]:
    """Status, account, region and the beginning of the title of what is told of coverage."""
    rows = archive_rows(*records)
    facts = path_facts(rows, RULES.evaluate(rows, log_path), log_path)
    alerts = [each for each in tell(facts, log_path, None).alerts if each.kind == "trail.coverage_lost"]
    return [(each.status.value, each.account_id, each.region, each.title.partition(" events of")[0]) for each in alerts]


def lost(
    what: str, account: str | None = ACCOUNT, region: str | None = REGION
) -> tuple[str, str | None, str | None, str]:
    """An opened incident."""
    return "opened", account, region, f"No known trail records {what}"


BOTH = "management read and management write"


KEY = {"keyId": KEY_ARN}
OTHER_KEY = {"keyId": KEY_ARN[:-1] + "0"}
LOGS = "arn:aws:s3:::logs/AWSLogs/*"
DENIED = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": LOGS}]}
DENYING = call("s3", "PutBucketPolicy", 30, {"bucketName": "logs", "bucketPolicy": DENIED})
LETTING = {"bucketName": "security-logs", "bucketPolicy": {"Statement": [
    {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:*",
     "Resource": ["arn:aws:s3:::security-logs", "arn:aws:s3:::security-logs/*"]},
]}}  # fmt: skip


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([call("kms", "DisableKey", 0, KEY)], ["opened"]),
        ([call("kms", "DisableKey", 0, OTHER_KEY)], []),
        ([call("kms", "DisableKey", 0, KEY, errorCode="AccessDenied")], []),
        ([call("kms", "DisableKey", 0, KEY), call("kms", "EnableKey", 10, KEY)], ["opened", "resolved"]),
        ([call("kms", "ScheduleKeyDeletion", 0, KEY), call("kms", "CancelKeyDeletion", 10, KEY)], ["opened"]),
        ([call("kms", "DeleteImportedKeyMaterial", 0, KEY)], ["opened"]),
        ([trail_call("UpdateTrail", 0, kmsKeyId=""), call("kms", "DisableKey", 10, KEY)], []),
        ([call("s3", "DeleteBucketPolicy", 0, {"bucketName": "security-logs"})], ["opened"]),
        (
            [
                call("s3", "DeleteBucketPolicy", 0, {"bucketName": "security-logs"}),
                call("s3", "PutBucketPolicy", 10, LETTING),
            ],
            ["opened", "resolved"],
        ),
        ([DENYING], []),
        ([*created("second", 0), call("kms", "DisableKey", 10, KEY)], []),
        ([*created("second", 0), call("kms", "DisableKey", 10, KEY), DENYING | {"eventTime": "2026-11-01T01:00:00Z"}],
         ["opened"]),
        ([trail_call("StopLogging", 0), call("kms", "DisableKey", 9, KEY), trail_call("StartLogging", 20)], ["opened"]),
    ],
)  # fmt: skip
def test_trail_that_cannot_deliver_records_nothing(records: list[dict[str, Any]], expected: list[str]) -> None:
    """Its key is disabled, or its bucket does not let it in; until they are right again."""
    assert [status for status, *_ in told(*records)] == expected


def test_the_key_that_a_trail_was_seen_to_use_counts() -> None:
    """Of a trail that nobody declared; the alert is for the trail's account, not for that of the key's owner."""
    context = {"aws:cloudtrail:arn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/big"}
    by_cloudtrail = {"userIdentity": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}}
    asked = call("kms", "GenerateDataKey", 5, {**KEY, "encryptionContext": context}, **by_cloudtrail)
    disabled = call("kms", "DisableKey", 10, KEY, recipientAccountId="999999999999")
    assert told(*created("big", 0), asked, disabled, log_path=NOTHING) == [lost(BOTH)]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([trail_call("StopLogging", 0)], [lost(BOTH)]),
        ([trail_call("DeleteTrail", 0)], [lost(BOTH)]),
        ([trail_call("UpdateTrail", 0, s3BucketName="elsewhere")], [lost(BOTH)]),
        ([trail_call("PutEventSelectors", 0, **READS)], [lost("management write")]),
        ([trail_call("PutEventSelectors", 0, **WRITES_ADVANCED)], [lost("management read")]),
        ([trail_call("PutEventSelectors", 0, **NO_KMS)], []),
        ([trail_call("PutEventSelectors", 0, **ALL)], []),
        ([trail_call("StopLogging", 0, "unknown-trail")], []),
        ([trail_call("StopLogging", 0), trail_call("StopLogging", 20)], [lost(BOTH)]),
        ([*created("second", 0), trail_call("StopLogging", 10)], []),
        ([trail_call("CreateTrail", 0, "second", s3BucketName="logs"), trail_call("StopLogging", 10)], [lost(BOTH)]),
        ([*created("second", 0), trail_call("StopLogging", 10), trail_call("StopLogging", 20, "second")], [lost(BOTH)]),
        ([trail_call("StopLogging", 0, errorCode="x") | {"errorCode": "AccessDenied"}], []),
    ],
)  # fmt: skip
def test_the_last_one_is_told(records: list[dict[str, Any]], expected: list[tuple[str, str, str, str]]) -> None:
    """What no other known trail records, in the place that the trail was known to record."""
    assert told(*records) == expected


def test_an_organizations_trail_is_lost_as_a_whole() -> None:
    """But for what smaller trails still record."""
    big = created("big", 0, isMultiRegionTrail=True, isOrganizationTrail=True)
    small = created("small", 10)
    stop_big, stop_small = trail_call("StopLogging", 20, "big"), trail_call("StopLogging", 30, "small")
    assert told(*big, *small, stop_big, log_path=NOTHING) == [lost(BOTH, None, None)]
    assert told(*big, *small, stop_big, stop_small, log_path=NOTHING) == [lost(BOTH, None, None), lost(BOTH)]
    assert told(*big, *small, stop_small, log_path=NOTHING) == []
    rows = archive_rows(*big, *small, stop_big)
    (alert,) = tell(path_facts(rows, (), NOTHING), NOTHING, None).alerts
    assert f"in all regions any more, but for {ACCOUNT} {REGION}: StopLogging" in alert.title


def test_fewer_regions_are_a_loss() -> None:
    """A trail that records its home region alone no longer records the others."""
    single = trail_call("UpdateTrail", 20, "big", isMultiRegionTrail=False)
    assert told(*created("big", 0, isMultiRegionTrail=True), single, log_path=NOTHING) == [lost(BOTH, ACCOUNT, None)]


def test_data_events_are_lost_where_they_were_known() -> None:
    """Only a trail that was seen to select them can lose them."""
    data = {
        "eventSelectors": [
            {**ALL["eventSelectors"][0], "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}]}
        ]
    }
    assert told(trail_call("PutEventSelectors", 0, **data), trail_call("PutEventSelectors", 10, **ALL)) == [
        lost("data")
    ]


def test_coverage_is_regained() -> None:
    """Where all that was lost is recorded again, by whichever trail."""
    again = told(trail_call("StopLogging", 0), trail_call("StartLogging", 20))
    assert [status for status, *_ in again] == ["opened", "resolved"]
    partly = told(
        trail_call("StopLogging", 0), trail_call("PutEventSelectors", 10, **READS), trail_call("StartLogging", 20)
    )
    assert [status for status, *_ in partly] == ["opened"]
    other = told(trail_call("StopLogging", 0), *created("second", 20))
    assert [status for status, *_ in other] == ["opened", "resolved"]


def test_a_declared_trail_of_the_organization_is_lost_to_all() -> None:
    """What the configuration says that it covers is what is lost; made single-region, it still covers its home."""
    trail = msgspec.structs.replace(DECLARED.trails[0], organization=True, multi_region=True)
    path = msgspec.structs.replace(DECLARED, trails=(trail,))
    both = "management read and management write"
    assert told(trail_call("StopLogging", 1), log_path=path) == [lost(both, None, None)]
    narrowed = trail_call("UpdateTrail", 1, isMultiRegionTrail=False)
    assert told(narrowed, log_path=path) == [lost(both, None, None)]
    assert told(narrowed) == []
