"""Rows and facts for tests of the log path's state."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from record_worlds import body_of, rows_of

from schemas.archive import ARCHIVE_SCHEMA
from schemas.log_path import Aspect, PathFact
from schemas.times import MINUTE_US, format_us, parse_iso_us
from schemas.trails import LogPath, Trail

ACCOUNT, REGION = "111122223333", "us-east-1"
START_US = parse_iso_us("2026-11-01T00:00:00Z")
TRAIL_ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/org-trail"
KEY_ID = "11111111-2222-3333-4444-555555555555"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"
ALIAS_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/logs"
DECLARED = LogPath((Trail("org-trail", ACCOUNT, REGION, "security-logs", KEY_ARN),))


def at_us(minutes: float) -> int:
    """Minutes after the start."""
    return START_US + int(minutes * MINUTE_US)


def call(service: str, name: str, minute: float = 0, sent: Any = None, **members: Any) -> dict[str, Any]:
    """A record of a successful call."""
    return {
        "eventTime": format_us(at_us(minute)),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "eventID": f"{name}-{minute}",
        "recipientAccountId": ACCOUNT,
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/eve", "accountId": ACCOUNT},
        "requestParameters": sent,
        **members,
    }


def archive_rows(*records: Any, minutes_late: float = 5) -> pa.Table:
    """Rows of the archive, delivered a while after their events, each by an object of its own."""
    rows = rows_of(body_of(records))
    times = rows["event_time"].cast(pa.int64()).to_pylist()
    delivered = [(us or START_US) + int(minutes_late * MINUTE_US) for us in times]
    rows = rows.append_column("object_key", pa.array([f"o-{number}" for number in range(len(times))], pa.string()))
    return rows.append_column(
        "delivered_at", pa.array(delivered, pa.int64()).cast(ARCHIVE_SCHEMA.field("delivered_at").type)
    )


def fact(aspect: Aspect, minute: float, *, sound: bool, late: float = 5, **members: Any) -> PathFact:
    """A fact about the declared trail, or the resource that a test names."""
    known: dict[str, Any] = {
        "resource": TRAIL_ARN,
        "event_id": f"{aspect.value}-{minute}",
        "event_name": "StartLogging" if sound else "StopLogging",
        "object_key": f"o-{minute}",
        "account_id": ACCOUNT,
        "region": REGION,
        "name": TRAIL_ARN,
        "incident_id": None if sound else "incident",
        **members,
    }
    return PathFact(aspect=aspect, sound=sound, event_us=at_us(minute), delivered_us=at_us(minute + late), **known)
