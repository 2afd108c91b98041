"""Coverage: the alert is for the last trail that is known to record something, and says what is lost."""

from __future__ import annotations

from typing import Any

import pytest
from path_worlds import ACCOUNT, DECLARED, REGION, archive_rows, call

from pipeline.run import load_rules
from schemas.trails import LogPath
from transforms.path_facts import path_facts
from transforms.path_state import tell

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
