"""A folder written by hand, and all that a run must make of it: rows, alerts, dead letters, verdicts, balance."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from folders import ACCOUNT, CONFIG, REGION, alerts, ask, event, fill, letters, log_key, packed, rows, run

_CANARY = {
    "eventName": "RunInstances",
    "errorCode": "Client.UnauthorizedOperation",
    "readOnly": False,
    "userIdentity": {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/canary/c"},
}
_TRAIL_ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/org-trail"
_STOP = {
    "eventName": "StopLogging",
    "eventSource": "cloudtrail.amazonaws.com",
    "requestParameters": {"name": _TRAIL_ARN},
    "readOnly": False,
}
_OBJECTS = {
    log_key("AAAA", "20261101T1205Z"): packed(
        event("second", "2026-11-01T12:02:00Z", userAgent="aws-cli/2"),
        event("first", "2026-11-01T12:01:00Z", **_CANARY),
        event("copied", "2026-11-01T12:04:59Z"),
        {"eventID": "timeless", "eventName": "DescribeInstances"},
    ),
    log_key("BBBB", "20261101T1215Z"): packed(
        event("copied", "2026-11-01T12:04:59Z"),
        event("stopped", "2026-11-01T12:09:00Z", **_STOP),
        event("new member", "2026-11-01T12:09:30Z", someday={"a": [1, None]}),
    ),
    log_key("CCCC", "20261101T1220Z"): packed(event("midnight", "2026-11-02T00:00:00Z"))[:-9],
    log_key("DDDD", "20261101T1255Z"): packed(),
    "AWSLogs/notes.txt": b"not a log",
}
_CONFIG = f"""
[[canary]]
name = "dry-run"
accounts = ["{ACCOUNT}"]
regions = ["{REGION}"]
period = "5m"
grace = "15m"
since = 2026-11-01T12:00:00Z
[canary.match]
event_name = "RunInstances"
error_code = "Client.Unauth*"
user_arn = "arn:aws:sts::*:assumed-role/canary/*"
[[trail]]
name = "org-trail"
account = "{ACCOUNT}"
home_region = "{REGION}"
bucket = "security-logs"
"""
_ROWS = [
    ("first", "2026-11-01T12:01:00", "RunInstances", False, "AAAA", 1, None),
    ("second", "2026-11-01T12:02:00", "DescribeInstances", True, "AAAA", 0, None),
    ("copied", "2026-11-01T12:04:59", "DescribeInstances", True, "AAAA", 2, None),
    ("stopped", "2026-11-01T12:09:00", "StopLogging", False, "BBBB", 1, None),
    ("new member", "2026-11-01T12:09:30", "DescribeInstances", True, "BBBB", 2, '{"someday":{"a":[1,null]}}'),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """The input, the lake and the summary of one run."""
    top = tmp_path_factory.mktemp("golden")
    source, lake = fill(top / "in", _OBJECTS), top / "lake"
    (top / CONFIG).write_text(_CONFIG)
    return source, lake, run(source, lake, "--config", top / CONFIG, "--as-of", "data")


def test_rows(world: tuple[Path, Path, Any]) -> None:
    """Each record is a row once, with its time, place in its object and what no column holds."""
    source, lake, _ = world
    found = [
        (
            row["event_id"],
            f"{row['event_time']:%Y-%m-%dT%H:%M:%S}",
            row["event_name"],
            row["read_only"],
            row["object_key"].removesuffix(".json.gz")[-4:],
            row["record_index"],
            row["unmapped"],
        )
        for row in rows(lake)
    ]
    assert found == _ROWS
    first = rows(lake)[0]
    assert first["object_key"] == f"{source}/{log_key('AAAA', '20261101T1205Z')}"
    assert first["delivered_at"] == dt.datetime(2026, 11, 1, 12, 5, tzinfo=dt.UTC)
    assert first["user_identity"]["arn"].endswith("assumed-role/canary/c")
    assert first["request_parameters"] == '{"filterSet":{}}'
    assert [path.parent.name for path in lake.rglob("events/*/*.parquet")] == ["event_date=2026-11-01"]


def test_alerts(world: tuple[Path, Path, Any]) -> None:
    """The whole JSON of each alert, ids too: they derive from content, so nothing but the folder's name can differ."""
    source, lake, summary = world
    found = {alert["kind"]: alert for alert in alerts(lake).values()}
    kinds = ["canary.missing", "canary.unsure", "ingest.unreadable", "trail.coverage_lost", "trail.tampered"]
    assert sorted(found) == kinds
    stop = found["trail.tampered"]
    assert stop | {"title": "", "rule": "", "mitre": []} == {
        "alert_id": "d5644799d4c0f255f6ff239aa1913cd6",
        "incident_id": "e28f13fcb37f355973f3865c6e9ba339",
        "kind": "trail.tampered",
        "status": "opened",
        "severity": "critical",
        "title": "",
        "account_id": ACCOUNT,
        "region": REGION,
        "window_start": "2026-11-01T12:09:00Z",
        "window_end": "2026-11-01T12:09:00Z",
        "detected_at": "2026-11-01T12:15:00Z",
        "confidence": "certain",
        "canary": None,
        "rule": "",
        "actor": f"arn:aws:iam::{ACCOUNT}:user/alice",
        "resource": _TRAIL_ARN,
        "evidence": {
            "event_ids": ["stopped"],
            "object_keys": [f"{source}/{log_key('BBBB', '20261101T1215Z')}"],
            "places": [],
        },
        "mitre": [],
        "runbook": "docs/runbooks/trail-tampered.md",
        "suppressed_by": None,
    }
    doubt = found["canary.unsure"]
    assert (doubt["window_start"], doubt["detected_at"], doubt["canary"]) == (
        "2026-11-01T12:05:00Z",
        "2026-11-01T12:25:00Z",
        "dry-run",
    )
    assert doubt["evidence"]["object_keys"] == [f"{source}/{log_key('CCCC', '20261101T1220Z')}"]
    assert summary["alerts"] == list(alerts(lake).values())


def test_dead_letters(world: tuple[Path, Path, Any]) -> None:
    """What became no row is kept with its reason: one record, one object."""
    _, lake, summary = world
    found = [(each["path"][-12:-8], each["record_index"], each["reason"]) for each in letters(lake)]
    assert found == [("AAAA", 3, "no_event_time"), ("CCCC", None, "truncated_gzip")]
    assert summary["dead_letters"] == {"no_event_time": 1, "truncated_gzip": 1}
    assert letters(lake)[0]["body"] == b'{"eventID":"timeless","eventName":"DescribeInstances"}'


def test_balance_and_verdicts(world: tuple[Path, Path, Any]) -> None:
    """Everything is accounted for: on the sheet, in the ledger and slot by slot."""
    _, lake, summary = world
    assert summary["balance"] == {
        "objects_listed": 5,
        "objects_read": 3,
        "objects_dead": 1,
        "objects_known": 0,
        "objects_not_logs": 1,
        "records_read": 7,
        "records_archived": 5,
        "records_duplicate": 1,
        "records_dead": 1,
        "rows_written": 5,
    }
    assert ask(lake, "SELECT verdict, count(*), min(slot_start)::VARCHAR FROM canary_slots GROUP BY 1 ORDER BY 3") == [
        ("seen", 1, "2026-11-01 12:00:00+00"),
        ("unsure", 6, "2026-11-01 12:05:00+00"),
        ("missing", 1, "2026-11-01 12:35:00+00"),
    ]
    assert ask(lake, "SELECT status, archived, duplicates, dead FROM objects WHERE kind = 'log' ORDER BY uri") == [
        ("read", 3, 0, 1),
        ("read", 2, 1, 0),
        ("dead", 0, 0, 0),
        ("read", 0, 0, 0),
    ]
    assert ask(lake, "SELECT * FROM audit") == []
