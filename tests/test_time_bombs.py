"""Every kind of harm with a deadline, from its call: it opens, escalates, and the cancelling call closes it."""

from __future__ import annotations

from typing import Any

import pytest
from path_worlds import ACCOUNT, DECLARED, KEY_ARN, KEY_ID, REGION, archive_rows, at_us, call

from pipeline.rule_files import load_rules
from schemas.alerts import Alert
from schemas.times import DAY_US
from schemas.trails import LogPath
from transforms.path_facts import path_facts
from transforms.path_fold import tell

RULES = load_rules(())
DAY_MIN = 24 * 60
STORE = {"eventDataStore": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:eventdatastore/11111111-2222-3333-4444-555555555555"}
BUCKET = {"bucketName": "security-logs"}


def expiring(date: str, days: int = 0) -> dict[str, Any]:
    """A lifecycle by date, or in days."""
    expiration = {"Days": days} if days else {"Date": date}
    rule = {"ID": "tidy", "Status": "Enabled", "Expiration": expiration}
    return {**BUCKET, "LifecycleConfiguration": {"Rule": rule}}


BOMBS = {
    "key deletion": (
        call("kms", "ScheduleKeyDeletion", 0, {"keyId": KEY_ARN, "pendingWindowInDays": 10}),
        10,
        [call("kms", "CancelKeyDeletion", 2 * DAY_MIN, {"keyId": KEY_ID})],
    ),
    "event data store": (
        call("cloudtrail", "DeleteEventDataStore", 0, STORE),
        7,
        [call("cloudtrail", "RestoreEventDataStore", 2 * DAY_MIN, STORE)],
    ),
    "lifecycle": (
        call("s3", "PutBucketLifecycle", 0, expiring("2026-11-11T00:00:00Z")),
        10,
        [
            call("s3", "DeleteBucketLifecycle", 2 * DAY_MIN, BUCKET),
            call("s3", "PutBucketLifecycle", 2 * DAY_MIN, expiring("", days=400)),
        ],
    ),
    "key material": (
        call("kms", "ImportKeyMaterial", 0, {"keyId": KEY_ARN, "validTo": "Nov 11, 2026, 12:00:00 AM"}),
        10,
        [
            call(
                "kms",
                "ImportKeyMaterial",
                2 * DAY_MIN,
                {"keyId": KEY_ID, "expirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"},
            )
        ],
    ),
}


def bombs(*records: dict[str, Any], days: float, log_path: LogPath = DECLARED) -> list[Alert]:
    """What is told of deadlines by a day."""
    rows = archive_rows(*records)
    facts = path_facts(rows, RULES.evaluate(rows, log_path), log_path)
    found = tell(facts, log_path, at_us(0) + int(days * DAY_US)).alerts
    return [each for each in found if each.kind == "trail.time_bomb"]


def told(*records: dict[str, Any], days: float, log_path: LogPath = DECLARED) -> list[tuple[str, str, int]]:
    """Status, severity and day."""
    found = bombs(*records, days=days, log_path=log_path)
    return [(each.status.value, each.severity.label, (each.detected_us - at_us(0)) // DAY_US) for each in found]


@pytest.mark.parametrize("kind", BOMBS)
def test_bomb_opens_and_escalates(kind: str) -> None:
    """A week and a day before its deadline and at it, of which the alert says when it is."""
    record, last_day, _ = BOMBS[kind]
    opened = ("opened", "critical" if last_day == 7 else "high", 0)
    escalated = [("updated", "critical", day) for day in (3, last_day - 1, last_day) if (day, last_day) != (3, 7)]
    assert told(record, days=0.1) == [opened]
    assert told(record, days=40) == [opened, *escalated]
    alerts = bombs(record, days=40)
    assert {each.incident_id for each in alerts} == {alerts[0].incident_id}
    assert {each.window_end_us for each in alerts} == {at_us(0) + last_day * DAY_US}


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, at) for kind, (*_, cures) in BOMBS.items() for at in range(len(cures))]
)
def test_cancelling_call_closes_it(kind: str, number: int) -> None:
    """And nothing is told of it afterwards; a refused one closes nothing."""
    record, last_day, cures = BOMBS[kind]
    cure = cures[number]
    assert told(record, cure, days=40)[1:] == [("resolved", "high", 2)]
    assert told(record, cure | {"errorCode": "AccessDenied"}, days=40)[-1] == ("updated", "critical", last_day)


@pytest.mark.parametrize("kind", ["key deletion", "lifecycle", "key material"])
def test_bomb_elsewhere_is_none(kind: str) -> None:
    """On a key or bucket of somebody else."""
    assert told(BOMBS[kind][0], days=40, log_path=LogPath()) == []


def test_warnings_are_configured() -> None:
    """Told at these distances, critical from the first on, and always at the deadline."""
    hasty = LogPath(DECLARED.trails, (2 * DAY_US,))
    found = told(BOMBS["key deletion"][0], days=40, log_path=hasty)
    assert found == [("opened", "high", 0), ("updated", "critical", 8), ("updated", "critical", 10)]
